"""Golden values of the methods of 2022 and later: python3 tests/golden/make_methods_rivals.py

Every loss is written from its paper. tests/reference/rivals_packages.py holds them, loss and gradients over three steps,
against the packages in which these methods are in use: lightly 1.6.0 and stable-pretraining 0.1.8.
"""
import math

import torch
import torch.nn.functional as F

from method_cases import Golden, linear, norm, representations
from philox import slices

torch.manual_seed(3)
N, D, HIDDEN = 12, 6, 7


def projector(widths, batchnorm=True, bias=True, last_bias=True):
    """Parameters of Linear(-BatchNorm)-ReLU, …, Linear."""
    out, gap = {}, 3 if batchnorm else 2
    for i in range(len(widths) - 1):
        last = i == len(widths) - 2
        out.update(linear(f'projector.{gap * i}', widths[i + 1], widths[i], bias=last_bias if last else bias))
        if batchnorm and not last:
            out.update(norm(f'projector.{gap * i + 1}', widths[i + 1]))
    return out


def project(z, head, views=2, layers=3):
    """The projector on each view by itself, as training does it → a list of views."""
    batchnorm = 'projector.1.weight' in head
    gap, out = 3 if batchnorm else 2, []
    for v in z.chunk(views):
        for i in range(layers):
            v = F.linear(v, head[f'projector.{gap * i}.weight'], head.get(f'projector.{gap * i}.bias'))
            if i < layers - 1:
                at = f'projector.{gap * i + 1}'
                v = F.batch_norm(v, None, None, head[f'{at}.weight'], head[f'{at}.bias'], True) if batchnorm else v
                v = v.relu()
        out.append(v)
    return out


def center_distance(views, n_global):
    """Mean square of every view's distance from the mean of the global ones."""
    center = torch.stack(views[:n_global]).mean(0)
    return torch.stack([(center - v) ** 2 for v in views]).mean()


# LeJEPA -------------------------------------------------------------------------------------------------------------


def epps_pulley(x, knots, t_max):
    """n ∫ |φ_x(t) − exp(−t²/2)|² exp(−t²/2) dt over [−t_max, t_max] for each column of x, by trapezoids."""
    t = torch.linspace(-t_max, t_max, 2 * knots - 1)
    phi = torch.exp(1j * t[:, None, None] * x).mean(1)  # (points, columns)
    gauss = torch.exp(-t ** 2 / 2)[:, None]
    return len(x) * torch.trapezoid((phi - gauss).abs() ** 2 * gauss, t, dim=0)


def lejepa_loss(views, n_global, directions, lam=0.05, knots=17, t_max=3, pooled=False, additive=False):
    near = center_distance(views, n_global)
    samples = [torch.cat(views)] if pooled else views
    normal = torch.stack([epps_pulley(v @ directions, knots, t_max).mean() for v in samples]).mean()
    return (near if additive else (1 - lam) * near) + lam * normal


def lejepa_group(golden, f, count):
    golden.group('lejepa', representations(N, D), projector([D, HIDDEN, HIDDEN, f]))
    golden.group('plainjepa', representations(N, D), projector([D, HIDDEN, HIDDEN, f], batchnorm=False))
    local = [z[:2 * N] for z in representations(N, D, views=3)]
    golden.group('manyjepa', representations(N, D), projector([D, HIDDEN, HIDDEN, f]), local=local)

    def of(**options):
        def loss(z, head, step):
            return lejepa_loss(project(z, head), 2, torch.tensor(slices(f, count, step, step)), **options)

        return loss

    def of_local(z, head, step, local):
        return lejepa_loss(project(z, head) + project(local, head), 2, torch.tensor(slices(f, count, step, step)))

    settings = f'lejepa hidden {HIDDEN} features {f} slices {count}'
    golden.case('lejepa.default', settings, of())
    golden.case('lejepa.coarse', f'{settings} lambda 0.5 knots 5 t_max 4', of(lam=0.5, knots=5, t_max=4))
    golden.case('lejepa.pooled', f'{settings} lambda 0.02 sample pooled weights additive',
                of(lam=0.02, pooled=True, additive=True))
    golden.case('lejepa.point', f'{settings} lambda 0', of(lam=0))
    golden.case('plainjepa.plain', f'{settings} batchnorm false', of())
    golden.case('manyjepa.views', settings, of_local)


def main():
    golden = Golden()
    lejepa_group(golden, 5, 50)
    golden.save('methods_rivals')


if __name__ == '__main__':
    main()
