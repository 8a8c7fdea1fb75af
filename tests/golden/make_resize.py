#!/usr/bin/python3
"""Crops resized by Pillow: golden values for engine/data/views/resize.h. Needs python3-pil and python3-numpy."""
import numpy as np
from PIL import Image

from golden import save

random = np.random.RandomState(0)
source = random.randint(0, 256, (48, 64, 3)).astype(np.uint8)
source[:24, :32] = np.where(source[:24, :32] > 127, 255, 0)  # hard edges: overshoot must be cut off on both sides
# left, top, width, height, target width, target height, flip
cases = [(0, 0, 64, 48, 32, 32, 0), (0, 0, 32, 32, 32, 32, 0), (7, 5, 32, 32, 32, 32, 1), (3, 2, 11, 13, 32, 32, 0),
         (3, 2, 11, 13, 32, 32, 1), (0, 0, 32, 9, 32, 32, 1), (10, 11, 9, 32, 32, 32, 0), (0, 0, 1, 1, 8, 8, 0),
         (63, 47, 1, 1, 5, 3, 1), (1, 0, 63, 48, 7, 5, 0), (0, 1, 2, 40, 33, 17, 1), (5, 0, 40, 3, 41, 1, 0),
         (0, 0, 64, 48, 1, 1, 0), (12, 9, 31, 30, 32, 32, 0), (0, 0, 64, 48, 96, 61, 1)]
arrays = {'source': source, 'cases': np.array(cases, np.int32)}
for i, (left, top, width, height, w, h, flip) in enumerate(cases):
    crop = Image.fromarray(source).crop((left, top, left + width, top + height))
    for name, kernel in (('target', Image.BICUBIC), ('bilinear', Image.BILINEAR)):
        target = np.asarray(crop.resize((w, h), kernel))
        arrays[f'{name}_{i}'] = np.ascontiguousarray(target[:, ::-1] if flip else target)
save('resize', arrays)
