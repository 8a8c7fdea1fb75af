# reptrix 0.1.0: get_alpha() adds one to the range of ranks that it is given, in the caller's own array. A second call with the same
# array fits ranks 12 to 61 where the first fitted 11 to 60, and says another exponent. One would expect the same answer twice.
packages="reptrix==0.1.0 torch==2.15.0 numpy==2.3.4" # 5.5 GB
. "$(dirname "$0")/environment.inc"
python <<'PYTHON'
import numpy, torch
from reptrix.alpha import get_alpha
x = torch.tensor(numpy.random.default_rng(0).standard_normal((512, 64)) / numpy.arange(1, 65) ** 0.5)
ranks = numpy.arange(10, 60)
found = []
for call in (1, 2, 3):
    found.append(get_alpha(x, fit_range=ranks)[0])
    print(f"call {call}: alpha {found[-1]:.6f}; the array then begins with {ranks[0]}")
assert ranks[0] == 13, "the array is left alone now"
assert len(set(found)) == 3
PYTHON
