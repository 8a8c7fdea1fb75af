"""Small files in the formats of published data sets, written by NumPy, gzip, tarfile and SciPy, and the images in them.

Run: python3 tests/golden/make_formats.py. Writes tests/golden/formats/ and formats.safetensors (images as n×h×w×3)."""
import gzip
import io
import os
import tarfile
import zipfile

import numpy
import scipy.io

from golden import save

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'formats')


def images(count, side, key):
    """Every byte tells its place, and repeats enough to be packed small."""
    i, y, x, k = numpy.indices((count, side, side, 3))
    return ((i * 37 + y * 5 + x * 11 + k * 83 + y * x // 7 + key) % 256).astype(numpy.uint8)


def write(name, data):
    path = os.path.join(FOLDER, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as file:
        file.write(data)


def packed(data):
    return gzip.compress(data, mtime=0)


def archive(name, members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w') as tar:
        for member, data in members.items():
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    write(name, packed(out.getvalue()))


def cifar(arrays):
    members = {}
    for split, count in (('train', 6), ('test', 3)):
        pixels = images(count, 32, count)
        fine = numpy.array([99, 0, 57, 8, 31, 64][:count], numpy.uint8)
        coarse = numpy.array([19, 0, 4, 11, 7, 2][:count], numpy.uint8)
        records = numpy.concatenate([coarse[:, None], fine[:, None], pixels.transpose(0, 3, 1, 2).reshape(count, -1)], 1)
        members[f'cifar-100-binary/{split}.bin'] = records.tobytes()
        arrays.update({f'cifar100.{split}': pixels, f'cifar100.{split}_fine': fine, f'cifar100.{split}_coarse': coarse})
    archive('cifar-100-binary.tar.gz', members)
    cifar_python(arrays)


def cifar_python(arrays):
    """The same in the Python form, and CIFAR-10's batches: Python 2's pickles, as their authors wrote them."""
    members, ten = {'cifar-100-python/meta': pickle2({'fine_label_names': []})}, {'cifar-10-batches-py/readme.html': b'x'}
    for split in ('train', 'test'):
        rows = arrays[f'cifar100.{split}'].transpose(0, 3, 1, 2).reshape(-1, 3072)
        fine, coarse = (arrays[f'cifar100.{split}_{kind}'].tolist() for kind in ('fine', 'coarse'))
        members[f'cifar-100-python/{split}'] = pickle2(
            {'filenames': ['a.png'] * len(fine), 'batch_label': split, 'fine_labels': fine, 'coarse_labels': coarse,
             'data': rows})
    archive('cifar-100-python.tar.gz', members)
    names = [f'data_batch_{i}' for i in range(1, 6)] + ['test_batch']
    binary = {}
    for i, name in enumerate(names):
        rows = images(2, 32, 7 * i).transpose(0, 3, 1, 2).reshape(-1, 3072)
        ten['cifar-10-batches-py/' + name] = pickle2({'batch_label': name, 'labels': [i, 9 - i], 'data': rows})
        labels = numpy.array([[i], [9 - i]], numpy.uint8)
        binary[f'cifar-10-batches-bin/{name}.bin'] = numpy.concatenate([labels, rows], 1).tobytes()
    archive('cifar-10-python.tar.gz', ten)
    archive('cifar-10-binary.tar.gz', binary)


def names():
    """Class folders that are not ASCII, by Python's zipfile, which marks such names as UTF-8."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w') as file:
        for i, name in enumerate(['cat', 'größe', '猫']):
            for k, split in enumerate(['train', 'train', 'test']):
                member = zipfile.ZipInfo(f'{split}/{name}/{k}.ppm', (2026, 1, 1, 0, 0, 0))
                file.writestr(member, b'P6\n2 2\n255\n' + bytes([50 * i + k] * 12))
    write('names.zip', out.getvalue())


def pickle2(value):
    """Protocol 2 as Python 2's cPickle wrote it: its strings are bytes, an array is rebuilt from such a string."""
    def put(v):
        if isinstance(v, str):
            v = v.encode()
        if isinstance(v, bytes):
            return b'U' + bytes([len(v)]) + v if len(v) < 256 else b'T' + len(v).to_bytes(4, 'little') + v
        if isinstance(v, int):
            return b'K' + bytes([v]) if v < 256 else b'M' + v.to_bytes(2, 'little')
        if isinstance(v, list):
            return b'](' + b''.join(map(put, v)) + b'e'
        if isinstance(v, dict):
            return b'}(' + b''.join(put(k) + put(v[k]) for k in v) + b'u'
        kind = b'cnumpy\ndtype\n' + put('u1') + b'K\0K\1\x87R(K\3' + put('|') + b'NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb'
        empty = b'cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85' + put('b') + b'\x87R'
        shape = put(v.shape[0]) + put(v.shape[1]) + b'\x86'
        return empty + b'(K\1' + shape + kind + b'\x89' + put(v.tobytes()) + b'tb'
    return b'\x80\2' + put(value) + b'.'


def mat(name, pixels, labels):
    file = io.BytesIO()
    scipy.io.savemat(file, {'X': pixels.transpose(1, 2, 3, 0), 'y': labels[:, None]}, do_compression=True)
    data = bytearray(file.getvalue())
    data[:116] = b'MATLAB 5.0 MAT-file'.ljust(116)  # without SciPy's date
    write(name, bytes(data))


def svhn(arrays):
    for split, count in (('train', 5), ('test', 2)):
        pixels = images(count, 32, 100 + count)
        labels = numpy.array([10, 1, 9, 10, 5][:count], numpy.uint8)
        mat(f'svhn/{split}_32x32.mat', pixels, labels)
        arrays.update({f'svhn.{split}': pixels, f'svhn.{split}_labels': labels % 10})


    zeros = numpy.zeros((2, 32, 32, 3), numpy.uint8)
    mat('svhn_label_11.mat', zeros, numpy.array([1, 11], numpy.uint8))  # two that have to be refused
    mat('svhn_int.mat', images(5, 32, 105), numpy.array([10, 1, 9, 10, 5], numpy.int32))
    mat('svhn_float.mat', zeros.astype(numpy.float64), numpy.array([1, 2], numpy.uint8))


def stl(arrays):
    members = {}
    for split, count in (('train', 3), ('test', 2), ('unlabeled', 2)):
        pixels = images(count, 96, 200 + count)
        members[f'stl10_binary/{split}_X.bin'] = pixels.transpose(0, 3, 2, 1).tobytes()
        arrays[f'stl10.{split}'] = pixels
        if split != 'unlabeled':
            labels = numpy.array([10, 1, 4][:count], numpy.uint8)
            members[f'stl10_binary/{split}_y.bin'] = labels.tobytes()
            arrays[f'stl10.{split}_labels'] = labels - 1
    archive('stl10_binary.tar.gz', members)


def mnist(arrays):
    for split, stem, count in (('train', 'train', 4), ('test', 't10k', 3)):
        pixels = images(count, 28, 50 + count)[..., 0]
        labels = numpy.array([9, 0, 3, 7][:count], numpy.uint8)
        head = numpy.array([0x803, count, 28, 28], '>u4').tobytes()
        write(f'mnist/{stem}-images-idx3-ubyte.gz', packed(head + pixels.tobytes()))
        head = numpy.array([0x801, count], '>u4').tobytes()
        write(f'mnist/{stem}-labels-idx1-ubyte' + ('.gz' if split == 'train' else ''),
              packed(head + labels.tobytes()) if split == 'train' else head + labels.tobytes())
        arrays.update({f'mnist.{split}': numpy.repeat(pixels[..., None], 3, -1), f'mnist.{split}_labels': labels})


if __name__ == '__main__':
    values = {}
    for make in (cifar, svhn, stl, mnist):
        make(values)
    names()
    save('formats', values)
