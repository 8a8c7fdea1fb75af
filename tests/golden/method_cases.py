"""Golden values of a method from PyTorch in double precision: how a make_methods*.py records a case.

A group is what cases share: representations z for each of three steps, and the head's parameters before the first. A
case is a method, its settings and a loss written from the paper's formulas, not from the C code. For each of three
consecutive steps of SGD with momentum on the head it records the loss, its gradient with respect to z and to every
parameter. tests/methods/test_methods_golden.c replays the cases of every tests/golden/methods*.safetensors.

    golden = Golden()
    golden.group('vicreg', z, head)                    # z: three of (views·n, d); head: {name: tensor}
    golden.case('vicreg.default', 'vicreg hidden 10 features 14', loss)      # loss(z, head) or loss(z, head, step)
    golden.save('methods')
"""
import numpy as np
import torch

from golden import save

torch.set_default_dtype(torch.float64)
STEPS, RATE, MOMENTUM, DECAY = 3, 0.05, 0.9, 1e-4  # as in test_methods_golden.c
BASE_RATE = 0.1  # optimizer.lr, which RATE is what a schedule made of; parameters of a constant rate keep it


def single(t):
    """Values that a float32 file holds exactly, so that both sides start from the same numbers."""
    return t.float().double()


def representations(n, d, views=2, noise=0.5):
    """Views of n samples, one below the other, for each step."""
    steps = []
    for _ in range(STEPS):
        base = torch.randn(n, d)
        steps.append(single(torch.cat([base + noise * torch.randn(n, d) for _ in range(views)])))
    return steps


def linear(name, to, fro, bias=True, scale=0.4):
    layer = {f'{name}.weight': single(scale * torch.randn(to, fro))}
    return {**layer, f'{name}.bias': single(scale * torch.randn(to))} if bias else layer


def norm(name, width):
    return {f'{name}.weight': single(1 + 0.3 * torch.randn(width)), f'{name}.bias': single(0.3 * torch.randn(width))}


class Golden:
    def __init__(self):
        self.arrays, self.groups, self.lines = {}, {}, []

    def write(self, name, t):
        t = t.detach()
        self.arrays[name] = (t.reshape(1, -1) if t.dim() < 2 else t).numpy().astype(np.float32)

    def group(self, name, z, head, frozen={}, **beside):
        """`frozen`: tensors that are loaded by their names but not trained (a dictionary).
        `beside`: what else the loss sees at each step: local=, teacher= (representations), labels= (one-hot)."""
        self.groups[name] = (z, head, beside.get('local'))
        for key, steps in {'z': z, **beside}.items():
            for step, values in enumerate(steps):
                self.write(f'{name}.{key}.{step}', values)
        for key, values in {**head, **frozen}.items():
            self.write(f'{name}.init.{key}', values)

    def case(self, name, settings, loss_of, after_step=lambda head, step: None, leave_out=(),
             after_backward=lambda head, step: None, constant=None):
        """loss_of(z, head), loss_of(z, head, step) or, in a group with local views, loss_of(z, head, step, local).
        `leave_out`: parameters of the group that this case does not have. `constant`: those whose names begin so keep
        the learning rate."""
        group = name.split('.')[0]
        z, head, local = self.groups[group]
        head = {k: v.clone().requires_grad_(True) for k, v in head.items() if k not in leave_out}
        kept = [v for k, v in head.items() if constant and k.startswith(constant)]
        others = [v for k, v in head.items() if not (constant and k.startswith(constant))]
        groups = [{'params': others}] + ([{'params': kept, 'lr': BASE_RATE}] if kept else [])
        sgd = torch.optim.SGD(groups, lr=RATE, momentum=MOMENTUM, weight_decay=DECAY)
        losses = []
        for step in range(STEPS):
            here = z[step].clone().requires_grad_(True)
            sgd.zero_grad(set_to_none=True)
            arguments = [here, head, step][:min(loss_of.__code__.co_argcount, 3)]
            if local:
                arguments.append(local[step].clone().requires_grad_(True))
            loss = loss_of(*arguments)
            loss.backward()
            losses.append(loss.detach())
            self.write(f'{name}.grad.{step}.z', here.grad)
            if local:
                self.write(f'{name}.grad.{step}.local', arguments[3].grad)
            after_backward(head, step)  # may hold parameters back: their gradient is None, and recorded as 0
            for k, v in head.items():
                self.write(f'{name}.grad.{step}.{k}', torch.zeros_like(v) if v.grad is None else v.grad)
            sgd.step()
            after_step(head, step)
        self.write(f'{name}.losses', torch.stack(losses))
        self.lines.append(f'{name} {settings}')

    def save(self, subject):
        save(subject, self.arrays, {'cases': '\n'.join(self.lines)})
