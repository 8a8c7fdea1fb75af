"""Golden values of the optimisers from PyTorch in double precision: python3 tests/golden/make_optimizers.py

Three parameters (a matrix, a convolution's weight, a bias) take 20 steps on given gradients, with the learning rate of
the schedule below. LARS is written out from its formula. `clip` is torch.nn.utils.clip_grad_norm_.
"""
import math

import numpy as np
import torch

from golden import save

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
out = {}
STEPS, SHAPES = 20, {'matrix': (5, 7), 'weight': (4, 3, 3, 3), 'bias': (1, 7)}


def single(t):
    return t.float().double()


start = {k: single(torch.randn(s)) for k, s in SHAPES.items()}
grads = {k: single(torch.randn((STEPS,) + s) * 0.3) for k, s in SHAPES.items()}
for k in SHAPES:
    out[f'start.{k}'] = start[k].numpy().astype(np.float32)
    out[f'grads.{k}'] = grads[k].reshape(STEPS, -1).numpy().astype(np.float32)


class Lars(torch.optim.Optimizer):
    """d = (g + λw)·min(η‖w‖/(‖g‖ + λ‖w‖ + 1e-8)/lr, 1); v ← μv + d; w ← w − lr·v; `plain` tensors: momentum alone."""
    def __init__(self, params, lr, momentum, decay, trust, plain, clip):
        super().__init__(params, dict(lr=lr))
        self.momentum, self.decay, self.trust, self.plain, self.clip = momentum, decay, trust, plain, clip

    @torch.no_grad()
    def step(self):
        group = self.param_groups[0]
        for p in group['params']:
            d = p.grad.clone()
            if not any(p is q for q in self.plain):
                w, g = p.norm(), p.grad.norm()
                rate = self.trust * w / (g + self.decay * w + 1e-8)
                rate = torch.clamp(rate / group['lr'], max=1) if self.clip else rate
                d = (d + self.decay * p) * rate
            state = self.state[p]
            state['v'] = self.momentum * state.get('v', torch.zeros_like(p)) + d
            p.sub_(group['lr'] * state['v'])


def rate(step, lr=1e-2, start=3e-5, end=1e-4, warm=4):
    if step < warm:
        return start + (lr - start) * step / warm
    return end + (lr - end) * 0.5 * (1 + math.cos(math.pi * (step - warm) / (STEPS - warm)))


def run(name, make, clip=0, scale=1.0, clip_each=0, held=0, final_decay=None):
    params = {k: v.clone().requires_grad_(True) for k, v in start.items()}
    optimizer, norms = make(params), []
    for step in range(STEPS):
        for k, p in params.items():
            p.grad = grads[k][step].clone() * scale
        if clip:
            norms.append(torch.nn.utils.clip_grad_norm_(params.values(), clip))
        for p in params.values():
            if clip_each:  # DINO's clip_gradients
                factor = clip_each / (p.grad.norm() + 1e-6)
                p.grad.mul_(min(factor, 1))
        if step < held:
            params['matrix'].grad = None
        for group in optimizer.param_groups:
            group['lr'] = rate(step) if group['lr'] else 0
            if final_decay:
                group['weight_decay'] = final_decay + 0.5 * (0.04 - final_decay) * (1 + math.cos(math.pi * step / STEPS))
        optimizer.step()
    for k, p in params.items():
        out[f'{name}.{k}'] = p.detach().numpy().astype(np.float32)
    if clip:
        out[f'{name}.norms'] = torch.stack(norms).numpy().astype(np.float32)


def split(params, decay):
    return [dict(params=[params['matrix'], params['weight']], weight_decay=decay),
            dict(params=[params['bias']], weight_decay=0)]


sgd = lambda p: torch.optim.SGD(p.values(), lr=1, momentum=0.9, weight_decay=1e-2)
adam = lambda p: torch.optim.Adam(p.values(), lr=1, weight_decay=1e-2)
run('sgd', sgd)
run('sgd_excluded', lambda p: torch.optim.SGD(split(p, 1e-2), lr=1, momentum=0.9))
run('adam', adam)
run('adam_excluded', lambda p: torch.optim.Adam(split(p, 1e-2), lr=1))
run('adam_betas', lambda p: torch.optim.Adam(p.values(), lr=1, betas=(0.8, 0.95), eps=1e-3))
run('adamw', lambda p: torch.optim.AdamW(p.values(), lr=1, weight_decay=0.1))
# A trust coefficient that lets the clipping hold during warm-up and not afterwards.
run('lars', lambda p: Lars(p.values(), 1, 0.9, 1e-2, 1e-3, [p['bias']], True))
run('lars_unclipped', lambda p: Lars(p.values(), 1, 0.9, 1e-2, 0.02, [], False))
run('clip', adam, clip=2.0)
run('clip_sgd', sgd, clip=2.0)
run('accumulated', sgd, scale=0.25)
run('accumulated_clip', sgd, scale=0.25, clip=0.5)
run('accumulated_below_clip', sgd, scale=0.25, clip=2.0)
run('accumulated_lars', lambda p: Lars(p.values(), 1, 0.9, 1e-2, 1e-3, [p['bias']], True), scale=0.25)
run('clip_each', adam, clip_each=1.0)
run('held', adam, held=5)
run('held_sgd', sgd, held=5)
run('decay_schedule', lambda p: torch.optim.AdamW(p.values(), lr=1, weight_decay=0.04), final_decay=0.4)
out['schedule.rates'] = np.array([rate(step) for step in range(STEPS)])
save('optimizers', out)
