#!/usr/bin/python3
"""What `mews bench loader` does, by what is used for it today: views of photographs a second, on one core.

  loader_peers.py ARCHIVE [SIZE [VIEWS]]     ARCHIVE: a tar of JPEGs; 224 pixels and 2 views unless said

Each image is decoded from memory once; each of its views is a random resized crop, flip, jitter, greyscale, solarise
(the second one) and normalisation, as `augment: asymmetric` has them. Counted in processor time, after a pass to warm
up, three passes each, the ways taking turns. Needs torch, torchvision, albumentations and OpenCV (written for torch 2.15
and albumentations 2); `loader_torchvision.py` is the same by Pillow and torchvision's first transforms.
"""
import io
import sys
import tarfile
import time

import albumentations as A
import cv2
import numpy as np
import torch
import torchvision
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms import v2

from common import MEAN, STD

path, size, views = sys.argv[1], *map(int, (sys.argv[2:] + ['224', '2'][len(sys.argv) - 2:])[:2])
torch.set_num_threads(1)
cv2.setNumThreads(0)


def by_v2(solarize):
    return v2.Compose([v2.RandomResizedCrop(size, (0.08, 1.0), interpolation=v2.InterpolationMode.BICUBIC, antialias=True),
                       v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.2, 0.1)], 0.8), v2.RandomGrayscale(0.2),
                       v2.RandomSolarize(128, solarize), v2.RandomHorizontalFlip(), v2.ToDtype(torch.float32, scale=True),
                       v2.Normalize(MEAN, STD)])


def by_albumentations(solarize):
    return A.Compose([A.RandomResizedCrop((size, size), scale=(0.08, 1.0), interpolation=cv2.INTER_CUBIC),
                      A.ColorJitter(brightness=(0.6, 1.4), contrast=(0.6, 1.4), saturation=(0.8, 1.2), hue=(-0.1, 0.1),
                                    p=0.8),
                      A.ToGray(p=0.2), A.Solarize(threshold_range=(0.5, 0.5), p=solarize), A.HorizontalFlip(p=0.5),
                      A.Normalize(MEAN, STD)])


def decode_torch(data):
    return decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), ImageReadMode.RGB)


def decode_cv2(data):
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


ways = {
    'decode_jpeg + v2': (decode_torch, [by_v2(s) for s in (0.0, 0.2)[:views]], lambda p, image: p(image)),
    'OpenCV + albumentations': (decode_cv2, [by_albumentations(s) for s in (0.0, 0.2)[:views]],
                                lambda p, image: p(image=image)['image']),
}
with tarfile.open(path) as t:
    files = [t.extractfile(m).read() for m in t if m.isfile()]


def run(way, some):
    decode, pipes, apply = ways[way]
    for data in some:
        image = decode(data)
        for p in pipes:
            apply(p, image)


speeds = {way: [] for way in ways}
for way in ways:
    run(way, files[:20])
for _ in range(3):
    for way in ways:
        start = time.process_time()
        run(way, files)
        speeds[way].append(len(files) / (time.process_time() - start))
print(f'torch {torch.__version__}, torchvision {torchvision.__version__}, albumentations {A.__version__}, '
      f'OpenCV {cv2.__version__}: images a second of one core, {views} views of {size} pixels, median of 3')
for way, got in speeds.items():
    print(f'  {way}: {sorted(got)[1]:.1f} ({min(got):.1f}-{max(got):.1f})')
