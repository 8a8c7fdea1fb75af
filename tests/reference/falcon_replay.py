#!/usr/bin/python3
"""PyTorch's half of a replay: 50 steps of FALCON on CIFAR-10, with everything that the engine needs to repeat them.

  falcon_replay.py ARCHIVE FOLDER [STEPS [SEED]]     ARCHIVE: train/<class>/*.jpg and test/<class>/*.jpg

Writes FOLDER/replay.safetensors: initial weights under the engine's names, the dictionary, each step's augmented views
as bytes (both views below each other, N,H,W,C, before normalisation), and the losses. Then
`make build/release/falcon-replay && build/release/falcon-replay FOLDER/replay.safetensors` takes the same steps.
resnet8 of width 32, f 512, c 2048, batch 256, Adam 1e-3 with weight decay 1e-4, constant; L2 projector, reverse prior,
both orders of the views. About 80 MB for 50 steps. Needs python3-torch and python3-torchvision.
"""
import os, sys
import numpy as np
import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'golden'))
from common import MEAN, STD, Model, Pairs, load
from golden import save


def engine_name(name):
    """layers.1.shortcut.0.weight → layer2.0.downsample.0.weight, as torchvision and the engine call it."""
    parts = name.split('.')
    if parts[0] == 'layers':
        parts[:2] = [f'layer{int(parts[1]) + 1}', '0']
    return '.'.join('downsample' if p == 'shortcut' else p for p in parts)


def main():
    path, folder = sys.argv[1], sys.argv[2]
    steps = int(sys.argv[3]) if len(sys.argv) > 3 else 50
    torch.manual_seed(int(sys.argv[4]) if len(sys.argv) > 4 else 0)
    w, f, c, n = 32, 512, 2048, 256
    loader = torch.utils.data.DataLoader(Pairs(load(path)['train'][0]), n, shuffle=True, drop_last=True)
    model, out, losses = Model(w, f, c, n), {}, []
    for prefix, net in (('backbone.', model.net), ('head.projector.', model.head)):
        for name, value in net.state_dict().items():
            if not name.endswith('num_batches_tracked'):
                out[prefix + engine_name(name)] = value.numpy().copy()
    out['head.dictionary'] = model.dictionary.numpy()
    mean, std = (np.array(v, np.float32).reshape(1, 3, 1, 1) for v in (MEAN, STD))
    opt = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-4)
    for step, (x1, x2) in zip(range(steps), loader):
        bytes_ = np.rint((torch.cat([x1, x2]).numpy() * std + mean) * 255)
        out[f'views.{step}'] = np.ascontiguousarray(bytes_.transpose(0, 2, 3, 1).astype(np.uint8))
        loss = model.loss(x1, x2)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        losses.append(loss.item())
        print(f'step {step}: {losses[-1]:.6f}', flush=True)
    out['losses'] = np.array(losses)
    os.makedirs(folder, exist_ok=True)
    save(os.path.abspath(os.path.join(folder, 'replay')), out)


main()
