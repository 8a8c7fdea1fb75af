#!/usr/bin/python3
"""Checkpoints of resnet18 and resnet50 in torchvision's, by the recipe that experiments/README.md gives: the same features?

  tests/reference/interop.py ./mews FOLDER     FOLDER: an empty one to work in

Trains an epoch on a few noisy images, resnet18 with the stem's padding 1 and 2, and holds what torchvision makes of the test
images against embeddings.npy (of `method: supervised` those are the backbone's features). The suite `interop` runs it
where python3-torch, python3-torchvision and python3-numpy are installed.
"""
import json, os, re, subprocess, sys
import numpy
from PIL import Image

SPEC = '''name: interop
data: {name: folder, path: %s/images, size: 16}
augment: none
backbone: {name: %s, stem_padding: %d}
method: supervised
optimizer: {name: sgd, lr: 0.05}
train: {epochs: 1, batch: 8, threads: 1}
eval: [knn]
'''


def make_images(folder):
    rng = numpy.random.default_rng(0)
    for split, count in (('train', 16), ('test', 6)):
        for label in range(2):
            place = os.path.join(folder, 'images', split, f'class-{label}')
            os.makedirs(place)
            for i in range(count):
                pixels = rng.integers(0, 256, (16, 16, 3)) // (2 - label)
                Image.fromarray(pixels.astype(numpy.uint8)).save(os.path.join(place, f'{i:03}.png'))


def recipe():
    """The Python of experiments/README.md."""
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, '..', '..', 'experiments', 'README.md')) as file:
        return re.search(r'```python\n(.*?)```', file.read(), re.S).group(1)


def main():
    program, folder = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    make_images(folder)
    for name, padding, width in (('resnet50', 1, 2048), ('resnet18', 1, 512), ('resnet18', 2, 512)):
        spec, results = os.path.join(folder, 'interop.yaml'), os.path.join(folder, f'results-{name}-{padding}')
        with open(spec, 'w') as file:
            file.write(SPEC % (folder, name, padding))
        said = subprocess.run([program, 'train', spec, '--out', results, '--json'], check=True, stdout=subprocess.PIPE)
        run = json.loads(said.stdout)['folder']
        names = {}
        exec(recipe(), names)
        model, mean, std = names['load_run'](run)
        images = [(label, os.path.join(folder, 'images', 'test', f'class-{label}', f'{i:03}.png'))
                  for i in range(6) for label in range(2)]  # a folder's images come class by class in turn
        pixels = numpy.stack([numpy.asarray(Image.open(path)) for _, path in images])
        found = names['features'](model, mean, std, pixels)
        expected, labels = numpy.load(os.path.join(run, 'embeddings.npy')), numpy.load(os.path.join(run, 'labels.npy'))
        assert expected.dtype == numpy.float32 and expected.shape == (12, width), (expected.dtype, expected.shape)
        assert labels.tolist() == [label for label, _ in images], labels
        error = abs(found - expected).max() / abs(expected).max()
        print(f'{name}, padding {padding}: 12 x {width} features, largest difference {error:.1e} of the largest feature')
        assert error < 1e-4, error


main()
