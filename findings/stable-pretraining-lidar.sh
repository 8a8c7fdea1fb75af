# stable-pretraining 0.1.8: the LiDAR callback, meant to help to detect collapse, gives its highest value to embeddings that are all
# one point: 63.4 of 64, where healthy ones have 55.8 and ones in four directions 4.4. An epsilon is added to each eigenvalue
# before they are normalised, so that a spectrum of zeros is an even one. One would expect 1, or no value.
packages="stable-pretraining==0.1.8 torch==2.15.0 numpy==2.3.4" # 7 GB
. "$(dirname "$0")/environment.inc"
LOGURU_LEVEL=ERROR python <<'PYTHON'
import numpy, torch
from stable_pretraining.callbacks.lidar import LiDAR
rng = numpy.random.default_rng(0)
callback = LiDAR("lidar", "embedding", queue_length=2560, target_shape=64, n_classes=256, samples_per_class=10)
def lidar(inputs): # ten views each
    views = inputs[:, None] + 0.3 * rng.standard_normal((256, 10, inputs.shape[1]))
    return callback._compute_lidar(torch.tensor(views.reshape(2560, -1) @ back, dtype=torch.float32))["lidar"]
back = numpy.eye(64)
healthy = lidar(rng.standard_normal((256, 64)))
back = rng.standard_normal((4, 64))
four = lidar(rng.standard_normal((256, 4)))
point = callback._compute_lidar(torch.tensor(rng.standard_normal((1, 64)), dtype=torch.float32).repeat(2560, 1))["lidar"]
print(f"healthy {healthy:.1f}, in four directions {four:.1f}, one point {point:.1f} of 64")
assert 4 < four < 5 < 50 < healthy < 60 < point
PYTHON
