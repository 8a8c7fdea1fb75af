# ml_dtypes 0.5.3 with NumPy 2.3.4: numpy.save() of a bfloat16 array writes the type `<V2` (two bytes without a meaning) and of
# a float8_e5m2 array `<f1`. numpy.load() gives bytes back for the first. One would expect a type that says what it is.
packages="ml_dtypes==0.5.3 numpy==2.3.4"
. "$(dirname "$0")/environment.inc"
python <<'PYTHON'
import ml_dtypes, numpy
for kind, said in ((ml_dtypes.bfloat16, b"'<V2'"), (ml_dtypes.float8_e5m2, b"'<f1'")):
    numpy.save("a.npy", numpy.ones(3, dtype=kind))
    head = open("a.npy", "rb").read(128)
    print(kind.__name__, head[10:70].decode())
    assert said in head, "another type is written now"
numpy.save("a.npy", numpy.ones(3, dtype=ml_dtypes.bfloat16))
assert numpy.load("a.npy").dtype == numpy.dtype("V2")
PYTHON
