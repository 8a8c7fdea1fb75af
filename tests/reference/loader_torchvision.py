#!/usr/bin/python3
"""What `mews bench loader` does, by Pillow and torchvision: views of photographs a second, on one core.

  loader_torchvision.py ARCHIVE [SIZE [VIEWS]]     ARCHIVE: a tar of JPEGs; 224 pixels and 2 views unless said

Each image is decoded from memory once; each of its views is a random resized crop, flip, jitter, greyscale, solarise
(the second one) and normalisation, as `augment: asymmetric` has them. Counted in processor time, after a pass to warm
up. Needs python3-torchvision.
"""
import io, sys, tarfile, time
import torch
from PIL import Image
from torchvision import transforms as T

from common import MEAN, STD

path, size, views = sys.argv[1], *map(int, (sys.argv[2:] + ['224', '2'][len(sys.argv) - 2:])[:2])
torch.set_num_threads(1)


def pipe(solarize):
    return T.Compose([T.RandomResizedCrop(size, (0.08, 1.0), interpolation=T.InterpolationMode.BICUBIC),
                      T.RandomApply([T.ColorJitter(0.4, 0.4, 0.2, 0.1)], 0.8), T.RandomGrayscale(0.2),
                      T.RandomSolarize(128, solarize), T.RandomHorizontalFlip(), T.ToTensor(), T.Normalize(MEAN, STD)])


pipes = [pipe(0.0), pipe(0.2)][:views]
with tarfile.open(path) as t:
    files = [t.extractfile(m).read() for m in t if m.isfile()]


def run(some):
    for data in some:
        image = Image.open(io.BytesIO(data)).convert('RGB')
        for p in pipes:
            p(image)


run(files[:20])
start = time.process_time()
run(files)
print(f'{len(files) / (time.process_time() - start):.1f} images a second, {views} views of {size} pixels each')
