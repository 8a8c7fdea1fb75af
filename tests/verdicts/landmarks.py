#!/usr/bin/env python3
"""Landmarks, and the verdicts on features of this engine's networks on real images; nothing here is drawn.

    pip install numpy pillow
    python tests/verdicts/landmarks.py IMAGES.tar[.xz] RESULTS [MEWS] [--c]

IMAGES is an archive of train/CLASS/*.jpg and test/CLASS/*.jpg, CIFAR-10 as JPEG in what stands in the repository. Every
method of experiments/small/ and its controls are trained on 8,192 of the images, 4 epochs (minutes each on two cores;
RESULTS keeps them, and what is finished is not trained again); then a table of what is there, with the verdicts: of
the embeddings, of the backbones, of raw pixels and of their principal components. --c prints rows as they stand in
analysis/verdicts/landmarks.c.
"""
import glob, hashlib, io, json, os, subprocess, sys, tarfile, tempfile

import numpy as np
from PIL import Image

WORDS = [a for a in sys.argv[1:] if a != '--c']
IMAGES, RESULTS, MEWS = WORDS[0], WORDS[1], WORDS[2] if len(WORDS) > 2 else './mews'
MODES = ('representation', 'dimensional', 'cluster', 'intracluster')
N = 2048

# name, spec, what is set beyond it
RUNS = [
    ('supervised', 'supervised', []), ('SimCLR', 'simclr', []), ('BYOL', 'byol', []), ('SimSiam', 'simsiam', []),
    ('Barlow Twins', 'barlow_twins', []), ('VICReg', 'vicreg', []), ('W-MSE', 'wmse', []), ('SwAV', 'swav', []),
    ('DINO', 'dino', []), ('Self-Classifier', 'self_classifier', []), ('GEDI', 'gedi', []), ('FALCON', 'falcon', []),
    ('SimSiam without stop-gradient', 'simsiam', ['method.stop_gradient=false']),
    ('FALCON, beta 1000', 'falcon', ['method.beta=1000']),
    ('SwAV without Sinkhorn', 'swav', ['method.sinkhorn=false']),
    ('DINO without centring', 'dino', ['method.centering=false']),
    ('Barlow Twins, lambda 0', 'barlow_twins', ['method.lambda=0']), ('VICReg, nu 0', 'vicreg', ['method.nu=0']),
    ('VICReg, mu 0', 'vicreg', ['method.mu=0']),
]
# Those that stand in landmarks.c, by what was measured.
KEPT = [('raw pixels', ''), ('64 principal components of the pixels', ''), ('untrained', 'backbone'),
        ('supervised', 'backbone'), ('SimCLR', 'backbone'), ('VICReg', 'backbone'), ('FALCON', 'backbone'),
        ('SimCLR', 'embeddings'), ('BYOL', 'embeddings'),
        ('Barlow Twins', 'embeddings'), ('VICReg', 'embeddings'), ('SwAV', 'embeddings'), ('DINO', 'embeddings'),
        ('FALCON', 'embeddings'), ('SimSiam without stop-gradient', 'embeddings'),
        ('SwAV without Sinkhorn', 'embeddings'), ('DINO without centring', 'embeddings'),
        ('FALCON, beta 1000', 'embeddings')]
# A key of landmark_figures, and where the figure is.
EVIDENCE = ('cols', 'contrast', 'variance_share', 'spread', 'effective_rank', 'effective_rank_share', 'rankme', 'k90',
            'k99', 'rank', 'gap_factor', 'alpha', 'explained_area')


def train(name, spec, settings):
    out = os.path.join(RESULTS, name.replace(' ', '_').replace(',', ''))
    command = [MEWS, 'train', f'experiments/small/{spec}.yaml', '--out', out]
    for s in ['data.name=folder', f'data.path={IMAGES}', 'data.limit=8192', 'train.epochs=4'] + settings:
        command += ['--set', s]
    found = glob.glob(os.path.join(out, '**', 'diagnosis.json'), recursive=True)
    if not found:
        subprocess.run(command, check=True, stdout=sys.stderr)
        found = glob.glob(os.path.join(out, '**', 'diagnosis.json'), recursive=True)
    return found[0]


def codes_of(c):
    if not c:
        return [None] * 4
    return [c['codes'], c['codes_used'] / c['codes_used_expected'],
            c['code_hard_perplexity'] / c['code_hard_perplexity_expected'], c['information_share']]


def images():
    with tarfile.open(IMAGES) as tar:
        found = {}
        for member in tar:
            if member.name.lower().endswith(('.jpg', '.jpeg', '.png')) and '/test/' in '/' + member.name:
                found[hashlib.sha256(member.name.encode()).hexdigest()] = tar.extractfile(member).read()
    return np.stack([np.asarray(Image.open(io.BytesIO(found[k])).convert('RGB')) for k in sorted(found)[:N]])


def diagnose(x):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'x.npy')
        np.save(path, x.astype(np.float32))
        return json.loads(subprocess.run([MEWS, 'diagnose', path, '--json'], capture_output=True, check=True).stdout)


def row(evidence, codes=None, whole=None):
    figures = [evidence[k] for k in EVIDENCE] + codes_of(codes)
    return figures + ([whole['within_share'], whole['point_share']] if whole else [None] * 2)


def main():
    rows, verdicts, accuracy = {}, {}, {}
    pixels = images().reshape(N, -1) / 255
    axes = np.linalg.eigh(np.cov(pixels.T))[1][:, ::-1].T
    for name, x in (('raw pixels', pixels), ('64 principal components of the pixels', (pixels - pixels.mean(0)) @ axes[:64].T)):
        found = diagnose(x)
        rows[name, ''] = row(found['evidence'], None, found)
        verdicts[name, ''] = [found['verdicts'][m]['verdict'] for m in MODES]
    for name, spec, settings in RUNS:
        path = train(name, spec, settings)
        whole, record = json.load(open(path)), json.load(open(os.path.join(os.path.dirname(path), 'run.json')))
        now, before = whole['course']['now'], whole['course']['untrained']
        rows[name, 'backbone'] = row(now['backbone'])
        rows[name, 'embeddings'] = row(now['embed'], now['codes'], whole)
        rows.setdefault(('untrained', 'backbone'), row(before['backbone']))
        verdicts[name, 'embeddings'] = [whole['verdicts'][m]['verdict'] for m in MODES]
        accuracy[name] = record.get('final', record).get('linear')
    if '--c' in sys.argv:
        for key in KEPT:
            values = ', '.join('NAN' if v is None else f'{v:.4g}' for v in rows[key])
            print(f'    {{"{", ".join(k for k in key if k)}", 1, {{{values}}}}},')
        return
    print('| | columns | contrast | effective rank | of possible | k99 | α | explained area | variance in clusters | '
          'linear probe | representation | dimensional | cluster | intracluster |')
    print('|---|' + '---:|' * 9 + '---|' * 4)
    for key, v in rows.items():
        said = [' ' if x is None else f'{x:.3g}' for x in (v[0], v[1], v[4], v[5], v[8], v[11], v[12], v[17])]
        probe = accuracy.get(key[0]) if key[1] == 'embeddings' else None
        print(f'| {", ".join(k for k in key if k)} | ' + ' | '.join(said) + f' | {"" if probe is None else f"{probe:.3f}"} | '
              + ' | '.join(verdicts.get(key, [''] * 4)) + ' |')


main()
