"""Transforms of torchvision.transforms.v2 with drawn arguments."""

import functools
from collections.abc import Collection
from typing import Any

import torch
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from torchvision.transforms import v2

from segaug.testing.strategies._arguments import chances, hundredths, int_spans, odd_sizes, side_pairs, spans
from segaug.testing.strategies._registry import Entry, entry, pick

__all__ = ["NOT_DRAWN", "entries", "torchvision_transforms"]

_TYPE = "it changes the type of the picture"
_BATCH = "it mixes the pictures of a batch, and needs labels"
NOT_DRAWN = {
    "CutMix": _BATCH,
    "FiveCrop": "it gives five pictures for one",
    "Lambda": "it is the function that it is given",
    "LinearTransformation": "its matrix fits pictures of one size",
    "MixUp": _BATCH,
    "PILToTensor": _TYPE,
    "TenCrop": "it gives ten pictures for one",
    "ToPILImage": _TYPE,
    "ToPureTensor": _TYPE,
    "ToTensor": "torchvision warns that it is deprecated: ToImage and ToDtype do its work",
    "UniformTemporalSubsample": "it acts on videos",
}


def torchvision_transforms(
    *,
    names: Collection[str] | None = None,
    exclude: Collection[str] = (),
    kinds: Collection[str] | None = None,
    needs: Collection[str] = (),
) -> SearchStrategy[v2.Transform]:
    """Transforms of ``torchvision.transforms.v2``, made anew for each draw, with drawn arguments.

    Each works on any picture (..., 3, H, W) of at least 8 x 8 pixels, uint8 or floats in [0, 1]; some set another size,
    dtype or number of channels. Classes that do something else than to make one picture of one are not drawn.

    Shrinks towards ``RandomHorizontalFlip(p=1.0)``; within a class to p = 1 and the smallest sizes and strengths.

    Args:
        names: Draw only these classes. By default all that need no more than such a picture.
        exclude: Do not draw these classes.
        kinds: Draw only classes of these kinds: ``"geometric"`` (moves pixels or sets the size), ``"color"``,
            ``"filter"``, ``"noise"``, ``"dropout"`` (covers parts), ``"policy"`` (draws the operations), ``"dtype"``
            (changes the dtype or the range), ``"boxes"``, ``"container"`` (runs others), ``"identity"``.
        needs: Without ``names``, draw those classes too that work only on some input, which yours is: ``"uint8"``,
            ``"float"``, ``"mask"``, ``"boxes"`` (with labels), ``"keypoints"``, ``"divisible"`` (sides that 4 divides).

    Returns:
        The strategy.

    Raises:
        TypeError: If an argument is no collection of strings.
        ValueError: If a name, a kind or a need is not known, or nothing is left to draw.

    Example:
        >>> from hypothesis import find
        >>> from segaug.testing.strategies import torchvision_transforms
        >>> find(torchvision_transforms(), lambda transform: True)
        RandomHorizontalFlip(p=1.0)
        >>> find(torchvision_transforms(names=["RandomAffine"]), lambda transform: transform.scale is not None)
        RandomAffine(degrees=[0.0, 0.0], scale=(0.5, 0.5), interpolation=InterpolationMode.NEAREST, fill=0)
        >>> torchvision_transforms(names=["HorizontalFlip"])
        Traceback (most recent call last):
        ...
        ValueError: names must be of classes of torchvision that are drawn, got 'HorizontalFlip'; near it: ...
    """
    return pick("torchvision", names=names, exclude=exclude, kinds=kinds, needs=needs)


@functools.cache
def entries() -> dict[str, Entry]:
    """Every class that is drawn, by name, the plainest first."""
    found = [*_plain(), *_geometric(), *_color(), *_noise(), *_policies(), *_dtypes(), *_boxes(), *_containers()]
    return {one.cls.__name__: one for one in found}


def _plain() -> list[Entry]:
    return [
        entry(v2.RandomHorizontalFlip, "geometric"),
        entry(v2.RandomVerticalFlip, "geometric"),
        entry(v2.Identity, "identity"),
    ]


def _geometric() -> list[Entry]:
    nearest, bilinear, bicubic = (v2.InterpolationMode(way) for way in ("nearest", "bilinear", "bicubic"))
    two_ways, ways = st.sampled_from((nearest, bilinear)), st.sampled_from((nearest, bilinear, bicubic))
    fill = st.sampled_from((0, 1))
    sizes = st.one_of(st.integers(1, 8), side_pairs())
    # torch 2.15 cannot resize three channels of uint8 to 1 x 1 pixels.
    resized = st.one_of(st.integers(2, 8), side_pairs(2, 8))
    ratio = spans(0.5, 2.0)
    modes = st.sampled_from(("constant", "edge", "reflect", "symmetric"))
    sized: dict[str, Any] = {"keeps_shape": False}
    return [
        entry(v2.CenterCrop, "geometric", {"size": 6}, size=sizes, **sized),
        entry(
            v2.RandomCrop,
            "geometric",
            {"size": 6, "padding": 2},
            size=sizes,
            padding=st.none() | st.integers(0, 3),
            fill=fill,
            padding_mode=modes,
            **sized,
        ),
        entry(
            v2.RandomResizedCrop,
            "geometric",
            {"size": 8},
            size=resized,
            scale=spans(0.1, 1.0),
            ratio=ratio,
            interpolation=ways,
            **sized,
        ),
        entry(
            v2.Pad,
            "geometric",
            {"padding": 3},
            padding=st.integers(0, 4) | side_pairs(0, 4) | st.tuples(*[st.integers(0, 4)] * 4),
            fill=fill,
            padding_mode=modes,
            **sized,
        ),
        entry(v2.Resize, "geometric", {"size": (10, 10)}, size=resized, interpolation=ways, **sized),
        entry(
            v2.RandomResize,
            "geometric",
            {"min_size": 8, "max_size": 12},
            min_size=st.integers(2, 6),
            max_size=st.integers(8, 16),
            interpolation=ways,
            **sized,
        ),
        entry(
            v2.RandomShortestSize,
            "geometric",
            {"min_size": [8, 12]},
            min_size=st.lists(st.integers(2, 12), min_size=1, max_size=3),
            max_size=st.none() | st.integers(12, 20),
            interpolation=ways,
            **sized,
        ),
        entry(
            v2.ScaleJitter,
            "geometric",
            {"target_size": (16, 16), "scale_range": (0.5, 1.5)},
            # Not smaller, as it makes nothing of the short side of a long picture.
            target_size=side_pairs(16, 24),
            scale_range=spans(0.75, 1.5),
            interpolation=ways,
            **sized,
        ),
        entry(v2.RandomZoomOut, "geometric", fill=fill, side_range=spans(1.0, 3.0), **sized),
        entry(
            v2.RandomRotation,
            "geometric",
            {"degrees": 30},
            degrees=st.integers(0, 180) | int_spans(-180, 180),
            interpolation=two_ways,
            expand=st.booleans(),
            fill=fill,
            **sized,
        ),
        entry(
            v2.RandomAffine,
            "geometric",
            {"degrees": 30, "translate": (0.1, 0.1), "scale": (0.8, 1.2), "shear": 10},
            degrees=st.integers(0, 180),
            translate=st.none() | st.tuples(hundredths(0, 0.5), hundredths(0, 0.5)),
            scale=st.none() | spans(0.5, 2.0),
            shear=st.none() | st.integers(0, 40),
            interpolation=two_ways,
            fill=fill,
        ),
        entry(
            v2.RandomPerspective,
            "geometric",
            distortion_scale=hundredths(0, 0.8),
            interpolation=two_ways,
            fill=fill,
        ),
        entry(
            v2.ElasticTransform,
            "geometric",
            {"alpha": 20.0, "sigma": 1.5},
            # The blur of its displacements pads by four sigma, which must be less than a side.
            alpha=hundredths(0, 60),
            sigma=hundredths(0.2, 0.8),
            interpolation=two_ways,
            fill=fill,
        ),
    ]


def _color() -> list[Entry]:
    strength = hundredths(0, 0.9)
    return [
        entry(v2.RandomInvert, "color"),
        entry(v2.RandomGrayscale, "color"),
        entry(v2.RandomSolarize, "color", {"threshold": 0.5}, threshold=hundredths(0, 1)),
        entry(v2.RandomPosterize, "color", {"bits": 3}, bits=st.integers(1, 8)),
        entry(v2.RandomAutocontrast, "color"),
        entry(v2.RandomEqualize, "color"),
        entry(v2.RandomChannelPermutation, "color"),
        entry(v2.RGB, "identity"),
        entry(
            v2.Grayscale,
            "color",
            {"num_output_channels": 3},
            num_output_channels=st.sampled_from((3, 1)),
            keeps_shape=False,
        ),
        entry(
            v2.ColorJitter,
            "color",
            {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1},
            brightness=strength,
            contrast=strength,
            saturation=strength,
            hue=hundredths(0, 0.5),
        ),
        entry(
            v2.RandomPhotometricDistort,
            "color",
            brightness=spans(0.5, 1.5),
            contrast=spans(0.5, 1.5),
            saturation=spans(0.5, 1.5),
            hue=spans(-0.2, 0.2),
        ),
    ]


def _noise() -> list[Entry]:
    return [
        entry(v2.RandomAdjustSharpness, "filter", {"sharpness_factor": 2.0}, sharpness_factor=hundredths(0, 3)),
        entry(
            v2.GaussianBlur,
            "filter",
            {"kernel_size": 5, "sigma": (0.1, 2.0)},
            kernel_size=odd_sizes(1, 7),
            sigma=spans(0.1, 3.0),
        ),
        entry(v2.JPEG, "filter", {"quality": (5, 95)}, quality=int_spans(1, 100), needs=("uint8",)),
        entry(
            v2.GaussianNoise,
            "noise",
            mean=hundredths(-0.2, 0.2),
            sigma=hundredths(0, 0.5),
        ),
        entry(
            v2.RandomErasing, "dropout", scale=spans(0.02, 0.5), ratio=spans(0.3, 3.3), value=st.sampled_from((0, 1))
        ),
    ]


def _policies() -> list[Entry]:
    ways = st.sampled_from((v2.InterpolationMode.NEAREST, v2.InterpolationMode.BILINEAR))
    fill = st.sampled_from((None, 0, 1))
    return [
        entry(v2.TrivialAugmentWide, "policy", num_magnitude_bins=st.integers(2, 31), interpolation=ways, fill=fill),
        entry(
            v2.RandAugment,
            "policy",
            num_ops=st.integers(0, 3),
            magnitude=st.integers(0, 30),
            interpolation=ways,
            fill=fill,
        ),
        entry(v2.AutoAugment, "policy", policy=st.sampled_from(v2.AutoAugmentPolicy), interpolation=ways, fill=fill),
        entry(
            v2.AugMix,
            "policy",
            severity=st.integers(1, 10),
            mixture_width=st.integers(1, 3),
            chain_depth=st.sampled_from((-1, 1, 2, 3)),
            interpolation=ways,
        ),
    ]


def _dtypes() -> list[Entry]:
    dtypes = st.sampled_from((torch.float32, torch.uint8, torch.float64))
    means, deviations = (
        st.lists(hundredths(0, 1), min_size=3, max_size=3),
        st.lists(hundredths(0.1, 1), min_size=3, max_size=3),
    )
    return [
        entry(v2.ToDtype, "dtype", {"dtype": torch.float32, "scale": True}, dtype=dtypes, scale=st.just(True)),
        entry(v2.ConvertImageDtype, "dtype", {"dtype": torch.float32}, dtype=dtypes),
        entry(
            v2.Normalize,
            "dtype",
            {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.2]},
            mean=means,
            std=deviations,
            needs=("float",),
        ),
        entry(v2.ToImage, "identity"),
    ]


def _boxes() -> list[Entry]:
    return [
        entry(v2.ClampBoundingBoxes, "boxes", clamping_mode=st.sampled_from(("auto", "soft", "hard", None))),
        entry(v2.ClampKeyPoints, "boxes"),
        entry(
            v2.ConvertBoundingBoxFormat, "boxes", {"format": "XYWH"}, format=st.sampled_from(("XYXY", "XYWH", "CXCYWH"))
        ),
        entry(
            v2.SetClampingMode,
            "boxes",
            {"clamping_mode": "soft"},
            clamping_mode=st.sampled_from(("soft", "hard", None)),
        ),
        entry(
            v2.SanitizeBoundingBoxes, "boxes", min_size=hundredths(1, 4), min_area=hundredths(1, 9), needs=("boxes",)
        ),
        entry(v2.SanitizeKeyPoints, "boxes", needs=("keypoints",)),
        entry(
            v2.RandomIoUCrop,
            "geometric",
            min_scale=hundredths(0.1, 0.6),
            max_scale=hundredths(0.6, 1),
            needs=("boxes",),
            keeps_shape=False,
        ),
    ]


def _containers() -> list[Entry]:
    def inside() -> list[v2.Transform]:
        return [v2.RandomHorizontalFlip(0.5), v2.ColorJitter(0.4, 0.4, 0.4, 0.1)]

    flips = st.builds(v2.RandomHorizontalFlip, p=chances()) | st.builds(v2.RandomVerticalFlip, p=chances())
    lists = st.lists(flips | st.builds(v2.RandomInvert, p=chances()), min_size=1, max_size=3)
    return [
        Entry(v2.Compose, "container", st.builds(v2.Compose, lists), lambda: v2.Compose(inside())),
        Entry(
            v2.RandomApply,
            "container",
            st.builds(v2.RandomApply, lists, p=chances()),
            lambda: v2.RandomApply(inside(), p=0.5),
        ),
        Entry(v2.RandomChoice, "container", st.builds(v2.RandomChoice, lists), lambda: v2.RandomChoice(inside())),
        Entry(v2.RandomOrder, "container", st.builds(v2.RandomOrder, lists), lambda: v2.RandomOrder(inside())),
    ]
