"""Golden values of the engine's ops from PyTorch: python3 tests/golden/make_ops.py

Every case is a name, its inputs, and the function. Images are written N,H,W,C. The loss is Σ out·r for matrices and
Σ mean_pixels(tanh(out))·r for images, with r random, so that every output value has a gradient of its own.
"""
import numpy as np
import torch
import torch.nn.functional as F

from golden import save

torch.manual_seed(0)
torch.set_num_threads(1)
out = {}


def host(t):
    t = t.detach()
    return (t.permute(0, 2, 3, 1) if t.dim() == 4 else t).contiguous().numpy().astype(np.float32)


def plain(t):
    return t.detach().contiguous().numpy().astype(np.float32)


def case(name, function, inputs, weights=(), frozen=()):
    """inputs: images or matrices (in0, in1, …); weights: written as they are (w0, …); frozen: no gradient (f0, …)."""
    for t in (*inputs, *weights):
        t.requires_grad_(True)
    for i, t in enumerate(frozen):
        out[f'{name}.f{i}'] = plain(t.reshape(1, -1) if t.dim() == 1 else t)
    y = function(*inputs, *weights, *frozen)
    if y.dim() == 4:
        r = torch.randn(y.shape[:2])
        loss = (y.tanh().mean((2, 3)) * r).sum()
    else:
        y = y.reshape(1, -1) if y.dim() < 2 else y
        r = torch.randn(y.shape)
        loss = (y * r).sum()
    loss.backward()
    out[f'{name}.out'], out[f'{name}.r'] = host(y), plain(r)
    for i, t in enumerate(inputs):
        out[f'{name}.in{i}'], out[f'{name}.grad{i}'] = host(t), host(t.grad)
    for i, t in enumerate(weights):
        two = (lambda v: v.reshape(1, -1) if v.dim() == 1 else v)
        out[f'{name}.w{i}'], out[f'{name}.wgrad{i}'] = plain(two(t)), plain(two(t.grad))
    for i, t in enumerate(frozen):  # running statistics move
        if name.startswith('batchnorm') and 'eval' in name:
            continue
        out[f'{name}.fafter{i}'] = plain(t.reshape(1, -1) if t.dim() == 1 else t)


n = torch.randn


def conv(name, channels, to, size, side, stride, padding, bias):
    case('conv2d.' + name, lambda x, w, *b: F.conv2d(x, w, *b, stride=stride, padding=padding),
         [n(2, channels, side, side)], [n(to, channels, size, size) / size] + ([n(to)] if bias else []))


conv('pixels', 3, 16, 3, 6, 1, 1, False)
conv('pixels_wide_pad', 3, 16, 3, 4, 1, 2, False)
conv('blocked', 16, 16, 3, 6, 2, 1, False)
conv('blocked_bias', 16, 16, 3, 4, 1, 1, True)
conv('shortcut', 16, 32, 1, 4, 2, 0, False)
conv('odd_channels', 5, 7, 3, 5, 2, 1, True)
conv('odd_to_blocked', 5, 16, 3, 4, 1, 0, True)
conv('one_by_one', 3, 20, 1, 4, 1, 0, True)


def norm(name, shape, training, groups=1, affine=True, residual=False, relu=False):
    c = shape[1]

    def function(x, *rest):
        rest = list(rest)
        res = rest.pop(0) if residual else None
        gamma, beta = (rest.pop(0), rest.pop(0)) if affine else (None, None)
        mean, var = rest
        parts = [F.batch_norm(part, mean, var, gamma, beta, training, 0.1, 1e-5) for part in x.chunk(groups)]
        y = torch.cat(parts)
        y = y + res if residual else y
        return y.relu() if relu else y

    case('batchnorm.' + name, function, [n(shape) * 2 + 3] + ([n(shape)] if residual else []),
         [n(c) + 1, n(c)] if affine else [], [n(c), torch.rand(c) + 0.5])


norm('images', (2, 16, 3, 3), True)
norm('images_views', (4, 16, 3, 3), True, groups=2, relu=True)
norm('images_residual', (4, 32, 2, 2), True, groups=2, residual=True, relu=True)
norm('images_odd', (4, 5, 3, 3), True, groups=2, residual=True)
norm('images_eval', (4, 16, 3, 3), False, relu=True)
norm('matrix', (12, 20), True, groups=2)
norm('matrix_plain', (12, 20), True, affine=False)
norm('matrix_eval', (6, 9), False, relu=True)

for kind, shape in (('images', (2, 16, 3, 3)), ('matrix', (5, 9))):
    case(f'relu.{kind}', torch.relu, [n(shape)])
    case(f'leaky_relu.{kind}', lambda x: F.leaky_relu(x, 0.2), [n(shape)])
    case(f'tanh.{kind}', torch.tanh, [n(shape) * 2])
    case(f'gelu.{kind}', F.gelu, [n(shape) * 2])
    case(f'add.{kind}', torch.add, [n(shape), n(shape)])
case('tanh.range', torch.tanh, [torch.cat([torch.linspace(-0.3, 0.3, 61), torch.linspace(-20, 20, 81)]).reshape(2, 71)])
case('affine.matrix', lambda x: -2.5 * x + 0.75, [n(5, 9)])

case('avg_pool.blocked', lambda x: F.avg_pool2d(x, 2), [n(1, 16, 4, 6)])
case('avg_pool.three', lambda x: F.avg_pool2d(x, 3), [n(2, 5, 6, 6)])
case('max_pool.overlap', lambda x: F.max_pool2d(x, 3, 2, 1), [n(1, 16, 5, 5)])
case('max_pool.plain', lambda x: F.max_pool2d(x, 2, 2, 0), [n(2, 3, 6, 6)])
case('max_pool.ties', lambda x: F.max_pool2d(x, 3, 1, 1), [n(2, 5, 5, 5).round()])
case('global_pool.blocked', lambda x: x.mean((2, 3)), [n(2, 32, 3, 3)])
case('global_pool.odd', lambda x: x.mean((2, 3)), [n(3, 7, 3, 3)])

case('linear.bias', F.linear, [n(70, 7)], [n(11, 7), n(11)])
case('linear.plain', F.linear, [n(6, 13)], [n(11, 13)])
for ta in (0, 1):
    for tb in (0, 1):
        a, b = (n(4, 7) if ta else n(7, 4)), (n(5, 4) if tb else n(4, 5))
        case(f'matmul.{ta}{tb}', lambda a, b: -1.5 * (a.T if ta else a) @ (b.T if tb else b), [a, b])

for name, function in (('sub', torch.sub), ('mul', torch.mul), ('div', torch.div), ('add', torch.add)):
    for pattern, sa, sb in (('same', (4, 6), (4, 6)), ('row', (4, 6), (1, 6)), ('column', (4, 6), (4, 1)),
                            ('scalar', (4, 6), (1, 1)), ('outer', (4, 1), (1, 6)), ('row_first', (1, 6), (4, 6)),
                            ('column_first', (4, 1), (4, 6)), ('scalar_first', (1, 1), (4, 6))):
        case(f'{name}.{pattern}', function, [n(sa), n(sb).sign() * (torch.rand(sb) + 0.5)])

case('exp', torch.exp, [n(4, 40) * 8])
case('log', torch.log, [torch.rand(4, 9) + 0.1])
case('sqrt', torch.sqrt, [torch.rand(4, 9) + 0.1])
case('l2_normalize', lambda x: F.normalize(x), [n(5, 33) * 3])
case('softmax', lambda x: x.softmax(1), [n(5, 33) * 4])
case('log_softmax', lambda x: x.log_softmax(1), [n(5, 33) * 4])
case('log_softmax.steep', lambda x: x.log_softmax(1), [n(5, 33) * 60])
case('logsumexp.rows', lambda x: x.logsumexp(0, True), [n(7, 37) * 4])
case('logsumexp.cols', lambda x: x.logsumexp(1, True), [n(7, 37) * 4])
case('sum.rows', lambda x: x.sum(0, True), [n(130, 3)])
case('sum.cols', lambda x: x.sum(1, True), [n(9, 7)])
case('sum.all', lambda x: x.sum().reshape(1, 1), [n(9, 7)])
case('mean.rows', lambda x: x.mean(0, True), [n(9, 7)])
case('mean.all', lambda x: x.mean().reshape(1, 1), [n(9, 7)])
case('sum_squares', lambda x: (x * x).sum().reshape(1, 1), [n(9, 7)])
case('diagonal', lambda x: x.diagonal().reshape(1, -1), [n(6, 6)])
case('slice_rows', lambda x: x[2:5], [n(7, 4)])
case('concat_rows', lambda a, b: torch.cat([a, b]), [n(3, 4), n(2, 4)])
case('soft_cross_entropy', lambda a, b: -(a.exp() * b).sum(1).mean().reshape(1, 1), [n(6, 9).log_softmax(1).detach(),
                                                                                   n(6, 9).log_softmax(1).detach()])
case('batch_logmeanexp', lambda x: x.exp().mean(0, True).log(), [n(7, 9)])
case('add_diagonal', lambda x: x - 3 * torch.eye(4), [n(4, 4)])
case('cholesky', lambda x: torch.linalg.cholesky(x), [(lambda x: x @ x.T / 8 + torch.eye(5))(n(5, 8))])
case('triangular_solve', lambda x, l: torch.linalg.solve_triangular(l.tril(), x.T, upper=False).T,
     [n(7, 5), n(5, 5) * 0.3 + 2 * torch.eye(5)])


def attention(x, tokens, heads):
    q, k, v = x.reshape(x.shape[0] // tokens, tokens, 3, heads, -1).permute(2, 0, 3, 1, 4)
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape[0], -1)


case('layernorm', lambda x, g, b: F.layer_norm(x, x.shape[1:], g, b, 1e-6), [n(9, 40) * 2 + 3], [n(40) + 1, n(40)])
case('layernorm.steep', lambda x, g, b: F.layer_norm(x, x.shape[1:], g, b, 1e-6), [n(5, 7) * 0.1 + 10],
     [n(7) + 1, n(7)])
case('attention.heads', lambda x: attention(x, 17, 2), [n(34, 96) * 1.5])
case('attention.wide', lambda x: attention(x, 65, 1), [n(65, 192)])
case('attention.steep', lambda x: attention(x, 5, 1), [n(10, 48) * 8])
case('attention.blocks', lambda x: attention(x, 300, 1), [n(300, 48) * 2])
case('feed_forward', lambda x, w1, b1, w2, b2: F.linear(F.gelu(F.linear(x, w1, b1)), w2, b2), [n(37, 12)],
     [n(20, 12) / 3, n(20), n(12, 20) / 4, n(12)])
case('patch_embed', lambda x, w, b: F.conv2d(x, w, b, stride=4).flatten(2).transpose(1, 2).reshape(-1, 10),
     [n(2, 3, 8, 12)], [n(10, 3, 4, 4) / 7, n(10)])
case('tokens', lambda x, c, r, p: torch.cat([c + p[:1], r, x[:4] + p[1:], c + p[:1], r, x[4:] + p[1:]]), [n(8, 6)],
     [n(1, 6), n(3, 6), n(5, 6)])
case('pool_tokens', lambda x: x.reshape(3, 5, 4)[:, 1:].mean(1), [n(15, 4)])
case('residual', lambda x, y, g, s: x + s.repeat_interleave(2, 0) * g * y, [n(6, 7), n(6, 7)], [n(7)],
     [torch.tensor([[0.], [1.25], [1.25]])])
case('sin', torch.sin, [n(4, 40) * 20])
case('cos', torch.cos, [n(4, 40) * 20])
case('abs', torch.abs, [n(4, 9)])
case('concat_cols', lambda a, b: torch.cat([a, b], 1), [n(3, 4), n(3, 2)])
case('reshape', lambda x: x.reshape(6, 4), [n(3, 8)])
case('sort', lambda x: x.sort(0).values, [n(150, 40)])
covariance = (lambda d, m: (lambda x: x @ x.T / m + 0.2 * torch.eye(d))(n(d, m)))
case('logdet', lambda x: torch.logdet((x + x.T) / 2).reshape(1, 1), [covariance(6, 9)])


def inverse_root(x):
    values, vectors = torch.linalg.eigh((x + x.T) / 2)
    return vectors @ torch.diag(values ** -0.5) @ vectors.T


case('inverse_root', inverse_root, [covariance(6, 9)])
case('nuclear_norm.high', lambda x: torch.linalg.matrix_norm(x, 'nuc').reshape(1, 1), [n(20, 6)])
case('nuclear_norm.wide', lambda x: torch.linalg.matrix_norm(x, 'nuc').reshape(1, 1), [n(5, 30)])
case('nuclear_norm.groups', lambda x: torch.linalg.svdvals(x.reshape(4, 2, 7)).sum(1, True), [n(8, 7)])
case('keep_tokens', lambda x, k: torch.cat([x[:5][k[:3, 0].long()], x[5:][k[3:, 0].long()]]), [n(10, 6)], (),
     [torch.tensor([[0.], [4.], [2.], [0.], [1.], [3.]])])
save('ops', out)
