"""Golden values of the methods of 2022 and later: python3 tests/golden/make_methods_rivals.py

Every loss is written from its paper. tests/reference/rivals_packages.py holds them, loss and gradients over three steps,
against the packages in which these methods are in use: lightly 1.6.0 and stable-pretraining 0.1.8.
"""
import math

import torch
import torch.nn.functional as F

from method_cases import STEPS, Golden, linear, norm, representations
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


# TiCo ---------------------------------------------------------------------------------------------------------------


def tico_covariance(old, z1, z2, beta=0.9, both=False):
    """C after a batch; z of length 1."""
    with torch.no_grad():
        z = torch.cat([z1, z2]) if both else z1
        return beta * old + (1 - beta) * (torch.cov(z.T) if both else z.T @ z / len(z))


def tico_loss(z1, target, covariance, rho=8):
    return 1 - (z1 * target).sum(1).mean() + rho * torch.einsum('ij,jk,ik->i', z1, covariance, z1).mean()


def tico_group(golden, f):
    teacher_z = representations(N, D)
    golden.group('tico', representations(N, D), projector([D, HIDDEN, f]), teacher=teacher_z)
    golden.group('plaintico', representations(N, D), projector([D, HIDDEN, f], batchnorm=False), teacher=teacher_z)

    def of(rho=8, beta=0.9, both=False, student=False, base=0.99):
        state = {}

        def loss(z, head, step):
            if step == 0:
                state['C'], state['teacher'] = torch.zeros(f, f), {k: v.detach().clone() for k, v in head.items()}
            z1, z2 = [F.normalize(v) for v in project(z, head, layers=2)]
            state['C'] = tico_covariance(state['C'], z1, z2, beta, both)
            target = z2 if student else F.normalize(project(teacher_z[step], state['teacher'], layers=2)[1])
            return tico_loss(z1, target, state['C'], rho)

        def after_step(head, step):
            keep = 1 - (1 - base) * (math.cos(math.pi * step / STEPS) + 1) / 2
            for k, v in state['teacher'].items():
                v.mul_(keep).add_((1 - keep) * head[k].detach())

        return loss, after_step

    settings = f'tico hidden {HIDDEN} features {f}'
    for name, more, options in (('default', '', {}), ('heavy', ' rho 20 beta 0.5 momentum 0.5', dict(rho=20, beta=0.5, base=0.5)),
                                ('student', ' target student covariance both rho 10',
                                 dict(student=True, both=True, rho=10)), ('point', ' rho 0', dict(rho=0))):
        loss, after_step = of(**options)
        golden.case(f'tico.{name}', settings + more, loss, after_step)
    loss, after_step = of()
    golden.case('plaintico.plain', f'{settings} batchnorm false', loss, after_step)


# VISReg -------------------------------------------------------------------------------------------------------------


def visreg_loss(views, n_global, directions, lam=0.9, scale=1, shape=1, center=1):
    terms = []
    for z in views:
        n = len(z)
        deviation = z.var(0, correction=0).sqrt()
        seen = ((z - z.mean(0)) / (deviation.detach() + 1e-4)) @ directions
        quantiles = torch.distributions.Normal(0, 1).icdf(torch.arange(1, n + 1, dtype=torch.float64) / (n + 1))
        distance = ((seen.sort(0).values - quantiles[:, None]) ** 2).mean()  # Wasserstein-2 of each column, squared
        terms.append(scale * ((1 - deviation) ** 2).mean() + shape * distance + center * (z.mean(0) ** 2).mean())
    return (1 - lam) * center_distance(views, n_global) + lam * torch.stack(terms).mean()


def visreg_group(golden, f, count):
    golden.group('visreg', representations(N, D), projector([D, HIDDEN, HIDDEN, f]))
    golden.group('plainvisreg', representations(N, D), projector([D, HIDDEN, HIDDEN, f], batchnorm=False))
    local = [z[:N] for z in representations(N, D)]
    golden.group('manyvisreg', representations(N, D), projector([D, HIDDEN, HIDDEN, f]), local=local)

    def of(**options):
        def loss(z, head, step):
            return visreg_loss(project(z, head), 2, torch.tensor(slices(f, count, step, step)), **options)

        return loss

    def of_local(z, head, step, local):
        return visreg_loss(project(z, head) + project(local, head, views=1), 2,
                           torch.tensor(slices(f, count, step, step)))

    settings = f'visreg hidden {HIDDEN} features {f} slices {count}'
    golden.case('visreg.default', settings, of())
    golden.case('visreg.small', f'{settings} lambda 0.6 scale 2 shape 3 center 0.5', of(lam=0.6, scale=2, shape=3, center=0.5))
    golden.case('visreg.shapeless', f'{settings} shape 0', of(shape=0))
    golden.case('visreg.point', f'{settings} lambda 0', of(lam=0))
    golden.case('plainvisreg.plain', f'{settings} batchnorm false', of())
    golden.case('manyvisreg.views', settings, of_local)


# MMCR ---------------------------------------------------------------------------------------------------------------


def mmcr_loss(views, lam=0, frobenius=False):
    """views: (n, f) each, of length 1."""
    z = torch.stack(views, 1)  # (n, V, f)
    centroids = z.mean(1)
    capacity = centroids.norm() if frobenius else torch.linalg.svdvals(centroids).sum()
    return (lam * torch.linalg.svdvals(z).sum(1).mean() if lam else 0) - capacity


def mmcr_group(golden, f):
    local = [z[:N] for z in representations(N, D)]
    golden.group('mmcr', representations(N, D), projector([D, HIDDEN, f], bias=False, last_bias=False))
    golden.group('manymmcr', representations(N, D), projector([D, HIDDEN, f], bias=False, last_bias=False), local=local)
    golden.group('plainmmcr', representations(N, D),
                 projector([D, HIDDEN, f], batchnorm=False, bias=False, last_bias=False))
    settings = f'mmcr hidden {HIDDEN} features {f}'

    def of(**options):
        return lambda z, head: mmcr_loss([F.normalize(v) for v in project(z, head, layers=2)], **options)

    def of_local(z, head, step, local):
        views = project(z, head, layers=2) + project(local, head, views=1, layers=2)
        return mmcr_loss([F.normalize(v) for v in views], lam=0.2)

    golden.case('mmcr.default', settings, of())
    golden.case('mmcr.extent', f'{settings} lambda 0.5', of(lam=0.5))
    golden.case('mmcr.frobenius', f'{settings} norm frobenius', of(frobenius=True))
    golden.case('plainmmcr.plain', f'{settings} batchnorm false', of())
    golden.case('manymmcr.views', f'{settings} lambda 0.2', of_local)


# FroSSL -------------------------------------------------------------------------------------------------------------


def frossl_loss(views, invariance=1, entropy=1, center=True):
    """Of two views: the entropy of order 2 of the eigenvalues themselves, rather than a norm."""
    z = [v - v.mean(0) if center else v for v in views]
    z = [v / v.norm(dim=0) for v in z]
    spectra = [torch.linalg.eigvalsh(v.T @ v) / v.shape[1] for v in z]
    return (invariance * ((z[0] - z[1]) ** 2).sum() / len(z[0]) -
            entropy * sum(-(values ** 2).sum().log() for values in spectra))


def frossl_group(golden):
    settings = f'frossl hidden {HIDDEN} features'
    for f, name in ((5, 'frossl'), (17, 'widefrossl')):  # fewer features than samples, and more
        golden.group(name, representations(N, D), projector([D, HIDDEN, HIDDEN, f]))
    golden.group('plainfrossl', representations(N, D), projector([D, HIDDEN, HIDDEN, 5], batchnorm=False))

    def of(**options):
        return lambda z, head: frossl_loss(project(z, head), **options)

    golden.case('frossl.default', f'{settings} 5', of())
    golden.case('frossl.weighted', f'{settings} 5 invariance 2 entropy 0.3', of(invariance=2, entropy=0.3))
    golden.case('frossl.uncentred', f'{settings} 5 center false', of(center=False))
    golden.case('frossl.line', f'{settings} 5 entropy 0', of(entropy=0))
    golden.case('widefrossl.default', f'{settings} 17', of())
    golden.case('plainfrossl.plain', f'{settings} 5 batchnorm false', of())


# Zero-CL ------------------------------------------------------------------------------------------------------------


def zca(rows, freedom, epsilon, detach):
    """The rows' coordinates whitened: rows (m, k) → (m, k)."""
    covariance = (1 - epsilon) * rows.T @ rows / freedom + (epsilon + 1e-5) * torch.eye(rows.shape[1])
    values, vectors = torch.linalg.eigh(covariance)
    root = vectors @ torch.diag(values ** -0.5) @ vectors.T
    return rows @ (root.detach() if detach else root)


def zero_cl_loss(z1, z2, dimension='feature', whiten=True, epsilon=0.1, detach=True):
    total = 0
    if dimension != 'instance':
        a, b = [F.batch_norm(z, None, None, training=True) for z in (z1, z2)]
        if whiten:
            a, b = [zca(v, len(v) - 1, epsilon, detach) for v in (a, b)]
        total = total + ((1 - (a * b).mean(0)) ** 2).sum()
    if dimension != 'feature':
        a, b = [((z - z.mean(1, True)) / z.std(1, keepdim=True)).T for z in (z1, z2)]
        if whiten:
            a, b = [zca(v, len(v) - 1, epsilon, detach) for v in (a, b)]
        total = total + ((1 - (a * b).mean(0)) ** 2).sum()
    return total


def zero_cl_group(golden, f):
    golden.group('zerocl', representations(N, D), projector([D, HIDDEN, HIDDEN, f], bias=False, last_bias=False))
    golden.group('plainzerocl', representations(N, D),
                 projector([D, HIDDEN, HIDDEN, f], batchnorm=False, bias=False, last_bias=False))

    def of(**options):
        return lambda z, head: zero_cl_loss(*project(z, head), **options)

    settings = f'zero_cl hidden {HIDDEN} features {f}'
    golden.case('zerocl.default', settings, of())
    golden.case('zerocl.instance', f'{settings} dimension instance', of(dimension='instance'))
    golden.case('zerocl.both', f'{settings} dimension both epsilon 0.3', of(dimension='both', epsilon=0.3))
    golden.case('zerocl.through', f'{settings} dimension both detach false', of(dimension='both', detach=False))
    golden.case('zerocl.aligned', f'{settings} whiten false', of(whiten=False))
    golden.case('plainzerocl.plain', f'{settings} batchnorm false', of())


# CorInfoMax ---------------------------------------------------------------------------------------------------------


def corinfomax_loss(z1, z2, state, alpha=500, spread=1, forget_covariance=0.01, forget_mean=0.01, initial=1, epsilon=1e-6):
    """`state` is {} at the first step."""
    f, total = z1.shape[1], 0
    for v, z in enumerate((z1, z2)):
        mean, covariance = state.get(v, (torch.zeros(f), initial * torch.eye(f)))
        mean = forget_mean * mean + (1 - forget_mean) * z.mean(0)
        centred = z - mean
        covariance = forget_covariance * covariance + (1 - forget_covariance) * centred.T @ centred / len(z)
        total = total - torch.logdet(covariance + epsilon * torch.eye(f)) / f
        state[v] = (mean.detach(), covariance.detach())
    return spread * total + alpha * F.mse_loss(z1, z2)


def corinfomax_group(golden, f):
    golden.group('corinfomax', representations(N, D), projector([D, HIDDEN, HIDDEN, f]))
    golden.group('plaincorinfomax', representations(N, D), projector([D, HIDDEN, HIDDEN, f], batchnorm=False))

    def of(normalize=True, **options):
        state = {}

        def loss(z, head, step):
            if step == 0:
                state.clear()
            views = project(z, head)
            return corinfomax_loss(*[F.normalize(v) if normalize else v for v in views], state, **options)

        return loss

    settings = f'corinfomax hidden {HIDDEN} features {f}'
    golden.case('corinfomax.default', settings, of())
    golden.case('corinfomax.slow', f'{settings} alpha 5 spread 2 forget_covariance 0.7 forget_mean 0.4 initial 0.3 epsilon 0.01',
                of(alpha=5, spread=2, forget_covariance=0.7, forget_mean=0.4, initial=0.3, epsilon=0.01))
    golden.case('corinfomax.free', f'{settings} normalize false alpha 5 forget_mean 0.5',
                of(normalize=False, alpha=5, forget_mean=0.5))
    golden.case('corinfomax.point', f'{settings} spread 0', of(spread=0))
    golden.case('plaincorinfomax.plain', f'{settings} batchnorm false', of())


# Earlier methods without BatchNorm in their heads -------------------------------------------------------------------


def plain_group(golden, f):
    widths = [D, HIDDEN, HIDDEN, f]
    for name in ('plainbarlow', 'plainvicreg'):
        golden.group(name, representations(N, D), projector(widths, batchnorm=False, last_bias=False))
    golden.group('plainwmse', representations(N, D), projector([D, HIDDEN, 3], batchnorm=False))
    signs = torch.empty(f, 8).bernoulli_().mul_(2).sub_(1)
    golden.group('plainfalcon', representations(N, D), linear('projector.0', f, D), {'dictionary': signs})

    def off_diagonal_squares(c):
        return c.pow(2).sum() - c.diagonal().pow(2).sum()

    def barlow(z, head):
        a, b = [F.batch_norm(v, None, None, training=True) for v in project(z, head)]
        c = a.T @ b / N
        return 0.1 * ((1 - c.diagonal()).pow(2).sum() + 5.1e-3 * off_diagonal_squares(c))

    def vicreg(z, head):
        a, b = project(z, head)
        spread = sum((1 - (v.var(0) + 1e-4).sqrt()).relu().mean() for v in (a, b))
        covariance = sum(off_diagonal_squares(torch.cov(v.T)) / f for v in (a, b))
        return 25 * F.mse_loss(a, b) + 25 * spread + covariance

    def wmse(z, head):
        a, b = project(z, head, layers=2)
        whiten = [torch.linalg.solve_triangular(torch.linalg.cholesky(torch.cov(v.T)), (v - v.mean(0)).T, upper=False).T
                  for v in (a, b)]
        return 2 - 2 * F.cosine_similarity(*whiten).mean()

    def falcon(z, head):
        tau = f / (math.sqrt(N) * math.log((1 - 1e-3 * 7) / 1e-3))
        p, q = [(math.sqrt(f / N) * F.normalize(v @ head['projector.0.weight'].T + head['projector.0.bias']) @ signs /
                 tau) for v in z.chunk(2)]

        def one(a, b):
            mean = a.softmax(1).mean(0)
            return -(a.softmax(1) * b.log_softmax(1)).sum(1).mean() + (mean * (8 * mean).log()).sum()

        return (one(p, q) + one(q, p)) / 2

    plain = 'batchnorm false'
    golden.case('plainbarlow.plain', f'barlow_twins hidden {HIDDEN} features {f} {plain}', barlow)
    golden.case('plainvicreg.plain', f'vicreg hidden {HIDDEN} features {f} {plain}', vicreg)
    golden.case('plainwmse.plain', f'wmse hidden {HIDDEN} features 3 whitening_size {N} {plain}', wmse)
    golden.case('plainfalcon.plain', f'falcon features {f} codes 8 epsilon 1e-3 {plain}', falcon)


def main():
    golden = Golden()
    lejepa_group(golden, 5, 50)
    tico_group(golden, 5)
    visreg_group(golden, 5, 60)
    mmcr_group(golden, 5)
    frossl_group(golden)
    zero_cl_group(golden, 5)
    corinfomax_group(golden, 4)
    plain_group(golden, 5)
    golden.save('methods_rivals')


if __name__ == '__main__':
    main()
