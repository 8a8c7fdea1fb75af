#!/usr/bin/env python3
"""The methods of tests/golden/make_methods_rivals.py beside packages in which they are in use:

    pip install lightly==1.6.0 stable-pretraining==0.1.8
    tests/reference/rivals_packages.py

Each loss is taken on projections of a small head that is trained for three steps of SGD; loss and gradients of both codes
are compared at every step, in double precision, with the same random directions. Prints a line for each, and fails where
they differ by more than 1e-6.
"""
import os
import sys

import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'golden'))
import make_methods_rivals as rivals  # noqa: E402
from method_cases import representations  # noqa: E402

N, D, F, STEPS = 16, 6, 5, 3


def compare(name, ours, theirs, views=2):
    """ours(views, step), theirs(views, step): losses of a list of projections (N, F)."""
    torch.manual_seed(7)
    z = representations(N, D, views=views)
    head = {k: v.requires_grad_(True) for k, v in rivals.projector([D, 8, 8, F]).items()}
    sgd = torch.optim.SGD(head.values(), lr=0.05, momentum=0.9)
    worst = 0
    for step in range(STEPS):
        gradients = []
        for loss_of in (ours, theirs):
            sgd.zero_grad(set_to_none=True)
            loss = loss_of(rivals.project(z[step], head, views), step)
            loss.backward()
            gradients.append([loss.detach()] + [p.grad.clone() for p in head.values()])
        largest = max(g.norm() for g in gradients[0][1:])
        for a, b in zip(*gradients):
            worst = max(worst, ((a - b).norm() / max(a.norm(), 1e-6 * largest)).item())
        sgd.step()
    print(f'{name}: off by {worst:.1e} at most')
    assert worst < 1e-6, name


def directions(step, count=40):
    return torch.tensor(rivals.slices(F, count, step, step))


class Fixed:
    """torch.randn for as long as it lasts gives these directions, for packages that draw their own."""

    def __init__(self, values):
        self.values = values

    def __enter__(self):
        self.original = torch.randn
        torch.randn = lambda *shape, **keys: self.values.clone()

    def __exit__(self, *_):
        torch.randn = self.original


def lejepa():
    from lightly.loss import LeJEPALoss
    from stable_pretraining.methods.lejepa import LeJEPA, SlicedEppsPulley
    for count in (2, 4):
        theirs = LeJEPALoss(lambda_param=0.05, sigreg_num_vectors=40).double()

        def lightly(views, step):
            with Fixed(directions(step)):
                return theirs(global_proj=torch.stack(views[:2]), local_proj=torch.stack(views[2:]))

        def lightly_of_two(views, step):  # it wants a local view: the mean of two statistics by itself
            with Fixed(directions(step)):
                all_views = torch.stack(views)
                near = ((all_views.mean(0) - all_views) ** 2).mean()
                return 0.05 * theirs.sigreg(all_views) + 0.95 * near

        compare(f'LeJEPA, {count} views, lightly', lambda v, s: rivals.lejepa_loss(v, 2, directions(s)),
                lightly if count > 2 else lightly_of_two, views=count)
        sigreg = SlicedEppsPulley(num_slices=40).double()

        def stable(views, step):
            with Fixed(directions(step)):
                return LeJEPA._compute_loss(torch.stack(views), 2, sigreg, 0.02)[0]

        compare(f'LeJEPA, {count} views, stable-pretraining',
                lambda v, s: rivals.lejepa_loss(v, 2, directions(s), lam=0.02, pooled=True, additive=True), stable,
                views=count)


def unit(views):
    return [torch.nn.functional.normalize(v) for v in views]


def tico():
    from lightly.loss import TiCoLoss
    from stable_pretraining.methods.tico import TiCO
    state = {}

    def ours(**options):
        rho = options.pop('rho', 8)

        def loss(views, step):
            z = unit(views)
            state['C'] = rivals.tico_covariance(torch.zeros(F, F) if step == 0 else state['C'], *z, **options)
            return rivals.tico_loss(*z, state['C'], rho)

        return loss

    lightly = TiCoLoss()
    compare('TiCo, lightly', ours(), lambda v, s: lightly(*v))

    model = TiCO.__new__(TiCO)  # its forward pass, given projections in place of images
    torch.nn.Module.__init__(model)
    model.backbone = model.projector = torch.nn.Identity()
    model.beta, model.rho = 0.9, 20.0
    model.register_buffer('C', torch.zeros(F, F))
    single = torch.Tensor.float
    torch.Tensor.float = lambda self: self  # it makes the covariance in single precision
    compare('TiCo, stable-pretraining', lambda v, s: 2 * ours(rho=10, both=True)(v, s), lambda v, s: model(*v).loss)
    torch.Tensor.float = single


def visreg():
    from lightly.loss import VISRegLoss
    theirs = VISRegLoss(num_slices=40)

    def lightly(views, step):
        with Fixed(directions(step)):
            return theirs(global_proj=torch.stack(views[:2]), local_proj=torch.stack(views[2:]))

    compare('VISReg, 4 views, lightly', lambda v, s: rivals.visreg_loss(v, 2, directions(s)), lightly, views=4)


def mmcr():
    from lightly.loss import MMCRLoss
    theirs = MMCRLoss(lmda=0.3)  # online and momentum views are one set of views to it; it does not normalise

    def lightly(views, step):
        z = unit(views)
        return theirs(torch.stack(z[:2], 1), torch.stack(z[2:], 1))

    compare('MMCR, 4 views, lightly', lambda v, s: rivals.mmcr_loss(unit(v), lam=0.3), lightly, views=4)


def frossl():
    from lightly.loss import FroSSLLoss
    theirs = FroSSLLoss(invariance_weight=0.7)
    compare('FroSSL, lightly', lambda v, s: rivals.frossl_loss(v, invariance=0.7, center=False),
            lambda v, s: theirs(v))


def main():
    for check in (lejepa, tico, visreg, mmcr, frossl):
        check()


if __name__ == '__main__':
    main()
