"""Golden views from torchvision and Pillow: python3 tests/golden/make_augment.py

`cases` has one row a view: image, top, left, height, width, flip, jitter, greyscale, blur, solarize, the order of the
four jitters, brightness, contrast, saturation, hue, sigma. `views` are the bytes that come out. The first rows take one
step each; the others draw everything as torchvision does. `every_colour` has checksums over all 2^24 colours. Factors
and sigmas with few digits are chosen so that a product fused with a sum, rounded once for twice, shows in the bytes.
"""
import numpy as np
import torch
import torchvision.transforms.functional as F
from PIL import Image, ImageFilter
from torchvision import transforms as T

from golden import save

torch.manual_seed(0)
random = np.random.RandomState(0)
SIZE, SOURCES, CROPS = 32, 4, 200000


def picture(size):
    """Smooth ground, a texture, two discs with sharp rims, a little noise: the frequencies of a photograph."""
    y, x = np.mgrid[0:size, 0:size] / size
    image = np.zeros((size, size, 3))
    for c in range(3):
        a, b, d, e = random.uniform(-1, 1, 4)
        image[..., c] = 128 + 90 * (a * x + b * y) + 30 * np.sin(9 * (d * x + e * y)) + 15 * np.sin(40 * (e * x - d * y))
    for _ in range(2):
        cx, cy, r = random.uniform(0.2, 0.8, 2).tolist() + [random.uniform(0.1, 0.3)]
        image[(x - cx) ** 2 + (y - cy) ** 2 < r * r] = random.uniform(0, 255, 3)
    return np.clip(image + random.normal(0, 6, image.shape), 0, 255).astype(np.uint8)


def view(source, case):
    _, top, left, height, width, flip, jitter, grey, blur, solarize, *rest = case
    order, (brightness, contrast, saturation, hue, sigma) = rest[:4], rest[4:]
    image = F.resized_crop(Image.fromarray(source), int(top), int(left), int(height), int(width), [SIZE, SIZE],
                           T.InterpolationMode.BICUBIC)
    steps = [lambda i: F.adjust_brightness(i, brightness), lambda i: F.adjust_contrast(i, contrast),
             lambda i: F.adjust_saturation(i, saturation), lambda i: F.adjust_hue(i, hue)]
    for step in order if jitter else []:
        image = steps[int(step)](image)
    if grey:
        image = F.to_grayscale(image, 3)
    if blur:
        image = image.filter(ImageFilter.GaussianBlur(radius=sigma))
    if solarize:
        image = F.solarize(image, 128)
    return np.asarray(F.hflip(image) if flip else image)


def row(**changes):
    base = dict(image=0, top=0, left=0, height=SIZE, width=SIZE, flip=0, jitter=0, grey=0, blur=0, solarize=0, o0=0, o1=1,
                o2=2, o3=3, brightness=1.0, contrast=1.0, saturation=1.0, hue=1e-9, sigma=1.0)
    assert changes.keys() <= base.keys()
    return list({**base, **changes}.values())


sources = np.stack([picture(SIZE) for _ in range(SOURCES)])
cases = [row(), row(flip=1), row(grey=1), row(image=1, solarize=1)]
cases += [row(image=i, top=t, left=l, height=h, width=w) for i, t, l, h, w in
          [(0, 3, 5, 20, 24), (1, 0, 0, 9, 9), (2, 10, 2, 22, 30), (3, 31, 31, 1, 1), (1, 0, 4, 32, 25), (2, 7, 0, 8, 32)]]
for name, factors in dict(brightness=(0, 0.6, 1.3, 1.8), contrast=(0, 0.63, 1.37, 1.8), saturation=(0, 0.81, 1.19, 1.8),
                          hue=(-0.5, -0.1, 0.07, 0.2), sigma=(1.7917, 0.1, 1.9518, 0.7)).items():
    cases += [row(image=i, **{name: f, 'blur' if name == 'sigma' else 'jitter': 1}) for i, f in enumerate(factors)]
settings = dict(asymmetric=(T.ColorJitter(0.4, 0.4, 0.2, 0.1), 0, 0.2), symmetric=(T.ColorJitter(0.8, 0.8, 0.8, 0.2), 0.5, 0),
                symmetric_weak=(T.ColorJitter(0.4, 0.4, 0.4, 0.1), 0.5, 0))
for jitter, blur, solarize in settings.values():
    for _ in range(15):
        image = random.randint(SOURCES)
        top, left, height, width = T.RandomResizedCrop.get_params(Image.fromarray(sources[image]), (0.08, 1), (3 / 4, 4 / 3))
        order, *factors = jitter.get_params(jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue)
        on = random.uniform(size=5) < (0.5, 0.8, 0.2, blur, solarize)
        cases.append([image, top, left, height, width, *on, *order.tolist(), *factors, random.uniform(0.1, 2)])

# All colours, a block of 65,536 for each red; a block's checksum is Σ (place + 1)·byte over its planes, modulo 2^64.
block = np.zeros((65536, 3), np.uint8)
block[:, 1], block[:, 2] = np.arange(65536) >> 8, np.arange(65536) & 255
places = np.arange(1, 3 * 65536 + 1, dtype=np.uint64)


def every_colour(step):
    sums = []
    for red in range(256):
        block[:, 0] = red
        planes = np.asarray(step(Image.fromarray(block.reshape(256, 256, 3)))).reshape(-1, 3).T
        sums.append((places * planes.ravel().astype(np.uint64)).sum())
    return np.array(sums, np.uint64)


crops = np.array([T.RandomResizedCrop.get_params(Image.fromarray(sources[0]), (0.08, 1), (3 / 4, 4 / 3))
                  for _ in range(CROPS)], float)
top, left, height, width = crops.T
whole = (height == SIZE) & (width == SIZE)
save('augment', {
    'sources': sources,
    'cases': np.array(cases, np.float64),
    'views': np.stack([view(sources[int(c[0])], c) for c in cases]),
    'every_colour.hue': every_colour(lambda i: F.adjust_hue(i, 0.137)),
    'every_colour.saturation': every_colour(lambda i: F.adjust_saturation(i, 1.2)),
    'every_colour.contrast': every_colour(lambda i: F.adjust_contrast(i, 0.6)),
    # Means over torchvision's own draws, and their standard deviations.
    'crop.means': np.array([f.mean() for f in (top, left, height, width, height * width, whole)]),
    'crop.deviations': np.array([f.std() for f in (top, left, height, width, height * width, whole)]),
})
