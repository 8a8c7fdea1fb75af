#!/usr/bin/python3
"""Small WebP, TIFF, BMP and PNM files and what Pillow reads from them: golden values for engine/data/codecs/photo.h.

Needs Pillow and NumPy (made with Pillow 13.0.0). `<name>.file` are a file's bytes, `<name>.pixels` its RGB.
"""
import io
import struct

import numpy as np
from PIL import Image, ImageOps

from golden import save

y, x = np.mgrid[0:23, 0:31]
scene = np.stack([127 + 120 * np.sin(x / 4), 127 + 120 * np.cos((x + y) / 5), (x * y * 3) % 256], 2)
scene = scene.clip(0, 255).astype(np.uint8)
image = Image.fromarray(scene)
alpha = image.copy()
alpha.putalpha(Image.fromarray((x * 8).clip(0, 255).astype(np.uint8)))
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


def tiff16(pixels):
    """RGB of 16 bits, which Pillow does not write: one strip, uncompressed."""
    height, width = pixels.shape[:2]
    data = pixels.astype('<u2').tobytes()
    tags = [(256, 3, 1, width), (257, 3, 1, height), (258, 3, 3, 8 + len(data)), (259, 3, 1, 1), (262, 3, 1, 2),
            (273, 4, 1, 8), (277, 3, 1, 3), (278, 3, 1, height), (279, 4, 1, len(data)), (284, 3, 1, 1)]
    directory = struct.pack('<H', len(tags)) + b''.join(struct.pack('<HHII', *tag) for tag in tags) + bytes(4)
    return b'II*\0' + struct.pack('<I', 14 + len(data)) + data + struct.pack('<HHH', 16, 16, 16) + directory


def bmp_header(bits, compression, size, masks=b''):
    head = struct.pack('<IiiHHIIiiII', 40, 31, 23, 1, bits, compression, size, 0, 0, 0, 0) + masks
    return b'BM' + struct.pack('<IHHI', 14 + len(head) + size, 0, 0, 14 + len(head)) + head


def bmp_fields(bits, masks):
    """Colours behind masks, which Pillow reads but does not write."""
    pixels = np.zeros((23, 31), np.uint32)
    for k, mask in enumerate(masks):
        shift = (mask & -mask).bit_length() - 1
        pixels |= (scene[..., k].astype(np.uint32) >> (8 - bin(mask).count('1'))) << shift
    rows = pixels[::-1].astype('<u2' if bits == 16 else '<u4')
    rows = np.pad(rows, ((0, 0), (0, 1))) if bits == 16 else rows
    return bmp_header(bits, 3, rows.nbytes, struct.pack('<III', *masks)) + rows.tobytes()


def bmp16():
    pixels = (scene[..., 0].astype(np.uint16) >> 3) << 10 | (scene[..., 1].astype(np.uint16) >> 3) << 5 | scene[..., 2] >> 3
    rows = np.pad(pixels[::-1].astype('<u2'), ((0, 0), (0, 1)))
    return bmp_header(16, 0, rows.nbytes) + rows.tobytes()


exif = Image.Exif()
exif[0x0112] = 6
add('webp_lossy', encoded(image, 'WEBP', quality=70))
add('webp_lossless', encoded(image, 'WEBP', lossless=True))
add('webp_alpha', encoded(alpha, 'WEBP', lossless=True, exact=True))
add('webp_lossy_alpha', encoded(alpha, 'WEBP', quality=80, exact=True))
add('webp_turned', encoded(image, 'WEBP', quality=90, exif=exif))
for mode in ['1', 'L', 'P', 'RGB', 'RGBA']:
    add('bmp_' + mode, encoded((alpha if mode == 'RGBA' else image).convert(mode), 'BMP'))
add('bmp_565', bmp_fields(16, (0xF800, 0x07E0, 0x001F)))
add('bmp_bgrx', bmp_fields(32, (0xFF0000, 0xFF00, 0xFF)))
add('bmp_555', bmp16())
top_down = bytearray(encoded(image, 'BMP'))
top_down[22:26] = struct.pack('<i', -23)
add('bmp_top_down', bytes(top_down))
for compression in ['raw', 'tiff_lzw', 'tiff_adobe_deflate', 'packbits']:
    add('tiff_' + compression, encoded(image, 'TIFF', compression=compression))
for mode in ['1', 'L', 'P', 'RGBA', 'LA']:
    add('tiff_' + mode, encoded((alpha if mode in ('RGBA', 'LA') else image).convert(mode), 'TIFF'))
add('tiff_turned', encoded(image, 'TIFF', exif=exif))
deep = scene.astype(np.uint16) * 257
add('tiff_16', tiff16(deep), scene)
add('ppm', encoded(image, 'PPM'))
add('pgm', encoded(image.convert('L'), 'PPM'))
add('ppm_comment', b'P6\n# by hand\n2 1\n255\n' + bytes([1, 2, 3, 250, 251, 252]))
add('pgm_text', b'P2\n3 2\n255\n0 1 2\n128 254 255\n')
add('ppm_text', b'P3\n1 2\n255\n0 1 2\n2 255 9\n')
add('pgm_100', b'P5\n4 1\n100\n' + bytes([0, 30, 50, 100]))
add('pgm_15', b'P5\n4 1\n15\n' + bytes([0, 5, 10, 15]))
add('ppm_10', b'P6\n2 1\n1023\n' + np.array([0, 256, 1023, 128, 512, 511], '>u2').tobytes())
add('ppm_16', b'P6\n2 1\n65535\n' + np.array([0, 257, 65535, 32896, 514, 0], '>u2').tobytes(),
    np.array([[[0, 1, 255], [128, 2, 0]]], np.uint8))
# What Pillow shows of grey with 16 bits is white from 256 on; here it is scaled, as Pillow scales colours.
add('pgm_16', b'P5\n4 1\n65535\n' + np.array([0, 256, 65535, 32768], '>u2').tobytes(),
    np.array([[[0] * 3, [1] * 3, [255] * 3, [128] * 3]], np.uint8))
save('codecs', arrays)
