"""Golden values of the methods' losses from PyTorch in double precision: python3 tests/golden/make_methods.py

Written from the papers' formulas, not from the C code. For each setting: the loss, its gradient with respect to the
representations and every parameter of the head, and the losses before each of three steps of Adam on the head.
"""
import math

import numpy as np
import torch
import torch.nn.functional as F

from golden import save

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
out = {}


def write(name, t):
    t = t.detach()
    out[name] = (t.reshape(1, -1) if t.dim() < 2 else t).numpy().astype(np.float32)


def single(t):
    """Values that a float32 file holds exactly, so that both sides start from the same numbers."""
    return t.float().double()


def record(name, loss_of, z, head):
    z = z.clone().requires_grad_(True)
    head = {k: v.clone().requires_grad_(True) for k, v in head.items()}
    adam, losses = torch.optim.Adam(head.values(), lr=1e-3, weight_decay=1e-4), []
    for step in range(3):
        z.grad = None
        adam.zero_grad()
        loss = loss_of(z, head)
        loss.backward()
        losses.append(loss.detach())
        if step == 0:
            write(f'{name}.grad.z', z.grad)
            for k, v in head.items():
                write(f'{name}.grad.{k}', v.grad)
        adam.step()
    write(f'{name}.losses', torch.stack(losses))


def views(f, z, head, key):
    """Linear, then BatchNorm of each view by itself."""
    x = F.linear(z, head[f'{key}.0.weight'], head[f'{key}.0.bias'])
    gamma, beta = head[f'{key}.1.weight'], head[f'{key}.1.bias']
    return [F.batch_norm(v, None, None, gamma, beta, True) for v in x.chunk(2)]


def falcon(n, f, c, dictionary, projector, prior, symmetric, beta, eps):
    tau = f / (math.sqrt(n) * math.log((1 - eps * (c - 1)) / eps))

    def match(p):
        mean = p.mean(0)
        return -mean.log().mean() if prior == 'forward' else (mean * (c * mean).log()).sum()

    def loss(z, head):
        h = views(f, z, head, 'projector')
        h = [math.sqrt(f / n) * F.normalize(v) if projector == 'l2' else v.tanh() for v in h]
        logits = [v @ dictionary / tau for v in h]

        def one(a, b):
            return beta * -(a.softmax(1) * b.log_softmax(1)).sum(1).mean() + match(a.softmax(1))

        return 0.5 * (one(*logits) + one(*logits[::-1])) if symmetric else one(*logits)

    return loss


n, d, f = 12, 6, 16
z = single(torch.randn(2 * n, d))
z[n:] = single(z[:n] + 0.5 * torch.randn(n, d))
write('falcon.z', z)
head = {'projector.0.weight': single(torch.randn(f, d) / 2), 'projector.0.bias': single(torch.randn(f) / 2),
        'projector.1.weight': single(1 + 0.2 * torch.randn(f)), 'projector.1.bias': single(0.2 * torch.randn(f))}
for k, v in head.items():
    write(f'falcon.{k}', v)
for c in (8, 40):
    dictionary = torch.empty(f, c).bernoulli_().mul_(2).sub_(1)
    write(f'falcon.dictionary.{c}', dictionary)
    for projector in ('l2', 'tanh'):
        for prior in ('forward', 'reverse'):
            for symmetric in (True, False):
                record(f'falcon.{projector}.{prior}.{str(symmetric).lower()}.{c}',
                       falcon(n, f, c, dictionary, projector, prior, symmetric, 0.7, 1e-3 if c == 8 else 1e-8), z, head)


def barlow(lam, scale):
    def loss(z, head):
        embeddings = []
        for v in z.chunk(2):
            for a, b in ((0, 1), (3, 4)):
                v = F.linear(v, head[f'projector.{a}.weight'], head[f'projector.{a}.bias'])
                v = F.batch_norm(v, None, None, head[f'projector.{b}.weight'], head[f'projector.{b}.bias'], True).relu()
            v = F.linear(v, head['projector.6.weight'])
            embeddings.append(F.batch_norm(v, None, None, None, None, True))
        c = embeddings[0].T @ embeddings[1] / len(embeddings[0])
        on = (torch.diagonal(c) - 1).pow(2).sum()
        off = (c - torch.diag(torch.diagonal(c))).pow(2).sum()
        return scale * (on + lam * off)

    return loss


hidden, features = 10, 14
head = {}
for name, shape in (('0.weight', (hidden, d)), ('0.bias', (hidden,)), ('1.weight', (hidden,)), ('1.bias', (hidden,)),
                    ('3.weight', (hidden, hidden)), ('3.bias', (hidden,)), ('4.weight', (hidden,)),
                    ('4.bias', (hidden,)), ('6.weight', (features, hidden))):
    scale = 1 if name[0] in '14' and 'weight' in name else 0
    head[f'projector.{name}'] = single(scale + 0.4 * torch.randn(shape))
write('barlow.z', z)
for k, v in head.items():
    write(f'barlow.{k}', v)
record('barlow.default', barlow(5.1e-3, 0.1), z, head)
record('barlow.heavy', barlow(0.5, 1.0), z, head)
save('methods', out)
