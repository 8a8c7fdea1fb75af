#!/usr/bin/python3
"""Seeds for the fuzzers: tests/fuzz/make_corpus.py

Small files of every kind that a reader tells from others, and the tricks that archives are known for. Needs python3-pil,
python3-numpy, python3-scipy and sqlite3. What a fuzzer finds is put beside them by hand.
"""
import gzip
import io
import json
import os
import struct
import subprocess
import tarfile
import tempfile
import zipfile

import numpy as np
from PIL import Image
from scipy.io import savemat

here = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'corpus')
random = np.random.RandomState(0)
y, x = np.mgrid[0:21, 0:27]
scene = np.stack([127 + 120 * np.sin(x / 4), 127 + 120 * np.cos((x + y) / 5), x * y % 256], 2).astype(np.uint8)
picture = Image.fromarray(scene)


def put(reader, name, data):
    os.makedirs(os.path.join(here, reader), exist_ok=True)
    with open(os.path.join(here, reader, name), 'wb') as f:
        f.write(data)


def encoded(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def jpeg(image=picture, **options):
    return encoded(image, 'JPEG', **{'quality': 40, **options})


exif = Image.Exif()
exif[0x0112] = 6
small = jpeg(picture.resize((9, 7)), quality=20)
put('jpeg', 'yuv420.jpg', jpeg())
put('jpeg', 'yuv422.jpg', jpeg(subsampling=1))
put('jpeg', 'yuv444.jpg', jpeg(subsampling=0, optimize=True))
put('jpeg', 'progressive.jpg', jpeg(progressive=True))
put('jpeg', 'grey-turned.jpg', jpeg(picture.convert('L'), exif=exif))
put('jpeg', 'cmyk.jpg', jpeg(picture.convert('CMYK')))
for mode in ('RGB', 'P', 'LA', '1'):
    put('png', mode.lower() + '.png', encoded(picture.convert(mode), 'PNG'))
put('png', 'turned.png', encoded(picture.convert('L').resize((9, 7)), 'PNG', exif=exif))

tiny = picture.resize((9, 7))
put('webp', 'lossy.webp', encoded(picture, 'WEBP', quality=40))
put('webp', 'lossless.webp', encoded(tiny, 'WEBP', lossless=True))
put('webp', 'turned.webp', encoded(tiny.convert('RGBA'), 'WEBP', quality=40, exif=exif))
for mode in ('RGB', 'P', 'L', '1', 'RGBA', 'CMYK'):
    put('tiff', mode.lower() + '.tif', encoded(tiny.convert(mode), 'TIFF', compression='tiff_lzw' if mode == 'L' else None))
put('tiff', 'deflate.tif', encoded(tiny, 'TIFF', compression='tiff_adobe_deflate', exif=exif))
for mode in ('RGB', 'P', 'RGBA', '1'):
    put('bmp', mode.lower() + '.bmp', encoded(tiny.convert(mode), 'BMP'))
put('bmp', 'masks.bmp', struct.pack('<2sIHHIIiiHHIIiiIIIII', b'BM', 78, 0, 0, 66, 40, 3, -2, 1, 16, 3, 12, 0, 0, 0, 0,
                                    0xF800, 0x7E0, 0x1F) + bytes(range(16)))
put('pnm', 'raw.ppm', encoded(tiny, 'PPM'))
put('pnm', 'raw.pgm', encoded(tiny.convert('L'), 'PPM'))
put('pnm', 'text.pgm', b'P2 # by hand\n2 2\n15\n0 1 2 15\n')
put('pnm', 'text.ppm', b'P3\n1 1\n255\n0 1 2\n')
put('pnm', 'deep.pgm', b'P5\n2 1\n1023\n\0\1\3\xff')
put('layout', 'names', b'\n\na/train/x/1.png\na/Test/x/1.png\na/val.X/x/1.png\na/train/y/\n')
put('layout', 'patterns', b'*/train\n@(x|y)/test\nx/train/c/1.png\nx/test/c/1.png\ny/test/d/2.png\n')
put('layout', 'flat', b'\n\n1.png\n2.png\n')
put('layout', 'files', b'*/train/*\n*/test/*\nc/train/1.png\nd/train/1.png\nd/test/1.png\n')

record = scene.ravel().tolist() + [7] * (3072 - scene.size)
put('cifar', 'cifar10.bin', bytes([0, 9] + record))
put('cifar', 'cifar100-fine.bin', bytes([1, 3, 57] + record))
put('cifar', 'cifar100-coarse.bin', bytes([2, 19, 57] + record))
put('cifar', 'label-out-of-range.bin', bytes([0, 10] + record))

head = b'\x80\2}(U\4data' b'cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\1b\x87R(K\1K\1M\0\x0c\x86'
rows = b'cnumpy\ndtype\nU\2u1K\0K\1\x87R(K\3U\1|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89T\0\x0c\0\0'
for i, labels in enumerate((b'U\6labels', b'U\x0bfine_labels', b'U\x0dcoarse_labels')):
    put('cifar_python', f'{i}.pkl', bytes([i]) + head + rows + bytes(record) + b'tb' + labels + b'](K\3eu.')

images = struct.pack('>IIII', 0x803, 3, 9, 9) + bytes(range(243))
put('idx', 'images', b'\0' + images)
put('idx', 'labels', b'\1' + struct.pack('>II', 0x801, 3) + bytes([0, 9, 4]))
put('idx', 'images.gz', b'\2' + gzip.compress(images, mtime=0))
put('idx', 'claims-much', b'\0' + struct.pack('>IIII', 0x803, 0xffffffff, 512, 512) + bytes(20))
put('idx', 'bomb.gz', b'\2' + gzip.compress(bytes(1 << 20), mtime=0))


def mat(packed=False, **variables):
    out = io.BytesIO()
    savemat(out, variables, do_compression=packed)
    return b'MATLAB 5.0 MAT-file'.ljust(116) + out.getvalue()[116:]  # without the time of day


ramp = (np.arange(32 * 32 * 3 * 2) % 7).astype(np.uint8).reshape(32, 32, 3, 2)
put('mat', 'svhn.mat', mat(True, X=ramp, y=np.array([[1], [10]], np.uint8)))
put('mat', 'labels-only.mat', mat(y=np.array([[1.0], [10.0]])))
put('mat', 'kinds.mat', mat(X=np.float32([[1, 2]]), y={'a': 1}, s='text', c=np.array([[1 + 2j]])))

put('stl10', 'labels', bytes([1, 1, 10, 3]))
put('stl10', 'short-image', bytes([0]) + bytes(500))
put('stl10', 'unlabelled', bytes([2]) + bytes(500))


def tar(members, packing='w'):
    """Members: (name, bytes) or (name, link's target, type)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=packing, format=tarfile.USTAR_FORMAT) as t:
        for name, content, *kind in members:
            info = tarfile.TarInfo(name)
            if kind:
                info.type, info.linkname = kind[0], content
                t.addfile(info)
            else:
                info.size = len(content)
                t.addfile(info, io.BytesIO(content))
    return out.getvalue().rstrip(b'\0') + bytes(512)


put('archive', 'folders.tar', tar([('train/a/1.jpg', small), ('test/b/2.jpg', small)]))
put('archive', 'outside.tar', tar([('../up.jpg', b'1'), ('/etc/away.jpg', b'2'), ('a/../../b.jpg', b'3')]))
put('archive', 'links.tar', tar([('a/hard.jpg', '/etc/passwd', tarfile.LNKTYPE), ('a/soft.jpg', '../..', tarfile.SYMTYPE),
                                 ('a/null.jpg', '', tarfile.CHRTYPE), ('a/soft.jpg/1.jpg', small)]))
put('archive', 'bomb.tar.xz', tar([('a/bomb.jpg', bytes(1 << 20)), ('a/1.jpg', small)], 'w:xz'))
whole = bytearray(tar([('a/claims.jpg', b'no more than this')]))
whole[124:136] = b'77777777777\0'
put('archive', 'claims-much.tar', bytes(whole))
out = io.BytesIO()
with zipfile.ZipFile(out, 'w', zipfile.ZIP_DEFLATED) as z:
    for name, content in (('train/a/1.jpg', small), ('../up.jpg', b'1'), ('train/a/bomb.jpg', bytes(1 << 20))):
        z.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
put('archive', 'mixed.zip', out.getvalue())
put('archive', 'tiny.tar', tar([('tiny/val/val_annotations.txt', b'v.JPEG\tn1\t0\t0\n'), ('tiny/val/images/v.JPEG', small),
                                ('tiny/train/n1/images/t.JPEG', small)]))
put('archive', 'no-annotations.tar', tar([('val/images/v.JPEG', small)]))


def pack(size, data, offsets, slots, labels, counts, classes=(b'ant', b'bee'), images=2):
    """Magic, version and sums are the fuzzer's affair."""
    data += bytes(-len(data) % 8)
    tail = np.array(slots + labels, '<u4').tobytes() + np.array(offsets + [0] * (len(data) > 0), '<u8').tobytes() + b''.join(c + b'\0' for c in classes)
    end = 4096 + len(data) + len(tail)
    tail += b'2 files seen\n\0'
    header = struct.pack('<8sIIII3I4xQQQ6f', b'', 0, size, images, len(classes), *counts, 4096 + len(data), end, 0, *[0.5] * 6)
    return header + b'0' * 256 + data + tail


none = 0xffffffff
put('pack', 'pixels', pack(2, bytes(range(24)), [], [0, 1], [0, 1], (1, 1, 0)))
put('pack', 'unlabelled', pack(2, bytes(range(24)), [], [0, 1], [1, none], (1, 0, 1)))
put('pack', 'files', pack(0, small + small, [0, len(small), 2 * len(small)], [1, 0], [0, 1], (1, 1, 0)))
put('pack', 'offsets-fall', pack(0, small, [0, 400, 300], [1, 0], [0, 1], (1, 1, 0)))
put('pack', 'claims-much', pack(4096, b'', [], [0, 1], [0, 1], (1, 1, 0), images=none))

mode = {'verdict': 'collapsed', 'statistic': 0.1, 'expected': 1.0, 'threshold_warning': 0.6, 'threshold_collapsed': 0.3}
line = {'step': 4, 'epoch': 1, 'collapse': {'rows': 64, 'dimensional': mode, 'cluster': {**mode, 'verdict': 'healthy'}}}
put('metrics', 'epochs.jsonl', (json.dumps({'step': 1, 'loss': 2.5}) + '\n' + json.dumps(line) + '\n').encode())
put('metrics', 'odd.jsonl', b'{"epoch": 1e300, "collapse": {"rows": -1, "cluster": 3}}\n{"collapse": {}}\n{"coll')

# What runs leave. The fuzzers write the digests and the pages' checksums themselves.
blank = '0' * 64
header = {'__metadata__': {'sha256': blank, 'step': '2', 'optimizer_steps': '2', 'metrics_offset': '0', 'seconds': '1.5',
                           'run': 'ours', 'threads': '2', 'history': '', 'code': ''}}
at = 0
for slot in ('', 'optimizer.first.', 'optimizer.second.'):
    for tensor, shape in (('head.w', [3, 4]), ('head.b', [1, 4])):
        header[slot + tensor] = {'dtype': 'F32', 'shape': shape, 'data_offsets': [at, at + 4 * shape[0] * shape[1]]}
        at += 4 * shape[0] * shape[1]
text = json.dumps(header).encode()
text += b' ' * (-len(text) % 8)
put('checkpoint', 'sealed', struct.pack('<Q', len(text)) + text + np.arange(at // 4, dtype='<f4').tobytes())
del header['__metadata__']
text = json.dumps(header).encode()
put('checkpoint', 'of-an-earlier-version', struct.pack('<Q', len(text)) + text + bytes(at))

run = {'id': 's_8d869aae', 'name': 's', 'status': 'finished', 'method': 'falcon', 'version': '1', 'threads': 2,
       'spec': {'method.codes': 4, 'data.name': 'shapes', 'eval.metrics': ['knn', 'collapse']}, 'swept': {'train.seed': 1},
       'seconds': {'train': 1.5, 'eval': [0.5, 1]}, 'final': {'linear': 0.5, 'rankme': 3.25, 'knn': None},
       'verdicts': {'dimensional': 'healthy'}, 'code': {'engine': 'a'}, 'files': {'run.json': blank}, 'sha256': blank}
put('record', 'finished.json', json.dumps(run, indent=2).encode())
put('record', 'of-an-earlier-version.json', json.dumps({'id': 'a', 'status': 'running', 'final': {'linear': 1e999}}).encode())

with tempfile.TemporaryDirectory() as folder:
    subprocess.run(['sqlite3', folder + '/runs.db'], check=True, text=True, input='''.filectrl reserve_bytes 8
PRAGMA page_size = 512;
CREATE TABLE runs (run INTEGER PRIMARY KEY, folder TEXT NOT NULL UNIQUE, id TEXT NOT NULL, name TEXT, block TEXT,
  status TEXT, reason TEXT, stopped TEXT, method TEXT, data TEXT, data_checksum TEXT, version TEXT, threads INTEGER,
  seconds_train REAL, seconds_eval REAL, stamp TEXT NOT NULL, representation TEXT, dimensional TEXT, cluster TEXT,
  intracluster TEXT);
CREATE TABLE settings (key TEXT NOT NULL, run INTEGER NOT NULL, value, swept INTEGER NOT NULL,
  PRIMARY KEY (key, run)) WITHOUT ROWID;
CREATE INDEX settings_swept ON settings (key) WHERE swept = 1;
CREATE TABLE figures (metric TEXT NOT NULL, run INTEGER NOT NULL, value REAL, PRIMARY KEY (metric, run)) WITHOUT ROWID;
CREATE VIEW overview AS SELECT * FROM runs;
INSERT INTO runs (run, folder, id, stamp) VALUES (1, 'a/b', 'b', '1');
INSERT INTO settings VALUES ('method.codes', 1, 64, 1), ('train.seed', 1, 0, 0);
INSERT INTO figures VALUES ('linear', 1, 0.5);
PRAGMA application_id = 1835366259; PRAGMA user_version = 3;''')
    with open(folder + '/runs.db', 'rb') as f:
        put('index', 'small-pages.db', f.read())
