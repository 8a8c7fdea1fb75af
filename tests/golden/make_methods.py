"""Golden values of the methods that need neither a teacher nor a queue: python3 tests/golden/make_methods.py"""
import math

import torch
import torch.nn.functional as F

from method_cases import Golden, linear, norm, representations, single

torch.manual_seed(0)
golden = Golden()
N, D = 12, 6


def dense(x, head, key):
    return F.linear(x, head[f'{key}.weight'], head.get(f'{key}.bias'))


def batchnorm(x, head=None, key=None):
    return F.batch_norm(x, None, None, *((head[f'{key}.weight'], head[f'{key}.bias']) if head else (None, None)), True)


def two(z, function):
    """The head on each view by itself: BatchNorm's statistics are per view."""
    return [function(v) for v in z.chunk(2)]


# FALCON ---------------------------------------------------------------------------------------------------------------

F_ = 12
dictionaries = {c: torch.empty(F_, c).bernoulli_().mul_(2).sub_(1) for c in (8, 40)}
for c, dictionary in dictionaries.items():
    golden.group(f'falcon{c}', representations(N, D), {**linear('projector.0', F_, D), **norm('projector.1', F_)},
                 {'dictionary': dictionary})


def falcon(c, projector, prior, symmetric, beta, eps):
    tau = F_ / (math.sqrt(N) * math.log((1 - eps * (c - 1)) / eps))

    def match(p):
        mean = p.mean(0)
        return -mean.log().mean() if prior == 'forward' else (mean * (c * mean).log()).sum()

    def project(v, head):
        h = batchnorm(dense(v, head, 'projector.0'), head, 'projector.1')
        return math.sqrt(F_ / N) * F.normalize(h) if projector == 'l2' else h.tanh()

    def loss(z, head):
        logits = two(z, lambda v: project(v, head) @ dictionaries[c] / tau)

        def one(a, b):
            return beta * -(a.softmax(1) * b.log_softmax(1)).sum(1).mean() + match(a.softmax(1))

        return 0.5 * (one(*logits) + one(*logits[::-1])) if symmetric else one(*logits)

    return loss


for c in (8, 40):
    for projector in ('l2', 'tanh'):
        for prior in ('forward', 'reverse'):
            for symmetric in (True, False):
                word, eps = str(symmetric).lower(), 1e-3 if c == 8 else 1e-8
                golden.case(f'falcon{c}.{projector}.{prior}.{word}',
                            f'falcon projector {projector} prior {prior} symmetric {word} features {F_} codes {c} '
                            f'beta 0.7 epsilon {eps}', falcon(c, projector, prior, symmetric, 0.7, eps))

# Barlow Twins ---------------------------------------------------------------------------------------------------------

HIDDEN, FEATURES = 7, 9


def mlp(v, head):
    """Linear, BatchNorm, ReLU, twice; then Linear."""
    for a, b in ((0, 1), (3, 4)):
        v = batchnorm(dense(v, head, f'projector.{a}'), head, f'projector.{b}').relu()
    return dense(v, head, 'projector.6')


three_layers = {**linear('projector.0', HIDDEN, D), **norm('projector.1', HIDDEN),
                **linear('projector.3', HIDDEN, HIDDEN), **norm('projector.4', HIDDEN),
                **linear('projector.6', FEATURES, HIDDEN, bias=False)}
golden.group('barlow', representations(N, D), three_layers)


def off_diagonal_squares(c):
    return c.pow(2).sum() - c.diagonal().pow(2).sum()


def barlow(lam, scale):
    def loss(z, head):
        a, b = two(z, lambda v: batchnorm(mlp(v, head)))
        c = a.T @ b / N
        return scale * ((c.diagonal() - 1).pow(2).sum() + lam * off_diagonal_squares(c))

    return loss


barlow_settings = f'barlow_twins hidden {HIDDEN} features {FEATURES}'
golden.case('barlow.default', barlow_settings, barlow(5.1e-3, 0.1))
golden.case('barlow.heavy', f'{barlow_settings} lambda 0.5 scale 1', barlow(0.5, 1.0))
golden.case('barlow.invariance', f'{barlow_settings} lambda 0', barlow(0, 0.1))

# VICReg ---------------------------------------------------------------------------------------------------------------

golden.group('vicreg', representations(N, D), three_layers)


def vicreg(lam, mu, nu, halve=False):
    def loss(z, head):
        a, b = two(z, lambda v: mlp(v, head))
        spread = sum((1 - (v.var(0) + 1e-4).sqrt()).relu().mean() for v in (a, b))
        covariance = sum(off_diagonal_squares(torch.cov(v.T)) / FEATURES for v in (a, b))
        return lam * F.mse_loss(a, b) + mu * spread * (0.5 if halve else 1) + nu * covariance

    return loss


vicreg_settings = f'vicreg hidden {HIDDEN} features {FEATURES}'
golden.case('vicreg.default', vicreg_settings, vicreg(25, 25, 1))
golden.case('vicreg.halved', f'{vicreg_settings} halve_variance true', vicreg(25, 25, 1, True))
golden.case('vicreg.no_variance', f'{vicreg_settings} mu 0', vicreg(25, 0, 1))
golden.case('vicreg.no_covariance', f'{vicreg_settings} nu 0', vicreg(25, 25, 0))
golden.case('vicreg.no_invariance', f'{vicreg_settings} lambda 0', vicreg(0, 25, 1))

# SimSiam --------------------------------------------------------------------------------------------------------------

SMALL = 5
predictor = {**linear('predictor.0', SMALL, FEATURES, bias=False), **norm('predictor.1', SMALL),
             **linear('predictor.3', FEATURES, SMALL)}
golden.group('simsiam', representations(N, D),
             {**linear('projector.0', HIDDEN, D, bias=False), **norm('projector.1', HIDDEN),
              **linear('projector.3', HIDDEN, HIDDEN, bias=False), **norm('projector.4', HIDDEN),
              **linear('projector.6', FEATURES, HIDDEN, bias=False), **predictor})
golden.group('simsiam2', representations(N, D),
             {**linear('projector.0', HIDDEN, D, bias=False), **norm('projector.1', HIDDEN),
              **linear('projector.3', FEATURES, HIDDEN, bias=False), **predictor})


def simsiam(layers=3, predictor=True, stop_gradient=True):
    def project(v, head):
        for i in range(layers - 1):
            v = batchnorm(dense(v, head, f'projector.{3 * i}'), head, f'projector.{3 * i + 1}').relu()
        return batchnorm(dense(v, head, f'projector.{3 * layers - 3}'))

    def predict(v, head):
        v = batchnorm(dense(v, head, 'predictor.0'), head, 'predictor.1').relu()
        return dense(v, head, 'predictor.3')

    def loss(z, head):
        z = two(z, lambda v: project(v, head))
        p = [predict(v, head) for v in z] if predictor else z
        z = [v.detach() for v in z] if stop_gradient else z
        return -0.5 * (F.cosine_similarity(p[0], z[1]).mean() + F.cosine_similarity(p[1], z[0]).mean())

    return loss


simsiam_settings = f'simsiam hidden {HIDDEN} features {FEATURES} predictor_hidden {SMALL}'
golden.case('simsiam.default', simsiam_settings, simsiam(), constant='predictor')
golden.case('simsiam.scheduled', f'{simsiam_settings} constant_predictor_lr false', simsiam())
golden.case('simsiam.gradient', f'{simsiam_settings} stop_gradient false', simsiam(stop_gradient=False),
            constant='predictor')
golden.case('simsiam.direct', f'{simsiam_settings} predictor false', simsiam(predictor=False), leave_out=predictor)
golden.case('simsiam.neither', f'{simsiam_settings} predictor false stop_gradient false',
            simsiam(predictor=False, stop_gradient=False), leave_out=predictor)
golden.case('simsiam2.two_layers', f'{simsiam_settings} layers 2', simsiam(layers=2), constant='predictor')

# SimCLR ---------------------------------------------------------------------------------------------------------------

golden.group('simclr', representations(N, D), {**linear('projector.0', HIDDEN, D), **linear('projector.2', 8, HIDDEN)})


def simclr(temperature):
    def loss(z, head):
        v = F.normalize(dense(dense(z, head, 'projector.0').relu(), head, 'projector.2'))
        s = (v @ v.T / temperature).masked_fill(torch.eye(2 * N, dtype=torch.bool), -math.inf)
        return F.cross_entropy(s, (torch.arange(2 * N) + N) % (2 * N))

    return loss


golden.case('simclr.default', f'simclr hidden {HIDDEN} features 8', simclr(0.2))
golden.case('simclr.sharp', f'simclr hidden {HIDDEN} features 8 temperature 0.05', simclr(0.05))

# GEDI -----------------------------------------------------------------------------------------------------------------

golden.group('gedi', representations(N, D), {**linear('projector.0', HIDDEN, D), **norm('projector.1', HIDDEN),
                                             **linear('projector.3', 9, HIDDEN, scale=0.1)})


def gedi(temperature, beta):
    def loss(z, head):
        z1, z2 = two(z, lambda v: dense(batchnorm(dense(v, head, 'projector.0'), head, 'projector.1').relu(), head,
                                        'projector.3') / temperature)
        prior = -z1.softmax(1).mean(0).log().sum()
        invariance = -(z2.softmax(1) * z1.log_softmax(1)).sum(1).mean()
        return 0.5 * prior + 0.5 * beta * invariance

    return loss


golden.case('gedi.default', f'gedi hidden {HIDDEN} clusters 9', gedi(0.1, 0.1))
golden.case('gedi.warm', f'gedi hidden {HIDDEN} clusters 9 temperature 0.5 beta 2', gedi(0.5, 2))
golden.case('gedi.prior', f'gedi hidden {HIDDEN} clusters 9 beta 0', gedi(0.1, 0))

# Self-Classifier ------------------------------------------------------------------------------------------------------

CLASSES = 7
classifiers = {c: {'classifier.weight': single(torch.randn(c, 8)), 'classifier.gain': single(1 + 0.2 * torch.randn(c))}
               for c in (CLASSES, 20)}  # fewer classes than samples, and more
for group, c in (('selfclassifier', CLASSES), ('manyclasses', 20)):
    golden.group(group, representations(N, D), {**linear('mlp.0', HIDDEN, D), **linear('mlp.2', 8, HIDDEN),
                                                **classifiers[c]})
golden.group('normclassifier', representations(N, D), {**linear('mlp.0', HIDDEN, D), **norm('mlp.1', HIDDEN),
                                                       **linear('mlp.3', 8, HIDDEN), **classifiers[CLASSES]})


def self_classifier(row, column, with_norm=False, gain=True):
    def scores(v, head):
        v = dense(v, head, 'mlp.0')
        v = F.leaky_relu(batchnorm(v, head, 'mlp.1') if with_norm else v, 0.01)
        s = F.normalize(dense(v, head, 'mlp.3' if with_norm else 'mlp.2')) @ F.normalize(head['classifier.weight']).T
        return s * head['classifier.gain'] if gain else s

    def one(s1, s2):
        n, c = s1.shape
        target = F.normalize((s2 / column).softmax(0), p=1, dim=1)
        prediction = n / c * F.normalize((s1 / row).softmax(1), p=1, dim=0)
        return -(target * prediction.log()).sum(1).mean()

    def loss(z, head):
        s1, s2 = two(z, lambda v: scores(v, head))
        return 0.5 * (one(s1, s2) + one(s2, s1))

    return loss


settings = f'self_classifier hidden {HIDDEN} features 8 classes'
golden.case('selfclassifier.default', f'{settings} {CLASSES}', self_classifier(0.1, 0.05))
golden.case('normclassifier.batchnorm', f'{settings} {CLASSES} batchnorm true', self_classifier(0.1, 0.05, True))
golden.case('selfclassifier.cosine', f'{settings} {CLASSES} gain false row_temperature 0.2 column_temperature 0.1',
            self_classifier(0.2, 0.1, gain=False), leave_out=['classifier.gain'])
golden.case('manyclasses.default', f'{settings} 20', self_classifier(0.1, 0.05))

# W-MSE ----------------------------------------------------------------------------------------------------------------

golden.group('wmse', representations(2 * N, D), {**linear('projector.0', HIDDEN, D), **norm('projector.1', HIDDEN),
                                             **linear('projector.3', 3, HIDDEN)})


def wmse(size, distance, eps, detach=False):
    def whiten(v):
        v = v - v.mean(0)
        sigma = (1 - eps) * v.T @ v / (size - 1) + eps * torch.eye(v.shape[1])
        return (torch.linalg.inv(torch.linalg.cholesky(sigma)) @ v.T).T

    def loss(z, head):
        z = two(z, lambda v: dense(batchnorm(dense(v, head, 'projector.0'), head, 'projector.1').relu(), head,
                                   'projector.3'))
        a, b = [torch.cat([whiten(part) for part in v.split(size)]) for v in z]
        b = b.detach() if detach else b
        return 2 - 2 * F.cosine_similarity(a, b).mean() if distance == 'cosine' else F.mse_loss(a, b)

    return loss


wmse_settings = f'wmse hidden {HIDDEN} features 3'
golden.case('wmse.default', f'{wmse_settings} whitening_size 12', wmse(12, 'cosine', 0))
golden.case('wmse.whole', f'{wmse_settings} whitening_size 24', wmse(24, 'cosine', 0))
golden.case('wmse.euclidean', f'{wmse_settings} whitening_size 12 distance euclidean', wmse(12, 'euclidean', 0))
golden.case('wmse.detached', f'{wmse_settings} whitening_size 12 detach true', wmse(12, 'cosine', 0, True))
golden.case('wmse.shrunk', f'{wmse_settings} whitening_size 3 epsilon 0.2', wmse(3, 'cosine', 0.2))

golden.save('methods')
