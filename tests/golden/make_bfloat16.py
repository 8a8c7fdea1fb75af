"""Golden values of layers in bfloat16 from PyTorch: python3 tests/golden/make_bfloat16.py

Operands are numbers that bfloat16 has. The loss is the sum of g times the means over pixels, or times a linear layer's
output; images have powers of two of pixels, so that the gradients that arrive are such numbers, too. Images are written
N,H,W,C.
"""
import torch
import torch.nn.functional as F

from golden import save

torch.manual_seed(0)
torch.set_num_threads(1)
out = {}


def numbers(*shape, scale=1.0):
    return (torch.randn(shape) * scale).bfloat16().requires_grad_(True)


def plain(t):
    t = t.detach().float()
    return (t.permute(0, 2, 3, 1) if t.dim() == 4 else t).contiguous().numpy()


def case(name, layer, x, w, bias):
    y = layer(x, w, bias)
    pooled = y.shape[:2] if y.dim() == 4 else y.shape
    g = torch.randn(pooled).bfloat16()
    pixels = y.shape[2] * y.shape[3] if y.dim() == 4 else 1
    arriving = (g / pixels)[..., None, None].expand(y.shape) if y.dim() == 4 else g
    y.backward(arriving.contiguous())
    out.update({f'{name}.x': plain(x), f'{name}.y': plain(y), f'{name}.g': plain(g), f'{name}.dx': plain(x.grad),
                f'{name}.w': w.detach().float().numpy(), f'{name}.dw': w.grad.float().numpy(),
                f'{name}.bias': plain(bias), f'{name}.dbias': plain(bias.grad)})


def conv(name, n, channels, to, size, side, stride, padding):
    case(name, lambda x, w, b: F.conv2d(x, w, b, stride, padding), numbers(n, channels, side, side),
         numbers(to, channels, size, size, scale=(channels * size * size) ** -0.5), numbers(to))


conv('conv', 2, 16, 16, 3, 8, 1, 1)
conv('conv_stride', 2, 16, 32, 3, 8, 2, 1)
conv('conv_wide', 1, 32, 48, 3, 4, 1, 1)
conv('conv_one', 2, 32, 64, 1, 8, 2, 0)
conv('conv_odd', 2, 5, 7, 3, 4, 1, 1)
for name, rows, into, to in (('linear', 6, 16, 48), ('linear_tall', 70, 40, 20)):
    case(name, F.linear, numbers(rows, into), numbers(to, into, scale=into ** -0.5), numbers(to))

save('bfloat16', out)
