"""load_run: a run of mews as a torch module, for every backbone; needs torch and safetensors."""
import glob
import json
import os

import torch
from torch import nn
from torch.nn import functional


def downsample(inputs, outputs, stride):
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = downsample(inputs, outputs, stride)

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        h = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(h)) + shortcut)


class Bottleneck(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        inner = outputs // 4
        self.conv1 = nn.Conv2d(inputs, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = downsample(inputs, outputs, stride)

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        h = functional.relu(self.bn1(self.conv1(x)))
        h = functional.relu(self.bn2(self.conv2(h)))
        return functional.relu(self.bn3(self.conv3(h)) + shortcut)


class ResNet(nn.Module):
    """resnet8 (stages of one block: W, 2W, 4W), resnet18 (four stages of two) and resnet50, with torchvision's names."""

    def __init__(self, width, depths, stem, padding, block=BasicBlock, widening=1):
        super().__init__()
        imagenet = stem == 'imagenet'
        self.conv1 = nn.Conv2d(3, width, 7 if imagenet else 3, 2 if imagenet else 1, 3 if imagenet else padding,
                               bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if imagenet else nn.Identity()
        inputs = width
        for s, depth in enumerate(depths):
            blocks = []
            for i in range(depth):
                blocks.append(block(inputs, widening * width << s, 2 if s and not i else 1))
                inputs = widening * width << s
            setattr(self, f'layer{s + 1}', nn.Sequential(*blocks))
        self.stages, self.features = len(depths), inputs

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


def sincos_positions(side, width):
    """(1, side², width): sines and cosines of x, then of y, as MoCo v3 and MAE have them."""
    omega = 10000 ** (-torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    y, x = torch.meshgrid(torch.arange(side).double(), torch.arange(side).double(), indexing='ij')
    x, y = torch.outer(x.flatten(), omega), torch.outer(y.flatten(), omega)
    return torch.cat([x.sin(), x.cos(), y.sin(), y.cos()], 1)[None].float()


class Block(nn.Module):
    def __init__(self, width, layer_scale):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, 1e-6), nn.LayerNorm(width, 1e-6)
        self.attn, self.mlp = nn.Module(), nn.Module()
        self.attn.qkv, self.attn.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp.fc1, self.mlp.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        for name in ('ls1', 'ls2') if layer_scale else ():
            scale = nn.Module()
            scale.gamma = nn.Parameter(torch.full((width,), float(layer_scale)))
            setattr(self, name, scale)
        self.heads = width // 64

    def forward(self, x):
        n, tokens, width = x.shape
        q, k, v = self.attn.qkv(self.norm1(x)).reshape(n, tokens, 3, self.heads, 64).permute(2, 0, 3, 1, 4)
        h = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, tokens, width)
        h = self.attn.proj(h)
        x = x + (self.ls1.gamma * h if hasattr(self, 'ls1') else h)
        h = self.mlp.fc2(functional.gelu(self.mlp.fc1(self.norm2(x))))
        return x + (self.ls2.gamma * h if hasattr(self, 'ls2') else h)


class VisionTransformer(nn.Module):
    """vit_tiny, vit_small, vit_base with timm's names; with registers, positions are the patches' alone."""

    def __init__(self, width, depth, patch, size, registers, pool, positions, interpolation, layer_scale):
        super().__init__()
        self.patch_embed = nn.Module()
        self.patch_embed.proj = nn.Conv2d(3, width, patch, patch)
        grid, mean = size // patch, pool == 'mean'
        if not mean:
            self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        if registers:
            self.reg_token = nn.Parameter(torch.zeros(1, registers, width))
        if positions == 'learned':
            self.pos_embed = nn.Parameter(torch.zeros(1, grid * grid + (not mean and not registers), width))
        self.blocks = nn.ModuleList(Block(width, layer_scale) for _ in range(depth))
        setattr(self, 'fc_norm' if mean else 'norm', nn.LayerNorm(width, 1e-6))
        self.grid, self.mean, self.interpolation, self.features = grid, mean, interpolation, width

    def positions(self, side):
        if not hasattr(self, 'pos_embed'):
            return sincos_positions(side, self.features).to(self.patch_embed.proj.weight)
        if side == self.grid:
            return self.pos_embed
        before = self.pos_embed.shape[1] - self.grid ** 2
        table = self.pos_embed[:, before:].reshape(1, self.grid, self.grid, -1).permute(0, 3, 1, 2)
        if self.interpolation == 'timm':
            table = functional.interpolate(table, size=(side, side), mode='bicubic', antialias=True)
        else:
            scale = (side + 0.1) / self.grid
            table = functional.interpolate(table, scale_factor=(scale, scale), mode='bicubic')
        return torch.cat([self.pos_embed[:, :before], table.flatten(2).transpose(1, 2)], 1)

    def forward(self, x):
        x = self.patch_embed.proj(x)
        side, x = x.shape[-1], x.flatten(2).transpose(1, 2)
        position, patches = self.positions(side), x.shape[1]
        x = x + position[:, -patches:]
        before = []
        if hasattr(self, 'cls_token'):
            first = self.cls_token + position[:, :1] if position.shape[1] > patches else self.cls_token
            before.append(first.expand(len(x), -1, -1))
        if hasattr(self, 'reg_token'):
            before.append(self.reg_token.expand(len(x), -1, -1))
        x = torch.cat([*before, x], 1)
        for block in self.blocks:
            x = block(x)
        return self.fc_norm(x[:, -patches:].mean(1)) if self.mean else self.norm(x[:, 0])


TRANSFORMERS = {'vit_tiny': 192, 'vit_small': 384, 'vit_base': 768}


def backbone(name, width=0, stem='cifar', stem_padding=1, size=224, patch=16, registers=0, depth=0, pool='class',
             positions='learned', interpolation='dino', layer_scale=0):
    """An untrained backbone by the keys of a spec's `backbone:`; its state_dict has the names of a checkpoint."""
    if name == 'resnet8':
        return ResNet(width or 16, (1, 1, 1), stem, 1)
    if name == 'resnet18':
        return ResNet(width or 64, (2, 2, 2, 2), stem, stem_padding)
    if name == 'resnet50':
        return ResNet(width or 64, (3, 4, 6, 3), stem, stem_padding, Bottleneck, 4)
    if name == 'falcon8':
        return Falcon8(width or 128)
    if name in TRANSFORMERS:
        return VisionTransformer(width or TRANSFORMERS[name], depth or 12, patch, size, registers, pool, positions,
                                 interpolation, layer_scale)
    raise ValueError(f'no backbone {name} is known to this version of mews; resnet8, resnet18, resnet50, falcon8, '
                     f'{", ".join(TRANSFORMERS)} are')


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
    known = ('name', 'width', 'stem', 'stem_padding', 'patch', 'registers', 'depth', 'pool', 'positions',
             'interpolation', 'layer_scale')
    model = backbone(size=spec.get('data.size', 32), **{key: keys[key] for key in known if key in keys})
    prefix = 'backbone.' if which == 'student' else 'teacher.backbone.'
    saved = {key[len(prefix):]: value for key, value in load_file(checkpoints[-1]).items() if key.startswith(prefix)}
    if not saved:
        raise ValueError(f'{checkpoints[-1]}: holds no {which}')
    left = model.load_state_dict(saved, strict=False)
    odd = list(left.unexpected_keys) + [key for key in left.missing_keys if not key.endswith('num_batches_tracked')]
    if odd:
        raise ValueError(f'{checkpoints[-1]}: does not fit the backbone {keys["name"]}: {odd[0]}')
    return model.eval(), record['data']['mean'], record['data']['std']
