# safetensors 0.8.0: safetensors.numpy.save() of a transposed array writes the array's memory under the transposed shape, so
# that other values are read back. One would expect the values, as numpy.save() writes them, or an error.
packages="safetensors==0.8.0 numpy==2.3.4"
. "$(dirname "$0")/environment.inc"
python <<'PYTHON'
import numpy, safetensors.numpy
a = numpy.arange(6, dtype=numpy.float32).reshape(2, 3)
back = safetensors.numpy.load(safetensors.numpy.save({"a": a.T}))["a"]
print("saved", a.T.tolist(), "read back", back.tolist())
assert back.shape == (3, 2) and not numpy.array_equal(back, a.T), "the values are kept now"
assert numpy.array_equal(back.ravel(), a.ravel())
PYTHON
