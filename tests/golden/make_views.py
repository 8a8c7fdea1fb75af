"""Golden values of views.c and neural_collapse.c from NumPy: python3 tests/golden/make_views.py"""
import numpy as np

from golden import save

rng = np.random.default_rng(3)
out = {}


def unit(x):
    norm = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(norm > 0, norm, 1)


def views(name, x, y):
    x, y = x.astype(np.float32), y.astype(np.float32)
    u, v = unit(x.astype(np.float64)), unit(y.astype(np.float64))
    n = len(u)
    pairs = np.triu_indices(n, 1)
    within = ((u[:, None] - u[None]) ** 2).sum(-1)[pairs]
    across = ((u[:, None] - v[None]) ** 2).sum(-1)
    value = ((u - v) ** 2).sum(1).mean()
    chance = across[~np.eye(n, dtype=bool)].mean()
    out[f'{name}.x'], out[f'{name}.y'] = x, y
    out[f'{name}.figures'] = np.array([np.log(np.exp(-2 * within).mean()), value, chance, 1 - value / chance])


x = rng.normal(size=(120, 16)) + 0.5
views('tall', x, x + 0.3 * rng.normal(size=x.shape))
views('wide', rng.normal(size=(9, 50)), rng.normal(size=(9, 50)))
x = np.abs(rng.normal(size=(40, 6)))
x[7] = 0
views('zero_row', x, 2 * x)


def nc1(name, x, labels):
    x = x.astype(np.float32)
    y = x.astype(np.float64)
    names = np.unique(labels)
    means = np.stack([y[labels == k].mean(0) for k in names])
    inner = y - means[np.searchsorted(names, labels)]
    centred = means - y.mean(0)
    within, between = inner.T @ inner / len(y), centred.T @ centred / len(names)
    out[f'{name}.x'] = x
    out[f'{name}.labels'] = labels.astype(np.int32)
    out[f'{name}.nc1'] = np.array([np.trace(within @ np.linalg.pinv(between, rcond=1e-12, hermitian=True)) / len(names)])


labels = rng.integers(0, 5, 300)
nc1('nc_balanced', 2 * rng.normal(size=(5, 12))[labels] + rng.normal(size=(300, 12)), labels)
labels = rng.choice([0, 3, 4, 6], 200, p=[.6, .2, .15, .05])
nc1('nc_uneven', 3 * rng.normal(size=(7, 4))[labels] + rng.normal(size=(200, 4)) + 100, labels)
labels = np.arange(60) % 12
nc1('nc_wide', rng.normal(size=(12, 80))[labels] + 0.1 * rng.normal(size=(60, 80)), labels)
labels = np.arange(90) % 9
nc1('nc_more_classes', rng.normal(size=(9, 3))[labels] + 0.2 * rng.normal(size=(90, 3)), labels)

# The mean of exp(-2 |u - v|^2) over a sphere: in three dimensions the cosine is uniform, so it is (1 - e^-8) / 8.
out['sphere.expected'] = np.log(np.array([(1 + np.exp(-8)) / 2, (1 - np.exp(-8)) / 8]))  # d = 1, d = 3

save('views', out)
