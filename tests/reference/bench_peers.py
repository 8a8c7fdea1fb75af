#!/usr/bin/env python3
"""The yardsticks of `mews bench` by today's libraries, one a call: what `make bench` prints beside mews.

  bench_peers.py THREADS step NET BATCH SIZE [bfloat16]     NET: resnet8:WIDTH, resnet18, falcon8:WIDTH, vit_small, vit_tiny
  bench_peers.py THREADS loss FEATURES CODES BATCH [bfloat16]
  bench_peers.py THREADS spectrum ROWS COLUMNS | kmeans ROWS COLUMNS CLUSTERS ROUNDS | knn ROWS COLUMNS QUERIES
  bench_peers.py THREADS augment PAIRS

Prints one line: SECONDS MIB WAY, of the fastest way. PyTorch: both layouts of images, eager and compiled, its memory
kept between steps. Every way is a process of its own, since some end theirs; it is warmed and repeated until it took a
second and a half, five times at least. MIB is the most that its process held. What a way says when it fails goes to
stderr; no way at all: status 1.
"""
import math
import os
import resource
import statistics
import subprocess
import sys
import time

# glibc gives large blocks back to the system after every step, and their pages are cleared again in the next.
KEPT = {'MALLOC_MMAP_THRESHOLD_': str(1 << 32), 'MALLOC_TRIM_THRESHOLD_': str(1 << 33), 'MALLOC_TOP_PAD_': str(1 << 28)}
THREADS = int(sys.argv[1])
BRIEF = sys.argv[-1] == 'bfloat16'


def median_seconds(work):
    for _ in range(2):
        work()
    took, until = [], time.perf_counter() + 1.5
    while len(took) < 5 or time.perf_counter() < until:
        before = time.perf_counter()
        work()
        took.append(time.perf_counter() - before)
    return statistics.median(took)


def fastest(ways):
    """Of (name, make) pairs, where make() gives the work: the one that BENCH_WAY names, or all, each by a child."""
    if 'BENCH_WAY' in os.environ:
        name, make = ways[int(os.environ['BENCH_WAY'])]
        seconds = median_seconds(make())
        print(f'{seconds:.6g} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} {name}')
        return
    lines = []
    for k, (name, _) in enumerate(ways):
        child = subprocess.run([sys.executable, *sys.argv], env={**os.environ, **KEPT, 'BENCH_WAY': str(k)},
                               capture_output=True, text=True)
        if child.returncode == 0:
            lines.append(child.stdout.strip())
        else:
            print(f'{name}: ' + (child.stderr.strip().splitlines() or [f'status {child.returncode}'])[-1], file=sys.stderr)
    if not lines:
        sys.exit(1)
    print(min(lines, key=lambda line: float(line.split()[0])))


def codes_of(features, codes, batch):
    """Random signs and FALCON's temperature for them."""
    import torch
    dictionary = torch.empty(features, codes).bernoulli_().mul_(2).sub_(1)
    tau = features / (math.sqrt(batch) * math.log((1 - 1e-8 * (codes - 1)) / 1e-8))
    return dictionary.bfloat16() if BRIEF else dictionary, tau


def falcon_loss(a, b):
    """Equation 7 of the paper, both ways round, β 1."""
    a, b = a.float().log_softmax(1), b.float().log_softmax(1)
    loss = 0
    for z, other in ((a, b), (b, a)):
        prior = z.logsumexp(0) - math.log(len(z))
        loss = loss + (prior.exp() * (math.log(z.shape[1]) + prior)).sum() / 2 - (z.exp() * other).sum(1).mean() / 2
    return loss


def step():
    import torch
    import torch.nn as nn
    import torch.nn.functional as F
    torch.set_num_threads(THREADS)
    name, batch, size = sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
    net, width = (name.split(':') + ['0'])[:2]
    width = int(width)

    class Unit(nn.Module):
        def __init__(self, i, o, stride):
            super().__init__()
            self.first, self.second = nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.Conv2d(o, o, 3, 1, 1, bias=False)
            self.norms = nn.ModuleList([nn.BatchNorm2d(o), nn.BatchNorm2d(o)])
            self.past = nn.Identity() if i == o else nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

        def forward(self, x):
            h = self.norms[0](self.first(x)).relu()
            return (self.norms[1](self.second(h)) + self.past(x)).relu()

    class Plain(nn.Module):
        """A residual block without BatchNorm; `entry`: its input is pixels; `pool`: halves the sides."""

        def __init__(self, i, o, entry, pool):
            super().__init__()
            self.first, self.second = nn.Conv2d(i, o, 3, 1, 1), nn.Conv2d(o, o, 3, 1, 1)
            self.past = nn.Conv2d(i, o, 1) if i != o else nn.Identity()
            self.entry, self.pool = entry, pool

        def forward(self, x):
            h = self.first(x if self.entry else F.leaky_relu(x, 0.2))
            h = self.second(F.leaky_relu(h, 0.2))
            return F.avg_pool2d(h, 2) + self.past(F.avg_pool2d(x, 2)) if self.pool else h + self.past(x)

    class Mean(nn.Module):
        def __init__(self, last):
            super().__init__()
            self.last = last

        def forward(self, x):
            return (F.leaky_relu(x, 0.2) if self.last else x).mean((2, 3))

    def residual(stem, depths):
        layers, i = [nn.Conv2d(3, stem, 3, 1, 1, bias=False), nn.BatchNorm2d(stem), nn.ReLU()], stem
        for stage, depth in enumerate(depths):
            for k in range(depth):
                layers.append(Unit(i, stem << stage, 2 if stage and not k else 1))
                i = stem << stage
        return nn.Sequential(*layers, Mean(False)), i

    def build():
        if net == 'resnet8':
            return residual(width, (1, 1, 1))
        if net == 'resnet18':
            return residual(64, (2, 2, 2, 2))
        if net == 'falcon8':
            blocks = [Plain(3 if k == 0 else width, width, k == 0, k < 2) for k in range(4)]
            return nn.Sequential(*blocks, Mean(True)), width
        import timm
        kind = {'vit_small': 'vit_small_patch16_224', 'vit_tiny': 'vit_tiny_patch16_224'}[net]
        model = timm.create_model(kind, num_classes=0, img_size=size, patch_size=16 if size >= 64 else 4)
        return model, model.num_features

    features = 512
    dictionary, tau = codes_of(features, 2048, batch)

    def make(layout, compiled):
        torch.manual_seed(0)
        body, out = build()
        model = nn.Sequential(body, nn.Linear(out, features), nn.BatchNorm1d(features))
        views = [torch.randn(batch, 3, size, size) for _ in range(2)]
        if layout == 'channels last':
            model = model.to(memory_format=torch.channels_last)
            views = [v.contiguous(memory_format=torch.channels_last) for v in views]
        optimizer = torch.optim.Adam(model.parameters(), 1e-3)

        def loss():
            with torch.autocast('cpu', torch.bfloat16, enabled=BRIEF):
                z = [math.sqrt(features / batch) * F.normalize(model(v)) @ dictionary / tau for v in views]
            return falcon_loss(*z)

        forward = torch.compile(loss) if compiled else loss

        def work():
            optimizer.zero_grad()
            forward().backward()
            optimizer.step()

        return work

    layouts = ['contiguous'] if net.startswith('vit') else ['contiguous', 'channels last']
    fastest([(layout + compiled, lambda l=layout, c=compiled: make(l, bool(c)))
             for layout in layouts for compiled in ('', ', compiled')])


def loss():
    import torch
    import torch.nn.functional as F
    torch.set_num_threads(THREADS)
    features, codes, batch = map(int, sys.argv[3:6])
    dictionary, tau = codes_of(features, codes, batch)
    views = [torch.randn(batch, features, requires_grad=True) for _ in range(2)]

    def make(compiled):
        def whole():
            with torch.autocast('cpu', torch.bfloat16, enabled=BRIEF):
                z = [math.sqrt(features / batch) * F.normalize(v) @ dictionary / tau for v in views]
            return falcon_loss(*z)

        forward = torch.compile(whole) if compiled else whole

        def work():
            for v in views:
                v.grad = None
            forward().backward()

        return work

    fastest([('eager', lambda: make(False)), ('compiled', lambda: make(True))])


def analysis(kind):
    import numpy as np
    rows, columns = int(sys.argv[3]), int(sys.argv[4])
    x = np.random.default_rng(0).standard_normal((rows, columns), np.float32)
    if kind == 'spectrum':
        import torch
        torch.set_num_threads(THREADS)
        t = torch.from_numpy(x)

        def rankme(values):
            p = values / values.sum() + 1e-7
            return float((-(p * p.log()).sum()).exp())

        fastest([('SVD', lambda: lambda: rankme(torch.linalg.svdvals(t))),
                 ('Gram matrix in float32', lambda: lambda: rankme(torch.linalg.eigvalsh(t.T @ t).clamp(min=0).sqrt()))])
        return
    if kind == 'kmeans':
        clusters, rounds = int(sys.argv[5]), int(sys.argv[6])
        first = x[np.random.default_rng(1).choice(rows, clusters, replace=False)]

        def by_faiss():
            import faiss
            faiss.omp_set_num_threads(THREADS)

            def work():
                k = faiss.Kmeans(columns, clusters, niter=rounds, nredo=1, max_points_per_centroid=rows, seed=0)
                k.train(x, init_centroids=first)

            return work

        def by_sklearn():
            from sklearn.cluster import KMeans
            fitted = KMeans(clusters, init=first, n_init=1, max_iter=rounds, tol=0)
            if fitted.fit(x).n_iter_ < rounds:
                sys.exit('scikit-learn has converged in fewer rounds: no comparison')
            return lambda: fitted.fit(x)

        fastest([(f'faiss, {rounds} rounds', by_faiss), (f'scikit-learn, {rounds} rounds', by_sklearn)])
        return
    queries = np.random.default_rng(1).standard_normal((int(sys.argv[5]), columns), np.float32)

    def by_faiss():
        import faiss
        faiss.omp_set_num_threads(THREADS)
        index = faiss.IndexFlatIP(columns)
        index.add(x)
        return lambda: index.search(queries, 20)

    def by_torch():
        import torch
        torch.set_num_threads(THREADS)
        t, q = torch.from_numpy(x), torch.from_numpy(queries)
        return lambda: [(part @ t.T).topk(20) for part in q.split(1000)]

    fastest([('faiss', by_faiss), ('torch', by_torch)])


def augment():
    import albumentations as A
    import cv2
    import numpy as np
    cv2.setNumThreads(1)
    pairs = int(sys.argv[3])
    images = np.random.default_rng(0).integers(0, 256, (pairs, 32, 32, 3), np.uint8)
    pipe = A.Compose([A.RandomResizedCrop((32, 32), scale=(0.08, 1), interpolation=cv2.INTER_CUBIC),
                      A.ColorJitter(0.4, 0.4, 0.2, 0.1, p=0.8), A.ToGray(p=0.2), A.Solarize(threshold_range=(0.5, 0.5), p=0.1),
                      A.HorizontalFlip(p=0.5), A.Normalize((0.4914, 0.4822, 0.4465), (0.247, 0.243, 0.261))])
    fastest([('albumentations', lambda: lambda: [(pipe(image=i), pipe(image=i)) for i in images])])


kind = sys.argv[2]
step() if kind == 'step' else loss() if kind == 'loss' else augment() if kind == 'augment' else analysis(kind)
