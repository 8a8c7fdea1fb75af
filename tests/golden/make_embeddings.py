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
batches = [{'z': part, 'y': labels} for part, labels in zip(np.array_split(x, 4), np.array_split(y, 4))]
with open(at('pickle/batches.pkl'), 'wb') as f:  # what a loop appended, the last ones smaller
    pickle.dump({'batches': batches, 'rows': list(x), 'one': [3.5, None, 2], 'words': [names[0], None, *names[2:]],
                 'scalars': [np.int64(label) for label in y], 'complex': x.astype('c8')}, f)
# As Python 2 wrote CIFAR's archives: strings are bytes, and so are the keys.
cifar = (b"\x80\x02}q\x01(U\x06labelsq\x02]q\x03(K\x03K\x01eU\x04dataq\x04cnumpy.core.multiarray\n_reconstruct\nq\x05"
         b"cnumpy\nndarray\nq\x06K\x00\x85U\x01b\x87Rq\x07(K\x01K\x02K\x03\x86cnumpy\ndtype\nq\x08U\x02u1K\x00K\x01\x87R"
         b"q\x09(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x06\x01\x02\x03\xfd\xfe\xfftbu.")
assert pickle.loads(cifar, encoding='bytes')[b'data'].tolist() == [[1, 2, 3], [253, 254, 255]]
with open(at('pickle/python2.pkl'), 'wb') as f:
    f.write(cifar)


# ---- torch ----
import torch  # noqa: E402

t = torch.tensor(x, dtype=torch.float32)


class Wrapped(torch.nn.Parameter):
    pass


wide = torch.zeros(N, 2 * D)
wide[:, ::2] = t
attributed = torch.nn.Parameter(t.clone())
attributed.origin = 'layer4'
subclassed = t.as_subclass(type('Mine', (torch.Tensor,), {'__module__': 'torch'}))
kinds = {
    'float32': t, 'float64': t.double(), 'float16': t.half(), 'bfloat16': t.bfloat16(), 'int8': t.mul(2).to(torch.int8),
    'int64': t.mul(2).long(), 'slice': wide[:, ::2], 'transposed': t.T.contiguous().T, 'repeated': t[:1].expand(N, D),
    'negated': torch.complex(t, -t).conj().imag, 'float8_e4m3fn': t.to(torch.float8_e4m3fn),
    'float8_e5m2': t.to(torch.float8_e5m2), 'uint16': (t.mul(2) + 3).to(torch.int32).to(torch.uint16),
    'uint64': (t.mul(2) + 3).long().to(torch.uint64), 'parameter': torch.nn.Parameter(t), 'attributed': attributed,
    'tail': torch.cat([torch.zeros(3), t.flatten()])[3:].view(N, D), 'squeezed': t[:, None, :], 'maps': t[:, :, None, None],
    'tokens': torch.stack([t, t + 1, t + 5], 1), 'complex': t.to(torch.complex64),
    'sparse': t.to_sparse(), 'y': torch.tensor(y), 'names': names.tolist(), 'numpy': x, 'nested': {'deep': [t]},
    'flags': t > 0, 'negated_y': -torch.tensor(y),
}
for name, zipped in (('zip.pt', True), ('legacy.pt', False)):
    kept = {k: v for k, v in kinds.items() if zipped or k != 'numpy'}
    torch.save(kept, at('torch/' + name), _use_new_zipfile_serialization=zipped)
torch.save(t, at('torch/plain.pt'))
torch.save(list(t.split(4)), at('torch/batches.pt'))
torch.save([t[:1, :1].expand(2 ** 62, 1)] * 4, at('torch/expanded.pt'))  # together 2^64 rows, of one number
with open(at('pickle/long-names.pkl'), 'wb') as f:
    pickle.dump({'k' * 470: [{'v' * 200: x}, {'v' * 200: x}], 'x': x}, f)
for protocol in (2, 5):  # not torch.save: a tensor's storage stands in the pickle itself
    with open(at(f'pickle/tensors-{protocol}.pkl'), 'wb') as f:
        pickle.dump({k: kinds[k] for k in ('float32', 'bfloat16', 'uint16', 'slice', 'negated', 'complex', 'y')}, f, protocol)
torch.save({'float32': t, 'q': torch.quantize_per_tensor(t, 0.5, 3, torch.quint8)}, at('torch/quantized-legacy.pt'),
           _use_new_zipfile_serialization=False)
torch.save({'x': t}, at('torch/sharded/pytorch_model-00001-of-00002.bin'))
torch.save({'other': t.half()}, at('torch/sharded/pytorch_model-00002-of-00002.bin'))
with open(at('torch/sharded/pytorch_model.bin.index.json'), 'w') as f:
    f.write('{"metadata": {}, "weight_map": {"x": "pytorch_model-00001-of-00002.bin", '
            '"other": "pytorch_model-00002-of-00002.bin"}}')
torch.save(t.bfloat16(), at('torch/plain-legacy.pth'), _use_new_zipfile_serialization=False)
torch.save({'state_dict': torch.nn.Linear(3, 2).state_dict(), 'epoch': 3}, at('torch/state.pth'))
torch.save(torch.nn.Linear(3, 2), at('torch/module.pt'))
torch.save(torch.nn.Linear(3, 2), at('torch/module-legacy.pt'), _use_new_zipfile_serialization=False)

import torch.distributed.checkpoint as dcp  # noqa: E402

dcp.save({'x': t, 'y': torch.tensor(y), 'half': t.half()}, checkpoint_id=at('dcp'))

# ---- NumPy ----
import ml_dtypes  # noqa: E402

with open(at('pickle/ml_dtypes.pkl'), 'wb') as f:
    pickle.dump({'bfloat16': x.astype(ml_dtypes.bfloat16), 'float8_e4m3fn': x.astype(ml_dtypes.float8_e4m3fn)}, f)
try:  # where jax is installed
    import jax.numpy as jnp
    with open(at('pickle/jax.pkl'), 'wb') as f:
        pickle.dump({'float32': jnp.asarray(x), 'bfloat16': jnp.asarray(x).astype(jnp.bfloat16)}, f)
except ImportError:
    pass
np.save(at('numpy/bfloat16.npy'), x.astype(ml_dtypes.bfloat16))
np.save(at('numpy/float8_e4m3fn.npy'), x.astype(ml_dtypes.float8_e4m3fn))
np.save(at('numpy/float8_e5m2.npy'), x.astype(ml_dtypes.float8_e5m2))
np.save(at('numpy/int4.npy'), (2 * x).astype(ml_dtypes.int4))
np.save(at('numpy/disguised.npy'), x.astype(ml_dtypes.bfloat16).view(np.uint16))
np.save(at('numpy/column-major.npy'), np.asfortranarray(x))
np.save(at('numpy/squeezed.npy'), x.astype('f4')[:, None])
np.save(at('numpy/maps.npy'), x.astype('f4')[:, :, None, None])
np.save(at('numpy/tokens.npy'), np.stack([x, x + 1, x + 5], 1).astype('f4'))
np.save(at('numpy/objects.npy'), {'x': x, 'y': y, 'names': names}, allow_pickle=True)
np.save(at('numpy/complex.npy'), x.astype('c8'))
np.save(at('numpy/dates.npy'), x.astype('M8[s]'))
np.savez(at('numpy/plain.npz'), x=x, y=y, größe=names, ids=np.arange(N), column=y[:, None], empty=np.zeros((0, D)))
np.savez_compressed(at('numpy/packed.npz'), x=x.astype('f4'), y=y)
os.replace(at('numpy/packed.npz'), at('numpy/zip-in-disguise.npy'))
np.savez_compressed(at('numpy/packed.npz'), x=x.astype('f4'), y=y)
import io  # noqa: E402
import zipfile  # noqa: E402


def npy(a):
    out = io.BytesIO()
    np.save(out, a)
    return out.getvalue()


for name, method in (('lzma', zipfile.ZIP_LZMA), ('bzip2', zipfile.ZIP_BZIP2)):
    with zipfile.ZipFile(at(f'numpy/{name}.npz'), 'w', method) as z:
        z.writestr('x.npy', npy(x))
        z.writestr('zeros.npy', npy(np.zeros((4000, 1000))))
with zipfile.ZipFile(at('numpy/odd.npz'), 'w') as z:
    z.writestr('x.npy', npy(x * 0))
    z.writestr('bare', npy(y))
    z.writestr('README', b'no array')
    import warnings
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        z.writestr('x.npy', npy(x))
for k, part in enumerate(np.array_split(x, 3)):
    np.save(at(f'numpy/part-{(2, 9, 10)[k]}.npy'), part)
    np.save(at(f'numpy/labels-{(2, 9, 10)[k]}.npy'), np.array_split(y, 3)[k])

# ---- labels ----
np.save(at('labels/floats.npy'), y.astype(float))
np.save(at('labels/strings.npy'), names)
np.save(at('labels/bytes.npy'), np.array([n.encode() for n in names]))
np.save(at('labels/objects.npy'), names.astype(object), allow_pickle=True)
np.save(at('labels/one-hot.npy'), np.eye(3, dtype='f4')[y])
np.save(at('labels/column.npy'), y[:, None])
np.save(at('labels/row.npy'), y[None])
np.save(at('labels/none.npy'), np.where(np.arange(N) == 5, -1, y))
np.save(at('labels/objects-none.npy'), np.array(['ant', None, 'bee', 'ant', 'bee', 'ant'], dtype=object), allow_pickle=True)
np.save(at('labels/large.npy'), 2 ** 53 + y)
np.save(at('labels/two.npy'), 2 * (np.arange(N) % 2) - 1)
np.save(at('labels/halves.npy'), y + 0.5)
np.savetxt(at('labels/lines.txt'), y, '%d')
with open(at('labels/words.txt'), 'w') as f:
    f.write('\n'.join(names) + '\n')

# ---- HDF5 ----
import h5py  # noqa: E402
import pandas as pd  # noqa: E402

with h5py.File(at('hdf5/kinds.h5'), 'w') as f:
    f['x'] = x.astype('f4')
    f['y'] = y
    f['group/deep'] = x
    f.create_dataset('gzip', data=x, compression='gzip', shuffle=True, chunks=(3, 2))
    f.create_dataset('lzf', data=x, compression='lzf', chunks=(6, 4))
    f.create_dataset('lzf_shrinks', data=np.tile(x, (20, 1)), compression='lzf', chunks=(60, 4))
    f.create_dataset('resizable', data=x, maxshape=(None, D), chunks=(4, D))
    f['half'] = x.astype('f2')
    f['big'] = x.astype('>f8')
    f['flags'] = x > 0
    f['names'] = names.tolist()
    f['fixed'] = np.array([n.encode() for n in names])
    f['complex'] = x.astype('c8')
    f.create_dataset('unwritten', (N, D), 'f4')
    partly = f.create_dataset('partly', (N, D), 'f4', chunks=(2, D))
    partly[:2] = x[:2]
    f['bfloat16'] = x.astype(ml_dtypes.bfloat16).view('V2')
    f['float8_e4m3fn'] = x.astype(ml_dtypes.float8_e4m3fn).view('V1')
with h5py.File(at('hdf5/virtual.h5'), 'w') as f:
    for name, source in (('whole', 'kinds.h5'), ('lost', 'gone.h5')):
        layout = h5py.VirtualLayout((N, D), 'f4')
        layout[:] = h5py.VirtualSource(source, 'x', (N, D))
        f.create_virtual_dataset(name, layout)
    layout = h5py.VirtualLayout((N, D), 'f4')
    layout[:2] = h5py.VirtualSource('kinds.h5', 'x', (N, D))[:2]
    f.create_virtual_dataset('unmapped', layout)
with h5py.File(at('hdf5/latest.h5'), 'w', libver='latest') as f:
    f.create_dataset('x', data=x, compression='gzip')
with h5py.File(at('hdf5/v110.h5'), 'w', libver=('earliest', 'v110')) as f:
    f.create_dataset('x', data=x, compression='gzip')
with h5py.File(at('hdf5/linked.h5'), 'w') as f:
    f['x'] = h5py.ExternalLink('kinds.h5', '/x')
frame = pd.DataFrame(x, columns=list('abcd'))
for form in ('fixed', 'table'):
    path = at(f'hdf5/pandas-{form}.h5')
    if os.path.exists(path):
        os.remove(path)
    frame.to_hdf(path, key='frame', format=form)

# ---- MATLAB ----
from scipy.io import savemat  # noqa: E402

mat = {'x': x, 'single': x.astype('f4'), 'y': y, 'names': names.tolist(), 'half': x.astype('f2'), 'complex': x + 1j,
       'cube': np.stack([x, x], 2)}
savemat(at('matlab/plain.mat'), mat)
savemat(at('matlab/packed.mat'), mat, do_compression=True)
savemat(at('matlab/old.mat'), {'x': x}, format='4')
savemat(at('matlab/lists.mat'), {'run': {'x': x, 'y': y, 'deep': {'x': 2 * x}}, 'cells': names.astype(object),
                                 'mixed': np.array([1, 'a'], dtype=object)})
for name in ('plain', 'packed', 'lists'):  # without the time of day
    with open(at(f'matlab/{name}.mat'), 'r+b') as f:
        f.write(b'MATLAB 5.0 MAT-file'.ljust(116))



def matlab73(name, variables):
    """As MATLAB's save('-v7.3') lays its variables out: dimensions turned round, classes in attributes."""
    with h5py.File(at(name), 'w', userblock_size=512) as f:
        for key, v in variables.items():
            if isinstance(v, list):  # a cell array of strings, a column of them
                cells = []
                for k, word in enumerate(v):
                    units = np.frombuffer(word.encode('utf-16-le'), 'u2')
                    cell = f.create_dataset(f'#refs#/{k}', data=units[:, None])
                    cell.attrs['MATLAB_class'] = np.bytes_('char')
                    cell.attrs['MATLAB_int_decode'] = np.int32(2)
                    cells.append(cell.ref)
                d = f.create_dataset(key, data=np.array([cells], dtype=h5py.ref_dtype))
            elif v.dtype.kind == 'U':  # a matrix of letters, a string a row
                letters = np.array([[ord(c) for c in word.ljust(int(v.dtype.itemsize / 4))] for word in v], 'u2')
                d = f.create_dataset(key, data=letters.T)
                d.attrs['MATLAB_int_decode'] = np.int32(2)
            else:
                d = f.create_dataset(key, data=v.T.astype('u1') if v.dtype == bool else v.T, compression='gzip')
            classes = {'f8': 'double', 'f4': 'single', 'i8': 'int64', 'b1': 'logical'}
            kind = 'cell' if isinstance(v, list) else 'char' if v.dtype.kind == 'U' else classes[v.dtype.str[1:]]
            d.attrs['MATLAB_class'] = np.bytes_(kind)
        f['run/x'].attrs['MATLAB_class'] = np.bytes_('double')
        f['run'].attrs['MATLAB_class'] = np.bytes_('struct')
    with open(at(name), 'r+b') as f:
        f.write(b'MATLAB 7.3 MAT-file, HDF5 schema 1.00 .'.ljust(116) + bytes(8) + b'\0\2IM')


matlab73('matlab/v73.mat', {'x': x, 'single': x.astype('f4'), 'y': y[:, None].astype(float), 'row': y[None], 'cells': names.tolist(),
                            'letters': names, 'tokens': np.stack([x, x + 1, x + 5], 1), 'run/x': 2 * x, 'flags': x > 0})

# ---- tables ----
import polars as pl  # noqa: E402

table = frame.assign(species=names, number=y)
table.to_csv(at('tables/pandas.csv'))
table.to_csv(at('tables/pandas-no-index.csv'), index=False)
pl.DataFrame({c: table[c].tolist() for c in table}).write_csv(at('tables/polars.csv'))
pd.DataFrame(x).to_csv(at('tables/counted.csv'))  # names and index are 0, 1, 2, …
pd.DataFrame(x).to_csv(at('tables/counted-no-index.csv'), index=False)
frame.assign(label=y).rename_axis('id').to_csv(at('tables/ids.csv'))
frame.to_csv(at('tables/decimal-comma.csv'), index=False, sep=';', decimal=',')
for word in ('NA', 'null', '?'):
    some = frame.copy()
    some.iloc[2, 1] = np.nan
    some.to_csv(at(f'tables/holes-{ {"?": "word"}.get(word, word) }.csv'), index=False, na_rep=word)
with open(at('tables/utf-16.csv'), 'wb') as f:
    f.write(frame.to_csv(index=False).encode('utf-16'))
with open(at('tables/lists.json'), 'w') as f:
    f.write(str(x.tolist()))
np.savetxt(at('tables/numpy.txt'), x)
np.savetxt(at('tables/numpy.csv'), x, delimiter=',')
np.savetxt(at('tables/vectors.tsv'), x, delimiter='\t')
with open(at('tables/metadata.tsv'), 'w') as f:
    f.write('\n'.join(names) + '\n')
holes = frame.copy()
holes.iloc[2, 1] = np.nan
holes.to_csv(at('tables/holes-pandas.csv'), index=False)
pl.DataFrame({c: holes[c].tolist() for c in holes}).write_csv(at('tables/holes-polars.csv'))
np.savetxt(at('tables/holes-numpy.csv'), holes.to_numpy(), delimiter=',')
pl.DataFrame({'label': ['ant', None, 'bee', 'ant', 'bee', 'ant']}).write_csv(at('tables/missing-polars.csv'))
pd.DataFrame({'label': ['ant', None, 'bee', 'ant', 'bee', 'ant']}).to_csv(at('tables/missing-pandas.csv'), index=False)

# ---- vectors' own formats ----
import faiss  # noqa: E402

for kind, data in (('f', x.astype('<f4')), ('b', (2 * x + 3).astype('u1')), ('i', (2 * x).astype('<i4'))):
    with open(at(f'vectors/x.{kind}vecs'), 'wb') as f:
        for row in data:
            f.write(np.int32(D).tobytes() + row.tobytes())
for name, index in (('l2', faiss.IndexFlatL2(D)), ('ip', faiss.IndexFlatIP(D)), ('hnsw', faiss.IndexHNSWFlat(D, 4))):
    index.add(x.astype('f4'))
    faiss.write_index(index, at(f'vectors/{name}.faiss'))
index = faiss.IndexIDMap(faiss.IndexFlatL2(D))
index.add_with_ids(x.astype('f4'), np.arange(N) + 100)
faiss.write_index(index, at('vectors/ids.faiss'))

# ---- safetensors ----
import json  # noqa: E402
import struct  # noqa: E402

import safetensors.numpy  # noqa: E402
import safetensors.torch  # noqa: E402

safetensors.torch.save_file({k: kinds[k].contiguous() for k in
                             ('float32', 'bfloat16', 'float16', 'float8_e4m3fn', 'float8_e5m2', 'complex', 'y')} |
                            {'nine': torch.zeros([1] * 9), 'float8_e8m0fnu': torch.full((2, 2), 0.5).to(torch.float8_e8m0fnu),
                             'large': torch.tensor(2 ** 53 + y)},
                            at('safetensors/kinds.safetensors'))
safetensors.numpy.save_file({'x': np.asfortranarray(x.astype('f4'))}, at('safetensors/transposed.safetensors'))
for name in ('model-00001-of-00002', 'model-00002-of-00002'):
    safetensors.torch.save_file({'x' if name[10] == '1' else 'other': t}, at(f'safetensors/sharded/{name}.safetensors'))
with open(at('safetensors/sharded/model.safetensors.index.json'), 'w') as f:
    json.dump({'metadata': {}, 'weight_map': {'x': 'model-00001-of-00002.safetensors',
                                              'other': 'model-00002-of-00002.safetensors'}}, f)


def raw_safetensors(name, header, data):
    with open(at('safetensors/' + name), 'wb') as f:
        f.write(struct.pack('<Q', len(header)) + header.encode() + data)


entry = '"dtype":"F32","shape":[6,4],"data_offsets":[0,96]'
raw = x.astype('<f4').tobytes()
raw_safetensors('null-metadata.safetensors', '{"__metadata__":null,"x":{%s}}' % entry, raw)
raw_safetensors('blanks.safetensors', '  {"x":{%s}}' % entry, raw)
raw_safetensors('doubled.safetensors', '{"x":{%s},"x":{%s}}' % (entry, entry), raw)
raw_safetensors('sub-byte.safetensors', '{"x":{%s},"f4":{"dtype":"F4","shape":[2,4],"data_offsets":[96,100]},'
                '"f6":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[100,103]}}' % entry, raw + bytes(7))
for name in ('null-metadata', 'blanks', 'doubled', 'sub-byte'):  # the reference accepts them
    with open(at(f'safetensors/{name}.safetensors'), 'rb') as f:
        safetensors.deserialize(f.read())
