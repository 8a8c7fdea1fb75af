#!/usr/bin/python3
"""FALCON on CIFAR-10 as a PyTorch user would write it: what falcon_cifar.yaml is compared with.

  falcon_cifar.py ARCHIVE SEED [EPOCHS [IMAGES]]     ARCHIVE: train/<class>/*.jpg and test/<class>/*.jpg

resnet8 of width 32, batch 256, Adam 1e-3 with weight decay 1e-4 and cosine decay to 0 per step, f 512, c 2048,
beta 1, L2 projector, reverse prior, both orders of the views; torchvision's augmentations on Pillow images.
Prints one JSON object: linear probe, kNN, AMI of the prototypes, RankMe of embeddings and of features, on the
whole test set. Needs python3-torch, python3-torchvision and python3-sklearn.
"""
import json, sys, time
import numpy as np
import torch, torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_mutual_info_score, normalized_mutual_info_score
from torchvision import transforms as T

from common import MEAN, STD, Model, Pairs, load


def rankme(x):
    s = torch.linalg.svdvals(x.double()); p = s / s.sum() + 1e-7
    return float(torch.exp(-(p * p.log()).sum()))


def main():
    path, seed = sys.argv[1], int(sys.argv[2])
    epochs = int(sys.argv[3]) if len(sys.argv) > 3 else 4
    count = int(sys.argv[4]) if len(sys.argv) > 4 else 20480
    torch.manual_seed(seed); torch.set_num_threads(2)
    data = load(path); w, f, c, n = 32, 512, 2048, 256
    subset = np.random.RandomState(seed).permutation(len(data['train'][0]))[:count]
    train = [data['train'][0][i] for i in subset]; labels = [data['train'][1][i] for i in subset]
    loader = torch.utils.data.DataLoader(Pairs(train), n, shuffle=True, drop_last=True, num_workers=2)
    model = Model(w, f, c, n); net, head = model.net, model.head
    opt = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs * len(loader))
    start = time.time(); losses = []
    for _ in range(epochs):
        for x1, x2 in loader:
            loss = model.loss(x1, x2)
            opt.zero_grad(set_to_none=True); loss.backward(); opt.step(); schedule.step(); losses.append(loss.item())
    seconds = time.time() - start
    net.eval(); head.eval(); norm = T.Compose([T.ToTensor(), T.Normalize(MEAN, STD)])
    @torch.no_grad()
    def features(images):
        return torch.cat([net(torch.stack([norm(i) for i in images[k:k + 500]])) for k in range(0, len(images), 500)])
    a, b = features(train), features(data['test'][0]); ya, yb = np.array(labels), np.array(data['test'][1])
    with torch.no_grad():
        e = model.embed(b); codes = (e @ model.dictionary).argmax(1).numpy()
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
