"""The larger models of `workloads.py` as one writes them in PyTorch."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn


class Decoder(nn.Module):
    """A language model with a causal mask, normalization first."""

    def __init__(self, width: int = 384, heads: int = 6, layers: int = 12, tokens: int = 256):
        super().__init__()
        self.embedding = nn.Embedding(8_000, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width, eps=1e-3) for _ in range(2 * layers + 1))
        self.attentions = nn.ModuleList(
            nn.MultiheadAttention(width, heads, batch_first=True) for _ in range(layers)
        )
        self.dense = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
            for _ in range(layers)
        )
        self.head = nn.Linear(width, 8_000)
        mask = nn.Transformer.generate_square_subsequent_mask(tokens)
        self.register_buffer("mask", mask)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embedding(x)
        for i, (attention, dense) in enumerate(zip(self.attentions, self.dense)):
            y = self.norms[2 * i](x)
            mask = {"attn_mask": self.mask, "is_causal": True, "need_weights": False}
            x = x + attention(y, y, y, **mask)[0]
            x = x + dense(self.norms[2 * i + 1](x))
        return self.head(self.norms[-1](x))


def _normalized(
    old: int, new: int, size: int = 3, strides: int = 1, groups: int = 1, bias: bool = False
) -> nn.Sequential:
    conv = nn.Conv2d(old, new, size, strides, size // 2, groups=groups, bias=bias)
    return nn.Sequential(conv, nn.BatchNorm2d(new, eps=1e-3, momentum=0.01))


class UNet(nn.Module):
    def __init__(self, width: int = 16, levels: int = 4):
        super().__init__()

        def twice(old: int, new: int) -> nn.Module:
            parts = _normalized(old, new), nn.ReLU(), _normalized(new, new), nn.ReLU()
            return nn.Sequential(*parts)

        widths = [width << level for level in range(levels + 1)]
        self.down = nn.ModuleList(twice(o, n) for o, n in zip([3, *widths], widths))
        self.wider = nn.ModuleList(
            nn.ConvTranspose2d(o, n, 2, 2) for o, n in zip(widths[1:], widths)
        )
        self.up = nn.ModuleList(twice(2 * n, n) for n in widths[:-1])
        self.head = nn.Conv2d(width, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = []
        for i, down in enumerate(self.down):
            x = down(F.max_pool2d(x, 2) if i else x)
            seen.append(x)
        for level in reversed(range(len(self.up))):
            x = self.up[level](torch.cat([self.wider[level](x), seen[level]], 1))
        return self.head(x).permute(0, 2, 3, 1)


class WideAndDeep(nn.Module):
    def __init__(self, fields: int = 26, rows: int = 10_000, width: int = 16):
        super().__init__()
        self.deep = nn.ModuleList(nn.Embedding(rows, width) for _ in range(fields))
        self.wide = nn.ModuleList(nn.Embedding(rows, 1) for _ in range(fields))
        hidden = [nn.Linear(fields * width, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU()]
        self.dense = nn.Sequential(*hidden, nn.Linear(128, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        columns = x.unbind(1)
        deep = torch.cat([layer(c) for layer, c in zip(self.deep, columns)], 1)
        wide = torch.stack([layer(c) for layer, c in zip(self.wide, columns)]).sum(0)
        return wide + self.dense(deep)


class _ConvLSTM(nn.Module):
    """A convolution of the inputs and one of the state, with Keras's gates."""

    def __init__(self, old: int, new: int):
        super().__init__()
        self.inputs = nn.Conv2d(old, 4 * new, 3, padding=1)
        self.again = nn.Conv2d(new, 4 * new, 3, padding=1, bias=False)
        self.new = new

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        given = self.inputs(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        h = c = x.new_zeros(x.shape[0], self.new, *x.shape[3:])
        found = []
        for step in given.unbind(1):
            i, f, g, o = (step + self.again(h)).chunk(4, 1)
            c = F.sigmoid(f) * c + F.sigmoid(i) * F.tanh(g)
            h = F.sigmoid(o) * F.tanh(c)
            found.append(h)
        return torch.stack(found, 1)


class ConvLSTMs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = _ConvLSTM(1, 16), _ConvLSTM(16, 16)
        self.norm = nn.BatchNorm3d(16, eps=1e-3, momentum=0.01)
        self.head = nn.Conv2d(16, 1, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x.permute(0, 1, 4, 2, 3))
        x = self.norm(x.transpose(1, 2)).transpose(1, 2)
        return self.head(self.second(x)[:, -1]).permute(0, 2, 3, 1)


class _Bottleneck(nn.Module):
    def __init__(self, old: int, width: int, strides: int):
        super().__init__()
        self.parts = nn.ModuleList(
            [
                _normalized(old, width, 1, strides, bias=True),
                _normalized(width, width, bias=True),
                _normalized(width, 4 * width, 1, bias=True),
            ]
        )
        self.short = nn.Identity()
        if old != 4 * width:
            self.short = _normalized(old, 4 * width, 1, strides, bias=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second, third = self.parts
        return F.relu(self.short(x) + third(F.relu(second(F.relu(first(x))))))


def resnet_50() -> nn.Module:
    parts = [_normalized(3, 64, 7, 2, bias=True), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    old = 64
    for stage, (width, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
        for block in range(blocks):
            parts.append(_Bottleneck(old, width, 2 if stage and not block else 1))
            old = 4 * width
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(old, 10)]
    return nn.Sequential(*parts, *head)


class _MBConv(nn.Module):
    def __init__(self, old: int, new: int, size: int, strides: int, expand: int, drop: float):
        super().__init__()
        inner = old * expand
        wide = [] if expand == 1 else [_normalized(old, inner, 1), nn.SiLU()]
        self.wide = nn.Sequential(*wide, _normalized(inner, inner, size, strides, inner), nn.SiLU())
        few = max(1, old // 4)
        self.excite = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(inner, few, 1),
            nn.SiLU(),
            nn.Conv2d(few, inner, 1),
            nn.Sigmoid(),
        )
        self.narrow = _normalized(inner, new, 1)
        self.adds, self.drop = strides == 1 and old == new, drop

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.wide(x)
        y = self.narrow(y * self.excite(y))
        if not self.adds:
            return y
        kept = torch.rand(len(y), 1, 1, 1) >= self.drop
        return x + y * kept / (1 - self.drop)


def efficientnet_b0() -> nn.Module:
    parts, old, done = [_normalized(3, 32, 3, 2), nn.SiLU()], 32, 0
    blocks = (
        (16, 3, 1, 1, 1), (24, 3, 2, 6, 2), (40, 5, 2, 6, 2), (80, 3, 2, 6, 3),
        (112, 5, 1, 6, 3), (192, 5, 2, 6, 4), (320, 3, 1, 6, 1),
    )  # fmt: skip
    for new, size, strides, expand, repeats in blocks:
        for i in range(repeats):
            drop = 0.2 * done / 16
            parts.append(_MBConv(old, new, size, 1 if i else strides, expand, drop))
            old, done = new, done + 1
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(1280, 10)]
    return nn.Sequential(*parts, _normalized(old, 1280, 1), nn.SiLU(), *head)


MODELS: dict[str, Callable[[], nn.Module]] = {
    "decoder, 12 layers of 384": Decoder,
    "U-Net 128": UNet,
    "wide and deep, 26 embeddings": WideAndDeep,
    "ConvLSTM, 2 layers": ConvLSTMs,
    "ResNet-50, 224": resnet_50,
    "EfficientNet-B0, 224": efficientnet_b0,
}
