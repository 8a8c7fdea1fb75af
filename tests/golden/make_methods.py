"""Golden values of the methods that need neither a teacher nor a queue: python3 tests/golden/make_methods.py"""
import math

import torch
import torch.nn.functional as F

from method_cases import Golden, linear, norm, representations, single

torch.manual_seed(0)
golden = Golden()
N, D = 12, 6


def dense(x, head, key):
    return F.linear(x, head[f'{key}.weight'], head.get(f'{key}.bias'))


def batchnorm(x, head=None, key=None):
    return F.batch_norm(x, None, None, *((head[f'{key}.weight'], head[f'{key}.bias']) if head else (None, None)), True)


def two(z, function):
    """The head on each view by itself: BatchNorm's statistics are per view."""
    return [function(v) for v in z.chunk(2)]


# FALCON ---------------------------------------------------------------------------------------------------------------

F_ = 16
dictionaries = {c: torch.empty(F_, c).bernoulli_().mul_(2).sub_(1) for c in (8, 40)}
for c, dictionary in dictionaries.items():
    golden.group(f'falcon{c}', representations(N, D), {**linear('projector.0', F_, D), **norm('projector.1', F_)},
                 {'dictionary': dictionary})


def falcon(c, projector, prior, symmetric, beta, eps):
    tau = F_ / (math.sqrt(N) * math.log((1 - eps * (c - 1)) / eps))

    def match(p):
        mean = p.mean(0)
        return -mean.log().mean() if prior == 'forward' else (mean * (c * mean).log()).sum()

    def project(v, head):
        h = batchnorm(dense(v, head, 'projector.0'), head, 'projector.1')
        return math.sqrt(F_ / N) * F.normalize(h) if projector == 'l2' else h.tanh()

    def loss(z, head):
        logits = two(z, lambda v: project(v, head) @ dictionaries[c] / tau)

        def one(a, b):
            return beta * -(a.softmax(1) * b.log_softmax(1)).sum(1).mean() + match(a.softmax(1))

        return 0.5 * (one(*logits) + one(*logits[::-1])) if symmetric else one(*logits)

    return loss


for c in (8, 40):
    for projector in ('l2', 'tanh'):
        for prior in ('forward', 'reverse'):
            for symmetric in (True, False):
                word, eps = str(symmetric).lower(), 1e-3 if c == 8 else 1e-8
                golden.case(f'falcon{c}.{projector}.{prior}.{word}',
                            f'falcon projector {projector} prior {prior} symmetric {word} features {F_} codes {c} '
                            f'beta 0.7 epsilon {eps}', falcon(c, projector, prior, symmetric, 0.7, eps))

# Barlow Twins ---------------------------------------------------------------------------------------------------------

HIDDEN, FEATURES = 10, 14


def mlp(v, head):
    """Linear, BatchNorm, ReLU, twice; then Linear."""
    for a, b in ((0, 1), (3, 4)):
        v = batchnorm(dense(v, head, f'projector.{a}'), head, f'projector.{b}').relu()
    return dense(v, head, 'projector.6')


three_layers = {**linear('projector.0', HIDDEN, D), **norm('projector.1', HIDDEN),
                **linear('projector.3', HIDDEN, HIDDEN), **norm('projector.4', HIDDEN),
                **linear('projector.6', FEATURES, HIDDEN, bias=False)}
golden.group('barlow', representations(N, D), three_layers)


def off_diagonal_squares(c):
    return c.pow(2).sum() - c.diagonal().pow(2).sum()


def barlow(lam, scale):
    def loss(z, head):
        a, b = two(z, lambda v: batchnorm(mlp(v, head)))
        c = a.T @ b / N
        return scale * ((c.diagonal() - 1).pow(2).sum() + lam * off_diagonal_squares(c))

    return loss


barlow_settings = f'barlow_twins hidden {HIDDEN} features {FEATURES}'
golden.case('barlow.default', barlow_settings, barlow(5.1e-3, 0.1))
golden.case('barlow.heavy', f'{barlow_settings} lambda 0.5 scale 1', barlow(0.5, 1.0))
golden.case('barlow.invariance', f'{barlow_settings} lambda 0', barlow(0, 0.1))

golden.save('methods')
