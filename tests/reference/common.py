"""What the PyTorch references share: resnet8, FALCON's loss, CIFAR-10 from an archive of JPEGs, the views.

Needs python3-torch and python3-torchvision.
"""
import io, math, tarfile
import torch, torch.nn as nn, torch.nn.functional as F
from PIL import Image
from torchvision import transforms as T

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.247, 0.243, 0.261)


class Basic(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(i, o, 3, stride, 1, bias=False); self.bn1 = nn.BatchNorm2d(o)
        self.conv2 = nn.Conv2d(o, o, 3, 1, 1, bias=False); self.bn2 = nn.BatchNorm2d(o)
        self.shortcut = nn.Sequential()
        if stride != 1 or i != o:
            self.shortcut = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

    def forward(self, x):
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + self.shortcut(x))


class ResNet8(nn.Module):
    def __init__(self, w):
        super().__init__()
        self.conv1 = nn.Conv2d(3, w, 3, 1, 1, bias=False); self.bn1 = nn.BatchNorm2d(w)
        self.layers = nn.Sequential(Basic(w, w, 1), Basic(w, 2 * w, 2), Basic(2 * w, 4 * w, 2))
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode='fan_out', nonlinearity='relu')

    def forward(self, x):
        return self.layers(F.relu(self.bn1(self.conv1(x)))).mean((2, 3))


def log_prior(z):
    return torch.logsumexp(z.log_softmax(1), 0) - math.log(len(z))


def falcon_loss(z1, z2):
    c, total = z1.shape[1], 0
    for a, b in ((z1, z2), (z2, z1)):
        m = log_prior(a)
        total = total + 0.5 * ((m.exp() * (math.log(c) + m)).sum() - (a.softmax(1) * b.log_softmax(1)).sum(1).mean())
    return total


def load(path):
    classes, data = {}, {'train': ([], []), 'test': ([], [])}
    members = []
    with tarfile.open(path) as t:
        for m in t:
            if m.isfile():
                members.append((m.name, Image.open(io.BytesIO(t.extractfile(m).read())).convert('RGB').copy()))
    for name in sorted({m[0].split('/')[-2] for m in members}):
        classes[name] = len(classes)
    for name, image in members:
        split, cls = name.split('/')[-3:-1]
        data[split][0].append(image); data[split][1].append(classes[cls])
    return data


class Pairs(torch.utils.data.Dataset):
    def __init__(self, images):
        self.images = images
        def pipe(solarize):
            return T.Compose([T.RandomResizedCrop(32, (0.08, 1.0), interpolation=T.InterpolationMode.BICUBIC),
                              T.RandomApply([T.ColorJitter(0.4, 0.4, 0.2, 0.1)], 0.8), T.RandomGrayscale(0.2),
                              T.RandomSolarize(128, solarize), T.RandomHorizontalFlip(), T.ToTensor(), T.Normalize(MEAN, STD)])
        self.a, self.b = pipe(0.0), pipe(0.2)

    def __len__(self): return len(self.images)
    def __getitem__(self, i): return self.a(self.images[i]), self.b(self.images[i])


class Model:
    """resnet8 of width w, FALCON's projector (L2), frozen dictionary and temperature for n pairs in a batch."""
    def __init__(self, w, f, c, n, eps=1e-8):
        self.net, self.head = ResNet8(w), nn.Sequential(nn.Linear(4 * w, f), nn.BatchNorm1d(f))
        self.dictionary = torch.empty(f, c).bernoulli_().mul_(2).sub_(1)
        self.tau, self.radius = f / (math.sqrt(n) * math.log((1 - eps * (c - 1)) / eps)), math.sqrt(f / n)

    def parameters(self): return [*self.net.parameters(), *self.head.parameters()]
    def embed(self, features): return self.radius * F.normalize(self.head(features))
    def loss(self, x1, x2):
        return falcon_loss(*(self.embed(self.net(x)) @ self.dictionary / self.tau for x in (x1, x2)))
