# reptrix 0.1.0: get_rankme() is the effective rank of the covariance's eigenvalues, the squares of the singular values. The paper
# that it names, and one would expect, takes the singular values. Of 512 rows whose singular values fall as 1/i, i to 64, it says
# 4.7 where the paper's formula gives 29.1; of white noise 59.9 and 62.9. Its figure does not stand beside another package's.
packages="reptrix==0.1.0 torch==2.15.0 numpy==2.3.4" # 5.5 GB
. "$(dirname "$0")/environment.inc"
python <<'PYTHON'
import numpy, torch
from reptrix.rankme import get_rankme
def rank(p):
    p = p / p.sum() + 1e-7
    return numpy.exp(-(p * numpy.log(p)).sum())
rng = numpy.random.default_rng(0)
noise = rng.standard_normal((512, 64))
rows = numpy.linalg.qr(noise - noise.mean(0))[0] # columns of mean 0, length 1, at right angles
for name, x in ("1/i", rows / numpy.arange(1, 65)), ("noise", noise):
    values = numpy.linalg.svd(x, compute_uv=False)
    theirs, paper = get_rankme(torch.tensor(x)), rank(values)
    print(f"{name}: reptrix {theirs:.4g}, singular values {paper:.4g}, their squares {rank(values**2):.4g}")
    assert abs(theirs / paper - 1) > 0.04, "it is the paper's figure now"
    assert abs(theirs / rank(values**2) - 1) < 1e-3
PYTHON
