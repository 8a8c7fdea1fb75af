#!/usr/bin/python3
"""What rounding to bfloat16 costs Winograd's algorithm, by tile and points: numpy alone, some seconds.

Inputs (ReLU of normal numbers) and gradients are numbers that bfloat16 has; weights are normal. Transforms are exact, what
they give is rounded to bfloat16, products are exact: what is left is the rounding of the factors. Printed is the error's root
mean square beside the sums', of outputs and of the weights' gradient. Direct sums round the weights alone.
"""
import numpy as np

IN, OUT, TILES = 64, 32, 400
rng = np.random.default_rng(0)


def bfloat16(x):
    bits = x.astype(np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7fff + (bits >> 16 & 1)) >> 16 << 16).astype(np.uint32).view(np.float32).astype(np.float64)


def matrices(points, taps):
    """A, G, B transposed of Cook and Toom for finite points and infinity."""
    n = len(points) + 1
    a, g, b = np.zeros((n - taps + 1, n)), np.zeros((n, taps)), np.zeros((n, n))
    for i, p in enumerate(points):
        others = [q for j, q in enumerate(points) if j != i]
        a[:, i] = [p ** k for k in range(n - taps + 1)]
        g[i] = [p ** k / np.prod([p - q for q in others]) for k in range(taps)]
        b[i, :n - 1] = np.poly(others)[::-1]
    a[-1, -1] = g[-1, -1] = 1
    b[-1] = np.poly(points)[::-1]
    return a, g, b


def both_ways(matrix, x):
    """matrix x matrixᵀ over the last two dimensions."""
    return np.einsum('ai,...ij,bj->...ab', matrix, x, matrix)


def off(got, expected):
    return np.sqrt(((got - expected) ** 2).sum() / (expected ** 2).sum())


def direct(d, w, g, m):
    y = sum(np.einsum('tcij,oc->toij', d[:, :, i:i + m, j:j + m], w[:, :, i, j]) for i in range(3) for j in range(3))
    dw = np.stack([np.stack([np.einsum('toij,tcij->oc', g, d[:, :, i:i + m, j:j + m]) for j in range(3)], -1)
                   for i in range(3)], -2)
    return y, dw


def row(name, points):
    a, gg, b = matrices(points, 3)
    m = len(a)
    d = bfloat16(np.maximum(rng.standard_normal((TILES, IN, m + 2, m + 2)), 0))
    g = bfloat16(rng.standard_normal((TILES, OUT, m, m)))
    w = rng.standard_normal((OUT, IN, 3, 3)) / 10
    y, dw = direct(d, w, g, m)
    v, u, slopes = bfloat16(both_ways(b, d)), bfloat16(both_ways(gg, w)), bfloat16(both_ways(a.T, g))
    got_y = both_ways(a, np.einsum('tcab,ocab->toab', v, u))
    got_dw = both_ways(gg.T, np.einsum('tcab,toab->ocab', v, slopes))
    print(f'{name:32} {off(got_y, y):.4f} {off(got_dw, dw):.4f}')
    return d, w, g, y, m


d, w, g, y, m = row('F(2x2), 0 ±1', [0, 1, -1])
row('F(3x3), 0 ±1 2', [0, 1, -1, 2])
row('F(4x4), 0 ±11/16 ±3/2', [0, 11 / 16, -11 / 16, 1.5, -1.5])
row('F(4x4), 0 ±1 ±2', [0, 1, -1, 2, -2])
row('F(4x4), 0 ±1/2 ±1', [0, .5, -.5, 1, -1])
print(f'{"direct sums":32} {off(direct(d, bfloat16(w), g, m)[0], y):.4f} 0')
