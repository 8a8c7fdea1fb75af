"""Golden values of analysis/ from NumPy, SciPy and scikit-learn: python3 tests/golden/make_analysis.py"""
import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn import metrics
from sklearn.metrics.cluster import contingency_matrix

from golden import save

rng = np.random.default_rng(0)
out = {}


def entropy_rank(sigma, eps=0.0):
    p = sigma / sigma.sum() + eps
    p = p[p > 0]
    return np.exp(-(p * np.log(p)).sum())


def spectrum(name, x):
    x = x.astype(np.float32)
    y = x.astype(np.float64)
    sigma = np.linalg.svd(y, compute_uv=False)
    centred = np.linalg.svd(y - y.mean(0), compute_uv=False)
    if centred[0] < 1e-12 * sigma[0]:
        centred[:] = 0
    varying = y.std(0) > 0
    c = np.corrcoef(y[:, varying].T)
    k = varying.sum()
    out[f'{name}.x'] = x
    out[f'{name}.sigma'] = sigma
    out[f'{name}.centred'] = centred
    lam = centred ** 2
    out[f'{name}.figures'] = np.array([
        entropy_rank(sigma, 1e-7), entropy_rank(centred) if centred[0] else 0,
        lam.sum() ** 2 / (lam ** 2).sum() if centred[0] else 0,
        (np.abs(c).sum() - k) / (k * (k - 1)) if k > 1 else 0, (y ** 2).sum(1).mean(), y.var(0).sum()])


mix = rng.normal(size=(12, 12))
spectrum('tall', rng.normal(size=(60, 12)) @ mix + rng.normal(size=12))
spectrum('wide', rng.normal(size=(10, 40)) + 2)
spectrum('square', rng.normal(size=(16, 16)))
dead = rng.normal(size=(50, 9))
dead[:, 2] = 0
dead[:, 5] = 0.1
spectrum('dead', dead)
steep = rng.normal(size=(300, 24)) * 10.0 ** (-12 * np.arange(24) / 23)
spectrum('steep', steep)
spectrum('low_rank', rng.normal(size=(80, 3)) @ rng.normal(size=(3, 20)))
spectrum('steep_wide', (rng.normal(size=(200, 20)) * 10.0 ** (-12 * np.arange(20) / 19)).T)


def agreement(name, labels, clusters):
    table = contingency_matrix(labels, clusters)
    r, c = linear_sum_assignment(-table)
    out[f'{name}.labels'] = labels.astype(np.int32)
    out[f'{name}.clusters'] = clusters.astype(np.int32)
    out[f'{name}.figures'] = np.array([
        metrics.normalized_mutual_info_score(labels, clusters), metrics.adjusted_mutual_info_score(labels, clusters),
        metrics.adjusted_rand_score(labels, clusters), table[r, c].sum() / len(labels),
        metrics.mutual_info_score(labels, clusters),
        metrics.cluster.expected_mutual_information(table, len(labels))])


labels = rng.integers(0, 5, 400)
agreement('good', labels, np.where(rng.random(400) < 0.7, (labels * 3 + 1) % 7, rng.integers(0, 7, 400)))
agreement('many_codes', rng.integers(0, 10, 1500), rng.integers(0, 2000, 1500) - 1000)
agreement('few_clusters', rng.integers(0, 40, 500), rng.integers(0, 3, 500))
agreement('constant_cluster', labels, np.full(400, 7))
agreement('both_constant', np.zeros(30, int), np.full(30, 3))
agreement('perfect', labels, 9 - labels)
out['match.weight'] = rng.normal(size=(30, 45))
r, c = linear_sum_assignment(-out['match.weight'])
out['match.best'] = np.array([out['match.weight'][r, c].sum()])

logits = (3 * rng.normal(size=(57, 13)) + rng.normal(size=13)).astype(np.float32)
p = np.exp(logits.astype(np.float64))
p /= p.sum(1, keepdims=True)
mean = p.mean(0)
h, row = -(mean * np.log(mean)).sum(), -(p * np.log(p)).sum(1).mean()
out['usage.logits'] = logits
out['usage.argmax'] = logits.argmax(1).astype(np.int32)
out['usage.mean'] = mean
draws = rng.integers(0, 13, (100000, 57))
counts = np.stack([(draws == j).sum(1) for j in range(13)], 1) / 57
hard = np.exp(-np.where(counts > 0, counts * np.log(np.maximum(counts, 1e-300)), 0).sum(1).mean())
out['usage.figures'] = np.array([np.exp(h), row, h - row, len(np.unique(logits.argmax(1))),
                                 13 * (1 - (1 - 1 / 13) ** 57), hard])

centres = 4 * rng.normal(size=(6, 8))
blobs = (centres[rng.integers(0, 6, 400)] + rng.normal(size=(400, 8))).astype(np.float32)
out['kmeans.x'] = blobs
unit = blobs / np.linalg.norm(blobs, axis=1, keepdims=True)
out['kmeans.inertia'] = np.array([KMeans(k, n_init=10, random_state=0).fit(x.astype(np.float64)).inertia_
                                  for x, k in ((blobs, 6), (blobs, 20), (unit, 6))])

classes = 7
mix = rng.normal(size=(classes, 20))
y = rng.integers(0, classes, 700)
x = (0.55 * mix[y] + rng.normal(size=(700, 20))) * np.linspace(0.01, 30, 20) + 5
x[:, 3] = 1
x = x.astype(np.float32)
train, test = x[:450], x[450:]
out['probe.train'], out['probe.test'] = train, test
out['probe.train_labels'], out['probe.test_labels'] = y[:450].astype(np.int32), y[450:].astype(np.int32)
mu, sd = train.astype(np.float64).mean(0), train.astype(np.float64).std(0)
sd[sd == 0] = 1
a, b = (train - mu) / sd, (test - mu) / sd
figures = []
for penalty in (1e-4, 1e-2):
    model = LogisticRegression(C=1 / (penalty * 450), tol=1e-9, max_iter=20000).fit(a, y[:450])
    loss = metrics.log_loss(y[:450], model.predict_proba(a)) + penalty / 2 * (model.coef_ ** 2).sum()
    top5 = (np.argsort(-model.decision_function(b), 1)[:, :5] == y[450:, None]).any(1).mean()
    figures += [loss, model.score(a, y[:450]), model.score(b, y[450:]), top5]
out['probe.figures'] = np.array(figures)

a, b = a.astype(np.float32), b.astype(np.float32)
out['knn.train'], out['knn.test'] = a, b
a, b = a.astype(np.float64), b.astype(np.float64)
unit = lambda z: z / np.linalg.norm(z, axis=1, keepdims=True)
similarity = unit(b) @ unit(a).T
nearest = np.argsort(-similarity, 1)[:, :20]
votes = np.zeros((250, classes))
for i in range(250):
    for j in nearest[i]:
        votes[i, y[j]] += np.exp(similarity[i, j] / 0.07)
ranked = np.argsort(-votes, 1)
out['knn.predicted'] = ranked[:, 0].astype(np.int32)
out['knn.figures'] = np.array([(ranked[:, 0] == y[450:]).mean(), ((ranked[:, :5] == y[450:, None]).any(1) & (votes[np.arange(250), y[450:]] > 0)).mean()])

# A generator of its own, so that what stands above stays.
own = np.random.default_rng(20)


def power(name, n, d, exponent):
    x = (own.normal(size=(n, d)) * np.arange(1, d + 1) ** (-exponent / 2) + own.normal(size=d)).astype(np.float32)
    y = x.astype(np.float64)
    lam = np.linalg.eigvalsh(np.cov(y.T))[::-1]
    ranks = np.arange(11, min(100, d) + 1)
    # polyfit's weights multiply the residuals, so that their squares are 1/rank.
    slope = np.polyfit(np.log(ranks), np.log(lam[ranks - 1]), 1, w=ranks ** -0.5)[0]
    out[f'{name}.x'] = x
    out[f'{name}.figures'] = np.array([-slope, ranks[-1], entropy_rank(np.linalg.svd(y, compute_uv=False))])


power('power', 300, 130, 1.3)
power('power_short', 200, 40, 0.6)

save('analysis', out)
