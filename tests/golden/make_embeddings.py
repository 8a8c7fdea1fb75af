#!/usr/bin/env python3
"""Files of embeddings as today's libraries write them: tests/golden/make_embeddings.py

Writes tests/golden/embeddings/. Every matrix is 6 × 4 with x[i][j] = ((5 i + 3 j) mod 7 − 3) / 2, a value that every
type of float holds exactly, and labels are i mod 3, so the tests need no table of values. Needs the versions of
tests/reference/requirements.txt.
"""
import collections
import os
import pickle

import numpy as np

here = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'embeddings')
N, D = 6, 4
i, j = np.mgrid[0:N, 0:D]
x = (((5 * i + 3 * j) % 7) - 3) / 2
y = np.arange(N) % 3
names = np.array(['ant', 'bee', 'größe'])[y]


def at(name):
    path = os.path.join(here, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return path


# ---- pickles ----
for protocol in range(6):
    with open(at(f'pickle/{protocol}.pkl'), 'wb') as f:
        pickle.dump({'x': x.astype('f4'), 'y': y.tolist(), 'names': names.tolist(), 'big': x.astype('>f8'),
                     'columns': np.asfortranarray(x.astype('f2')), 'long': 2 ** 70, 'negative': -3, 'wide': 2 ** 40,
                     'real': 0.1, 'none': None, 'flags': (True, False), 'set': {1}, 'bytes': b'\x00\xff',
                     'scalar': np.float32(1.5), 'count': np.int64(7), 'strings': names, 'objects': names.astype(object),
                     'ordered': collections.OrderedDict([('a', 1), ('b', [2])])}, f, protocol)
# As Python 2 wrote CIFAR's archives: strings are bytes, and so are the keys.
cifar = (b"\x80\x02}q\x01(U\x06labelsq\x02]q\x03(K\x03K\x01eU\x04dataq\x04cnumpy.core.multiarray\n_reconstruct\nq\x05"
         b"cnumpy\nndarray\nq\x06K\x00\x85U\x01b\x87Rq\x07(K\x01K\x02K\x03\x86cnumpy\ndtype\nq\x08U\x02u1K\x00K\x01\x87R"
         b"q\x09(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x06\x01\x02\x03\xfd\xfe\xfftbu.")
assert pickle.loads(cifar, encoding='bytes')[b'data'].tolist() == [[1, 2, 3], [253, 254, 255]]
with open(at('pickle/python2.pkl'), 'wb') as f:
    f.write(cifar)
