#!/usr/bin/python3
"""FALCON on CIFAR-10 as a PyTorch user would write it: the yardstick for `make check-reference`.

  falcon_cifar.py ARCHIVE SEED [EPOCHS [IMAGES]]     ARCHIVE: train/<class>/*.jpg and test/<class>/*.jpg

resnet8 of width 32, batch 256, Adam 1e-3 with weight decay 1e-4 and cosine decay to 0 per step, f 512, c 2048,
beta 1, L2 projector, reverse prior, both orders of the views; torchvision's augmentations on Pillow images.
Prints one JSON object: linear probe, kNN, AMI of the prototypes, RankMe of embeddings and of features, on the
whole test set. Needs python3-torch, python3-torchvision and python3-sklearn.
"""
import io, json, math, sys, tarfile, time
import numpy as np
import torch, torch.nn as nn, torch.nn.functional as F
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_mutual_info_score, normalized_mutual_info_score
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


def rankme(x):
    s = torch.linalg.svdvals(x.double()); p = s / s.sum() + 1e-7
    return float(torch.exp(-(p * p.log()).sum()))


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


def main():
    path, seed = sys.argv[1], int(sys.argv[2])
    epochs = int(sys.argv[3]) if len(sys.argv) > 3 else 4
    count = int(sys.argv[4]) if len(sys.argv) > 4 else 20480
    torch.manual_seed(seed); torch.set_num_threads(2)
    data = load(path); w, f, c, n = 32, 512, 2048, 256
    subset = np.random.RandomState(seed).permutation(len(data['train'][0]))[:count]
    train = [data['train'][0][i] for i in subset]; labels = [data['train'][1][i] for i in subset]
    loader = torch.utils.data.DataLoader(Pairs(train), n, shuffle=True, drop_last=True, num_workers=2)
    net, head = ResNet8(w), nn.Sequential(nn.Linear(4 * w, f), nn.BatchNorm1d(f))
    dictionary = torch.empty(f, c).bernoulli_().mul_(2).sub_(1); eps = 1e-8
    tau = f / (math.sqrt(n) * math.log((1 - eps * (c - 1)) / eps))
    opt = torch.optim.Adam([*net.parameters(), *head.parameters()], lr=1e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs * len(loader))
    embed = lambda x: math.sqrt(f / n) * F.normalize(head(net(x)))
    start = time.time(); losses = []
    for _ in range(epochs):
        for x1, x2 in loader:
            loss = falcon_loss(embed(x1) @ dictionary / tau, embed(x2) @ dictionary / tau)
            opt.zero_grad(set_to_none=True); loss.backward(); opt.step(); schedule.step(); losses.append(loss.item())
    seconds = time.time() - start
    net.eval(); head.eval(); norm = T.Compose([T.ToTensor(), T.Normalize(MEAN, STD)])
    @torch.no_grad()
    def features(images):
        return torch.cat([net(torch.stack([norm(i) for i in images[k:k + 500]])) for k in range(0, len(images), 500)])
    a, b = features(train), features(data['test'][0]); ya, yb = np.array(labels), np.array(data['test'][1])
    with torch.no_grad():
        e = math.sqrt(f / n) * F.normalize(head(b)); codes = (e @ dictionary).argmax(1).numpy()
    mean, std = a.mean(0), a.std(0) + 1e-8; sa, sb = ((a - mean) / std).numpy(), ((b - mean) / std).numpy()
    probe = LogisticRegression(C=1 / (1e-4 * len(ya)), max_iter=2000, tol=1e-5).fit(sa, ya)
    sims = F.normalize(b) @ F.normalize(a).T; top, idx = sims.topk(20); votes = torch.zeros(len(yb), 10)
    votes.scatter_add_(1, torch.tensor(ya)[idx], (top / 0.07).exp())
    print(json.dumps({'seed': seed, 'epochs': epochs, 'images': count, 'seconds': round(seconds, 1),
                      'loss_first': losses[0], 'loss_last10': float(np.mean(losses[-10:])),
                      'linear': float(probe.score(sb, yb)), 'knn': float((votes.argmax(1).numpy() == yb).mean()),
                      'prototype_ami': adjusted_mutual_info_score(yb, codes),
                      'prototype_nmi': normalized_mutual_info_score(yb, codes),
                      'codes_used': int(len(np.unique(codes))), 'rankme': rankme(e), 'rankme_backbone': rankme(b)}), flush=True)


main()
