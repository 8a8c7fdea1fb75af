#!/usr/bin/python3
"""Views of a photograph at 224 and 96 pixels by torchvision and Pillow: golden values for engine/data/views/views.h.

Needs python3-pil, python3-numpy and python3-torchvision. `file` is a JPEG of 396×301 pixels (4:2:0). Views are far too
large to keep, so each has a checksum, Σ (place + 1)·byte over its pixels modulo 2^64, and every 16th pixel each way, to
see how far off a view is that fails. `cases`: target, top, left, height, width, flip, jitter, greyscale, blur, solarise,
the order of the four jitters, brightness, contrast, saturation, hue, sigma. The first are DINO's and SwAV's own
pipelines at their own strengths; `boxes` are what torchvision's RandomResizedCrop draws on this photograph.
"""
import io

import numpy as np
import torch
import torchvision.transforms.functional as F
from PIL import Image, ImageFilter, ImageOps
from torchvision import transforms as T

from golden import save

torch.manual_seed(0)
random = np.random.RandomState(0)
WIDTH, HEIGHT, CROPS = 396, 301, 100000
BICUBIC = T.InterpolationMode.BICUBIC

y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
scene = np.stack([120 + 70 * np.sin(x / 31 + c) + 40 * np.cos((y - c * x) / 17) for c in range(3)], 2)
scene += 25 * np.sin(x * y / 400)[:, :, None]
for _ in range(6):
    cx, cy, r = random.randint(WIDTH), random.randint(HEIGHT), random.randint(10, 70)
    scene[(x - cx) ** 2 + (y - cy) ** 2 < r * r] = random.uniform(0, 255, 3)
buffer = io.BytesIO()
Image.fromarray(scene.clip(0, 255).astype(np.uint8)).save(buffer, 'JPEG', quality=60)
photo = Image.open(buffer).convert('RGB')


def view(target, top, left, height, width, flip, jitter, grey, blur, solarize, *rest):
    order, (brightness, contrast, saturation, hue, sigma) = rest[:4], rest[4:]
    image = F.resized_crop(photo, top, left, height, width, [target, target], BICUBIC)
    steps = [lambda i: F.adjust_brightness(i, brightness), lambda i: F.adjust_contrast(i, contrast),
             lambda i: F.adjust_saturation(i, saturation), lambda i: F.adjust_hue(i, hue)]
    for step in order if jitter else []:
        image = steps[step](image)
    if grey:
        image = F.to_grayscale(image, 3)
    if blur:
        image = image.filter(ImageFilter.GaussianBlur(radius=sigma))
    if solarize:
        image = ImageOps.solarize(image)
    return np.asarray(F.hflip(image) if flip else image)


def checksum(pixels):
    return (np.arange(1, pixels.size + 1, dtype=np.uint64) * pixels.ravel().astype(np.uint64)).sum()


# Name: target, area of the crop, jitter, probabilities of blur and of solarise.
dino, swav = T.ColorJitter(0.4, 0.4, 0.2, 0.1), T.ColorJitter(0.8, 0.8, 0.8, 0.2)
pipelines = [(224, (0.4, 1), dino, 1, 0), (224, (0.4, 1), dino, 0.1, 0.2), (96, (0.05, 0.4), dino, 0.5, 0),
             (224, (0.14, 1), swav, 0.5, 0), (96, (0.05, 0.14), swav, 0.5, 0), (224, (0.08, 1), dino, 0, 0.5)]
cases = []
for target, area, jitter, blur, solarize in pipelines:
    for _ in range(10):
        box = T.RandomResizedCrop.get_params(photo, area, (3 / 4, 4 / 3))
        order, *factors = jitter.get_params(jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue)
        on = random.uniform(size=5) < (0.5, 0.8, 0.2, blur, solarize)
        cases.append([target, *box, *map(int, on), *order.tolist(), *factors, random.uniform(0.1, 2)])
views = [view(*c) for c in cases]
plain = [np.asarray(T.CenterCrop(s)(T.Resize(round(s * 8 / 7), BICUBIC)(photo))) for s in (224, 96, 32)]
boxes = np.array([T.RandomResizedCrop.get_params(photo, (0.08, 1), (3 / 4, 4 / 3)) for _ in range(CROPS)], float)
save('photos', {
    'file': np.frombuffer(buffer.getvalue(), np.uint8),
    'cases': np.array(cases, np.float64),
    'checksums': np.array([checksum(v) for v in views], np.uint64),
    'samples': np.concatenate([v[::16, ::16].ravel() for v in views]),
    'plain.sizes': np.array([len(p) for p in plain], np.int32),
    'plain.checksums': np.array([checksum(p) for p in plain], np.uint64),
    'plain.small': plain[2],
    'boxes.means': boxes.mean(0),
    'boxes.deviations': boxes.std(0),
})
