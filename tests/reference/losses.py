#!/usr/bin/env python3
"""Every method's loss and gradient beside code that others run:

    tests/reference/losses.py [--solo WHEEL] [--stable WHEEL] [--authors FOLDER]

mews' side are the golden values of tests/golden/methods*.safetensors at the first step, to which the suite
`methods_golden` holds the program. The same representations go through the same head into the others' loss, and the
loss and its gradient with respect to the representations are compared; a Markdown table comes out.

lightly is imported. The others are read as they stand, class by class, without what they import around them:
  --solo, --stable   folders in which the wheels of solo-learn and stable-pretraining have been unpacked
  --authors          a folder with clones of emsansone/CPLearn, facebookresearch/{swav,dino,barlowtwins,vicreg,msn},
                     htdt/self-supervised and elad-amrani/self-classifier
What is not given, or does not run with this PyTorch, is told in its row.
"""
import argparse
import ast
import math
import os
import subprocess
import types
import typing

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file

HERE = os.path.dirname(os.path.abspath(__file__))
torch.set_default_dtype(torch.float64)
golden = {}
for subject in ('methods', 'methods_stateful'):
    golden.update(load_file(os.path.join(HERE, '..', 'golden', f'{subject}.safetensors')))


class Alone:
    """torch.distributed on one process: there is nothing to reduce."""
    is_available = is_initialized = staticmethod(lambda: False)
    all_reduce = staticmethod(lambda x: None)
    get_world_size = staticmethod(lambda: 1)


def take(path, *names, **known):
    """Functions and classes of a file, without running the rest of it; `known`: what they find among its globals."""
    tree = ast.parse(open(path).read())
    body = [node for node in tree.body if getattr(node, 'name', None) in names]
    space = {'torch': torch, 'th': torch, 'nn': torch.nn, 'F': F, 'np': np, 'math': math, 'dist': Alone,
             'Optional': typing.Optional, 'List': typing.List, 'conv2d': F.conv2d,
             'custom_fwd': lambda **_: lambda f: f, **known}
    exec(compile(ast.Module(body, []), path, 'exec'), space)
    return [space[name] for name in names] if len(names) > 1 else space[names[0]]


# Heads, by the names that golden parameters have ----------------------------------------------------------------------

def parameters(group):
    start = f'{group}.init.'
    return {k[len(start):]: torch.tensor(v).double() for k, v in golden.items() if k.startswith(start)}


def layer(x, p, name):
    bias = p.get(f'{name}.bias')
    return F.linear(x, p[f'{name}.weight'], None if bias is None else bias.reshape(-1))


def norm(x, p=None, name=None):
    weights = (p[f'{name}.weight'].reshape(-1), p[f'{name}.bias'].reshape(-1)) if p else (None, None)
    return F.batch_norm(x, None, None, *weights, True)


def mlp(x, p, name, act=F.relu):
    """Linear(-BatchNorm)-act, …, Linear: as far as there are parameters."""
    places = sorted(int(k.split('.')[1]) for k in p if k.startswith(f'{name}.') and k.endswith('.weight'))
    for i in places:
        if p[f'{name}.{i}.weight'].shape[0] == 1 and i:
            x = norm(x, p, f'{name}.{i}')
        else:
            x = layer(x, p, f'{name}.{i}')
        follows_norm = i + 1 in places
        x = x if follows_norm or i == places[-1] else act(x)
    return x


def two(z, head):
    return [head(v) for v in z.chunk(2)]


# The rows -------------------------------------------------------------------------------------------------------------

rows = []


def compare(method, case, code, loss_of, note=''):
    """loss_of(z, p) against the golden case's first step."""
    group = case.split('.')[0]
    z = torch.tensor(golden[f'{group}.z.0']).double().requires_grad_(True)
    try:
        loss = loss_of(z, parameters(group))
        loss.sum().backward()
    except (FileNotFoundError, ImportError, AttributeError, NameError, RuntimeError, TypeError) as why:
        rows.append((method, code, 'does not run here', str(why).split('\n')[0][:80], note))
        return
    ours, gradient = float(golden[f'{case}.losses'].reshape(-1)[0]), torch.tensor(golden[f'{case}.grad.0.z']).double()
    off = abs(loss.item() - ours) / max(1, abs(ours))
    turn = (z.grad - gradient).abs().max().item() / gradient.abs().max().item()
    rows.append((method, code, f'{off:.0e}', f'{turn:.0e}', note))


def falcon_logits(z, p):
    """cplearn's: tanh, τ as in methods/falcon.c."""
    f, c, eps = p['dictionary'].shape[0], p['dictionary'].shape[1], 1e-8
    tau = f / (math.sqrt(len(z) / 2) * math.log((1 - eps * (c - 1)) / eps))
    return two(z, lambda v: norm(layer(v, p, 'projector.0'), p, 'projector.1').tanh() @ p['dictionary'] / tau)


def swav_scores(z, p, weight=False):
    w = F.normalize(p['prototypes.weight'], dim=1)
    return two(z, lambda v: F.normalize(mlp(v, p, 'projector')) @ w.T)


def dino_logits(z, p):
    w = F.normalize(p['last_layer.weight'], dim=1)
    head = {k: v for k, v in p.items() if k.startswith('mlp')}
    return [F.normalize(mlp(v, head, 'mlp', F.gelu)) @ w.T for v in z.chunk(2)]


def dino_teacher(p):
    with torch.no_grad():
        return dino_logits(torch.tensor(golden['dino.teacher.0']).double(), p)


def msn_views(z, p):
    """Embeddings of the student's views, and the teacher's, which starts as its copy."""
    head = {k: v for k, v in p.items() if k.startswith('mlp')}
    with torch.no_grad():
        targets = two(torch.tensor(golden['msn.teacher.0']).double(), lambda v: mlp(v, head, 'mlp', F.gelu))
    return two(z, lambda v: mlp(v, head, 'mlp', F.gelu)), targets


def self_scores(z, p):
    w = F.normalize(p['classifier.weight'], dim=1)
    head = {k: v for k, v in p.items() if k.startswith('mlp')}
    act = lambda x: F.leaky_relu(x, 0.01)
    return [F.normalize(mlp(v, head, 'mlp', act)) @ w.T * p['classifier.gain'].reshape(-1) for v in z.chunk(2)]


def byol_pairs(z, p):
    q = two(z, lambda v: mlp(mlp(v, p, 'projector'), p, 'predictor'))
    with torch.no_grad():
        t = two(torch.tensor(golden['byol.teacher.0']).double(), lambda v: mlp(v, p, 'projector'))
    return (q[0], t[1]), (q[1], t[0])


def simsiam_pairs(z, p):
    z = two(z, lambda v: norm(mlp(v, p, 'projector')))
    q = [mlp(v, p, 'predictor') for v in z]
    return (q[0], z[1]), (q[1], z[0])


def lightly_rows():
    from lightly import loss as L
    head = lambda z, p: two(z, lambda v: mlp(v, p, 'projector'))
    code = 'lightly 1.6.0'
    compare('barlow_twins', 'barlow.default', code, lambda z, p: 0.1 * L.BarlowTwinsLoss(5.1e-3)(*head(z, p)),
            'no scale: ours at scale 1; its λ is 5e-3')
    compare('vicreg', 'vicreg.halved', code, lambda z, p: L.VICRegLoss()(*head(z, p)),
            "halves the variance term, as the authors' code does (`halve_variance: true`)")
    compare('simclr', 'simclr.default', code, lambda z, p: L.NTXentLoss(0.2)(*head(z, p)), 'its τ is 0.5')
    cosine = L.NegativeCosineSimilarity()
    compare('simsiam', 'simsiam.default', code, lambda z, p: sum(cosine(q, t.detach()) for q, t in simsiam_pairs(z, p)) / 2)
    compare('byol', 'byol.default', code, lambda z, p: sum(2 + 2 * cosine(q, t) for q, t in byol_pairs(z, p)),
            'its example takes half the negative cosine of each order: a quarter of the gradient, less a constant')
    compare('swav', 'swav.default', code, lambda z, p: L.SwaVLoss()(swav_scores(z, p), []))
    compare('dino', 'dino.default', code,
            lambda z, p: L.DINOLoss(8, teacher_temp=0.07, warmup_teacher_temp=0.07)(dino_teacher(p), dino_logits(z, p)),
            'its teacher temperature is 0.04')

    def msn(z, p):
        views, targets = msn_views(z, p)
        loss = L.MSNLoss(regularization_weight=0)
        found = torch.cat([F.normalize(v) @ F.normalize(p['prototypes']).T / 0.1 for v in views]).softmax(1)
        match = sum(loss(v, t, p['prototypes']) for v, t in zip(views, targets[::-1])) / 2
        return match + loss.regularization_loss(found.mean(0))

    compare('msn', 'msn.default', code, msn, 'one view is the target; here each is, for the other')

    def wmse(z, p):
        return L.WMSELoss(embedding_dim=3, w_size=24)(torch.cat(head(z, p)))

    compare('wmse', 'wmse.whole', code, wmse, 'draws its parts anew; here the batch is one part')


def solo_rows(folder):
    code = 'solo-learn 1.0.2'
    of = lambda name, *names, **known: take(os.path.join(folder, 'solo', name), *names, **known)
    head = lambda z, p: two(z, lambda v: mlp(v, p, 'projector'))
    compare('barlow_twins', 'barlow.default', code,
            lambda z, p: of('losses/barlow.py', 'barlow_loss_func')(*head(z, p), 5.1e-3, 0.1), 'its scale is 0.025, in its specs 0.1')
    vicreg = ('invariance_loss', 'variance_loss', 'covariance_loss', 'vicreg_loss_func')
    compare('vicreg', 'vicreg.default', code, lambda z, p: of('losses/vicreg.py', *vicreg)[-1](*head(z, p)))

    simclr = lambda z, p: of('losses/simclr.py', 'simclr_loss_func')(*head(z, p), 0.2)
    compare('simclr', 'simclr.default', code, simclr, 'its τ is 0.1, in its specs 0.2')
    simsiam = lambda z, p: sum(of('losses/simsiam.py', 'simsiam_loss_func')(q, t) for q, t in simsiam_pairs(z, p)) / 2
    compare('simsiam', 'simsiam.default', code, simsiam)
    compare('byol', 'byol.default', code, lambda z, p: sum(of('losses/byol.py', 'byol_loss_func')(q, t) for q, t in byol_pairs(z, p)))

    def swav(z, p):
        scores = swav_scores(z, p)
        q = [of('utils/sinkhorn_knopp.py', 'SinkhornKnopp')()(s.detach()) for s in scores]
        return of('losses/swav.py', 'swav_loss_func')(scores, q)

    compare('swav', 'swav.default', code, swav, 'its queue joins before it is full, as zeros (`queue_zeros`)')

    def dino(z, p):
        loss = of('losses/dino.py', 'DINOLoss')(8, 0.07, 0.07, 0, 3)
        loss.epoch = 0
        return loss(torch.cat(dino_logits(z, p)), torch.cat(dino_teacher(p)))

    compare('dino', 'dino.default', code, dino)

    class Renamed:  # what this PyTorch has under other names
        cholesky = staticmethod(torch.linalg.cholesky)
        triangular_solve = staticmethod(lambda b, a, upper: (torch.linalg.solve_triangular(a, b, upper=upper),))

        def __getattr__(self, name):
            return getattr(torch, name)

    def wmse(z, p):
        whiten = of('utils/whitening.py', 'Whitening2d', torch=Renamed())(3)
        return of('losses/wmse.py', 'wmse_loss_func')(*[torch.cat([whiten(part) for part in v.split(12)]) for v in head(z, p)])

    compare('wmse', 'wmse.detached', code, wmse, 'lets no gradient into the second view (`detach: true`)')


def stable_rows(folder):
    code, place = 'stable-pretraining 0.1.8', os.path.join(folder, 'stable_pretraining/losses/joint_embedding.py')
    head = lambda z, p: two(z, lambda v: mlp(v, p, 'projector'))
    known = dict(all_gather=lambda x: x, all_reduce=lambda x: x, get_world_size=lambda: 1, off_diagonal=lambda x: x[~torch.eye(len(x), dtype=bool)])
    compare('byol', 'byol.default', code, lambda z, p: sum(take(place, 'BYOLLoss')()(q, t) for q, t in byol_pairs(z, p)))
    compare('barlow_twins', 'barlow.default', code,
            lambda z, p: 0.1 * take(place, 'BarlowTwinsLoss', **known)(5.1e-3)(*head(z, p)),
            'no scale; divides by the deviation over n − 1, and by n again: at n = 12 another loss')

    def swav(z, p):
        prototypes = torch.nn.Linear(6, 9, bias=False).double()
        prototypes.weight = torch.nn.Parameter(p['prototypes.weight'])
        return take(place, 'SwAVLoss')()(*head(z, p), prototypes)

    compare('swav', 'swav.default', code, swav, 'shares both views out together; the authors, and mews, each by itself')


def author_rows(folder):
    of = lambda name, *names, **known: take(os.path.join(folder, name), *names, **known)
    head = lambda z, p: two(z, lambda v: mlp(v, p, 'projector'))

    def version(repository):
        command = ['git', '-C', os.path.join(folder, repository), 'log', '-1', '--format=%h']
        got = subprocess.run(command, capture_output=True, text=True)
        return f'{repository} {got.stdout.strip()}' if got.returncode == 0 else repository

    cplearn = version('CPLearn')
    compare('falcon', 'falcon40.tanh.reverse.true', cplearn,
            lambda z, p: of('CPLearn/solo/losses/cplearn.py', 'cplearn_loss_func')(*falcon_logits(z, p), 0.7))
    gedi = lambda z, p: of('CPLearn/solo/losses/gedi_nogen.py', 'gedi_nogen_loss_func')(*[v / 0.1 for v in head(z, p)], 0.1)
    compare('gedi', 'gedi.default', cplearn, gedi)
    off_diagonal = lambda x: x[~torch.eye(len(x), dtype=bool)]

    class Reduced:
        distributed = Alone

        def __getattr__(self, name):
            return getattr(torch, name)

    def barlow(z, p):
        net = of('barlowtwins/main.py', 'BarlowTwins', torch=Reduced(), off_diagonal=off_diagonal)
        a, b = head(z, p)
        it = types.SimpleNamespace(projector=lambda v: v, backbone=lambda v: v, bn=norm,
                                   args=types.SimpleNamespace(batch_size=len(a), lambd=5.1e-3))
        return 0.1 * net.forward(it, a, b)

    compare('barlow_twins', 'barlow.default', version('barlowtwins'), barlow, 'no scale; its λ is 5.1e-3')

    def vicreg(z, p):
        gather = types.SimpleNamespace(apply=lambda x: [x])
        net = of('vicreg/main_vicreg.py', 'VICReg', off_diagonal=off_diagonal, FullGatherLayer=gather)
        a, b = head(z, p)
        args = types.SimpleNamespace(batch_size=len(a), sim_coeff=25, std_coeff=25, cov_coeff=1)
        it = types.SimpleNamespace(projector=lambda v: v, backbone=lambda v: v, num_features=a.shape[1], args=args)
        return net.forward(it, a, b)

    compare('vicreg', 'vicreg.halved', version('vicreg'), vicreg, 'halves the variance term, which its paper does not')

    def swav(z, p):
        args = types.SimpleNamespace(epsilon=0.05, world_size=1, sinkhorn_iterations=3)
        share = of('swav/main_swav.py', 'distributed_sinkhorn', args=args)
        a, b = swav_scores(z, p)
        with torch.no_grad():
            qa, qb = share(a.detach()), share(b.detach())
        return sum(-(q * F.log_softmax(s / 0.1, 1)).sum(1).mean() for q, s in ((qa, b), (qb, a))) / 2

    compare('swav', 'swav.default', version('swav'), swav, 'its Sinkhorn-Knopp; the cross-entropy stands in its training loop')

    def dino(z, p):
        loss = of('dino/main_dino.py', 'DINOLoss')(8, 2, 0.07, 0.07, 0, 3)
        return loss(torch.cat(dino_logits(z, p)), torch.cat(dino_teacher(p)), 0)

    compare('dino', 'dino.default', version('dino'), dino)

    def msn(z, p):
        views, targets = msn_views(z, p)
        known = {'logger': None, 'getLogger': None, 'AllReduce': types.SimpleNamespace(apply=lambda x: x)}
        make, _ = of('msn/src/losses.py', 'init_msn_loss', 'distributed_sinkhorn', **known)
        call = lambda a, t: make(num_views=len(a) // len(t))(a, t, p['prototypes'], torch.eye(9), use_sinkhorn=True)
        match = (call(views[1], targets[0])[0] + call(views[0], targets[1])[0]) / 2
        return match + call(torch.cat(views), targets[0])[1]

    compare('msn', 'msn.default', version('msn'), msn, 'one view is the target; here each is, for the other')

    def self_classifier(z, p):
        utils = types.SimpleNamespace(AllGather=types.SimpleNamespace(apply=lambda x: types.SimpleNamespace(float=lambda: x)),
                                      keep_current=lambda x: x)
        loss = of('self-classifier/src/loss.py', 'Loss', utils=utils)(0.1, 0.05, eps=0)
        return loss([self_scores(z, p)])

    compare('self_classifier', 'selfclassifier.default', version('self-classifier'), self_classifier,
            'adds 1e-8 inside logarithm and divisions; here 0')

    def wmse(z, p):
        whiten = of('self-supervised/methods/whitening.py', 'Whitening2d')(3, track_running_stats=False)
        distance = of('self-supervised/methods/norm_mse.py', 'norm_mse_loss')
        return distance(*[torch.cat([whiten(part) for part in v.split(12)]) for v in head(z, p)])

    compare('wmse', 'wmse.default', version('self-supervised'), wmse, 'draws its parts anew; here runs of rows')


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
for name in ('solo', 'stable', 'authors'):
    parser.add_argument(f'--{name}', metavar='FOLDER')
given = parser.parse_args()
try:
    lightly_rows()
except ImportError as why:
    rows.append(('', 'lightly', 'is not here', str(why), ''))
for folder, fill in ((given.solo, solo_rows), (given.stable, stable_rows), (given.authors, author_rows)):
    if folder:
        fill(folder)
print(f'PyTorch {torch.__version__}; differences of the loss, relative (absolute below 1), and of the gradient with '
      'respect to the representations, over its largest element\n')
print('| method | code | loss | gradient | what differs in its settings |\n|---|---|---:|---:|---|')
for row in sorted(rows, key=lambda r: (r[0], r[1])):
    print('| ' + ' | '.join(row) + ' |')
