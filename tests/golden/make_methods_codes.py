"""Golden values of FALCON with each kind of dictionary: python3 tests/golden/make_methods_codes.py"""
import math

import torch
import torch.nn.functional as F

from method_cases import Golden, linear, norm, representations, single

torch.manual_seed(1)
golden = Golden()
N, D, EPS, BETA = 12, 6, 1e-6, 0.7


def hadamard(order):
    """Sylvester's construction."""
    h = torch.ones(1, 1)
    while len(h) < order:
        h = torch.cat([torch.cat([h, h], 1), torch.cat([h, -h], 1)])
    return h


def signs(*shape):
    return torch.empty(*shape).bernoulli_().mul_(2).sub_(1)


def falcon(f, c, prior, symmetric, codes):
    tau = f / (math.sqrt(N) * math.log((1 - EPS * (c - 1)) / EPS))

    def match(p):
        mean = p.mean(0)
        return -mean.log().mean() if prior == 'forward' else (mean * (c * mean).log()).sum()

    def loss(z, head):
        logits = []
        for v in z.chunk(2):
            h = F.linear(v, head['projector.0.weight'], head['projector.0.bias'])
            h = F.batch_norm(h, None, None, head['projector.1.weight'], head['projector.1.bias'], True)
            logits.append(math.sqrt(f / N) * F.normalize(h) @ codes(head) / tau)

        def one(a, b):
            return BETA * -(a.softmax(1) * b.log_softmax(1)).sum(1).mean() + match(a.softmax(1))

        return 0.5 * (one(*logits) + one(*logits[::-1])) if symmetric else one(*logits)

    return loss


def add(group, kind, f, c, codes, frozen={}, trained={}):
    head = {**linear('projector.0', f, D), **norm('projector.1', f), **trained}
    golden.group(group, representations(N, D), head, frozen)
    for prior in ('forward', 'reverse'):
        for symmetric in (True, False):
            word = str(symmetric).lower()
            golden.case(f'{group}.{prior}.{word}',
                        f'falcon dictionary {kind} prior {prior} symmetric {word} features {f} codes {c} beta {BETA} '
                        f'epsilon {EPS}', falcon(f, c, prior, symmetric, codes))


def add_hadamard(group, f, c):
    order = 1 << (f - 1).bit_length()
    diagonals = signs(-(-c // order), order)
    rows = torch.randperm(order)[:f]
    w = torch.cat([(d[:, None] * hadamard(order)) for d in diagonals], 1)[rows if f < order else slice(None), :c]
    frozen = {'dictionary': diagonals, **({'dictionary.rows': rows.double()} if f < order else {})}
    add(group, 'hadamard', f, c, lambda head: w, frozen)


add_hadamard('hadamardfull', 16, 16 * 2 + 5)
add_hadamard('hadamardpart', 11, 16 * 2 + 3)
add_hadamard('hadamardfew', 16, 5)
for kind in ('orthogonal', 'gaussian'):
    dense = single(torch.randn(10, 23))
    add(kind, kind, 10, 23, lambda head, w=dense: w, {'dictionary': dense})
add('learned', 'learned', 10, 23, lambda head: head['dictionary'], trained={'dictionary': single(torch.randn(10, 23))})
golden.save('methods_codes')
