"""Golden values of whole training steps, from pixels to the next weights: python3 tests/golden/make_models.py

A small ResNet and a method's head in PyTorch, in double precision: three steps of SGD with momentum, each view through
the network by itself, the teacher a copy of the modules whose parameters follow and whose BatchNorm is left in training
mode. Of each step the loss and every gradient; at the end the running statistics, the teacher's too.
"""
import copy
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from golden import save
from make_backbones import ResNet

torch.manual_seed(9)  # no ReLU's input is nearer to zero than single precision can tell
torch.set_default_dtype(torch.float64)
STEPS, N, SIDE, LOCAL, LOCALS, WIDTH = 3, 12, 8, 6, 2, 3
D = 4 * WIDTH
out = {}


def single(t):
    return t.float().double()


def images(name, views, side):
    steps = []
    for step in range(STEPS):
        x = single(torch.randn(views * N, 3, side, side))
        out[f'images.{name}.{step}'] = x.permute(0, 2, 3, 1).numpy().astype(np.float32)
        steps.append(x.chunk(views))
    return steps


pixels, local_pixels = images('global', 2, SIDE), images('local', LOCALS, LOCAL)


def perceptron(widths, act, batchnorm=True):
    layers = []
    for i in range(len(widths) - 1):
        layers.append(nn.Linear(widths[i], widths[i + 1]))
        if i < len(widths) - 2:
            layers += ([nn.BatchNorm1d(widths[i + 1])] if batchnorm else []) + [act()]
    return nn.Sequential(*layers)


class Model(nn.Module):
    def __init__(self, head):
        super().__init__()
        self.backbone, self.head = ResNet(WIDTH, 3, 1, 1), head
        with torch.no_grad():
            for p in self.parameters():
                p.copy_(single(p + 0.2 * torch.randn_like(p) if p.dim() == 1 else p))


def running(prefix, net):
    for name, t in net.named_buffers():
        if not name.endswith('num_batches_tracked') and 'predictor' not in name:
            out[f'{prefix}{name}'] = t.numpy().astype(np.float32)


def run(name, head, loss_of, base=None):
    student = Model(head)
    for key, p in student.named_parameters():
        out[f'{name}.init.{key}'] = p.detach().numpy().astype(np.float32)
    teacher = copy.deepcopy(student)  # as it stands; in training mode throughout
    sgd = torch.optim.SGD(student.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4)
    losses = []
    for step in range(STEPS):
        sgd.zero_grad(set_to_none=True)
        loss = loss_of(student, teacher, step)
        loss.backward()
        losses.append(loss.item())
        for key, p in student.named_parameters():
            if p.grad is not None:
                out[f'{name}.grad.{step}.{key}'] = p.grad.numpy().astype(np.float32)
        sgd.step()
        if base is not None:
            tau = 1 - (1 - base) * (math.cos(math.pi * step / STEPS) + 1) / 2
            with torch.no_grad():
                for t, s in zip(teacher.parameters(), student.parameters()):
                    t.mul_(tau).add_((1 - tau) * s)
    out[f'{name}.losses'] = np.array(losses, np.float32)
    running(f'{name}.end.', student)
    if base is not None:
        running(f'{name}.end.teacher.', teacher)


# DINO: multi-crop, BatchNorm in the head ----------------------------------------------------------------------------

class DinoHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.mlp = perceptron((D, 10, 10, 6), nn.GELU)
        self.last_layer = nn.Linear(6, 12, bias=False)

    def forward(self, x):
        w = self.last_layer.weight
        return F.normalize(self.mlp(x)) @ (w / w.norm(dim=1, keepdim=True)).T


center = torch.zeros(1, 12)


def dino(student, teacher, step):
    views = [student.backbone(v) for v in pixels[step]]
    outputs = [student.head(v) for v in views]
    outputs += [student.head(v) for v in [student.backbone(x) for x in local_pixels[step]]]
    with torch.no_grad():
        g = [teacher.head(teacher.backbone(v)) for v in pixels[step]]
        targets = [((v - center) / 0.07).softmax(1) for v in g]
        center.mul_(0.9).add_(0.1 * torch.cat(g).mean(0, keepdim=True))
    terms = [-(q * (outputs[v] / 0.1).log_softmax(1)).sum(1).mean()
             for i, q in enumerate(targets) for v in range(len(outputs)) if v != i]
    return sum(terms) / len(terms)


run('dino', DinoHead(), dino, 0.8)
out['dino.end.head.center'] = center.numpy().astype(np.float32)


# BYOL ---------------------------------------------------------------------------------------------------------------

class ByolHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.projector = perceptron((D, 10, 6), nn.ReLU)
        self.predictor = perceptron((6, 8, 6), nn.ReLU)


def byol(student, teacher, step):
    views = [student.backbone(v) for v in pixels[step]]
    q = [student.head.predictor(z) for z in [student.head.projector(v) for v in views]]
    with torch.no_grad():
        targets = [teacher.head.projector(teacher.backbone(v)) for v in pixels[step]]
    return sum((2 - 2 * F.cosine_similarity(a, b)).mean() for a, b in zip(q, targets[::-1]))


run('byol', ByolHead(), byol, 0.9)


# SwAV: multi-crop ---------------------------------------------------------------------------------------------------

class SwavHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.projector = perceptron((D, 10, 6), nn.ReLU)
        self.prototypes = nn.Linear(6, 9, bias=False)


def swav(student, _, step):
    with torch.no_grad():
        student.head.prototypes.weight.copy_(F.normalize(student.head.prototypes.weight))
    views = list(pixels[step]) + list(local_pixels[step])
    scores = [student.head.prototypes(F.normalize(student.head.projector(student.backbone(v)))) for v in views]
    total = 0
    for i in range(2):
        with torch.no_grad():
            q = torch.exp(scores[i] / 0.05)
            for _ in range(3):
                q = q / q.sum(0, keepdim=True)
                q = q / q.sum(1, keepdim=True)
        others = [-(q * (scores[v] / 0.1).log_softmax(1)).sum(1).mean() for v in range(len(views)) if v != i]
        total = total + sum(others) / len(others)
    return total / 2


run('swav', SwavHead(), swav)
save('models', out)
