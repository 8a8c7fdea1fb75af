#!/usr/bin/env python3
"""Verdicts on features of real networks on real images; nothing here is drawn.

    pip install torch torchvision numpy pillow
    python tests/verdicts/real.py IMAGES.tar[.xz] [MEWS]

IMAGES is an archive of JPEG or PNG files; the first 2,000 in the order of their names' hash are taken. A table of what
`mews diagnose` says of their pixels, of those pixels' principal components, and of untrained networks (seed 0).
"""
import hashlib, io, json, os, subprocess, sys, tarfile, tempfile

import numpy as np
import torch
import torchvision
from PIL import Image

N, MEWS = 2000, sys.argv[2] if len(sys.argv) > 2 else './mews'


def images(path):
    with tarfile.open(path) as tar:
        found = {}
        for member in tar:
            if not member.name.lower().endswith(('.jpg', '.jpeg', '.png')):
                continue
            key = hashlib.sha256(member.name.encode()).hexdigest()
            found[key] = tar.extractfile(member).read()
            if len(found) >= 12 * N:
                break
    chosen = [found[k] for k in sorted(found)[:N]]
    return np.stack([np.asarray(Image.open(io.BytesIO(x)).convert('RGB').resize((32, 32))) for x in chosen])


def features(net, x):
    net.eval()
    with torch.no_grad():
        return torch.cat([net(b) for b in x.split(100)]).flatten(1).numpy()


def untrained(name, x):
    torch.manual_seed(0)
    net = getattr(torchvision.models, name)(weights=None)
    if hasattr(net, 'fc'):
        net.fc = torch.nn.Identity()
    else:
        net.classifier = torch.nn.Identity()
    return features(net, x)


def say(name, x):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'x.npy')
        np.save(path, x.astype(np.float32))
        got = json.loads(subprocess.run([MEWS, 'diagnose', path, '--json', '--fast'], capture_output=True,
                                        check=True).stdout)
    e, v = got['evidence'], got['verdicts']
    print(f"| {name} | {x.shape[1]} | {e['effective_rank']:.1f} | {e['effective_rank_share']:.3f} | {e['k99']:.0f} | "
          f"{e['contrast']:.3g} | " + ' | '.join(v[m]['verdict'] for m in
                                                  ('representation', 'dimensional', 'intracluster')) + ' |', flush=True)


def main():
    pixels = images(sys.argv[1])
    x = torch.tensor(pixels).permute(0, 3, 1, 2).float() / 255
    flat = x.flatten(1).numpy()
    print('| features | columns | effective rank | share | k99 | contrast | representation | dimensional | intracluster |')
    print('|---|---:|---:|---:|---:|---:|---|---|---|')
    say('raw pixels', flat)
    _, _, v = np.linalg.svd(flat - flat.mean(0), full_matrices=False)
    say('64 principal components', (flat - flat.mean(0)) @ v[:64].T)
    for name in ('resnet18', 'mobilenet_v3_small', 'shufflenet_v2_x0_5'):
        say(f'{name}, untrained', untrained(name, x - 0.5))


main()
