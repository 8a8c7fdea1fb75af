#!/usr/bin/env python3
"""Every format of embeddings, written by today's libraries, read by mews: tests/reference/formats.py [--markdown]

For each writer: is the file read, and does mews say the effective rank, number of rows and spread that NumPy takes of
the same numbers? `make check-python` runs this in a virtual environment of the versions in requirements.txt; $MEWS is
the program. Exit code 1 where a row of the table is not as it should be.
"""
import json
import os
import pickle
import subprocess
import sys
import tempfile
from importlib.metadata import version

import faiss
import h5py
import hdf5storage
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pandas as pd
import polars as pl
import safetensors.numpy
import safetensors.torch
import scipy.io
import torch
import torch.distributed.checkpoint as dcp

mews = os.environ.get('MEWS', './mews')
random = np.random.RandomState(0)
N, D = 300, 16
x = (random.randn(N, D) @ np.diag(0.8 ** np.arange(D)) + 3 * np.eye(D)[np.arange(N) % 3]).astype('f4')
y = np.arange(N) % 3
names = np.array(['ant', 'bee', 'größe'])[y]
t = torch.tensor(x)
rows = []


def figures(a):
    """RankMe, and 1 − ‖mean of the normalised rows‖², in double, as DESIGN.md defines them."""
    a = np.asarray(a, dtype='f8')
    s = np.linalg.svd(a, compute_uv=False)
    p = s / s.sum() + 1e-7
    unit = a / np.linalg.norm(a, axis=1, keepdims=True)
    return {'rankme': np.exp(-(p * np.log(p)).sum()), 'spread': 1 - (unit.mean(0) ** 2).sum(), 'n': len(a), 'd': a.shape[1]}


def check(writer, what, path, wanted, *options, stdin=None):
    """One row of the table; `wanted`: the matrix, or a piece of the message that refuses it."""
    run = subprocess.run([mews, 'diagnose', '--json', path, *options], capture_output=True, text=True, cwd=folder,
                         stdin=open(os.path.join(folder, stdin)) if stdin else None)
    if isinstance(wanted, str):
        good = run.returncode != 0 and wanted in run.stderr and run.stderr.count('\n') == 1
        rows.append((writer, what, 'told', '–' if good else run.stderr.strip() or 'it was read', good))
        return
    if run.returncode != 0:
        rows.append((writer, what, 'no', run.stderr.strip(), False))
        return
    said, true = json.loads(run.stdout), figures(wanted)
    off = max(abs(said[k] - true[k]) / max(abs(true[k]), 1e-300) for k in true)
    rows.append((writer, what, 'yes', f'{off:.0e}', off < 1e-6))


folder = tempfile.mkdtemp()
os.chdir(folder)

# torch
for zipped in (True, False):
    form = 'zip' if zipped else 'legacy'
    def save(value, name):
        torch.save(value, name, _use_new_zipfile_serialization=zipped)
    who = f'torch {version("torch")} {form}'
    save(t, 'x.pt')
    check(who, 'tensor', 'x.pt', x)
    save({'model': {'feat': t, 'y': torch.tensor(y)}}, 'x.pt')
    check(who, 'in a state dict, labels inside', 'x.pt', x, '-t', 'model.feat', '--labels-in', 'model.y')
    for kind in ('float64', 'float16', 'bfloat16', 'float8_e4m3fn', 'float8_e5m2'):
        v = t.to(getattr(torch, kind))
        save({'x': v, 'other': torch.zeros(3)}, 'x.pt')
        check(who, kind, 'x.pt', v.double().numpy())
    wide = torch.zeros(2 * N, 2 * D)
    wide[::2, 1::2] = t
    save(wide[::2, 1::2], 'x.pt')
    check(who, 'slice of a larger storage', 'x.pt', x)
    save(t.T.contiguous().T, 'x.pt')
    check(who, '.T', 'x.pt', x)
    save(torch.complex(t, -t).conj().imag, 'x.pt')
    check(who, 'negated view', 'x.pt', x)
    save(torch.nn.Parameter(t), 'x.pt')
    check(who, 'parameter', 'x.pt', x)
    save({'x': x, 'y': y}, 'x.pt')
    check(who, 'NumPy arrays inside', 'x.pt', x, '-t', 'x')
    save(t.to(torch.complex64), 'x.pt')
    check(who, 'complex64', 'x.pt', 'ComplexFloatStorage')
    save(torch.nn.Linear(3, 2), 'x.pt')
    check(who, 'a whole module', 'x.pt', 'torch.nn.modules.linear.Linear')
dcp.save({'x': t, 'y': torch.tensor(y)}, checkpoint_id='dcp')
check(f'torch {version("torch")} DCP', 'folder', 'dcp', x, '-t', 'x')

# NumPy
who = f'numpy {np.__version__}'
for kind in ('f2', 'f4', '>f4', 'f8'):
    np.save('x.npy', x.astype(kind))
    check(who, f'.npy {kind}', 'x.npy', x.astype(kind))
np.save('x.npy', np.asfortranarray(x))
check(who, '.npy Fortran', 'x.npy', x)
np.save('x.npy', x[:, None, :, None])
check(who, '.npy n × 1 × d × 1', 'x.npy', x)
tokens = np.stack([x, x + 1, 2 * x], 1)
np.save('x.npy', tokens)
check(who, '.npy n × t × d, cls', 'x.npy', x, '--tokens', 'cls')
check(who, '.npy n × t × d, mean', 'x.npy', tokens.mean(1, dtype='f8'), '--tokens', 'mean')
check(who, '.npy n × t × d, all', 'x.npy', tokens.reshape(-1, D), '--tokens', 'all')
check(who, '.npy n × t × d, unsaid', 'x.npy', '--tokens cls')
np.savez('x.npz', x=x, y=y, größe=names)
check(who, '.npz, labels inside', 'x.npz', x, '--labels-in', 'größe')
check(who, '.npz through a pipe', '-', x, '--labels-in', 'y', stdin='x.npz')
np.savez_compressed('x.npz', x=x, y=y)
check(who, '.npz compressed', 'x.npz', x)
np.save('x.npy', {'x': x, 'y': y}, allow_pickle=True)
check(who, '.npy of a dictionary', 'x.npy', x, '-t', 'x')
for k, part in enumerate(np.array_split(x, 12)):
    np.save(f'part-{k}.npy', part)
check(who, '12 shards', 'part-*.npy', x)
for name, good in (('floats', y.astype(float)), ('strings', names), ('one-hot', np.eye(3)[y]), ('column', y[:, None])):
    np.save('y.npy', good)
    np.save('x.npy', x)
    check(who, f'labels as {name}', 'x.npy', x, '--labels', 'y.npy')
who = f'ml_dtypes {version("ml_dtypes")}'
for kind, option in (('bfloat16', ()), ('float8_e5m2', ()), ('float8_e4m3fn', ('--dtype', 'float8_e4m3fn')),
                     ('float8_e3m4', ('--dtype', 'float8_e3m4')), ('int4', ('--dtype', 'int4'))):
    v = x.astype(getattr(ml_dtypes, kind))
    np.save('x.npy', v)
    check(who, f'.npy {kind}', 'x.npy', v.astype('f8'), *option)
np.save('x.npy', x.astype(ml_dtypes.bfloat16).view('u2'))
check(who, 'bfloat16 as uint16', 'x.npy', '--dtype bfloat16')

# pickles, and JAX
def dump(value):
    with open('x.pkl', 'wb') as f:
        pickle.dump(value, f)
dump({'x': x, 'y': y})
check(f'pickle, numpy {np.__version__}', 'dictionary of arrays', 'x.pkl', x, '-t', 'x', '--labels-in', 'y')
dump({'x': t, 'y': torch.tensor(y)})
check(f'pickle, torch {version("torch")}', 'dictionary of tensors', 'x.pkl', x, '-t', 'x', '--labels-in', 'y')
dump([t[:100], t[100:]])
check(f'pickle, torch {version("torch")}', 'list of batches', 'x.pkl', x)
dump({'x': x.astype(ml_dtypes.bfloat16)})
check(f'pickle, ml_dtypes {version("ml_dtypes")}', 'bfloat16', 'x.pkl', x.astype(ml_dtypes.bfloat16).astype('f8'), '-t', 'x')
for kind in ('float32', 'bfloat16'):
    v = jnp.asarray(x, dtype=kind)
    dump(v)
    check(f'pickle, JAX {version("jax")}', kind, 'x.pkl', np.asarray(v).astype('f8'))
    jnp.save('x.npy', v)
    check(f'JAX {version("jax")}', f'jnp.save, {kind}', 'x.npy', np.asarray(v).astype('f8'))

# safetensors
who = f'safetensors {version("safetensors")}'
for kind in ('float32', 'float64', 'float16', 'bfloat16', 'float8_e4m3fn', 'float8_e5m2'):
    v = t.to(getattr(torch, kind))
    safetensors.torch.save_file({'x': v, 'c': t.to(torch.complex64), 'y': torch.tensor(y)}, 'x.safetensors')
    check(who, kind, 'x.safetensors', v.double().numpy(), '--labels-in', 'y')
transposed = np.asfortranarray(x)
safetensors.numpy.save_file({'x': transposed}, 'x.safetensors')
written = safetensors.numpy.load_file('x.safetensors')['x']
check(who, 'NumPy, column-major: the values that are in the file', 'x.safetensors', written)

# HDF5
who = f'h5py {h5py.__version__} (HDF5 {h5py.version.hdf5_version})'
for what, how in (('plain', {}), ('gzip, shuffled', dict(compression='gzip', shuffle=True)), ('LZF', dict(compression='lzf')),
                  ('LZF of what shrinks', dict(compression='lzf')), ('resizable', dict(maxshape=(None, D)))):
    v = np.repeat(x[:10], 30, 0) if 'shrinks' in what else x
    with h5py.File('x.h5', 'w') as f:
        f.create_dataset('x', data=v, **how)
        f['y'] = names.tolist()
    check(who, what, 'x.h5', v, '--labels-in', 'y')
with h5py.File('x.h5', 'w', libver='latest') as f:
    f.create_dataset('x', data=x)
check(who, "libver='latest', no filter", 'x.h5', x)
with h5py.File('x.h5', 'w', libver='latest') as f:
    f.create_dataset('x', data=x, compression='gzip')
check(who, "libver='latest', gzip", 'x.h5', "libver='v110'")
with h5py.File('x.h5', 'w', libver=('earliest', 'v110')) as f:
    f.create_dataset('x', data=x, compression='gzip')
check(who, "libver='v110', gzip", 'x.h5', x)
with h5py.File('x.h5', 'w') as f:
    layout = h5py.VirtualLayout((N, D), 'f4')
    layout[:] = h5py.VirtualSource('gone.h5', 'x', (N, D))
    f.create_virtual_dataset('x', layout)
check(who, 'virtual, source missing', 'x.h5', 'would read as zeros')
with h5py.File('x.h5', 'w') as f:
    f['x'] = x.astype(ml_dtypes.bfloat16).view('V2')
check(who, 'bfloat16 as opaque', 'x.h5', x.astype(ml_dtypes.bfloat16).astype('f8'), '--dtype', 'bfloat16', '-t', 'x')
frame = pd.DataFrame(x.astype('f8'))
for form in ('fixed', 'table'):
    frame.to_hdf(f'{form}.h5', key='emb', format=form)
    check(f'pandas {pd.__version__}', f'HDF {form}', f'{form}.h5', x)

# MATLAB
scipy.io.savemat('x.mat', {'x': x, 'y': names.tolist()}, do_compression=True)
check(f'scipy {scipy.__version__}', '.mat', 'x.mat', x, '--labels-in', 'y')
hdf5storage.savemat('v73.mat', {'x': x.astype('f8'), 'y': y[:, None].astype('f8')}, format='7.3')
check(f'hdf5storage {version("hdf5storage")}', '.mat 7.3', 'v73.mat', x, '-t', 'x', '--labels-in', 'y')

# tables
frame = pd.DataFrame(x.astype('f8'), columns=[f'c{k}' for k in range(D)]).assign(label=names)
frame.to_csv('x.csv')
check(f'pandas {pd.__version__}', '.csv, label column', 'x.csv', x, '--labels-in', 'label')
pl.DataFrame({c: frame[c].tolist() for c in frame}).write_csv('x.csv')
check(f'polars {pl.__version__}', '.csv, label column', 'x.csv', x, '--labels-in', 'label')
np.savetxt('x.tsv', x, delimiter='\t')
with open('metadata.tsv', 'w') as f:
    f.write('\n'.join(names) + '\n')
check(f'numpy {np.__version__}', '.tsv and metadata.tsv', 'x.tsv', x, '--labels', 'metadata.tsv')

# vectors
for name, index in (('IndexFlatL2', faiss.IndexFlatL2(D)), ('IndexFlatIP', faiss.IndexFlatIP(D))):
    index.add(x)
    faiss.write_index(index, 'x.faiss')
    check(f'faiss {faiss.__version__}', name, 'x.faiss', x)
index = faiss.IndexIDMap(faiss.IndexFlatL2(D))
index.add_with_ids(x, np.arange(N) + 7)
faiss.write_index(index, 'x.faiss')
check(f'faiss {faiss.__version__}', 'IndexIDMap', 'x.faiss', x)
index = faiss.IndexHNSWFlat(D, 4)
index.add(x)
faiss.write_index(index, 'x.faiss')
check(f'faiss {faiss.__version__}', 'IndexHNSWFlat', 'x.faiss', 'which is not read; flat ones')
with open('x.fvecs', 'wb') as f:
    for row in x:
        f.write(np.int32(D).tobytes() + row.tobytes())
check('TEXMEX', '.fvecs', 'x.fvecs', x)

print('| writer | what | read | largest relative difference from NumPy |')
print('|---|---|---|---|')
for writer, what, read, difference, good in rows:
    print(f'| {writer} | {what} | {read} | {difference}{"" if good else " ✗"} |')
bad = sum(not row[-1] for row in rows)
print(f'{len(rows)} rows, {bad} not as they should be', file=sys.stderr)
sys.exit(bad > 0)
