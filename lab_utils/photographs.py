"""What photographs of house numbers need beyond the drawn ones: altered copies, and an encoder that reads better.

docs/real.md says what each of them earns.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab_utils.training import autocast

SHIFT, SCALE, CONTRAST, TINT = 2.0, 0.12, 0.2, 0.06  # pixels; the others are shares, each at most


def altered(images: Tensor) -> Tensor:
    """Return images float32 (B, C, 32, 32) in [0, 1], each moved, scaled, tinted, and half of them inverted.

    A house number stays one under each of these: it is moved by at most two pixels, scaled by at most an eighth (and
    its sides by a sixteenth against each other), its contrast and its colours change a little, and light on dark
    becomes dark on light. It is never mirrored. Channels-last; randomness comes from torch's global generator.
    """
    count, device = len(images), images.device

    def uniform(*shape: int) -> Tensor:
        return 2 * torch.rand(shape, device=device) - 1

    scale, squeeze = (SCALE * uniform(count)).exp(), (SCALE / 2 * uniform(count)).exp()
    shift, zero = SHIFT / 16 * uniform(2, count), torch.zeros(count, device=device)  # the grid spans -1..1
    rows = (torch.stack([scale * squeeze, zero, shift[0]], 1), torch.stack([zero, scale / squeeze, shift[1]], 1))
    grid = F.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    mean = moved.mean((1, 2, 3), keepdim=True)
    contrast, tint = (CONTRAST * uniform(count, 1, 1, 1)).exp(), TINT * uniform(count, images.shape[1], 1, 1)
    tinted = (mean + contrast * (moved - mean) + tint).clamp(0, 1)
    inverted = torch.where(torch.rand(count, 1, 1, 1, device=device) < 0.5, 1 - tinted, tinted)
    return inverted.contiguous(memory_format=torch.channels_last)


class Residual(nn.Module):
    """Two convolutions beside the identity (He et al. 2016); (B, channels, H, W) stays that."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.layers(x))


class PhotographEncoder(nn.Module):
    """The lab's encoder with two residual blocks, where they cost least: from an image to an expert.

    Maps (B, channels, 32, 32) in [0, 1] to mean and log-variance, each (B, latent) float32, the latter within -8 .. 8.
    """

    def __init__(self, latent: int, channels: int = 3, width: int = 32) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, (width_in, width_out) in enumerate(((channels, width), (width, 2 * width), (2 * width, 4 * width))):
            layers.append(nn.Conv2d(width_in, width_out, 4, stride=2, padding=1, bias=False))  # 32, 16, 8, 4
            layers += [nn.BatchNorm2d(width_out), nn.ReLU()]
            if i > 0:
                layers.append(Residual(width_out))
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * width * 4 * 4, 2 * latent))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        with autocast(x.device):
            mu, logvar = self.layers(x).float().chunk(2, dim=1)
        return mu, 8 * torch.tanh(logvar / 8)


RECIPE = {"beta": 0.2}  # the weights of the extension's recipe that differ
LEARNING_RATE = 5e-3
EPOCHS, STEPS = 100, 45_000  # of training: so many epochs, or so many steps in all where the epochs are long


def epochs(steps: int) -> int:
    """Return how many epochs of so many steps to train on photographs."""
    return max(1, min(EPOCHS, round(STEPS / steps)))
