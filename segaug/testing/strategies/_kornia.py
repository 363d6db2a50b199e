"""Augmentations of kornia, for pictures, with drawn arguments."""

import functools
from collections.abc import Collection
from types import ModuleType
from typing import Any

import torch
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from segaug._optional import require
from segaug.testing.strategies._arguments import hundredths, int_spans, odd_sizes, side_pairs, spans
from segaug.testing.strategies._registry import Entry, entry, pick

__all__ = ["NOT_DRAWN", "entries", "kornia_transforms"]

_BASE = "it is a base class"
_VOLUMES = "it acts on volumes"
_BATCH = "it mixes the pictures of a batch"
_SEVERAL = "it runs several pipelines side by side, on several inputs or for several outputs"
NOT_DRAWN = {
    "AugmentationBase2D": _BASE,
    "AugmentationBase3D": _BASE,
    "CenterCrop3D": _VOLUMES,
    "GeometricAugmentationBase2D": _BASE,
    "GeometricAugmentationBase3D": _BASE,
    "IntensityAugmentationBase2D": _BASE,
    "IntensityAugmentationBase3D": _BASE,
    "ManyToManyAugmentationDispather": _SEVERAL,
    "ManyToOneAugmentationDispather": _SEVERAL,
    "MixAugmentationBaseV2": _BASE,
    "PatchMix": _BATCH,
    "RandomAffine3D": _VOLUMES,
    "RandomCrop3D": _VOLUMES,
    "RandomCutMixV2": _BATCH,
    "RandomDepthicalFlip3D": _VOLUMES,
    "RandomDissolving": "it runs Stable Diffusion, which it downloads",
    "RandomEqualize3D": _VOLUMES,
    "RandomHorizontalFlip3D": _VOLUMES,
    "RandomMixUpV2": _BATCH,
    "RandomMosaic": _BATCH,
    "RandomMotionBlur3D": _VOLUMES,
    "RandomPerspective3D": _VOLUMES,
    "RandomRotation3D": _VOLUMES,
    "RandomTransplantation": _BATCH,
    "RandomTransplantation3D": _VOLUMES,
    "RandomVerticalFlip3D": _VOLUMES,
    "RigidAffineAugmentationBase2D": _BASE,
    "RigidAffineAugmentationBase3D": _BASE,
    "VideoSequential": "it acts on videos",
}


def kornia_transforms(
    *,
    names: Collection[str] | None = None,
    exclude: Collection[str] = (),
    kinds: Collection[str] | None = None,
    needs: Collection[str] = (),
) -> SearchStrategy[Any]:
    """Augmentations of ``kornia.augmentation`` for pictures, made anew for each draw, with drawn arguments.

    Each works on batches (B, 3, H, W) of floats in [0, 1] of at least 8 x 8 pixels; some set another size. Bases, and what
    acts on volumes or videos or mixes the pictures of a batch, are not drawn. kornia is imported by the call.

    Shrinks towards a ``RandomHorizontalFlip`` with p = 1; within a class to p = 1 and the smallest sizes and strengths.

    Args:
        names: Draw only these classes. By default all that need no more than such a batch.
        exclude: Do not draw these classes.
        kinds: Draw only classes of these kinds; see ``torchvision_transforms``.
        needs: Without ``names``, draw those classes too that work only on some input, which yours is: for kornia
            ``"divisible"`` (sides that 4 divides).

    Returns:
        The strategy.

    Raises:
        ImportError: If kornia is not installed.
        TypeError: If an argument is no collection of strings.
        ValueError: If a name, a kind or a need is not known, or nothing is left to draw.

    Example:
        >>> from hypothesis import find
        >>> from segaug.testing.strategies import kornia_transforms
        >>> find(kornia_transforms(kinds=["noise"]), lambda transform: True)
        RandomGaussianNoise(mean=0.0, std=0.0, p=1.0, p_batch=1.0, same_on_batch=False)
    """
    require("kornia.augmentation", extra="kornia")
    return pick("kornia", names=names, exclude=exclude, kinds=kinds, needs=needs)


@functools.cache
def entries() -> dict[str, Entry]:
    """Every class that is drawn, by name, the plainest first.

    Raises:
        ImportError: If kornia is not installed.
    """
    kornia = require("kornia.augmentation", extra="kornia")
    found = [
        *_moves(kornia),
        *_sizes(kornia),
        *_color(kornia),
        *_filters(kornia),
        *_noise(kornia),
        *_others(kornia),
        *_containers(kornia),
    ]
    return {one.cls.__name__: one for one in found}


def _ways() -> SearchStrategy[str]:
    return st.sampled_from(("NEAREST", "BILINEAR"))


def _borders() -> SearchStrategy[str]:
    return st.sampled_from(("ZEROS", "BORDER", "REFLECTION"))


def _moves(kornia: ModuleType) -> list[Entry]:
    ways, borders = _ways(), _borders()
    shift = spans(-0.5, 0.5)
    # kornia takes these as tensors alone.
    place, bend = (spans(low, high).map(torch.tensor) for low, high in ((-0.3, 0.3), (0.9, 1.1)))
    return [
        entry(kornia.RandomHorizontalFlip, "geometric"),
        entry(kornia.RandomVerticalFlip, "geometric"),
        entry(kornia.RandomRotation90, "geometric", {"times": (-3, 3)}, times=int_spans(-3, 3)),
        entry(kornia.RandomRotation, "geometric", {"degrees": 30.0}, degrees=hundredths(0, 180), resample=ways),
        entry(
            kornia.RandomTranslate,
            "geometric",
            {"translate_x": (-0.2, 0.2), "translate_y": (-0.2, 0.2)},
            translate_x=shift,
            translate_y=shift,
            resample=ways,
            padding_mode=borders,
        ),
        entry(
            kornia.RandomShear,
            "geometric",
            {"shear": 20.0},
            shear=hundredths(0, 45),
            resample=ways,
            padding_mode=borders,
        ),
        entry(
            kornia.RandomAffine,
            "geometric",
            {"degrees": 30.0, "translate": (0.1, 0.1), "scale": (0.8, 1.2), "shear": 10.0},
            degrees=hundredths(0, 180),
            translate=st.none() | st.tuples(hundredths(0, 0.5), hundredths(0, 0.5)),
            scale=st.none() | spans(0.5, 2.0),
            shear=st.none() | hundredths(0, 40),
            resample=ways,
            padding_mode=borders,
        ),
        entry(kornia.RandomPerspective, "geometric", distortion_scale=hundredths(0, 0.8), resample=ways),
        entry(
            kornia.RandomElasticTransform,
            "geometric",
            {"kernel_size": (7, 7), "sigma": (3.0, 3.0)},
            kernel_size=st.tuples(odd_sizes(1, 7), odd_sizes(1, 7)),
            sigma=st.tuples(hundredths(0.5, 4), hundredths(0.5, 4)),
            alpha=st.tuples(hundredths(0, 2), hundredths(0, 2)),
            resample=ways,
        ),
        entry(kornia.RandomThinPlateSpline, "geometric", scale=hundredths(0, 0.4), padding_mode=borders),
        entry(
            kornia.RandomFisheye,
            "geometric",
            {
                "center_x": torch.tensor([-0.3, 0.3]),
                "center_y": torch.tensor([-0.3, 0.3]),
                "gamma": torch.tensor([0.9, 1.1]),
            },
            center_x=place,
            center_y=place,
            gamma=bend,
        ),
        entry(
            kornia.RandomJigsaw,
            "geometric",
            {"grid": (4, 4)},
            grid=st.sampled_from(((2, 2), (1, 2), (2, 1), (1, 4), (4, 1), (2, 4), (4, 2), (4, 4))),
            needs=("divisible",),
        ),
    ]


def _sizes(kornia: ModuleType) -> list[Entry]:
    # p = 1, as the pictures of a batch must come out alike.
    sized: dict[str, Any] = {"p": st.just(1.0), "keeps_shape": False}
    ways = _ways()
    return [
        entry(kornia.CenterCrop, "geometric", {"size": (6, 6), "p": 1.0}, size=side_pairs(), **sized),
        entry(
            kornia.RandomCrop,
            "geometric",
            {"size": (6, 6), "padding": 2, "p": 1.0},
            size=side_pairs(),
            padding=st.none() | st.integers(0, 3),
            **sized,
        ),
        entry(
            kornia.RandomResizedCrop,
            "geometric",
            {"size": (8, 8), "p": 1.0},
            size=side_pairs(),
            scale=spans(0.1, 1.0),
            ratio=spans(0.5, 2.0),
            resample=ways,
            **sized,
        ),
        entry(kornia.Resize, "geometric", {"size": (10, 10), "p": 1.0}, size=side_pairs(), resample=ways, **sized),
        entry(
            kornia.LongestMaxSize,
            "geometric",
            {"max_size": 10, "p": 1.0},
            max_size=st.integers(8, 16),
            resample=ways,
            **sized,
        ),
        entry(
            kornia.SmallestMaxSize,
            "geometric",
            {"max_size": 7, "p": 1.0},
            max_size=st.integers(8, 16),
            resample=ways,
            **sized,
        ),
        entry(
            kornia.PadTo,
            "geometric",
            {"size": (20, 20)},
            size=side_pairs(8, 20),
            pad_value=st.sampled_from((0.0, 1.0)),
            keeps_shape=False,
        ),
    ]


def _color(kornia: ModuleType) -> list[Entry]:
    strength = hundredths(0, 0.9)
    factors = spans(0.2, 1.8)
    jitter: dict[str, Any] = {
        "brightness": strength,
        "contrast": strength,
        "saturation": strength,
        "hue": hundredths(0, 0.5),
    }
    example = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}
    shifts: dict[str, Any] = {f"{letter}_shift_limit": hundredths(0, 1) for letter in "rgb"}
    return [
        entry(kornia.RandomInvert, "color"),
        entry(kornia.RandomGrayscale, "color"),
        entry(kornia.RandomChannelShuffle, "color"),
        entry(kornia.RandomAutoContrast, "color"),
        entry(kornia.RandomEqualize, "color"),
        entry(kornia.RandomBrightness, "color", {"brightness": (0.6, 1.4)}, brightness=factors),
        entry(kornia.RandomContrast, "color", {"contrast": (0.6, 1.4)}, contrast=factors),
        entry(kornia.RandomSaturation, "color", {"saturation": (0.2, 2.0)}, saturation=spans(0, 3)),
        entry(kornia.RandomHue, "color", {"hue": (-0.3, 0.3)}, hue=spans(-0.5, 0.5)),
        entry(kornia.RandomGamma, "color", {"gamma": (0.5, 2.0)}, gamma=spans(0.2, 3), gain=spans(0.5, 1.5)),
        entry(kornia.RandomRGBShift, "color", **shifts),
        entry(kornia.RandomPosterize, "color", {"bits": (1.0, 6.0)}, bits=int_spans(1, 8)),
        entry(
            kornia.RandomSolarize,
            "color",
            {"thresholds": (0.2, 0.8)},
            thresholds=spans(0, 1),
            additions=spans(-0.5, 0.5),
        ),
        entry(kornia.RandomPlanckianJitter, "color", mode=st.sampled_from(("blackbody", "CIED"))),
        entry(
            kornia.RandomClahe,
            "color",
            {"clip_limit": (2.0, 40.0), "grid_size": (2, 2)},
            clip_limit=spans(1, 40),
            grid_size=st.tuples(st.integers(1, 4), st.integers(1, 4)),
        ),
        entry(kornia.ColorJiggle, "color", example, **jitter),
        entry(kornia.ColorJitter, "color", example, **jitter),
    ]


def _filters(kornia: ModuleType) -> list[Entry]:
    kernels = st.tuples(odd_sizes(1, 7), odd_sizes(1, 7))
    return [
        entry(kornia.RandomBoxBlur, "filter", kernel_size=kernels),
        entry(kornia.RandomMedianBlur, "filter", kernel_size=kernels),
        entry(
            kornia.RandomGaussianBlur,
            "filter",
            {"kernel_size": (5, 5), "sigma": (0.3, 2.0)},
            kernel_size=kernels,
            sigma=spans(0.1, 3),
        ),
        entry(
            kornia.RandomMotionBlur,
            "filter",
            {"kernel_size": (3, 7), "angle": 90.0, "direction": 1.0},
            kernel_size=st.sampled_from((3, 5, 7, (3, 5), (3, 7))),
            angle=hundredths(0, 180),
            direction=hundredths(0, 1),
        ),
        entry(kornia.RandomSharpness, "filter", {"sharpness": (0.0, 3.0)}, sharpness=spans(0, 5)),
        entry(kornia.RandomJPEG, "filter", {"jpeg_quality": (5.0, 60.0)}, jpeg_quality=spans(1, 100)),
    ]


def _noise(kornia: ModuleType) -> list[Entry]:
    gain = spans(0.01, 0.5)
    rough = spans(0.1, 0.9)
    return [
        entry(kornia.RandomGaussianNoise, "noise", {"std": 0.2}, mean=hundredths(-0.2, 0.2), std=hundredths(0, 0.5)),
        entry(kornia.RandomSaltAndPepperNoise, "noise", amount=spans(0, 0.5), salt_vs_pepper=spans(0, 1)),
        entry(
            kornia.RandomRain,
            "noise",
            {"number_of_drops": (5, 30), "drop_height": (3, 6), "drop_width": (-3, 3)},
            number_of_drops=int_spans(1, 40),
            drop_height=int_spans(1, 6),
            drop_width=int_spans(-4, 4),
        ),
        entry(
            kornia.RandomSnow,
            "noise",
            {"snow_coefficient": (0.2, 0.8), "brightness": (1.5, 3.0)},
            snow_coefficient=spans(0, 1),
            brightness=spans(1, 4),
        ),
        entry(kornia.RandomLinearIllumination, "noise", gain=gain),
        entry(kornia.RandomLinearCornerIllumination, "noise", gain=gain),
        entry(kornia.RandomGaussianIllumination, "noise", gain=gain),
        entry(kornia.RandomPlasmaBrightness, "noise", roughness=rough, intensity=spans(0, 1)),
        entry(kornia.RandomPlasmaContrast, "noise", roughness=rough),
        entry(kornia.RandomPlasmaShadow, "noise", roughness=rough, shade_intensity=spans(-1, 0)),
    ]


def _others(kornia: ModuleType) -> list[Entry]:
    policies = require("kornia.augmentation.auto", extra="kornia")
    numbers = st.tuples(*[hundredths(0.1, 1)] * 3).map(torch.tensor)
    statistics: dict[str, Any] = {"mean": torch.tensor([0.5, 0.4, 0.3]), "std": torch.tensor([0.2, 0.3, 0.2])}
    return [
        entry(
            kornia.RandomErasing,
            "dropout",
            scale=spans(0.02, 0.5),
            ratio=spans(0.3, 3.3),
            value=st.sampled_from((0.0, 1.0)),
        ),
        entry(
            kornia.RandomChannelDropout,
            "dropout",
            num_drop_channels=st.integers(1, 3),
            fill_value=st.sampled_from((0.0, 1.0)),
        ),
        entry(policies.TrivialAugment, "policy"),
        entry(policies.RandAugment, "policy", {"n": 2, "m": 12}, n=st.integers(1, 3), m=st.integers(1, 29)),
        entry(policies.AutoAugment, "policy", policy=st.sampled_from(("imagenet", "cifar10", "svhn"))),
        entry(kornia.Normalize, "dtype", statistics, mean=numbers, std=numbers),
        entry(kornia.Denormalize, "dtype", statistics, mean=numbers, std=numbers),
    ]


def _containers(kornia: ModuleType) -> list[Entry]:
    flips = [entry(kornia.RandomHorizontalFlip, "geometric").strategy, entry(kornia.RandomInvert, "color").strategy]

    def sequence(kind: Any, **options: Any) -> Entry:
        def sample() -> Any:
            return kind(kornia.RandomHorizontalFlip(p=0.5), kornia.ColorJiggle(0.4, 0.4, 0.4, 0.1, p=0.5), **options)

        drawn = [st.builds(kind, *flips[:number], **{k: st.just(v) for k, v in options.items()}) for number in (1, 2)]
        return Entry(kind, "container", st.one_of(drawn), sample)

    return [
        sequence(kornia.ImageSequential),
        sequence(kornia.AugmentationSequential),
        sequence(kornia.PatchSequential, grid_size=(2, 2), patchwise_apply=False),
    ]
