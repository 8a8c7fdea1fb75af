#!/usr/bin/python3
"""Small JPEG and PNG files and what Pillow reads from them: golden values for engine/data/images.h.

Needs python3-pil, python3-numpy and python3-torchvision. `<name>.file` are a file's bytes, `<name>.pixels` its RGB.
"""
import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps
from torchvision import transforms as T

from golden import save

y, x = np.mgrid[0:29, 0:37]
scene = np.stack([127 + 120 * np.sin(x / 4), 127 + 120 * np.cos((x + y) / 5), (x * y * 3) % 256], 2)
scene = scene.clip(0, 255).astype(np.uint8)
scene[8:20, 10:22] = (250, 10, 20)
image = Image.fromarray(scene)
arrays = {}


def add(name, data, pixels=None):
    if pixels is None:
        pixels = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert('RGB'))
    arrays[name + '.file'] = np.frombuffer(data, np.uint8)
    arrays[name + '.pixels'] = np.ascontiguousarray(pixels)


def encoded(picture, kind, **options):
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def png(pixels, kind, interlaced=False):
    """PNGs that Pillow does not write: 16 bits a sample, or Adam7 interlacing of 8 bits."""
    height, width = pixels.shape[:2]
    chunk = lambda name, data: struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    rows = b''
    for top, left, down, across in passes if interlaced else [(0, 0, 1, 1)]:
        part = pixels[top::down, left::across]
        if part.size:
            rows += b''.join(b'\0' + row.astype(row.dtype.newbyteorder('>')).tobytes() for row in part)
    header = struct.pack('>IIBBBBB', width, height, 8 * pixels.itemsize, kind, 0, 0, interlaced)
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b'')


add('jpeg_420', encoded(image, 'JPEG'))
add('jpeg_444', encoded(image, 'JPEG', quality=90, subsampling=0))
add('jpeg_progressive', encoded(image, 'JPEG', progressive=True))
add('jpeg_grey', encoded(image.convert('L'), 'JPEG'))
add('jpeg_cmyk', encoded(image.convert('CMYK'), 'JPEG', quality=95))
add('jpeg_422', encoded(image, 'JPEG', quality=60, subsampling=1))
add('jpeg_grey_progressive', encoded(image.convert('L'), 'JPEG', progressive=True))
for orientation in range(1, 9):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, 'a camera'
    add(f'jpeg_turned_{orientation}', encoded(image, 'JPEG', quality=50, exif=exif))
add('png_turned_6', encoded(image.convert('L'), 'PNG', exif=b'Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0'))
for mode in ('RGB', 'L', 'P', '1', 'LA', 'RGBA'):
    add('png_' + mode.lower(), encoded(image.convert(mode), 'PNG'))
add('png_p_transparent', encoded(image.quantize(7), 'PNG', transparency=2, bits=4))
wide = (scene.astype(np.uint16) << 8) + np.arange(37, dtype=np.uint16)[None, :, None]
add('png_rgb_16', png(wide, 2))
# Pillow clips 16-bit grey at 255 when it converts; the upper byte is what the file means.
add('png_grey_16', png(wide[:, :, 0], 0), np.repeat((wide[:, :, :1] >> 8).astype(np.uint8), 3, 2))
add('png_interlaced', png(scene, 2, True))

for i, (picture, side) in enumerate([(image, 16), (image.transpose(Image.TRANSPOSE), 16), (image.crop((0, 0, 8, 25)), 10),
                                    (image.crop((0, 0, 25, 8)), 10)]):
    arrays[f'fit_{i}.source'] = np.asarray(picture)
    arrays[f'fit_{i}.target'] = np.asarray(T.CenterCrop(side)(T.Resize(side, T.InterpolationMode.BICUBIC)(picture)))
save('images', arrays)
