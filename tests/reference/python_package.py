#!/usr/bin/env python3
"""The Python package as its users use it, beside the libraries it is used with: run by `make check-python`.

  python tests/reference/python_package.py PROGRAM [NAME…]     PROGRAM: build/release/mews; NAME: these tests only

Each test is a function and says what holds; what a missing library leaves out is said and counted.
"""
import ctypes
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

import mews

PROGRAM = os.path.abspath(sys.argv[1])
TESTS, SKIPPED = [], []


def test(function):
    TESTS.append(function)
    return function


def needs(*names):
    """Imports, or skips the test."""
    import importlib
    found = []
    for name in names:
        try:
            found.append(importlib.import_module(name))
        except ImportError as problem:
            raise Skip(str(problem)) from None
    return found[0] if len(found) == 1 else found


class Skip(Exception):
    pass


def raises(kind, words, call):
    try:
        call()
    except kind as problem:
        assert words in str(problem) and '\n' not in str(problem), str(problem)
        return
    raise AssertionError(f'no {kind.__name__}: {words}')


def rng():
    return np.random.default_rng(0)


def cli(z, *options):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'z.npy')
        np.save(path, z)
        said = subprocess.run([PROGRAM, 'diagnose', path, '--json', *options], check=True, stdout=subprocess.PIPE)
        return json.loads(said.stdout)


def same_figures(a, b, leave=('source', 'name')):
    for key in a:
        if key in leave or isinstance(a[key], (dict, list)):
            continue
        assert a[key] == b.get(key), (key, a[key], b.get(key))
    for mode in a['verdicts']:
        assert a['verdicts'][mode]['verdict'] == b['verdicts'][mode]['verdict'], mode


@test
def a_matrix_in_memory_has_the_figures_of_its_file():
    z = rng().standard_normal((500, 24)).astype(np.float32)
    same_figures(cli(z), mews.diagnose(z).figures)


@test
def rankme_is_numpys():
    z = rng().standard_normal((300, 40)) @ np.diag(0.9**np.arange(40))
    s = np.linalg.svd(z.astype(np.float64), compute_uv=False)
    p = s / s.sum() + 1e-7
    assert abs(mews.diagnose(z).rankme / np.exp(-(p * np.log(p)).sum()) - 1) < 1e-6


@test
def strides_types_and_byte_orders_are_read_as_they_lie():
    z = rng().standard_normal((400, 32)).astype(np.float32)
    expected = mews.diagnose(z).rankme
    wide = np.zeros((400, 64), np.float32)
    wide[:, ::2] = z
    for same in (np.asfortranarray(z), wide[:, ::2], z[::-1][::-1], z.astype(np.float64), z.astype('>f4')):
        assert abs(mews.diagnose(same).rankme / expected - 1) < 1e-6, same.dtype
    row = np.broadcast_to(np.float32(1.5), (64, 8))  # all strides are zero: one number, read as often as it is meant
    assert mews.diagnose(row, fast=True).verdicts['representation'] == 'collapsed'
    half = z.astype(np.float16)
    assert abs(mews.diagnose(half).rankme / mews.diagnose(half.astype(np.float32)).rankme - 1) < 1e-9


@test
def nothing_is_copied_of_float32():
    import resource
    z = rng().standard_normal((200000, 256)).astype(np.float32)  # 200 MB
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    mews.diagnose(z, fast=True)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 150, f'{grown:.0f} MiB more for 195 MiB of embeddings'


@test
def torch_tensors_are_read_in_place_bfloat16_too():
    torch = needs('torch')
    z = torch.randn(400, 32, generator=torch.Generator().manual_seed(0))
    expected = mews.diagnose(z.numpy()).rankme
    assert mews.diagnose(z).rankme == expected
    assert mews.diagnose(z.clone().requires_grad_()).rankme == expected
    assert mews.diagnose(z.t().contiguous().t()).rankme == expected
    low = z.bfloat16()
    assert mews.diagnose(low).rankme == mews.diagnose(low.float()).rankme
    labels = torch.arange(400) % 10
    assert mews.diagnose(z, labels=labels)['classes'] == 10


@test
def jax_arrays_are_read():
    jax = needs('jax.numpy')
    z = rng().standard_normal((200, 16)).astype(np.float32)
    assert mews.diagnose(jax.asarray(z)).rankme == mews.diagnose(z).rankme
    low = jax.asarray(z).astype(jax.bfloat16)
    assert mews.diagnose(low).rankme == mews.diagnose(np.asarray(low.astype(jax.float32))).rankme


@test
def labels_come_as_people_have_them():
    z = rng().standard_normal((120, 8)).astype(np.float32)
    numbers = np.arange(120) % 4
    names = np.array(['cat', 'dog', 'emu', 'fox'])[numbers]
    forms = [numbers, numbers.astype(np.float64), numbers[:, None], numbers.tolist(), names, list(names), np.eye(4)[numbers]]
    found = [mews.diagnose(z, labels=form)['nc1'] for form in forms]
    assert len(set(found)) == 1, found


@test
def what_is_wrong_is_said_in_one_line():
    z = rng().standard_normal((50, 8)).astype(np.float32)
    bad = z.copy()
    bad[7, 3] = np.nan
    raises(ValueError, 'row 7', lambda: mews.diagnose(bad))
    raises(ValueError, '(50, 2, 4)', lambda: mews.diagnose(z.reshape(50, 2, 4)))
    raises(ValueError, 'labels', lambda: mews.diagnose(z, labels=[0, 1]))
    raises(ValueError, 'whole numbers', lambda: mews.diagnose(z, labels=np.full(50, 0.5)))
    raises(ValueError, 'embeddings', lambda: mews.diagnose(np.array([['a', 'b']])))
    raises(ValueError, 'second', lambda: mews.diagnose(z, second=z[:, :4]))


@test
def a_collapse_is_found_and_health_is_not_called_one():
    point = np.ones((300, 16), np.float32)
    assert 'representation' in mews.diagnose(point).collapsed
    line = (rng().standard_normal((2000, 1)) @ rng().standard_normal((1, 64))).astype(np.float32)
    assert 'dimensional' in mews.diagnose(line).collapsed
    assert not mews.diagnose(rng().standard_normal((2000, 64))).collapsed
    codes = np.zeros(500, np.int64)
    assert 'cluster' in mews.diagnose(rng().standard_normal((500, 16)), assignments=codes, codes=64).collapsed


@test
def a_reference_tells_a_loss_from_a_narrow_input():
    z = rng().standard_normal((2000, 64)).astype(np.float32)
    less = z @ np.diag(np.r_[np.ones(3), np.full(61, 1e-3)]).astype(np.float32)
    with_reference = mews.diagnose(less, reference=z).verdicts['dimensional']
    assert with_reference == 'collapsed', with_reference.sentence
    narrow = (z @ np.diag(0.8**np.arange(64))).astype(np.float32)
    same = mews.diagnose(narrow, reference=narrow).verdicts['dimensional']
    assert same == 'healthy', same.sentence


@test
def a_notebook_shows_a_table_and_print_shows_words():
    d = mews.diagnose(rng().standard_normal((100, 8)), name='<z>')
    assert '&lt;z&gt;' in d._repr_html_() and '<table>' in d._repr_html_() and 'dimensional' in str(d)


@test
def a_monitors_folder_is_a_run_that_report_draws():
    random = rng()
    z = random.standard_normal((600, 32)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'results', 'mine', 'first')
        with mews.Monitor(path, lr=0.1, method='mine') as monitor:
            for epoch in range(4):
                scale = np.diag(np.r_[np.ones(2), np.full(30, 0.03**epoch)]).astype(np.float32)
                d = monitor.log(z @ scale, epoch=epoch, labels=np.arange(600) % 5, figures={'loss': 1 / (epoch + 1)})
        assert d.verdicts['dimensional'] == 'collapsed', d.verdicts['dimensional'].sentence
        lines = [json.loads(line) for line in open(os.path.join(path, 'metrics.jsonl'), encoding='utf-8')]
        assert [line['epoch'] for line in lines] == [0, 1, 2, 3] and lines[1]['loss'] == 0.5
        said = subprocess.run([PROGRAM, 'report', path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert said.returncode == 0, said.stdout
        page = open(os.path.join(path, 'index.html'), encoding='utf-8').read()
        assert 'dimensional' in page and 'collapsed' in page
        monitor = mews.Monitor(path, lr=0.1, method='mine')  # goes on, from epoch 2 again
        assert 'loss' in json.load(open(os.path.join(path, 'run.json'), encoding='utf-8'))['final']
        monitor.log(z, epoch=2)
        monitor.close()
        lines = [json.loads(line) for line in open(os.path.join(path, 'metrics.jsonl'), encoding='utf-8')]
        assert [line['epoch'] for line in lines] == [0, 1, 2]
        raises(ValueError, 'closed', lambda: monitor.log(z, epoch=3))


SPEC = '''name: python
data: {name: shapes, size: 32, limit: 128}
backbone: {name: %s}
method: {name: falcon, features: 8, codes: 16}
train: {epochs: 1, batch: 32, threads: 1}
eval: [knn]
'''


@test
def every_backbone_opens_as_a_torch_module_with_the_engines_features():
    torch = needs('torch')
    needs('safetensors')
    names = [name.split()[0] for name in subprocess.run([PROGRAM, 'backbones'], check=True, stdout=subprocess.PIPE,
                                                        text=True).stdout.splitlines() if name and not name[0].isspace()]
    assert len(names) >= 7, names
    for name in names:
        more = ', patch: 4, depth: 2' if name.startswith('vit') else ''
        with tempfile.TemporaryDirectory() as folder:
            random = rng()
            for split, count in (('train', 16), ('test', 8)):
                for label in range(2):
                    place = os.path.join(folder, 'images', split, f'class-{label}')
                    os.makedirs(place)
                    for i in range(count):
                        from PIL import Image
                        pixels = random.integers(0, 256, (16, 16, 3)) // (2 - label)
                        Image.fromarray(pixels.astype(np.uint8)).save(os.path.join(place, f'{i:03}.png'))
            spec = os.path.join(folder, 'spec.yaml')
            with open(spec, 'w', encoding='utf-8') as file:
                file.write(f'name: python\ndata: {{name: folder, path: {folder}/images, size: 16}}\naugment: none\n'
                           f'backbone: {{name: {name}{more}}}\nmethod: supervised\noptimizer: {{name: sgd, lr: 0.01}}\n'
                           'train: {epochs: 1, batch: 8, threads: 1}\neval: [knn]\n')
            said = subprocess.run([PROGRAM, 'train', spec, '--out', os.path.join(folder, 'results'), '--json'],
                                  check=True, stdout=subprocess.PIPE)
            run = json.loads(said.stdout)['folder']
            model, mean, std = mews.load_run(run)
            files = [os.path.join(folder, 'images', 'test', f'class-{label}', f'{i:03}.png') for i in range(8) for label in range(2)]
            from PIL import Image
            pixels = np.stack([np.asarray(Image.open(path)) for path in files])
            x = (torch.from_numpy(pixels / 255.0) - torch.tensor(mean)) / torch.tensor(std)
            with torch.no_grad():
                found = model(x.permute(0, 3, 1, 2).float()).numpy()
            expected = np.load(os.path.join(run, 'embeddings.npy'))
            assert found.shape == expected.shape, name
            along = random.standard_normal(found.shape[1])  # a transformer's features add up to nothing
            apart = np.sort(found @ along) - np.sort(expected @ along)  # whatever the order of the images
            assert abs(apart).max() < 1e-3 * abs(expected @ along).max(), name


@test
def tensorboard_reads_what_export_writes():
    accumulator = needs('tensorboard.backend.event_processing.event_accumulator')
    with tempfile.TemporaryDirectory() as folder:
        spec = os.path.join(folder, 'spec.yaml')
        with open(spec, 'w', encoding='utf-8') as file:
            file.write(SPEC % 'resnet8')
        said = subprocess.run([PROGRAM, 'train', spec, '--out', os.path.join(folder, 'results'), '--json'], check=True,
                              stdout=subprocess.PIPE)
        outcome = json.loads(said.stdout)
        events = os.path.join(folder, 'events')
        subprocess.run([PROGRAM, 'export', outcome['folder'], '--tensorboard', events], check=True, stdout=subprocess.PIPE)
        read = accumulator.EventAccumulator(events)
        read.Reload()
        lines = [json.loads(line) for line in open(os.path.join(outcome['folder'], 'metrics.jsonl'), encoding='utf-8')]
        losses = [(line['step'], np.float32(line['loss'])) for line in lines if 'loss' in line]
        assert [(event.step, np.float32(event.value)) for event in read.Scalars('train/loss')] == losses
        assert np.float32(outcome['final']['knn']) == np.float32(read.Scalars('final/knn')[0].value)


def lightning_trainer(pl, folder, epochs=2, **options):
    return pl.Trainer(max_epochs=epochs, accelerator='cpu', logger=False, enable_checkpointing=False, enable_progress_bar=False,
                      enable_model_summary=False, default_root_dir=folder, num_sanity_val_steps=-1, **options)


@test
def lightnings_callback_keeps_a_history_and_ends_a_collapsed_training():
    torch, pl = needs('torch', 'lightning.pytorch')
    from mews.callbacks import CollapseMonitor

    class Net(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = torch.nn.Linear(16, 16)

        def forward(self, x):
            return self.net(x)

        def training_step(self, batch, index):
            return self.net(batch[0]).pow(2).mean()

        def validation_step(self, batch, index):
            return None

        def on_train_epoch_end(self):  # what a collapse does
            with torch.no_grad():
                self.net.weight[1:] = self.net.weight[0]
                self.net.bias.zero_()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=1e-3)

    data = torch.utils.data.TensorDataset(torch.randn(512, 16), torch.arange(512) % 4)
    loader = torch.utils.data.DataLoader(data, batch_size=128)
    with tempfile.TemporaryDirectory() as folder:
        callback = CollapseMonitor(os.path.join(folder, 'run'), stop_on=['dimensional'])
        lightning_trainer(pl, folder, 5, callbacks=[callback]).fit(Net(), loader, loader)
        lines = [json.loads(line) for line in open(os.path.join(folder, 'run', 'metrics.jsonl'), encoding='utf-8')]
        assert [line['epoch'] for line in lines] == [0, 1, 2]  # seen at the second epoch's validation, and stopped there
        assert callback.last.verdicts['dimensional'] == 'collapsed'


@test
def stable_pretrainings_module_is_known_to_the_callback():
    spt = needs('stable_pretraining')
    torch, pl = needs('torch', 'lightning.pytorch')
    from mews.callbacks import CollapseMonitor

    def forward(self, batch, stage):
        out = {'embedding': self.backbone(batch['image']), 'label': batch['label']}
        if self.training:
            out['loss'] = out['embedding'].pow(2).mean()
        return out

    module = spt.Module(backbone=torch.nn.Linear(16, 16), forward=forward,
                        optim={'optimizer': {'type': 'SGD', 'lr': 1e-3}, 'interval': 'epoch'})
    rows = [{'image': torch.randn(16), 'label': i % 4} for i in range(256)]
    loader = torch.utils.data.DataLoader(rows, batch_size=64)
    with tempfile.TemporaryDirectory() as folder:
        callback = CollapseMonitor(os.path.join(folder, 'run'))
        lightning_trainer(pl, folder, callbacks=[callback]).fit(module, loader, loader)
        lines = open(os.path.join(folder, 'run', 'metrics.jsonl'), encoding='utf-8').read().splitlines()
        assert len(lines) == 3, lines


@test
def a_diagnosis_in_a_training_loop_costs_little():
    z = rng().standard_normal((10000, 512)).astype(np.float32)
    mews.diagnose(z, fast=True)
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        mews.diagnose(z, fast=True)
        times.append(time.perf_counter() - begin)
    print(f'    diagnose(fast=True) of 10,000 × 512: {sorted(times)[2]:.3f} s (median of 5); no limit is tested')


def main():
    failed = 0
    wanted = sys.argv[2:]
    for function in TESTS:
        if wanted and function.__name__ not in wanted:
            continue
        try:
            function()
            print('ok  ', function.__name__.replace('_', ' '))
        except Skip as why:
            SKIPPED.append(function.__name__)
            print('skip', function.__name__.replace('_', ' '), f'({why})')
        except Exception as problem:  # every test is to be heard of
            failed += 1
            print('FAIL', function.__name__.replace('_', ' '), f'\n     {type(problem).__name__}: {problem}')
    print(f'{len(TESTS) - len(SKIPPED) - failed} passed, {failed} failed, {len(SKIPPED)} skipped')
    sys.exit(failed > 0)


main()
