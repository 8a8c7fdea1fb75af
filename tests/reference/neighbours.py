#!/usr/bin/env python3
"""What other packages say of matrices of known state, beside mews: the table of analysis/README.md.

    pip install torch numpy stable-pretraining==0.1.8 reptrix==0.1.0 lightly==1.6.0 monai==1.6.1
    python tests/reference/neighbours.py [MEWS]

A package that is not installed is left out. 512 rows of 64 columns (LiDAR: 256 inputs of 10 views each), seed 0.
"""
import importlib.metadata, json, os, subprocess, sys, tempfile, types

import numpy as np
import torch

MEWS = sys.argv[1] if len(sys.argv) > 1 else './mews'
N, D, INPUTS, VIEWS = 512, 64, 256, 10
rng = np.random.default_rng(0)


def noise(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def matrices():
    base, two = noise(1, D), noise(2, D)
    yield 'white noise', lambda n: noise(n, D)
    yield 'one point, float32 rounding', lambda n: (base * (1 + 6e-8 * noise(n, D))).astype(np.float32)
    yield 'one point, noise 1e-5', lambda n: base + np.float32(1e-5) * noise(n, D)
    yield 'two directions', lambda n: noise(n, 2) @ two
    yield 'two directions, noise 0.01', lambda n: noise(n, 2) @ two + np.float32(0.01) * noise(n, D)
    yield 'white noise about 8', lambda n: noise(n, D) + np.float32(8)


def submodule(package, name):
    """One file of stable-pretraining, without the rest of the package, which wants a GPU's stack to be imported."""
    import importlib.machinery
    root = [os.path.dirname(str(importlib.metadata.distribution('stable-pretraining').locate_file(package + '/x')))]
    for path in (package, package + '.callbacks'):
        if path not in sys.modules:
            stub = types.ModuleType(path)
            stub.__spec__ = importlib.machinery.ModuleSpec(path, None, is_package=True)
            stub.__path__ = [os.path.join(root[0], *path.split('.')[1:])]
            sys.modules[path] = stub
    return importlib.import_module(f'{package}.callbacks.{name}')


def stable_lidar():
    module = submodule('stable_pretraining', 'lidar')
    cls = module.LiDAR

    def run(views):
        # its queue holds rows in the order of their groups
        it = cls.__new__(cls)
        it.n_classes, it.samples_per_class, it.delta, it.epsilon = INPUTS, VIEWS, 1e-4, 1e-8
        it.verbose, it.target_shape = False, D
        got = it._compute_lidar(torch.tensor(views.reshape(INPUTS * VIEWS, D)))
        return got['lidar'] if isinstance(got, dict) else got

    return run


def stable_rankme():
    """Its callback's lines, on the embeddings: exp of the entropy of σ/Σσ + 1e-5."""
    import inspect
    text = inspect.getsource(submodule('stable_pretraining', 'rankme'))
    assert 'svdvals' in text

    class Log:
        global_rank = 0

    def run(x):
        module = submodule('stable_pretraining', 'rankme')
        callback = module.RankMe.__new__(module.RankMe)
        logged = {}
        callback.name, callback.verbose, callback._target_queue = 'rankme', False, types.SimpleNamespace(
            data=torch.tensor(x))
        queue = types.SimpleNamespace(data=torch.tensor(x))
        for key in ('_target_queue', '_queue', 'queue'):
            setattr(callback, key, queue)
        model = types.SimpleNamespace(log=lambda name, value, **_: logged.__setitem__(name, value), device='cpu')
        callback.on_validation_batch_end(Log(), model, None, None, 0)
        return logged['rankme']

    return run


def packages():
    try:
        import reptrix.lidar, reptrix.rankme
        yield 'reptrix', 'RankMe', lambda x, v: reptrix.rankme.get_rankme(torch.tensor(x))
        yield 'reptrix', 'LiDAR', lambda x, v: reptrix.lidar.get_lidar(torch.tensor(v), INPUTS, VIEWS)
    except ImportError as e:
        print('reptrix is left out:', e, file=sys.stderr)
    try:
        rankme, lidar = stable_rankme(), stable_lidar()
        yield 'stable-pretraining', 'RankMe', lambda x, v: rankme(x)
        yield 'stable-pretraining', 'LiDAR', lambda x, v: lidar(v)
    except Exception as e:
        print('stable-pretraining is left out:', e, file=sys.stderr)
    try:
        from lightly.utils.debug import std_of_l2_normalized
        yield 'lightly', 'std · √d', lambda x, v: float(std_of_l2_normalized(torch.tensor(x))) * D ** 0.5
    except ImportError as e:
        print('lightly is left out:', e, file=sys.stderr)
    try:
        from monai.metrics import compute_embedding_collapse
        yield 'monai', 'collapse score', lambda x, v: float(
            compute_embedding_collapse(torch.tensor(x), include_indicators=['effective_rank'])['effective_rank_score'])
    except Exception as e:
        print('monai is left out:', e, file=sys.stderr)


def mews(x):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'x.npy')
        np.save(path, x)
        said = json.loads(subprocess.run([MEWS, 'diagnose', path, '--json'], capture_output=True, check=True).stdout)
    verdicts = said['verdicts']
    return verdicts['representation']['verdict'], verdicts['dimensional']['verdict']


def main():
    tools = list(packages())
    heads = [f'{name} {importlib.metadata.version(name)} {figure}' for name, figure, _ in tools]
    print('| matrix | ' + ' | '.join(heads) + ' | mews: representation | mews: dimensional |')
    print('|---|' + '---:|' * len(heads) + '---|---|')
    for name, make in matrices():
        x, v = make(N), np.stack([make(INPUTS)] * VIEWS, 1)
        v = (v + np.float32(0.1) * v.std(0).mean() * noise(INPUTS, VIEWS, D)).astype(np.float32)
        cells = []
        for _, _, run in tools:
            try:
                cells.append(f'{run(x, v):.3g}')
            except Exception as e:
                cells.append(type(e).__name__)
        print(f'| {name} | ' + ' | '.join(cells + list(mews(x))) + ' |', flush=True)


main()
