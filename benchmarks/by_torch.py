"""The models of `workloads.py` as one writes them in PyTorch: modules, a plain loop, channels last.

Loss and metric are summed up on the way, as `fit` does, and read once an epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import generative_by_torch
import larger_by_torch
import torch
import torch.nn.functional as F
from sweep import HEAD, Case
from torch import nn
from workloads import EVERY


class Chapter(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Linear(8, 30), nn.ELU(), nn.Linear(30, 1), nn.Flatten(0))


def mlp(width: int, layers: int) -> nn.Module:
    hidden = [m for _ in range(layers) for m in (nn.Linear(width, width), nn.ReLU())]
    return nn.Sequential(*hidden, nn.Linear(width, 10))


def conv_net() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(1600, 10),
    )


def _normalized(old: int, new: int, size: int = 3, strides: int = 1, groups: int = 1) -> nn.Module:
    conv = nn.Conv2d(old, new, size, strides, size // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(new, eps=1e-3, momentum=0.01))


class _Block(nn.Module):
    def __init__(self, old: int, new: int, strides: int):
        super().__init__()
        self.first = _normalized(old, new, strides=strides)
        self.second = _normalized(new, new)
        self.short = _normalized(old, new, 1, strides) if strides > 1 else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.short(x) + self.second(F.relu(self.first(x))))


class _Head(nn.Module):
    def __init__(self, width: int, classes: int, axes: tuple[int, ...]):
        super().__init__()
        self.axes, self.dense = axes, nn.Linear(width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dense(x.mean(self.axes))


def residual_net(blocks: int = 2) -> nn.Module:
    parts, old = [_normalized(3, 16), nn.ReLU()], 16
    for stage, width in enumerate((16, 32, 64)):
        for block in range(blocks):
            parts.append(_Block(old, width, 2 if stage and not block else 1))
            old = width
    return nn.Sequential(*parts, _Head(64, 10, (2, 3)))


def separable_net() -> nn.Module:
    parts, old = [_normalized(3, 32), nn.ReLU6()], 32
    for width, strides in ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1)):
        parts += [_normalized(old, old, strides=strides, groups=old), nn.ReLU6()]
        parts += [_normalized(old, width, 1), nn.ReLU6()]
        old = width
    return nn.Sequential(*parts, _Head(256, 10, (2, 3)))


class LSTM(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.lstm = nn.Embedding(20_000, 128), nn.LSTM(128, 64, batch_first=True)
        self.dense = nn.Linear(64, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dense(self.lstm(self.embedding(x))[0][:, -1])


class GRU(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(32, 48, batch_first=True, bidirectional=True)
        self.dense = nn.Linear(96, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dense(self.gru(x)[1].transpose(0, 1).flatten(1))


class _Attending(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, dropout=0.1, batch_first=True)
        self.dense = nn.Sequential(
            nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width), nn.Dropout(0.1)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width, eps=1e-6) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norms[0](x + self.attention(x, x, x, need_weights=False)[0])
        return self.norms[1](x + self.dense(x))


def transformer(width: int = 64, heads: int = 4) -> nn.Module:
    blocks = [_Attending(width, heads) for _ in range(2)]
    return nn.Sequential(nn.Embedding(20_000, width), *blocks, _Head(width, 2, (1,)))


MODELS: dict[str, Callable[[], nn.Module]] = {
    "chapter's MLP 8-30-1": Chapter,
    "the same, 10 times the data": Chapter,
    "10 layers of 64": lambda: mlp(64, 10),
    "100 layers of 64": lambda: mlp(64, 100),
    "MLP 1024x4": lambda: mlp(1024, 4),
    "conv 32-64": conv_net,
    "embedding, LSTM 64": LSTM,
    "transformer, 2 blocks": transformer,
    "residual net": residual_net,
    "residual net, 3 blocks a stage": lambda: residual_net(3),
    "depthwise-separable net": separable_net,
    "bidirectional GRU 48": GRU,
    **larger_by_torch.MODELS,
    **generative_by_torch.MODELS,
}


def trainer(
    name: str, clock: Callable[[], float], compiled: bool = False
) -> Callable[[int], float]:
    """A function that trains for some epochs and returns the seconds they took."""
    workload = EVERY[name]
    torch.manual_seed(0)
    x, y = map(torch.from_numpy, workload.data())
    x, y = (t.long() if t.dtype == torch.int32 else t for t in (x, y))
    model = MODELS[name]().to(memory_format=torch.channels_last).train()
    kinds = {"adam": torch.optim.Adam, "nadam": torch.optim.NAdam}
    optimizer = kinds[workload.optimizer](model.parameters(), lr=1e-3)
    forward: Any = torch.compile(model) if compiled else model
    regression = workload.loss == "mse"

    own = model.optimizers() if workload.loss == "own" else None

    def step(x: torch.Tensor, y: torch.Tensor, sums: torch.Tensor) -> None:
        # Channels come last in memory, and second to PyTorch.
        x = x.permute(0, 3, 1, 2) if x.ndim == 4 else x
        if own:
            losses = model.train_step(x, own)
            sums[: len(losses)] += torch.stack([loss.detach() for loss in losses])
            return
        out = forward(x)
        loss = (
            F.mse_loss(out, y)
            if regression
            else F.cross_entropy(out.flatten(0, -2), y.flatten())  # of a pixel or token each
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            metric = (out - y).abs().mean() if regression else (out.argmax(-1) == y).float().mean()
            sums += torch.stack([loss.detach(), metric])

    def run(epochs: int) -> float:
        began = clock()
        for _ in range(epochs):
            sums = torch.zeros(2)
            for rows in torch.randperm(len(x)).reshape(-1, workload.batch):
                step(x[rows], y[rows], sums)
            sums.tolist()
        return clock() - began

    return run


# -- the shapes of `sweep.py` -------------------------------------------------------------------


class _Convolution(nn.Module):
    def __init__(self, case: Case):
        super().__init__()
        self.first = _normalized(case.width, case.width, strides=case.option)
        rest = (_normalized(case.width, case.width) for _ in range(2 if case.network else 0))
        self.rest = nn.ModuleList(rest)
        self.head = _Head(case.width, 10, (2, 3)) if case.network else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.first(x))
        if self.head is None:
            return x
        return self.head(F.relu(x + self.rest[1](F.relu(self.rest[0](x)))))


class _Attention(nn.Module):
    def __init__(self, case: Case):
        super().__init__()
        width = case.width
        self.attention = nn.MultiheadAttention(width, width // HEAD, batch_first=True)
        self.given: dict[str, Any] = {}
        if case.option == "padding":
            self.given = {"key_padding_mask": ~torch.from_numpy(case.mask())}
        elif case.option == "causal":
            hidden = nn.Transformer.generate_square_subsequent_mask(case.size)
            self.given = {"attn_mask": hidden, "is_causal": True}
        self.network = case.network
        if case.network:
            self.dense = nn.Sequential(
                nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width)
            )
            self.norms = nn.ModuleList(nn.LayerNorm(width, eps=1e-6) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.attention(x, x, x, need_weights=False, **self.given)[0]
        if not self.network:
            return y
        x = self.norms[0](x + y)
        return self.norms[1](x + self.dense(x))


def _dense(case: Case) -> nn.Module:
    if case.network:
        return mlp(case.width, 4)
    return nn.Sequential(nn.Linear(case.width, case.width), nn.ReLU())


_FAMILIES = {"convolution": _Convolution, "attention": _Attention, "dense": _dense}


def once(case: Case) -> Callable[[], Any]:
    """Runs it forward and backward."""
    torch.manual_seed(0)
    model = _FAMILIES[case.family](case).to(memory_format=torch.channels_last).train()
    x = torch.randn(case.shape)
    if x.ndim == 4:
        x = x.permute(0, 3, 1, 2)  # channels come last in memory, and second to PyTorch
    x.requires_grad_()
    cotangent = torch.randn_like(model(x))

    def run() -> Any:
        x.grad = None
        model.zero_grad(set_to_none=True)
        out = model(x)
        out.backward(cotangent)
        return out

    return run
