"""Bugs of transforms that treat segments apart: masks, names and statistics mixed up."""

from dataclasses import replace
from typing import Any

import torch
from mutant import Mutant
from torchvision import tv_tensors

from segaug.structures import SegmentedImage, SegmentTokens

__all__ = ["MUTANTS"]


def plain(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.as_subclass(torch.Tensor)


def back(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Doubles to the dtype of pixels."""
    return values.round().to(like.dtype) if like.dtype == torch.uint8 else values.to(like.dtype)


def spread(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """One value per token, to be used with patches or alpha."""
    return values.reshape(*values.shape, *[1] * (like.ndim - values.ndim))


def mean_color(patches: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """The straight mean of each token's channels, (..., C, 1, 1)."""
    return patches.sum((-2, -1), keepdim=True) / alpha.sum((-2, -1), keepdim=True).clamp(min=1e-9)


class OnTokens:
    """Each token is changed with probability ``p``, by a strength of its own in [0, 1)."""

    def __init__(self, p: float = 0.5, generator: torch.Generator | None = None) -> None:
        self.p = p
        self.generator = generator

    def __call__(self, tokens: SegmentTokens) -> SegmentTokens:
        if not isinstance(tokens, SegmentTokens):
            raise TypeError(f"tokens must be SegmentTokens, got {type(tokens).__name__}")
        gate = (torch.rand(tokens.labels.shape, generator=self.generator) < self.p).to(tokens.device)
        strength = torch.rand(tokens.labels.shape, generator=self.generator, dtype=torch.float64).to(tokens.device)
        return self.apply(tokens, gate & (tokens.labels >= 0), strength)

    def apply(self, tokens: SegmentTokens, gate: torch.Tensor, strength: torch.Tensor) -> SegmentTokens:
        patches, alpha = plain(tokens.patches), plain(tokens.alpha)
        # One channel of coverage, beside those of the colours.
        changed = back(self.recolor(patches.double(), alpha.double().unsqueeze(-3), strength), patches)
        return replace(tokens, patches=torch.where(spread(gate, patches), changed, patches))

    def recolor(self, patches: torch.Tensor, alpha: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        raise TypeError(f"{type(self).__name__} changes no colours")


class Flip(OnTokens):
    def apply(self, tokens: SegmentTokens, gate: torch.Tensor, strength: torch.Tensor) -> SegmentTokens:
        patches, alpha = plain(tokens.patches), plain(tokens.alpha)
        return replace(
            tokens,
            patches=torch.where(spread(gate, patches), patches.flip(-1), patches),
            alpha=torch.where(spread(gate, alpha), self.flip_alpha(alpha), alpha),
        )

    def flip_alpha(self, alpha: torch.Tensor) -> torch.Tensor:
        return alpha.flip(-1)


class FlipForgetsAlpha(Flip):
    def flip_alpha(self, alpha: torch.Tensor) -> torch.Tensor:
        return alpha


class Lift(OnTokens):
    """Adds brightness: as much as there is coverage."""

    def recolor(self, patches: torch.Tensor, alpha: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        return torch.minimum(patches + spread(strength, patches) * alpha, alpha)


class LiftTheBlack(Lift):
    def recolor(self, patches: torch.Tensor, alpha: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        full = alpha.max() if alpha.numel() else 1.0
        return (patches + spread(strength, patches) * full).clamp(max=float(full))


class LiftByTheFirst(Lift):
    def recolor(self, patches: torch.Tensor, alpha: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        if not alpha.numel():
            return patches
        return super().recolor(patches, alpha[..., :1, :, :, :].expand_as(alpha), strength)


class Contrast(OnTokens):
    """Moves colours towards the segment's mean."""

    def recolor(self, patches: torch.Tensor, alpha: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        return torch.lerp(patches, self.mean(patches, alpha) * alpha, spread(strength, patches))

    def mean(self, patches: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
        return mean_color(patches, alpha)


class ContrastCountsFiller(Contrast):
    def mean(self, patches: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
        full = alpha.amax((-2, -1), keepdim=True).clamp(min=1e-9)
        return patches.mean((-2, -1), keepdim=True) / full


class ContrastOfAllTokens(Contrast):
    def mean(self, patches: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
        if not patches.shape[-4]:
            return patches
        mass = alpha.sum((-4, -2, -1), keepdim=True)
        return patches.sum((-4, -2, -1), keepdim=True) / mass.clamp(min=1e-9)


class Gamma(OnTokens):
    """Two tokens at a time, to save memory."""

    def apply(self, tokens: SegmentTokens, gate: torch.Tensor, strength: torch.Tensor) -> SegmentTokens:
        if tokens.labels.ndim != 1:
            raise ValueError(f"tokens must be those of one image, got labels {tuple(tokens.labels.shape)}")
        parts = [
            super(Gamma, self).apply(tokens[i : i + 2], gate[i : i + 2], strength[i : i + 2])
            for i in range(0, self.end(tokens.num_tokens), 2)
        ]
        if not parts:
            return tokens[:0]
        return SegmentTokens(
            *(
                torch.cat([plain(getattr(part, name)) for part in parts])
                for name in ("patches", "alpha", "boxes", "areas", "labels")
            )
        )

    def end(self, count: int) -> int:
        return count

    def recolor(self, patches: torch.Tensor, alpha: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        straight = torch.where(alpha > 0, patches / alpha.clamp(min=1e-9), 0.0)
        return straight.clamp(0.0, 1.0) ** (1.0 + spread(strength, patches)) * alpha


class GammaDropsTheOddOne(Gamma):
    def end(self, count: int) -> int:
        return count - count % 2


class InPicture:
    """Each segment of a picture is changed where it lies with probability ``p``, by a strength of its own; label 0 stays."""

    background = False

    def __init__(self, p: float = 0.9, generator: torch.Generator | None = None) -> None:
        self.p = p
        self.generator = generator

    def __call__(self, sample: SegmentedImage) -> SegmentedImage:
        if not isinstance(sample, SegmentedImage):
            raise TypeError(f"sample must be a SegmentedImage, got {type(sample).__name__}")
        labels, image = plain(sample.segments), plain(sample.image)
        names = labels.unique()
        names = names[names > 0]
        gate = torch.rand(len(names), generator=self.generator) < self.p
        strength = torch.rand(len(names), generator=self.generator, dtype=torch.float64) * gate
        pixels = self.recolor(image.double(), labels, names, strength.to(image.device))
        changed = torch.where(self.place_of(labels, names, strength) > 0, back(pixels, image), image)
        return SegmentedImage(tv_tensors.Image(changed), self.relabel(sample.segments))

    def place_of(self, labels: torch.Tensor, names: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """One value per segment, brought to its pixels; 0 elsewhere."""
        out = torch.zeros(labels.shape, dtype=torch.float64, device=labels.device)
        for name, value in zip(names.tolist(), values.tolist(), strict=True):
            out[labels == name] = value
        return out

    def recolor(
        self, image: torch.Tensor, labels: torch.Tensor, names: torch.Tensor, strength: torch.Tensor
    ) -> torch.Tensor:
        return image * (1.0 - self.place_of(labels, names, strength))

    def relabel(self, segments: torch.Tensor) -> Any:
        return segments


class DarkenByLabel(InPicture):
    """The label is taken for the place in the list of segments."""

    def place_of(self, labels: torch.Tensor, names: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        table = torch.cat([values.new_zeros(1), values]).double()
        return table[labels.clamp(max=len(names))]


class DarkenWrapsAround(InPicture):
    """Label 0 has row -1, which is the last segment's."""

    def place_of(self, labels: torch.Tensor, names: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        if not len(names):
            return super().place_of(labels, names, values)
        rows = torch.searchsorted(names, labels.contiguous()) - (labels == 0).long()
        return values.double()[rows]


class DarkenInOrderOfText(InPicture):
    """Labels come out of the names of files, and are sorted as text."""

    def place_of(self, labels: torch.Tensor, names: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        in_order = torch.tensor([int(text) for text in sorted(map(str, names.tolist()))], dtype=torch.int64)
        return super().place_of(labels, in_order, values)


class DarkenRenumbers(InPicture):
    def relabel(self, segments: torch.Tensor) -> Any:
        _, dense = plain(segments).unique(return_inverse=True)
        return dense


class PictureContrast(InPicture):
    def recolor(
        self, image: torch.Tensor, labels: torch.Tensor, names: torch.Tensor, strength: torch.Tensor
    ) -> torch.Tensor:
        rows = self.rows(labels, names).flatten()
        count = torch.bincount(rows, minlength=len(names) + 1).clamp(min=1)
        pixels = image.flatten(1)
        sums = torch.stack([torch.bincount(rows, weights=plane, minlength=len(names) + 1) for plane in pixels])
        mean = (sums / count)[:, rows].view(image.shape)
        return torch.lerp(image, mean, self.place_of(labels, names, strength))

    def rows(self, labels: torch.Tensor, names: torch.Tensor) -> torch.Tensor:
        """0 for label 0, then 1 and so on."""
        return torch.where(labels > 0, torch.searchsorted(names, labels.contiguous()) + 1, 0)


class PictureContrastMergesTheLast(PictureContrast):
    def rows(self, labels: torch.Tensor, names: torch.Tensor) -> torch.Tensor:
        return super().rows(labels, names).clamp(max=max(len(names) - 1, 0))


class Soften(InPicture):
    """The mean of each pixel and its neighbours in the same segment."""

    def recolor(
        self, image: torch.Tensor, labels: torch.Tensor, names: torch.Tensor, strength: torch.Tensor
    ) -> torch.Tensor:
        out = image.clone()
        for name in names.tolist():
            inside = (labels == name).double()[None]
            soft = self.window(image * inside) / self.window(inside).clamp(min=1e-9)
            out = torch.where(inside > 0, soft, out)
        return torch.lerp(image, out, self.place_of(labels, names, strength))

    @staticmethod
    def window(planes: torch.Tensor) -> torch.Tensor:
        padded = torch.nn.functional.pad(planes, (1, 1, 1, 1))
        rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
        return rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]


class SoftenLeaks(Soften):
    def recolor(
        self, image: torch.Tensor, labels: torch.Tensor, names: torch.Tensor, strength: torch.Tensor
    ) -> torch.Tensor:
        soft = self.window(image) / self.window(torch.ones_like(image))
        return torch.lerp(image, soft, self.place_of(labels, names, strength))


_TOKENS: dict[str, Any] = {"accepts": ("segment_tokens", "token_batch"), "is_geometric": False}
_PICTURE: dict[str, Any] = {"accepts": "segmented_image", "is_geometric": False}

MUTANTS = [
    Mutant(
        "flip forgets alpha",
        "Flip the coverage together with the patch.",
        "is_identity_outside_masks",
        Flip,
        FlipForgetsAlpha,
        _TOKENS | {"is_geometric": True},
    ),
    Mutant(
        "lift the black outside",
        "Add brightness where there is coverage only, so that the outside stays black.",
        "is_identity_outside_masks",
        Lift,
        LiftTheBlack,
        _TOKENS,
    ),
    Mutant(
        "the first token's alpha for all",
        "Use each token's own coverage, not that of the first.",
        "is_identity_outside_masks",
        Lift,
        LiftByTheFirst,
        _TOKENS,
    ),
    Mutant(
        "label 0 wraps around",
        "Label 0 has no row: index -1 gave it the strength of the last segment.",
        "is_identity_outside_masks",
        InPicture,
        DarkenWrapsAround,
        _PICTURE,
    ),
    Mutant(
        "contrast counts the filler",
        "Take the mean over the segment's own pixels, without the black around it.",
        "filler_changes_nothing",
        Contrast,
        ContrastCountsFiller,
        _TOKENS,
    ),
    Mutant(
        "contrast of all tokens",
        "Take the mean of each token by itself: the sum went over the tokens too.",
        "segments_do_not_interfere",
        Contrast,
        ContrastOfAllTokens,
        _TOKENS,
    ),
    Mutant(
        "the window leaks over the border",
        "Leave the neighbours of another segment out of the window.",
        "segments_do_not_interfere",
        Soften,
        SoftenLeaks,
        _PICTURE,
    ),
    Mutant(
        "the last segment is merged",
        "There are as many rows as segments and one more, for label 0.",
        "segments_do_not_interfere",
        PictureContrast,
        PictureContrastMergesTheLast,
        _PICTURE,
    ),
    Mutant(
        "labels are renumbered",
        "Return the map as it came, not the ranks of its labels.",
        "conserves_partition",
        InPicture,
        DarkenRenumbers,
        _PICTURE,
    ),
    Mutant(
        "the odd token is lost",
        "Go through the last token too where their number is odd.",
        "conserves_partition",
        Gamma,
        GammaDropsTheOddOne,
        {"accepts": "segment_tokens", "is_geometric": False},
    ),
    Mutant(
        "index by label",
        "Look up a segment's strength by its rank: labels may have gaps.",
        "is_equivariant_to_label_permutation",
        InPicture,
        DarkenByLabel,
        _PICTURE,
    ),
    Mutant(
        "labels in the order of text",
        "Sort labels as numbers: '10' comes before '9'.",
        "is_equivariant_to_label_permutation",
        InPicture,
        DarkenInOrderOfText,
        {"is_geometric": False},
    ),
]
