"""Bugs of transforms that run on batches, and of those that run another transform per segment."""

from dataclasses import replace
from typing import Any

import torch
from mutant import Mutant
from torchvision import tv_tensors
from torchvision.transforms import v2

from segaug.structures import SegmentTokens

__all__ = ["MUTANTS"]


def plain(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.as_subclass(torch.Tensor)


def back(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Doubles to the dtype of pixels."""
    return values.round().to(like.dtype) if like.dtype == torch.uint8 else values.to(like.dtype)


class PlaceNoise:
    """Noise on the boxes of segments; the background has none, and padding holds zeros."""

    def __init__(self, p: float = 1.0, std: float = 0.05, generator: torch.Generator | None = None) -> None:
        self.p = p
        self.std = std
        self.generator = generator

    def __call__(self, tokens: SegmentTokens) -> SegmentTokens:
        shape = tokens.labels.shape
        gate = (torch.rand(shape, generator=self.generator) < self.p).to(tokens.device)
        noise = torch.randn((*shape, 4), generator=self.generator).to(tokens.device) * self.std
        factor = torch.randn(shape, generator=self.generator).to(tokens.device).mul(self.std).exp()
        is_segment = gate & (tokens.labels > 0)
        boxes, areas = plain(tokens.boxes), tokens.areas
        noisy = (boxes + noise).clamp(0.0, 1.0)
        low, high = noisy[..., :2], noisy[..., 2:]
        noisy = torch.cat([torch.minimum(low, high), torch.maximum(low, high)], dim=-1)
        new_boxes = self.pick(is_segment[..., None], noisy, boxes)
        return replace(tokens, boxes=new_boxes, areas=self.pick_areas(is_segment, areas * factor, areas))

    def pick(self, is_segment: torch.Tensor, noisy: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
        return torch.where(is_segment, noisy, boxes)

    def pick_areas(self, is_segment: torch.Tensor, noisy: torch.Tensor, areas: torch.Tensor) -> torch.Tensor:
        return torch.where(is_segment, noisy.clamp(1e-6, 1.0), areas)


class PlaceNoiseOnAll(PlaceNoise):
    def pick(self, is_segment: torch.Tensor, noisy: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
        return noisy


class PlaceNoiseClampsAll(PlaceNoise):
    def pick(self, is_segment: torch.Tensor, noisy: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
        return torch.where(is_segment, noisy, boxes).clamp(0.0, 1.0)


class PlaceNoiseFillsAreas(PlaceNoise):
    def pick_areas(self, is_segment: torch.Tensor, noisy: torch.Tensor, areas: torch.Tensor) -> torch.Tensor:
        return torch.where(is_segment, noisy, areas).clamp(1e-6, 1.0)


class NoiseBySize:
    """Noise on the boxes of segments, as wide as these are in the mean over the image."""

    def __init__(self, p: float = 0.8, generator: torch.Generator | None = None) -> None:
        self.p = p
        self.generator = generator

    def __call__(self, tokens: SegmentTokens) -> SegmentTokens:
        shape = tokens.labels.shape
        gate = (torch.rand(shape, generator=self.generator) < self.p).to(tokens.device)
        noise = torch.randn((*shape, 2), generator=self.generator).to(tokens.device)
        boxes = plain(tokens.boxes)
        is_segment = tokens.labels > 0
        scale = 0.2 * self.mean(tokens.areas.sqrt(), is_segment)
        moved = (boxes + torch.cat([noise, noise], dim=-1) * scale[..., None]).clamp(0.0, 1.0)
        return replace(tokens, boxes=torch.where((is_segment & gate)[..., None], moved, boxes))

    def mean(self, sizes: torch.Tensor, is_segment: torch.Tensor) -> torch.Tensor:
        return (sizes * is_segment).sum(-1, keepdim=True) / is_segment.sum(-1, keepdim=True).clamp(min=1)


class NoiseBySizeCountsPadding(NoiseBySize):
    def mean(self, sizes: torch.Tensor, is_segment: torch.Tensor) -> torch.Tensor:
        return (sizes * is_segment).sum(-1, keepdim=True) / max(sizes.shape[-1], 1)


class TokenContrast:
    """Moves the colours of each token towards their mean, but for the background's."""

    def __init__(self, p: float = 0.8, generator: torch.Generator | None = None) -> None:
        self.p = p
        self.generator = generator

    def __call__(self, tokens: SegmentTokens) -> SegmentTokens:
        shape = tokens.labels.shape
        gate = (torch.rand(shape, generator=self.generator) < self.p).to(tokens.device)
        strength = torch.rand(shape, generator=self.generator, dtype=torch.float64).to(tokens.device)
        gate &= ~self.is_background(tokens) & (tokens.labels >= 0)
        patches, alpha = plain(tokens.patches), plain(tokens.alpha)
        # One token after the other, whichever image it is of.
        rows, coverage = patches.flatten(0, -4).double(), alpha.flatten(0, -3).double()[:, None]
        mean = self.spread_over_images(self.mean(rows, coverage, shape), shape)
        changed = torch.lerp(rows, mean * coverage, strength.flatten()[:, None, None, None])
        changed = torch.where(gate.flatten()[:, None, None, None], back(changed, patches), patches.flatten(0, -4))
        return replace(tokens, patches=changed.view(patches.shape))

    def is_background(self, tokens: SegmentTokens) -> torch.Tensor:
        return tokens.labels == 0

    def mean(self, rows: torch.Tensor, coverage: torch.Tensor, shape: torch.Size) -> torch.Tensor:
        return rows.sum((-2, -1), keepdim=True) / coverage.sum((-2, -1), keepdim=True).clamp(min=1e-9)

    def spread_over_images(self, mean: torch.Tensor, shape: torch.Size) -> torch.Tensor:
        return mean


class TokenContrastTransposed(TokenContrast):
    """Rows are image after image, and are taken for slot after slot."""

    def spread_over_images(self, mean: torch.Tensor, shape: torch.Size) -> torch.Tensor:
        if len(shape) == 1:
            return mean
        return mean.view(shape[1], shape[0], *mean.shape[1:]).transpose(0, 1).reshape(mean.shape)


class TokenContrastOverTheBatch(TokenContrast):
    def mean(self, rows: torch.Tensor, coverage: torch.Tensor, shape: torch.Size) -> torch.Tensor:
        if len(shape) == 1:
            return super().mean(rows, coverage, shape)
        sums = rows.sum((-2, -1), keepdim=True).unflatten(0, shape).sum(0, keepdim=True)
        mass = coverage.sum((-2, -1), keepdim=True).unflatten(0, shape).sum(0, keepdim=True)
        return (sums / mass.clamp(min=1e-9)).expand(*shape, *sums.shape[2:]).flatten(0, 1)


class TokenContrastTakesTheLastForBackground(TokenContrast):
    """The background is behind the foreground, but padding is behind it."""

    def is_background(self, tokens: SegmentTokens) -> torch.Tensor:
        place = torch.arange(tokens.num_tokens, device=tokens.device)
        has_one = (tokens.labels == 0).any(-1, keepdim=True)
        return has_one & (place == tokens.num_tokens - 1)


class Wash(v2.Transform):
    """Mixes each image of a batch with something computed from it, by a share of its own."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        image = next(leaf for leaf in flat_inputs if isinstance(leaf, torch.Tensor))
        leading = (*image.shape[:-3], 1, 1, 1)
        return {"share": torch.rand(leading, dtype=torch.float64) * (torch.rand(leading) < self.p)}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        pixels = plain(inpt)
        share = params["share"].to(pixels.device)
        mixed = back(torch.lerp(pixels.double(), self.other(pixels.double()), share), pixels)
        return tv_tensors.wrap(mixed, like=inpt) if isinstance(inpt, tv_tensors.TVTensor) else mixed

    def other(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.mean((-3, -2, -1), keepdim=True).expand_as(pixels)


class WashByTheBatch(Wash):
    def other(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.mean().expand_as(pixels)


class WashToGray(Wash):
    def other(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.mean(-3, keepdim=True).expand_as(pixels)


class WashToGrayByTheWrongAxis(Wash):
    """The channels are the first axis of an image, and not of a batch."""

    def other(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.mean(0, keepdim=True).expand_as(pixels)


class PerTokenBrightness:
    """Runs torchvision's brightness for each token by its own draw: batched, or in a loop as the reference."""

    def __init__(self, p: float = 1.0, vectorized: bool = True) -> None:
        self.p = p
        self.vectorized = vectorized
        self.transform_per_segment = v2.ColorJitter(brightness=(0.3, 1.0))

    def __call__(self, tokens: SegmentTokens) -> SegmentTokens:
        patches, shape = plain(tokens.patches), tokens.labels.shape
        rows = patches.flatten(0, -4)
        gate = tokens.labels.flatten() >= 0
        if self.p < 1.0:
            gate &= torch.rand(len(rows)) < self.p
        if self.vectorized:
            factor = self.draw(len(rows)).view(-1, 1, 1, 1)
            changed = (rows * factor).to(rows.dtype)
        else:
            changed = rows.clone()
            for i in gate.nonzero().squeeze(1).tolist():
                changed[i] = self.transform_per_segment(rows[i])
        changed = torch.where(gate.view(-1, 1, 1, 1), changed, rows)
        return replace(tokens, patches=changed.view(*shape, *rows.shape[1:]))

    def draw(self, count: int) -> torch.Tensor:
        low, high = self.transform_per_segment.brightness
        return torch.empty(count).uniform_(low, high)


class PerTokenBrightnessReadsTheEndsAsSpread(PerTokenBrightness):
    """The transform holds (low, high) already, and not the number that it was made with."""

    def draw(self, count: int) -> torch.Tensor:
        _, spread = self.transform_per_segment.brightness
        return torch.empty(count).uniform_(1.0 - spread, 1.0)


class PerTokenBrightnessDrawsOnce(PerTokenBrightness):
    def draw(self, count: int) -> torch.Tensor:
        return super().draw(1).expand(count)


_TOKENS: dict[str, Any] = {"accepts": ("segment_tokens", "token_batch"), "is_geometric": False}
_IMAGES: dict[str, Any] = {"accepts": ("image", "image_batch"), "is_geometric": False}

MUTANTS = [
    Mutant(
        "noise on the background's -1",
        "Leave the background's box alone: it is -1, and no place.",
        "leaves_sentinels_alone",
        PlaceNoise,
        PlaceNoiseOnAll,
        _TOKENS,
    ),
    Mutant(
        "sentinels are clamped",
        "Clamp the boxes of segments only: the background's -1 became 0.",
        "leaves_sentinels_alone",
        PlaceNoise,
        PlaceNoiseClampsAll,
        _TOKENS,
    ),
    Mutant(
        "padding is given an area",
        "Keep areas above 0 for segments only: padding holds zeros.",
        "leaves_sentinels_alone",
        PlaceNoise,
        PlaceNoiseFillsAreas,
        _TOKENS,
    ),
    Mutant(
        "padding counts in the mean",
        "Divide by the number of segments, not of slots.",
        "padding_changes_nothing",
        NoiseBySize,
        NoiseBySizeCountsPadding,
        {**_TOKENS, "skip": {"segments_are_independent": "one draw per picture is what it is for"}},
    ),
    Mutant(
        "the last slot is the background",
        "Find the background by its label: the last slot may be padding.",
        "padding_changes_nothing",
        TokenContrast,
        TokenContrastTakesTheLastForBackground,
        _TOKENS,
    ),
    Mutant(
        "slots and images are exchanged",
        "Flattened tokens are (B, N), not (N, B).",
        "batch_equals_singles",
        TokenContrast,
        TokenContrastTransposed,
        _TOKENS,
    ),
    Mutant(
        "gray by the wrong axis",
        "Channels are the third axis from the end, which is the first of a single image only.",
        "batch_equals_singles",
        WashToGray,
        WashToGrayByTheWrongAxis,
        _IMAGES,
    ),
    Mutant(
        "mean over the image batch",
        "Take the mean of each image of a batch by itself.",
        "batch_elements_do_not_interfere",
        Wash,
        WashByTheBatch,
        _IMAGES,
    ),
    Mutant(
        "mean over the token batch",
        "Take the mean of each token by itself: the sum went over the images of the batch.",
        "batch_elements_do_not_interfere",
        TokenContrast,
        TokenContrastOverTheBatch,
        _TOKENS,
    ),
    Mutant(
        "ends read as spread",
        "ColorJitter.brightness is (low, high) already.",
        "full_mask_equals_plain",
        PerTokenBrightness,
        PerTokenBrightnessReadsTheEndsAsSpread,
        _TOKENS,
    ),
    Mutant(
        "one draw for all tokens",
        "Draw a factor for each token, as the loop does.",
        "batched_equals_looped",
        PerTokenBrightness,
        PerTokenBrightnessDrawsOnce,
        _TOKENS,
    ),
]
