# SciPy 1.16.2: scipy.io.savemat() of a float16 array writes doubles, four times the bytes, without a word. MATLAB has no type of
# 16 bits; one would expect single, or a warning.
packages="scipy==1.16.2 numpy==2.3.4"
. "$(dirname "$0")/environment.inc"
python <<'PYTHON'
import warnings, numpy, scipy.io
warnings.simplefilter("error")
scipy.io.savemat("a.mat", {"x": numpy.ones((2, 3), dtype=numpy.float16)})
x = scipy.io.loadmat("a.mat")["x"]
print("float16 comes back as", x.dtype)
assert x.dtype == numpy.float64
PYTHON
