"""Golden values of mixture.c, silhouette.c, lidar.c, blocks.c and duplicates.c from scikit-learn and NumPy:
python3 tests/golden/make_structure.py"""
import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score
from sklearn.mixture import GaussianMixture

from golden import save

rng = np.random.default_rng(5)
out = {}


class From(GaussianMixture):
    """Starts from hard assignments instead of its own k-means."""

    def _initialize_parameters(self, x, random_state):
        self._initialize(x, np.eye(self.n_components)[self.start])


def mixture(name, x, k, **options):
    x = x.astype(np.float32)
    y = x.astype(np.float64)
    start = KMeans(k, n_init=1, random_state=1).fit(y).labels_
    model = From(k, covariance_type='diag', **options)
    model.start = start
    model.fit(y)
    out[f'{name}.x'], out[f'{name}.start'] = x, start.astype(np.int32)
    out[f'{name}.figures'] = np.array([model.score(y), model.n_iter_])
    out[f'{name}.weights'], out[f'{name}.means'], out[f'{name}.variances'] = model.weights_, model.means_, model.covariances_


centres = 2 * rng.normal(size=(6, 5))
blobs = centres[rng.integers(0, 6, 500)] + rng.normal(size=(500, 5)) * rng.uniform(0.2, 1.5, 5)
mixture('blobs', blobs, 6)
mixture('long', blobs, 10, tol=1e-9, max_iter=60)
flat = rng.uniform(size=(300, 8))
flat[:, 3] = 0.25
mixture('flat', flat, 12)
mixture('wide', rng.normal(size=(40, 90)), 4)


def silhouette(name, x, labels):
    x = x.astype(np.float32)
    out[f'{name}.x'], out[f'{name}.labels'] = x, labels.astype(np.int32)
    out[f'{name}.silhouette'] = np.array([silhouette_score(x.astype(np.float64), labels)])


labels = rng.integers(0, 6, 400)
silhouette('sil_blobs', centres[labels] + rng.normal(size=(400, 5)), labels)
silhouette('sil_random', rng.normal(size=(300, 4)) + 100, rng.integers(0, 9, 300) * 7)
single = rng.integers(0, 4, 120)
single[5] = 9
silhouette('sil_single', rng.normal(size=(120, 200)), single)


def lidar(groups, unbiased=False):
    means = np.stack([g.mean(0) for g in groups])
    between = (means - means.mean(0)).T @ (means - means.mean(0)) / len(groups)
    rows = sum(len(g) - unbiased for g in groups)
    within = sum((g - g.mean(0)).T @ (g - g.mean(0)) for g in groups) / rows
    values, vectors = np.linalg.eigh(within + 1e-4 * np.eye(len(within)))
    root = vectors @ np.diag(values ** -0.5) @ vectors.T
    lam = np.maximum(np.linalg.eigvalsh(root @ between @ root), 0)
    p = lam / lam.sum() + 1e-8
    return np.exp(-(p * np.log(p)).sum())


def views(name, x, y):
    x, y = x.astype(np.float32), y.astype(np.float32)
    out[f'{name}.x'], out[f'{name}.y'] = x, y
    pairs = list(np.stack([x, y], 1).astype(np.float64))
    out[f'{name}.lidar'] = np.array([lidar(pairs), lidar(pairs, unbiased=True)])


x = rng.normal(size=(200, 12)) * np.linspace(0.05, 2, 12) + 3
views('lidar_views', x, x + 0.3 * rng.normal(size=x.shape))
x = rng.normal(size=(15, 40))
views('lidar_wide', x, x + 0.1 * rng.normal(size=x.shape))
labels = rng.integers(0, 7, 300)
x = (rng.normal(size=(7, 10))[labels] + 0.5 * rng.normal(size=(300, 10))).astype(np.float32)
out['lidar_classes.x'], out['lidar_classes.labels'] = x, labels.astype(np.int32)
groups = [x[labels == k].astype(np.float64) for k in range(7)]
out['lidar_classes.lidar'] = np.array([lidar(groups), lidar(groups, unbiased=True)])


def blocks(name, x, labels):
    x = x.astype(np.float32)
    y = x.astype(np.float64)
    norm = np.linalg.norm(y, axis=1, keepdims=True)
    u = y / np.where(norm > 0, norm, 1)
    cosine, same = u @ u.T, labels[:, None] == labels[None]
    pairs = ~np.eye(len(u), dtype=bool)
    out[f'{name}.x'], out[f'{name}.labels'] = x, labels.astype(np.int32)
    out[f'{name}.figures'] = np.array([cosine[same & pairs].mean(), cosine[~same].mean()])


labels = rng.integers(0, 5, 250)
x = rng.normal(size=(5, 6))[labels] + 0.7 * rng.normal(size=(250, 6))
x[11] = 0
blocks('blocks', x, labels * 3)
save('structure', out)
