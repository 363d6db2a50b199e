"""From a segment's pixels and place to a token.

Legend of the dimensions:
    ...  leading shape: (B, N), (N,), or (T,) where tokens are packed
    C    channels of a patch, and one more where alpha is fed too
    P    height and width of a patch
    D    width of a token
    K    frequencies, or bins, of a position feature
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segaug.models._layers import Mlp

__all__ = ["ConvStem", "PatchEmbed", "PositionEmbed"]

_NUM_POSITIONS = 5  # left, top, right, bottom, area


class PatchEmbed(nn.Module):
    """Linear projection of patches, with the parameters of a convolution of stride P, as in timm."""

    def __init__(self, in_chans: int, patch_size: int, embed_dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_chans, embed_dim, kernel_size=patch_size, stride=patch_size)

    def forward(self, pixels: Tensor) -> Tensor:
        """Map (..., C, P, P) to (..., D)."""
        if type(self.proj) is not nn.Conv2d:
            # Somebody has put another module around it, an adapter for instance: its forward is what counts.
            x = self.proj(pixels.flatten(0, -4))
            return x.view(*pixels.shape[:-3], x.shape[1])
        # On patches that are cut already, the convolution is a matrix product.
        return F.linear(pixels.flatten(-3), self.proj.weight.flatten(1), self.proj.bias)


class ConvStem(nn.Module):
    """Two convolutions of stride 2, shared by all patches, before the projection (after arXiv 2106.14881)."""

    def __init__(self, in_chans: int, patch_size: int, embed_dim: int) -> None:
        super().__init__()
        few, more = max(8, embed_dim // 8), max(16, embed_dim // 4)
        self.conv1 = nn.Conv2d(in_chans, few, kernel_size=3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(few, more, kernel_size=3, stride=2, padding=1)
        self.proj = nn.Linear(more * math.ceil(math.ceil(patch_size / 2) / 2) ** 2, embed_dim)

    def forward(self, pixels: Tensor) -> Tensor:
        """Map (..., C, P, P) to (..., D)."""
        x = F.gelu(self.conv2(F.gelu(self.conv1(pixels.flatten(0, -4)))))
        x = self.proj(x.flatten(1))
        return x.view(*pixels.shape[:-3], x.shape[-1])  # -1 has no meaning where there is no token


class PositionEmbed(nn.Module):
    """The paper's position network: an MLP on a segment's box and area, which may be spread over features first."""

    def __init__(self, embed_dim: int, kind: str, num_features: int) -> None:
        super().__init__()
        self.kind = kind
        self.num_features = num_features
        spread = {"mlp": 0, "fourier": 2 * num_features, "histogram": num_features}[kind]
        self.mlp = Mlp(_NUM_POSITIONS * (1 + spread), embed_dim, embed_dim)

    def forward(self, positions: Tensor) -> Tensor:
        """Map float32 (..., 5) to (..., D)."""
        features = positions
        if self.kind != "mlp":
            spread = _FEATURES[self.kind](positions, self.num_features)
            # The five numbers stay in: a sine alone cannot tell the background's -1 from 1.
            features = torch.cat([positions, spread.flatten(-2)], dim=-1)
        return self.mlp(features.to(self.mlp.fc1.weight.dtype))

    def extra_repr(self) -> str:
        """Show in the printed model what shapes do not tell."""
        return f"kind={self.kind!r}, num_features={self.num_features}"


def _fourier(positions: Tensor, num_frequencies: int) -> Tensor:
    """Sines and cosines of pi 2^k times each number, (..., 5, 2 K)."""
    octaves = torch.arange(num_frequencies, device=positions.device)
    angles = positions.unsqueeze(-1) * (math.pi * 2.0**octaves)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def _histogram(positions: Tensor, num_bins: int) -> Tensor:
    """Each number in [0, 1] shared between the two nearest of K bins, (..., 5, K); a -1 is in none."""
    # The root of the area: most segments are a hundredth of the picture, and would all be in the first bin.
    lengths = torch.cat([positions[..., :4], positions[..., 4:].clamp_min(0.0).sqrt()], dim=-1)
    bins = torch.linspace(0.0, 1.0, num_bins, device=positions.device)
    return (1.0 - (lengths.unsqueeze(-1) - bins).abs() * (num_bins - 1)).clamp_min(0.0)


_FEATURES: dict[str, Callable[[Tensor, int], Tensor]] = {"fourier": _fourier, "histogram": _histogram}
