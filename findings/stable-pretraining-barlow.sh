# stable-pretraining 0.1.8: BarlowTwinsLoss divides by the deviation over n - 1 and the products by n, so that a feature correlates
# with itself by (n - 1)/n. Two equal views of uncorrelated features, 7 over 8 samples, have the loss 7/64: the least value of d
# features is d/n^2. The authors normalise with BatchNorm, which divides by n: there it is 0, and so one would expect.
packages="stable-pretraining==0.1.8 torch==2.15.0 numpy==2.3.4" # 7 GB
. "$(dirname "$0")/environment.inc"
LOGURU_LEVEL=ERROR python <<'PYTHON'
import torch
from stable_pretraining.losses import BarlowTwinsLoss
def loss(x):
    return BarlowTwinsLoss()(x, x).item()
x = torch.ones(1, 1)
for _ in range(3): # Hadamard's matrix of 8; its first column is constant
    x = torch.cat([torch.cat([x, x], 1), torch.cat([x, -x], 1)])
x = x[:, 1:]
print(f"loss {loss(x):.6f}, 7/64 = {7 / 64:.6f}")
assert abs(loss(x) - 7 / 64) < 1e-4, "it is another now"
PYTHON
