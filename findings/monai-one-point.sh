# monai 1.6.1: compute_embedding_collapse(), where 1 is the whole collapse, says 0.017 for 512 embeddings that are one point to five
# digits, as it does for white noise: without labels it looks at the centred spectrum alone, and centring leaves the noise. Of
# embeddings equal to the bit it says 0.98. One would expect a collapse to a point to be told from noise.
packages="monai==1.6.1 torch==2.15.0 numpy==2.3.4" # 5.5 GB
. "$(dirname "$0")/environment.inc"
python <<'PYTHON'
import numpy, torch
from monai.metrics import compute_embedding_collapse
noise = torch.tensor(numpy.random.default_rng(0).standard_normal((512, 64)), dtype=torch.float32)
near, equal = noise[:1] + 1e-5 * noise, noise[:1].repeat(512, 1)
noise, near, equal = (float(compute_embedding_collapse(x)["aggregate"]) for x in (noise, near, equal))
print(f"noise {noise:.4f}, one point and noise of 1e-5 {near:.4f}, one point {equal:.4f}")
assert abs(near - noise) < 1e-3 and near < 0.02 < 0.9 < equal
PYTHON
