"""The models of `generative.py` as one writes them in PyTorch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class VAE(nn.Module):
    def __init__(self, latent: int = 2):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 32, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, 2, 1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(7 * 7 * 64, 16),
            nn.ReLU(),
            nn.Linear(16, 2 * latent),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent, 7 * 7 * 64),
            nn.ReLU(),
            nn.Unflatten(1, (64, 7, 7)),
            nn.ConvTranspose2d(64, 64, 3, 2, 1, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 32, 3, 2, 1, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 1, 3, 1, 1),
        )

    def optimizers(self) -> list[torch.optim.Optimizer]:
        return [torch.optim.Adam(self.parameters(), lr=1e-3)]

    def train_step(
        self, x: torch.Tensor, optimizers: list[torch.optim.Optimizer]
    ) -> list[torch.Tensor]:
        mean, log_variance = self.encoder(x).chunk(2, -1)
        z = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        pixels = F.binary_cross_entropy_with_logits(self.decoder(z), x, reduction="sum")
        kl = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum()
        loss = (pixels + kl) / len(x)
        optimizers[0].zero_grad(set_to_none=True)
        loss.backward()
        optimizers[0].step()
        return [loss]


class DCGAN(nn.Module):
    def __init__(self, latent: int = 128, width: int = 64):
        super().__init__()
        self.latent = latent
        parts: list[nn.Module] = []
        for old, new in ((3, width), (width, 2 * width), (2 * width, 2 * width)):
            parts += [nn.Conv2d(old, new, 4, 2, 1), nn.LeakyReLU(0.2)]
        judge = nn.Flatten(), nn.Dropout(0.2), nn.Linear(8 * 8 * 2 * width, 1)
        self.discriminator = nn.Sequential(*parts, *judge)
        parts = [nn.Linear(latent, 8 * 8 * 128), nn.Unflatten(1, (128, 8, 8))]
        for old, new in ((128, 2 * width), (2 * width, 4 * width), (4 * width, 8 * width)):
            parts += [nn.ConvTranspose2d(old, new, 4, 2, 1), nn.LeakyReLU(0.2)]
        self.generator = nn.Sequential(*parts, nn.Conv2d(8 * width, 3, 5, padding=2), nn.Sigmoid())

    def optimizers(self) -> list[torch.optim.Optimizer]:
        return [torch.optim.Adam(m.parameters()) for m in (self.discriminator, self.generator)]

    def train_step(
        self, x: torch.Tensor, optimizers: list[torch.optim.Optimizer]
    ) -> list[torch.Tensor]:
        n, loss_of = len(x), F.binary_cross_entropy_with_logits
        with torch.no_grad():
            fake = self.generator(torch.randn(n, self.latent))
        labels = torch.cat([torch.ones(n, 1), torch.zeros(n, 1)])
        d_loss = loss_of(self.discriminator(torch.cat([fake, x])), labels)
        optimizers[0].zero_grad(set_to_none=True)
        d_loss.backward()
        optimizers[0].step()
        fake = self.generator(torch.randn(n, self.latent))
        self.discriminator.requires_grad_(False)
        g_loss = loss_of(self.discriminator(fake), torch.zeros(n, 1))
        optimizers[1].zero_grad(set_to_none=True)
        g_loss.backward()
        self.discriminator.requires_grad_(True)
        optimizers[1].step()
        return [d_loss, g_loss]


MODELS = {"VAE": VAE, "DCGAN 64": DCGAN}
