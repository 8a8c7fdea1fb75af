"""Golden values of the methods that remember something from step to step: python3 tests/golden/make_methods_stateful.py

Teachers, queues, centres, frozen layers, prototypes that are normalised; also local views and labels. Each step is an
epoch of its own, so that three steps pass every warm-up. Written from the papers and the authors' published loops.
"""
import math

import torch
import torch.nn.functional as F

from method_cases import STEPS, Golden, linear, norm, representations, single

torch.manual_seed(1)
golden = Golden()
n, d, width = 6, 5, 7


def mlp(x, p, name, layers, views, batchnorm=True, act=F.relu, joint=False):
    """Linear(-BatchNorm)-act, …, Linear on each view by itself, or on all together, as the authors' forward passes do."""
    out = []
    for v in [x] if joint else x.chunk(views):
        for i in range(layers):
            at = i * (3 if batchnorm else 2)
            v = F.linear(v, p[f'{name}.{at}.weight'], p[f'{name}.{at}.bias'])
            if i < layers - 1:
                if batchnorm:
                    v = F.batch_norm(v, None, None, p[f'{name}.{at + 1}.weight'], p[f'{name}.{at + 1}.bias'], True)
                v = act(v)
        out.append(v)
    return list(out[0].chunk(views)) if joint else out


def mlp_parameters(name, widths, batchnorm=True):
    layers = len(widths) - 1
    out = {}
    for i in range(layers):
        at = i * (3 if batchnorm else 2)
        out.update(linear(f'{name}.{at}', widths[i + 1], widths[i]))
        if batchnorm and i < layers - 1:
            out.update(norm(f'{name}.{at + 1}', widths[i + 1]))
    return out


class Teacher:
    """θt ← λθt + (1−λ)θs with λ on a cosine from `base` to 1; starts as a copy."""

    def __init__(self, names, base):
        self.names, self.base, self.values = names, base, None

    def start(self, head):
        self.values = {k: head[k].detach().clone() for k in head if k.startswith(self.names)}

    def update(self, head, step):
        tau = 1 - (1 - self.base) * (math.cos(math.pi * step / STEPS) + 1) / 2
        with torch.no_grad():
            for k, v in self.values.items():
                v.mul_(tau).add_((1 - tau) * head[k])


# BYOL ---------------------------------------------------------------------------------------------------------------

features = 6
head = {**mlp_parameters('projector', (d, width, features)), **mlp_parameters('predictor', (features, 8, features))}
teacher_z = representations(n, d)
golden.group('byol', representations(n, d), head, teacher=teacher_z)


def byol(predictor=True, stop_gradient=True, base=0.9):
    teacher = Teacher('projector', base)

    def loss(z, p, step):
        if step == 0:
            teacher.start(p)
        online = mlp(z, p, 'projector', 2, 2)
        q = [mlp(v, p, 'predictor', 2, 1)[0] for v in online] if predictor else online
        with torch.no_grad():
            target = mlp(teacher_z[step], teacher.values, 'projector', 2, 2)
        target = target if stop_gradient else online

        def regression(x, y):  # ‖x̄ − ȳ‖², mean over the batch
            return (F.normalize(x) - F.normalize(y)).pow(2).sum(1).mean()

        return regression(q[0], target[1]) + regression(q[1], target[0])

    return loss, teacher.update


settings = f'byol hidden {width} features {features} predictor_hidden 8 momentum 0.9'
golden.case('byol.default', settings, *byol())
golden.case('byol.bare', settings + ' predictor false', *byol(predictor=False),
            leave_out=[k for k in head if k.startswith('predictor')])
golden.case('byol.flowing', settings + ' stop_gradient false', *byol(stop_gradient=False))

# SwAV ---------------------------------------------------------------------------------------------------------------

prototypes, features = 9, 6
head = {**mlp_parameters('projector', (d, width, features)), 'prototypes.weight': single(torch.randn(prototypes, features))}
swav_z, local_z = representations(n, d), representations(n, d, views=3)
golden.group('swav', swav_z, head)
golden.group('swavlocal', swav_z, head, local=local_z)


@torch.no_grad()
def sinkhorn(scores, epsilon, iterations):
    """The authors' distributed_sinkhorn on one process."""
    q = torch.exp(scores / epsilon).T
    k, b = q.shape
    q /= q.sum()
    for _ in range(iterations):
        q /= q.sum(1, keepdim=True)
        q /= k
        q /= q.sum(0, keepdim=True)
        q /= b
    return (q * b).T


def swav(locals_=0, weight_norm=False, balanced=True, queue_size=0, queue_start=0, frozen=0, iterations=3,
         temperature=0.1, epsilon=0.05, zeros=False, over='view'):
    queue = torch.zeros(2, queue_size, features)

    def loss(z, p, step, local=None):
        if not weight_norm:  # "normalize the prototypes", before the forward pass
            with torch.no_grad():
                p['prototypes.weight'].copy_(F.normalize(p['prototypes.weight'], dim=1))
        w = p['prototypes.weight']
        w = w / w.norm(dim=1, keepdim=True) if weight_norm else w
        if over == 'all':
            embedding = mlp(torch.cat((z, local)), p, 'projector', 2, 2 + locals_, joint=True)
        else:
            embedding = mlp(z, p, 'projector', 2, 2, joint=over == 'joint')
            embedding += mlp(local, p, 'projector', 2, locals_, joint=over == 'joint') if locals_ else []
        embedding = [F.normalize(v) for v in embedding]
        output = [v @ w.T for v in embedding]
        total = 0
        for i in range(2):
            with torch.no_grad():
                out = output[i].detach()
                if queue_size and step >= queue_start and (zeros or step * n >= queue_size):
                    out = torch.cat((out, queue[i] @ w.T))
                q = sinkhorn(out, epsilon, iterations)[:n] if balanced else (out / epsilon).softmax(1)[:n]
                if queue_size:
                    queue[i, n:] = queue[i, :-n].clone()
                    queue[i, :n] = embedding[i]
            others = [v for v in range(len(output)) if v != i]
            sub = sum(-(q * F.log_softmax(output[v] / temperature, 1)).sum(1).mean() for v in others)
            total = total + sub / len(others)
        return total / 2

    def freeze(p, step):
        if step < frozen:
            p['prototypes.weight'].grad = None

    return dict(loss_of=loss, after_backward=freeze)


settings = f'swav hidden {width} features {features} prototypes {prototypes}'
golden.case('swav.default', settings + ' frozen_epochs 0', **swav())
golden.case('swav.frozen', settings + ' frozen_epochs 2', **swav(frozen=2))
golden.case('swav.weight', settings + ' frozen_epochs 1 normalize weight', **swav(weight_norm=True, frozen=1))
golden.case('swav.unbalanced', settings + ' frozen_epochs 0 sinkhorn false', **swav(balanced=False))
golden.case('swav.queue', settings + f' frozen_epochs 0 queue {n} queue_start 2', **swav(queue_size=n, queue_start=2))
golden.case('swav.longqueue', settings + f' frozen_epochs 0 queue {2 * n} queue_start 0 iterations 5 epsilon 0.1 '
            'temperature 0.2', **swav(queue_size=2 * n, iterations=5, epsilon=0.1, temperature=0.2))
golden.case('swav.zeros', settings + f' frozen_epochs 0 queue {2 * n} queue_start 1 queue_zeros true',
            **swav(queue_size=2 * n, queue_start=1, zeros=True))
golden.case('swavlocal.default', settings + f' frozen_epochs 0 queue {n} queue_start 0',
            **swav(locals_=3, queue_size=n))

for over in ('joint', 'all'):
    golden.case(f'swavlocal.{over}', settings + f' frozen_epochs 0 train.batchnorm {over}', **swav(locals_=3, over=over))

# DINO ---------------------------------------------------------------------------------------------------------------

prototypes, features = 8, 4
dino_z, teacher_z, local_z = representations(n, d), representations(n, d), representations(n, d, views=2)
last = {'last_layer.weight': single(torch.randn(prototypes, features))}
plain = {**mlp_parameters('mlp', (d, width, width, features), False), **last}
normed = {**mlp_parameters('mlp', (d, width, width, features)), **last}
golden.group('dino', dino_z, plain, teacher=teacher_z)
golden.group('dinolocal', dino_z, plain, teacher=teacher_z, local=local_z)
golden.group('dinonorm', dino_z, normed, teacher=teacher_z, local=local_z)


def dino(locals_=0, batchnorm=False, centering=True, sharpening=True, frozen=0, warmup=0, base=0.9):
    teacher, center = Teacher('', base), torch.zeros(1, prototypes)

    def forward(x, p, views):
        w = p['last_layer.weight']
        w = w / w.norm(dim=1, keepdim=True)  # weight normalisation with g = 1
        z = mlp(x, p, 'mlp', 3, views, batchnorm, F.gelu)
        return [F.normalize(v) @ w.T for v in z]

    def loss(z, p, step, local=None):
        if step == 0:
            teacher.start(p)
        student = [v / 0.1 for v in forward(z, p, 2) + (forward(local, p, locals_) if locals_ else [])]
        temperature = 0.07
        if step < warmup:
            temperature = 0.04 + (0.07 - 0.04) * step / (warmup - 1)
        if not sharpening:
            temperature = 0.1
        with torch.no_grad():
            output = forward(teacher_z[step], teacher.values, 2)
            targets = [F.softmax((v - (center if centering else 0)) / temperature, dim=-1) for v in output]
            center.mul_(0.9).add_(0.1 * torch.cat(output).mean(0, keepdim=True))
        total, terms = 0, 0
        for iq, q in enumerate(targets):
            for v in range(len(student)):
                if v == iq:
                    continue
                total = total + torch.sum(-q * F.log_softmax(student[v], dim=-1), dim=-1).mean()
                terms += 1
        return total / terms

    def freeze(p, step):
        if step < frozen:
            p['last_layer.weight'].grad = None

    return dict(loss_of=loss, after_backward=freeze, after_step=teacher.update)


settings = f'dino hidden {width} features {features} prototypes {prototypes} momentum 0.9'
golden.case('dino.default', settings + ' frozen_epochs 1', **dino(frozen=1))
golden.case('dino.uncentred', settings + ' frozen_epochs 0 centering false', **dino(centering=False))
golden.case('dino.dull', settings + ' frozen_epochs 0 sharpening false', **dino(sharpening=False))
golden.case('dino.warm', settings + ' frozen_epochs 0 teacher_warmup 3', **dino(warmup=3))
golden.case('dinolocal.default', settings + ' frozen_epochs 2', **dino(locals_=2, frozen=2))
golden.case('dinonorm.default', settings + ' frozen_epochs 1 batchnorm true', **dino(locals_=2, batchnorm=True, frozen=1))

# Supervised ---------------------------------------------------------------------------------------------------------

classes = 4
labels = F.one_hot(torch.tensor([0, 3, 1, 1, 2, 0]), classes).double()
golden.group('supervised', representations(n, d), linear('classifier', classes, d), labels=[labels] * STEPS)


def supervised(smoothing):
    def loss(z, p, step):
        logits = F.linear(z, p['classifier.weight'], p['classifier.bias'])
        return F.cross_entropy(logits, labels.argmax(1).repeat(2), label_smoothing=smoothing)

    return loss


golden.case('supervised.default', 'supervised', supervised(0))
golden.case('supervised.smooth', 'supervised smoothing 0.2', supervised(0.2))
# FALCON with local views --------------------------------------------------------------------------------------------

codes, f = 10, 8
dictionary = torch.empty(f, codes).bernoulli_().mul_(2).sub_(1)
golden.group('falconlocal', representations(n, d), {**linear('projector.0', f, d), **norm('projector.1', f)},
             {'dictionary': dictionary}, local=representations(n, d, views=3))


def falcon(symmetric, prior, beta=0.7, eps=1e-3):
    tau = f / (math.sqrt(n) * math.log((1 - eps * (codes - 1)) / eps))

    def loss(z, p, step, local):
        logits = []
        for v in list(z.chunk(2)) + list(local.chunk(3)):
            h = F.linear(v, p['projector.0.weight'], p['projector.0.bias'])
            h = F.batch_norm(h, None, None, p['projector.1.weight'], p['projector.1.bias'], True)
            logits.append(math.sqrt(f / n) * F.normalize(h) @ dictionary / tau)
        sources = (0, 1) if symmetric else (0,)
        pairs = [(a, b) for a in sources for b in range(len(logits)) if a != b]
        invariance = sum(-(logits[a].softmax(1) * logits[b].log_softmax(1)).sum(1).mean() for a, b in pairs)
        means = [logits[a].softmax(1).mean(0) for a in sources]
        match = [-q.log().mean() if prior == 'forward' else (q * (codes * q).log()).sum() for q in means]
        return beta * invariance / len(pairs) + sum(match) / len(match)

    return loss


for symmetric in (True, False):
    for prior in ('forward', 'reverse'):
        golden.case(f'falconlocal.{prior}.{symmetric}', f'falcon features {f} codes {codes} beta 0.7 epsilon 1e-3 '
                    f'prior {prior} symmetric {str(symmetric).lower()}', falcon(symmetric, prior))

# MSN ----------------------------------------------------------------------------------------------------------------

prototypes, features = 9, 6
normed = {**mlp_parameters('mlp', (d, width, width, features)), 'prototypes': single(torch.randn(prototypes, features))}
plain = {**mlp_parameters('mlp', (d, width, width, features), False), 'prototypes': normed['prototypes']}
msn_z, teacher_z, local_z = representations(n, d), representations(n, d), representations(n, d, views=2)
golden.group('msn', msn_z, normed, teacher=teacher_z)
golden.group('msnplain', msn_z, plain, teacher=teacher_z)
golden.group('msnlocal', msn_z, normed, teacher=teacher_z, local=local_z)


def msn(locals_=0, batchnorm=True, sharpening=0.25, weight=1, balanced=True, iterations=3, temperature=0.1, base=0.9):
    teacher = Teacher('mlp', base)

    def found(v, p, by):
        return (F.normalize(v) @ F.normalize(p['prototypes']).T / by).softmax(1)

    def loss(z, p, step, local=None):
        if step == 0:
            teacher.start(p)
        views = mlp(z, p, 'mlp', 3, 2, batchnorm, F.gelu)
        views += mlp(local, p, 'mlp', 3, locals_, batchnorm, F.gelu) if locals_ else []
        anchors = [found(v, p, temperature) for v in views]
        with torch.no_grad():
            targets = []
            for v in mlp(teacher_z[step], teacher.values, 'mlp', 3, 2, batchnorm, F.gelu):
                sharp = found(v, p, temperature) ** (1 / sharpening)
                sharp = sharp / sharp.sum(1, keepdim=True)
                targets.append(sinkhorn(sharp.log(), 1, iterations) if balanced else sharp)
        pairs = [(i, v) for i in range(2) for v in range(len(anchors)) if v != i]
        match = sum(-(targets[i] * anchors[v].log()).sum(1).mean() for i, v in pairs) / len(pairs)
        mean = torch.cat(anchors).mean(0)
        return match + weight * ((mean * mean.log()).sum() + math.log(prototypes))

    return dict(loss_of=loss, after_step=teacher.update)


settings = f'msn hidden {width} features {features} prototypes {prototypes} momentum 0.9'
golden.case('msn.default', settings, **msn())
golden.case('msn.free', settings + ' lambda 0 sinkhorn false', **msn(weight=0, balanced=False))
golden.case('msn.dull', settings + ' sharpening 1 lambda 2.5 temperature 0.2 iterations 5',
            **msn(sharpening=1, weight=2.5, temperature=0.2, iterations=5))
golden.case('msnplain.default', settings + ' batchnorm false', **msn(batchnorm=False))
golden.case('msnlocal.default', settings, **msn(locals_=2))
golden.save('methods_stateful')
