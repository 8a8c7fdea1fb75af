# h5py 3.14.0 (HDF5 1.14): a virtual data set whose source file has been moved away reads as its fill value, zeros, without an
# error or a warning. A matrix of embeddings read so is one point. One would expect an error that names the missing file.
packages="h5py==3.14.0 numpy==2.3.4"
. "$(dirname "$0")/environment.inc"
python <<'PYTHON'
import os, h5py, numpy
with h5py.File("source.h5", "w") as f:
    f["x"] = numpy.ones((4, 3), dtype="f4")
layout = h5py.VirtualLayout(shape=(4, 3), dtype="f4")
layout[:] = h5py.VirtualSource("source.h5", "x", shape=(4, 3))
with h5py.File("virtual.h5", "w") as f:
    f.create_virtual_dataset("x", layout)
with h5py.File("virtual.h5") as f:
    assert f["x"][:].sum() == 12
os.rename("source.h5", "elsewhere.h5")
with h5py.File("virtual.h5") as f:
    x = f["x"][:]
print("HDF5", h5py.version.hdf5_version, "reads", x.tolist())
assert (x == 0).all()
PYTHON
