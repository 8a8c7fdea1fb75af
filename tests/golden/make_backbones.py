"""Golden values of the backbones from PyTorch in double precision: python3 tests/golden/make_backbones.py

Images and weights are not stored but made by `noise` from their names, here as in tests/engine/test_backbones.c. The
views go through the network one after the other, so BatchNorm's statistics are each view's own. Of each gradient its
norm and four projections on noise are kept; features and running statistics are kept whole.
"""
import math

import numpy as np
import timm
import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision

from golden import save

torch.manual_seed(0)
out = {}


def noise(name, count):
    """Uniform in [−1, 1), from an integer hash of the name and the index; exact in single precision."""
    key = 2166136261
    for byte in name.encode():
        key = (key ^ byte) * 16777619 & 0xffffffff
    h = ((np.arange(1, count + 1, dtype=np.uint64) * 2654435761) & 0xffffffff) ^ key
    h ^= h >> np.uint64(16)
    h = h * np.uint64(0x85ebca6b) & np.uint64(0xffffffff)
    h ^= h >> np.uint64(13)
    h = h * np.uint64(0xc2b2ae35) & np.uint64(0xffffffff)
    h ^= h >> np.uint64(16)
    return (h >> np.uint64(8)).astype(np.float64) / 2 ** 23 - 1


class Basic(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o)
        self.conv2, self.bn2 = nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o)
        self.downsample = None
        if stride != 1 or i != o:
            self.downsample = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

    def forward(self, x):
        h = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(h + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    def __init__(self, width, stages, depth, padding):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, width, 3, 1, padding, bias=False), nn.BatchNorm2d(width)
        i = width
        for s in range(stages):
            blocks = []
            for k in range(depth):
                blocks.append(Basic(i, width << s, 2 if s and not k else 1))
                i = width << s
            setattr(self, f'layer{s + 1}', nn.Sequential(*blocks))
        self.stages = stages

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        for s in range(self.stages):
            x = getattr(self, f'layer{s + 1}')(x)
        return x.mean((2, 3))


class ResNet50(nn.Module):
    """torchvision's bottlenecks behind a CIFAR stem, narrower."""

    def __init__(self, width):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        i = width
        for s, depth in enumerate((3, 4, 6, 3)):
            blocks = []
            for k in range(depth):
                own, stride, down = width << s, 2 if s and not k else 1, None
                if k == 0:
                    down = nn.Sequential(nn.Conv2d(i, 4 * own, 1, stride, bias=False), nn.BatchNorm2d(4 * own))
                blocks.append(torchvision.models.resnet.Bottleneck(i, own, stride, down))
                i = 4 * own
            setattr(self, f'layer{s + 1}', nn.Sequential(*blocks))

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        return self.layer4(self.layer3(self.layer2(self.layer1(x)))).mean((2, 3))


class Plain(nn.Module):
    """DESIGN's block: (activation,) conv, activation, conv, and perhaps average pooling of both branches."""
    def __init__(self, i, o, first, down):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(i, o, 3, 1, 1), nn.Conv2d(o, o, 3, 1, 1)
        if i != o:
            self.sc = nn.Conv2d(i, o, 1)
        self.first, self.down, self.project = first, down, i != o

    def forward(self, x):
        h = self.c1(x if self.first else F.leaky_relu(x, 0.2))
        h = self.c2(F.leaky_relu(h, 0.2))
        if self.down:
            h, x = F.avg_pool2d(h, 2), F.avg_pool2d(x, 2)
        return h + (self.sc(x) if self.project else x)


class Falcon8(nn.Sequential):
    def __init__(self, width):
        super().__init__(Plain(3, width, True, True), Plain(width, width, False, True),
                         Plain(width, width, False, False), Plain(width, width, False, False))

    def forward(self, x):
        return F.leaky_relu(super().forward(x), 0.2).mean((2, 3))


def fill(net):
    with torch.no_grad():
        for name, t in net.state_dict().items():
            if name.endswith('num_batches_tracked'):
                continue
            v = noise('backbone.' + name, t.numel())
            if t.dim() == 4:
                v = v * math.sqrt(6 / (t.shape[1] * t.shape[2] * t.shape[3]))
            elif t.dim() == 2 and name.endswith('weight'):
                v = v * math.sqrt(3 / t.shape[1])
            elif name.endswith('running_mean'):
                v = 0.25 * v
            elif name.endswith('running_var') or (name.endswith('weight') and t.dim() == 1):
                v = 1 + 0.25 * v
            else:
                v = 0.25 * v
            t.copy_(torch.from_numpy(v.astype(np.float32).astype(np.float64)).reshape(t.shape))


def summary(name, g):
    g = g.detach().numpy().ravel()
    sides = [noise(f'{name}.{k}', g.size) for k in range(4)]
    return np.array([math.sqrt((g * g).sum())] + [(g * s).sum() / math.sqrt((s * s).sum()) for s in sides])


def record(label, net, n, side, training):
    net = net.double()
    fill(net)
    net.train(training)
    x = noise('images', 2 * n * side * side * 3).reshape(2 * n, side, side, 3)
    x = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous().requires_grad_(True)
    y = torch.cat([net(v) for v in x.chunk(2)])
    r = torch.from_numpy(noise('loss', y.numel()).reshape(y.shape))
    (y * r).sum().backward()
    out[f'{label}.features'] = y.detach().numpy().astype(np.float32)
    out[f'{label}.images'] = summary('images', x.grad.permute(0, 2, 3, 1).contiguous()).astype(np.float32)
    for name, p in net.named_parameters():
        out[f'{label}.backbone.{name}'] = summary('backbone.' + name, p.grad).astype(np.float32)
    if training:
        for name, t in net.named_buffers():
            if not name.endswith('num_batches_tracked'):
                out[f'{label}.backbone.{name}'] = t.numpy().astype(np.float32)


def imagenet_resnet(name):
    """torchvision's own, without its classifier."""
    net = getattr(torchvision.models, name)()
    net.fc = nn.Identity()
    return net


class Vit(timm.models.VisionTransformer):
    """timm's, of two blocks of two heads for images of `size` pixels; `dino` and `sincos` change its positions."""

    def __init__(self, size=16, dino=False, sincos=False, **more):
        super().__init__(img_size=size, patch_size=4, embed_dim=128, depth=2, num_heads=2, num_classes=0,
                         dynamic_img_size=True, **more)
        self.dino, self.sincos, self.side = dino, sincos, size // 4
        if sincos:
            del self.pos_embed
            self.pos_embed = 0

    def _pos_embed(self, x):
        prefix = self.num_prefix_tokens
        if self.sincos:
            rest = torch.from_numpy(sincos_table(x.shape[1], self.embed_dim))
            return torch.cat([self.cls_token.expand(len(x), -1, -1), x.flatten(1, 2) + rest], 1)
        if not self.dino:
            return super()._pos_embed(x)
        # DINO's interpolate_pos_encoding
        side = x.shape[1]
        grid = self.pos_embed[:, 1:].reshape(1, self.side, self.side, -1).permute(0, 3, 1, 2)
        grid = F.interpolate(grid, scale_factor=((side + 0.1) / self.side,) * 2, mode='bicubic')
        assert grid.shape[-1] == side
        rest = grid.permute(0, 2, 3, 1).flatten(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x.flatten(1, 2)], 1)
        return x + torch.cat([self.pos_embed[:, :1], rest], 1)


def sincos_table(side, d):
    """MoCo v3's build_2d_sincos_position_embedding."""
    omega = 1 / 10000 ** (np.arange(d // 4) / (d // 4))
    y, x = np.meshgrid(np.arange(side), np.arange(side), indexing='ij')
    x, y = np.outer(x.ravel(), omega), np.outer(y.ravel(), omega)
    return np.concatenate([np.sin(x), np.cos(x), np.sin(y), np.cos(y)], 1)[None]


if __name__ == '__main__':
    record('vit', Vit(), 4, 16, True)
    record('vit.registers', Vit(reg_tokens=3, no_embed_class=True, init_values=0.1), 4, 16, True)
    record('vit.mean', Vit(global_pool='avg', class_token=False), 4, 16, True)
    record('vit.timm.larger', Vit(), 4, 24, True)
    record('vit.timm.smaller', Vit(size=24), 4, 16, True)
    record('vit.timm.registers', Vit(size=24, reg_tokens=3, no_embed_class=True), 4, 16, True)
    record('vit.dino.larger', Vit(dino=True), 4, 24, True)
    record('vit.dino.smaller', Vit(size=24, dino=True), 4, 16, True)
    record('vit.sincos', Vit(sincos=True), 4, 16, True)
    for training in (True, False):
        mode = 'train' if training else 'eval'
        record(f'resnet8.16.{mode}', ResNet(16, 3, 1, 1), 4, 16, training)
        record(f'resnet8.5.{mode}', ResNet(5, 3, 1, 1), 4, 15, training)
        record(f'resnet18.16.{mode}', ResNet(16, 4, 2, 1), 4, 16, training)
        record(f'falcon8.16.{mode}', Falcon8(16), 4, 16, training)
        record(f'torchvision.{mode}', imagenet_resnet('resnet18'), 4, 50, training)
    record('resnet18.8.padded.train', ResNet(8, 4, 2, 2), 4, 16, True)
    record('resnet50.8.train', ResNet50(8), 4, 48, True)
    record('torchvision50.eval', imagenet_resnet('resnet50'), 4, 50, False)
    save('backbones', out)
