"""load_run: a run of mews as a torch module, for every backbone; needs torch and safetensors."""
import glob
import json
import os

import torch
from torch import nn
from torch.nn import functional


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        h = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(h)) + shortcut)


class ResNet(nn.Module):
    """resnet8 (stages of one block: W, 2W, 4W) and resnet18 (four stages of two), with torchvision's names."""

    def __init__(self, width, stages, depth, stem, padding):
        super().__init__()
        imagenet = stem == 'imagenet'
        self.conv1 = nn.Conv2d(3, width, 7 if imagenet else 3, 2 if imagenet else 1, 3 if imagenet else padding,
                               bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if imagenet else nn.Identity()
        inputs = width
        for s in range(stages):
            blocks = []
            for i in range(depth):
                blocks.append(BasicBlock(inputs, width << s, 2 if s and not i else 1))
                inputs = width << s
            setattr(self, f'layer{s + 1}', nn.Sequential(*blocks))
        self.stages, self.features = stages, inputs

    def forward(self, x):
        x = self.maxpool(functional.relu(self.bn1(self.conv1(x))))
        for s in range(self.stages):
            x = getattr(self, f'layer{s + 1}')(x)
        return x.mean((2, 3))


class FalconBlock(nn.Module):
    def __init__(self, inputs, outputs, first, pools):
        super().__init__()
        self.c1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.c2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        if inputs != outputs:
            self.sc = nn.Conv2d(inputs, outputs, 1)
        self.first, self.pools = first, pools

    def forward(self, x):
        h = self.c2(functional.leaky_relu(self.c1(x if self.first else functional.leaky_relu(x, 0.2)), 0.2))
        if self.pools:
            x, h = functional.avg_pool2d(x, 2), functional.avg_pool2d(h, 2)
        return h + (self.sc(x) if hasattr(self, 'sc') else x)


class Falcon8(nn.Sequential):
    """The preprint's ResNet-8: four residual blocks of one width without BatchNorm."""

    def __init__(self, width):
        super().__init__(*(FalconBlock(width if i else 3, width, i == 0, i < 2) for i in range(4)))
        self.features = width

    def forward(self, x):
        return functional.leaky_relu(super().forward(x), 0.2).mean((2, 3))


def backbone(name, width=0, stem='cifar', stem_padding=1):
    """An untrained backbone by the keys of a spec's `backbone:`; its state_dict has the names of a checkpoint."""
    if name == 'resnet8':
        return ResNet(width or 16, 3, 1, stem, 1)
    if name == 'resnet18':
        return ResNet(width or 64, 4, 2, stem, stem_padding)
    if name == 'falcon8':
        return Falcon8(width or 128)
    raise ValueError(f'no backbone {name} is known to this version of mews; resnet8, resnet18 and falcon8 are')


def load_run(folder, which='student'):
    """(model, mean, std) of a run's folder: the backbone in evaluation mode, and how its images are normalised.

    model(images) takes (n, 3, height, width) float images, (pixels / 255 − mean) / std by channel, and returns (n, d).
    which: 'student', or 'teacher' where the method has one on its backbone.
    """
    from safetensors.torch import load_file
    with open(os.path.join(folder, 'run.json'), encoding='utf-8') as file:
        record = json.load(file)
    checkpoints = sorted(glob.glob(os.path.join(folder, 'checkpoint-*.safetensors')))
    if not checkpoints:
        raise ValueError(f'{folder}: holds no checkpoint')
    spec = record['spec']
    keys = {key[len('backbone.'):]: value for key, value in spec.items() if key.startswith('backbone.')}
    model = backbone(keys['name'], keys.get('width', 0), keys.get('stem', 'cifar'), keys.get('stem_padding', 1))
    prefix = 'backbone.' if which == 'student' else 'teacher.backbone.'
    saved = {key[len(prefix):]: value for key, value in load_file(checkpoints[-1]).items() if key.startswith(prefix)}
    if not saved:
        raise ValueError(f'{checkpoints[-1]}: holds no {which}')
    left = model.load_state_dict(saved, strict=False)
    odd = list(left.unexpected_keys) + [key for key in left.missing_keys if not key.endswith('num_batches_tracked')]
    if odd:
        raise ValueError(f'{checkpoints[-1]}: does not fit the backbone {keys["name"]}: {odd[0]}')
    return model.eval(), record['data']['mean'], record['data']['std']
