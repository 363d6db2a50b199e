"""Transforms of albumentations, for pictures, with drawn arguments."""

import functools
import os
import warnings
from collections.abc import Callable, Collection
from types import ModuleType
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from segaug._optional import require
from segaug.testing.strategies._arguments import chances, hundredths, int_spans, odd_sizes, side_pairs, spans
from segaug.testing.strategies._registry import Entry, entry, pick

__all__ = ["NOT_DRAWN", "albumentations_transforms", "entries"]

_BASE = "it is a base class"
_VOLUMES = "it acts on volumes"
_PICTURES = "it needs other pictures, in the metadata, beside the one that it changes"
_BOXES = "it needs bounding boxes, and a Compose with bbox_params around it"
_TYPE = "it changes the type of the picture"
_ADVICE = "is a special case of|is an alias for|is a specialized version of|This augmenter is very slow"
NOT_DRAWN = {
    "AtLeastOneBBoxRandomCrop": _BOXES,
    "BBoxSafeRandomCrop": _BOXES,
    "BaseCompose": _BASE,
    "BasicTransform": _BASE,
    "CenterCrop3D": _VOLUMES,
    "CoarseDropout3D": _VOLUMES,
    "CubicSymmetry": _VOLUMES,
    "DualTransform": _BASE,
    "FDA": _PICTURES,
    "HistogramMatching": _PICTURES,
    "ImageOnlyTransform": _BASE,
    "Lambda": "it is the functions that it is given",
    "Mosaic": _PICTURES,
    "OverlayElements": _PICTURES,
    "Pad3D": _VOLUMES,
    "PadIfNeeded3D": _VOLUMES,
    "PixelDistributionAdaptation": _PICTURES,
    "RandomCrop3D": _VOLUMES,
    "RandomCropNearBBox": _BOXES,
    "RandomSizedBBoxSafeCrop": _BOXES,
    "TextImage": "it needs a file with a font, and boxes of text in the metadata",
    "ToRGB": "it makes colour of grey, and needs pictures of one channel",
    "ToTensor3D": _TYPE,
    "ToTensorV2": _TYPE,
    "Transform3D": _BASE,
}


def albumentations_transforms(
    *,
    names: Collection[str] | None = None,
    exclude: Collection[str] = (),
    kinds: Collection[str] | None = None,
    needs: Collection[str] = (),
) -> SearchStrategy[Any]:
    """Transforms of albumentations for pictures, made anew for each draw, with drawn arguments.

    Each works on arrays (H, W, 3) of at least 8 x 8 pixels, uint8 or float32 in [0, 1]; some set another size or dtype.
    Of classes with many arguments the main ones are drawn. Classes that need boxes, volumes or other pictures are not
    drawn. albumentations is imported by the call.

    Shrinks towards ``HorizontalFlip(p=1.0)``; within a class to p = 1 and the smallest sizes and strengths.

    Args:
        names: Draw only these classes. By default all that need no more than such an array.
        exclude: Do not draw these classes.
        kinds: Draw only classes of these kinds; see ``torchvision_transforms``.
        needs: Without ``names``, draw those classes too that work only on some input, which yours is: for albumentations
            ``"uint8"``, ``"float"`` and ``"mask"``.

    Returns:
        The strategy.

    Raises:
        ImportError: If albumentations is not installed.
        TypeError: If an argument is no collection of strings.
        ValueError: If a name, a kind or a need is not known, or nothing is left to draw.

    Example:
        >>> from hypothesis import find
        >>> from segaug.testing.strategies import albumentations_transforms
        >>> find(albumentations_transforms(), lambda transform: True)
        HorizontalFlip(p=1.0)
        >>> find(albumentations_transforms(kinds=["color"]), lambda transform: transform.p == 0)
        InvertImg(p=0.0)
    """
    _library()
    return pick("albumentations", names=names, exclude=exclude, kinds=kinds, needs=needs)


def _library() -> ModuleType:
    # Read at its import: it would look up newer releases on the network.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    return require("albumentations", extra="albumentations")


@functools.cache
def entries() -> dict[str, Entry]:
    """Every class that is drawn, by name, the plainest first.

    Raises:
        ImportError: If albumentations is not installed.
    """
    library = _library()
    found = [
        *_symmetries(library),
        *_sizes(library),
        *_warps(library),
        *_color(library),
        *_filters(library),
        *_noise(library),
        *_dropout(library),
        *_dtypes(library),
        *_containers(library),
    ]
    return {one.cls.__name__: one for one in found}


def _symmetries(library: ModuleType) -> list[Entry]:
    plain = ("HorizontalFlip", "VerticalFlip")
    turning = ("Transpose", "RandomRotate90", "D4", "SquareSymmetry")
    return [
        *(entry(getattr(library, name), "geometric") for name in plain),
        entry(library.TimeReverse, "geometric", build=_quiet(library.TimeReverse)),
        entry(library.NoOp, "identity"),
        # Turned by a right angle, a picture that is no square gets another size.
        *(entry(getattr(library, name), "geometric", keeps_shape=False) for name in turning),
    ]


def _sizes(library: ModuleType) -> list[Entry]:
    side = st.integers(1, 8)
    fill = st.sampled_from((0, 1))
    borders = st.integers(0, 4)
    share = hundredths(0, 0.4)
    sized: dict[str, Any] = {"keeps_shape": False}
    six: dict[str, Any] = {"height": 6, "width": 6}
    return [
        entry(library.CenterCrop, "geometric", six, height=side, width=side, **sized),
        entry(library.RandomCrop, "geometric", six, height=side, width=side, **sized),
        entry(library.CropNonEmptyMaskIfExists, "geometric", six, height=side, width=side, needs=("mask",), **sized),
        entry(
            library.Crop,
            "geometric",
            {"x_min": 1, "y_min": 2, "x_max": 7, "y_max": 8},
            x_min=st.integers(0, 3),
            y_min=st.integers(0, 3),
            x_max=st.integers(4, 8),
            y_max=st.integers(4, 8),
            **sized,
        ),
        entry(
            library.RandomCropFromBorders,
            "geometric",
            crop_left=share,
            crop_right=share,
            crop_top=share,
            crop_bottom=share,
            **sized,
        ),
        entry(
            library.RandomResizedCrop,
            "geometric",
            {"size": (8, 8)},
            size=side_pairs(),
            scale=spans(0.1, 1),
            ratio=spans(0.5, 2),
            **sized,
        ),
        entry(
            library.RandomSizedCrop,
            "geometric",
            {"min_max_height": (4, 8), "size": (8, 8)},
            min_max_height=int_spans(1, 8),
            size=side_pairs(),
            **sized,
        ),
        entry(library.Resize, "geometric", {"height": 10, "width": 10}, height=side, width=side, **sized),
        entry(library.RandomScale, "geometric", {"scale_limit": 0.3}, scale_limit=hundredths(0, 0.8), **sized),
        entry(library.LongestMaxSize, "geometric", {"max_size": 10}, max_size=st.integers(8, 16), **sized),
        entry(library.SmallestMaxSize, "geometric", {"max_size": 7}, max_size=st.integers(8, 16), **sized),
        entry(library.Pad, "geometric", {"padding": 3}, padding=borders | side_pairs(0, 4), fill=fill, **sized),
        entry(
            library.PadIfNeeded,
            "geometric",
            {"min_height": 20, "min_width": 20},
            min_height=st.integers(1, 20),
            min_width=st.integers(1, 20),
            fill=fill,
            **sized,
        ),
        entry(
            library.CropAndPad,
            "geometric",
            {"percent": (-0.2, 0.2)},
            percent=spans(-0.4, 0.4),
            keep_size=st.booleans(),
            **sized,
        ),
    ]


def _warps(library: ModuleType) -> list[Entry]:
    fill = st.sampled_from((0, 1))
    angles = int_spans(-180, 180)
    return [
        entry(library.Rotate, "geometric", {"limit": 30}, limit=angles, fill=fill),
        entry(library.SafeRotate, "geometric", {"limit": 30}, limit=angles, fill=fill),
        entry(
            library.Affine,
            "geometric",
            {"rotate": (-30, 30), "scale": (0.8, 1.2), "translate_percent": (-0.1, 0.1), "shear": (-10, 10)},
            scale=spans(0.5, 2),
            translate_percent=st.none() | spans(-0.5, 0.5),
            rotate=angles,
            shear=int_spans(-40, 40),
            fill=fill,
        ),
        entry(
            library.ShiftScaleRotate,
            "geometric",
            build=_quiet(library.ShiftScaleRotate),
            shift_limit=hundredths(0, 0.5),
            scale_limit=hundredths(0, 0.5),
            rotate_limit=st.integers(0, 180),
        ),
        entry(library.Perspective, "geometric", scale=spans(0, 0.3), fill=fill),
        entry(
            library.ElasticTransform,
            "geometric",
            {"alpha": 20, "sigma": 3},
            alpha=hundredths(0, 60),
            sigma=hundredths(1, 8),
        ),
        entry(library.GridDistortion, "geometric", num_steps=st.integers(1, 6), distort_limit=spans(-0.5, 0.5)),
        entry(
            library.GridElasticDeform,
            "geometric",
            {"num_grid_xy": (3, 3), "magnitude": 3},
            num_grid_xy=side_pairs(1, 4),
            magnitude=st.integers(1, 4),
        ),
        entry(
            library.OpticalDistortion,
            "geometric",
            distort_limit=spans(-0.5, 0.5),
            mode=st.sampled_from(("camera", "fisheye")),
        ),
        entry(
            library.PiecewiseAffine,
            "geometric",
            build=_quiet(library.PiecewiseAffine),
            # With a scale of 0 it gives a picture of 1 x 2.
            scale=spans(0.01, 0.1),
            nb_rows=st.integers(2, 4),
            nb_cols=st.integers(2, 4),
        ),
        entry(library.ThinPlateSpline, "geometric", scale_range=spans(0, 0.4), num_control_points=st.integers(2, 4)),
        entry(library.RandomGridShuffle, "geometric", grid=side_pairs(1, 4)),
        entry(
            library.Morphological,
            "filter",
            scale=int_spans(1, 4),
            operation=st.sampled_from(("dilation", "erosion")),
        ),
    ]


def _quiet(cls: Any) -> Callable[..., Any]:
    """Make a class without the advice to take another one: who draws from all classes has not chosen this one."""

    # The name and the arguments are what hypothesis shows.
    @functools.wraps(cls, assigned=("__name__", "__qualname__"), updated=())
    def make(**arguments: Any) -> Any:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", f".*({_ADVICE})", UserWarning)
            return cls(**arguments)

    return make


def _color(library: ModuleType) -> list[Entry]:
    factors = spans(0.2, 1.8)
    shift = hundredths(0, 0.5)
    return [
        entry(library.InvertImg, "color"),
        entry(library.ToGray, "color", method=st.sampled_from(("average", "max", "desaturation", "weighted_average"))),
        entry(library.ToSepia, "color"),
        entry(library.ChannelShuffle, "color"),
        entry(library.Solarize, "color", threshold_range=spans(0, 1)),
        entry(library.Posterize, "color", {"num_bits": (2, 5)}, num_bits=int_spans(1, 7)),
        entry(library.AutoContrast, "color", cutoff=st.integers(0, 40), method=st.sampled_from(("cdf", "pil"))),
        entry(library.Equalize, "color", mode=st.sampled_from(("cv", "pil")), by_channels=st.booleans()),
        entry(
            library.CLAHE,
            "color",
            {"clip_limit": (1, 20), "tile_grid_size": (2, 2)},
            clip_limit=int_spans(1, 40),
            tile_grid_size=side_pairs(1, 4),
        ),
        entry(library.RandomBrightnessContrast, "color", brightness_limit=shift, contrast_limit=shift),
        entry(library.RandomGamma, "color", gamma_limit=int_spans(20, 300)),
        entry(library.RandomToneCurve, "color", scale=hundredths(0, 1), per_channel=st.booleans()),
        entry(
            library.HueSaturationValue,
            "color",
            hue_shift_limit=st.integers(0, 90),
            sat_shift_limit=st.integers(0, 100),
            val_shift_limit=st.integers(0, 100),
        ),
        entry(
            library.ColorJitter,
            "color",
            brightness=factors,
            contrast=factors,
            saturation=factors,
            hue=spans(-0.5, 0.5),
        ),
        entry(
            library.RGBShift,
            "color",
            r_shift_limit=st.integers(0, 100),
            g_shift_limit=st.integers(0, 100),
            b_shift_limit=st.integers(0, 100),
        ),
        entry(library.PlanckianJitter, "color", mode=st.sampled_from(("blackbody", "cied"))),
        entry(library.FancyPCA, "color", {"alpha": 1.0}, alpha=hundredths(0, 2)),
        entry(
            library.HEStain,
            "color",
            method=st.sampled_from(("random_preset", "vahadane", "macenko")),
            intensity_scale_range=spans(0.5, 1.5),
            intensity_shift_range=spans(-0.3, 0.3),
        ),
    ]


def _filters(library: ModuleType) -> list[Entry]:
    odd_pairs = st.tuples(odd_sizes(3, 7), odd_sizes(3, 7)).map(lambda pair: (min(pair), max(pair)))
    return [
        entry(library.Blur, "filter", blur_limit=odd_pairs),
        entry(library.MedianBlur, "filter", blur_limit=odd_pairs),
        entry(library.GaussianBlur, "filter", {"blur_limit": (3, 7)}, blur_limit=odd_pairs, sigma_limit=spans(0.1, 3)),
        entry(library.MotionBlur, "filter", blur_limit=odd_pairs, allow_shifted=st.booleans()),
        entry(library.AdvancedBlur, "filter", blur_limit=odd_pairs),
        entry(library.Defocus, "filter", radius=int_spans(1, 6), alias_blur=spans(0.1, 0.5)),
        entry(
            library.GlassBlur,
            "filter",
            {"max_delta": 2},
            sigma=hundredths(0.1, 2),
            max_delta=st.integers(1, 3),
            iterations=st.integers(1, 2),
        ),
        entry(library.ZoomBlur, "filter", max_factor=spans(1.02, 1.5), step_factor=spans(0.01, 0.1)),
        entry(
            library.RingingOvershoot, "filter", blur_limit=st.just((3, 7)) | st.just((7, 15)), cutoff=spans(0.8, 1.5)
        ),
        entry(library.Sharpen, "filter", alpha=spans(0, 1), lightness=spans(0, 1.5)),
        entry(library.UnsharpMask, "filter", blur_limit=odd_pairs, alpha=spans(0, 1), threshold=st.integers(0, 30)),
        entry(library.Emboss, "filter", alpha=spans(0, 1), strength=spans(0, 1)),
        entry(library.Downscale, "filter", {"scale_range": (0.3, 0.8)}, scale_range=spans(0.2, 0.9)),
        entry(
            library.ImageCompression,
            "filter",
            {"quality_range": (10, 60)},
            compression_type=st.sampled_from(("jpeg", "webp")),
            quality_range=int_spans(1, 100),
        ),
        entry(library.ChromaticAberration, "filter", mode=st.sampled_from(("green_purple", "red_blue", "random"))),
        entry(
            library.Superpixels,
            "filter",
            {"p_replace": (0.5, 1.0), "n_segments": (4, 8)},
            p_replace=spans(0, 1),
            n_segments=int_spans(2, 12),
        ),
    ]


def _noise(library: ModuleType) -> list[Entry]:
    plasma: dict[str, Any] = {"plasma_size": st.just(16), "roughness": hundredths(0.5, 4)}
    return [
        entry(
            library.GaussNoise, "noise", std_range=spans(0, 0.5), mean_range=spans(-0.2, 0.2), per_channel=st.booleans()
        ),
        entry(
            library.AdditiveNoise,
            "noise",
            {"noise_type": "gaussian", "spatial_mode": "per_pixel"},
            noise_type=st.sampled_from(("uniform", "gaussian", "laplace", "beta")),
            spatial_mode=st.sampled_from(("constant", "per_pixel", "shared")),
        ),
        entry(library.ISONoise, "noise", color_shift=spans(0, 0.2), intensity=spans(0, 1)),
        entry(library.MultiplicativeNoise, "noise", multiplier=spans(0.5, 1.5), elementwise=st.booleans()),
        entry(library.SaltAndPepper, "noise", amount=spans(0, 0.5), salt_vs_pepper=spans(0, 1)),
        entry(library.ShotNoise, "noise", scale_range=spans(0.01, 1)),
        entry(library.Illumination, "noise", mode=st.sampled_from(("linear", "corner", "gaussian"))),
        entry(library.PlasmaBrightnessContrast, "noise", {"plasma_size": 16}, **plasma),
        entry(library.PlasmaShadow, "noise", {"plasma_size": 16}, shadow_intensity_range=spans(0, 1), **plasma),
        entry(library.RandomShadow, "noise", num_shadows_limit=int_spans(1, 3), shadow_intensity_range=spans(0, 1)),
        entry(library.RandomFog, "noise", fog_coef_range=spans(0, 1), alpha_coef=hundredths(0, 1)),
        entry(library.RandomGravel, "noise", number_of_patches=st.integers(1, 4)),
        entry(
            library.RandomRain,
            "noise",
            rain_type=st.sampled_from(("default", "drizzle", "heavy", "torrential")),
            blur_value=odd_sizes(1, 5),
        ),
        entry(
            library.RandomSnow,
            "noise",
            snow_point_range=spans(0.01, 0.5),
            method=st.sampled_from(("bleach", "texture")),
        ),
        entry(
            library.RandomSunFlare,
            "noise",
            {"src_radius": 6},
            src_radius=st.integers(2, 12),
            method=st.sampled_from(("overlay", "physics_based")),
        ),
        entry(library.Spatter, "noise", mode=st.sampled_from(("rain", "mud")), intensity=hundredths(0, 1)),
    ]


def _dropout(library: ModuleType) -> list[Entry]:
    fill = st.sampled_from((0, 1, "random", "random_uniform"))
    share = spans(0.01, 0.5)
    holes: dict[str, Any] = {"num_holes_range": int_spans(1, 3), "hole_height_range": share, "hole_width_range": share}
    return [
        entry(library.CoarseDropout, "dropout", fill=fill, **holes),
        # It raises where no rectangle of the drawn ratio can have the least area, so that is small.
        entry(
            library.Erasing,
            "dropout",
            scale=hundredths(0.02, 0.5).map(lambda most: (0.02, most)),
            ratio=spans(0.5, 2),
            fill=fill,
        ),
        entry(library.GridDropout, "dropout", ratio=hundredths(0.1, 0.9), random_offset=st.booleans()),
        entry(
            library.PixelDropout,
            "dropout",
            {"dropout_prob": 0.2},
            dropout_prob=hundredths(0, 1),
            per_channel=st.booleans(),
        ),
        entry(library.ChannelDropout, "dropout", channel_drop_range=int_spans(1, 2)),
        entry(
            library.FrequencyMasking,
            "dropout",
            {"freq_mask_param": 5},
            build=_quiet(library.FrequencyMasking),
            freq_mask_param=st.integers(1, 8),
        ),
        entry(
            library.TimeMasking,
            "dropout",
            {"time_mask_param": 5},
            build=_quiet(library.TimeMasking),
            time_mask_param=st.integers(1, 8),
        ),
        entry(
            library.XYMasking,
            "dropout",
            {"num_masks_x": 1, "mask_x_length": (2, 5)},
            num_masks_x=st.integers(1, 2),
            mask_x_length=int_spans(1, 6),
        ),
        entry(library.MaskDropout, "dropout", max_objects=st.integers(1, 3), needs=("mask",)),
        entry(
            library.ConstrainedCoarseDropout,
            "dropout",
            {"mask_indices": [1]},
            mask_indices=st.just([1]),
            needs=("mask",),
            **holes,
        ),
    ]


def _dtypes(library: ModuleType) -> list[Entry]:
    ways = ("standard", "image", "image_per_channel", "min_max", "min_max_per_channel")
    return [
        entry(library.ToFloat, "dtype"),
        entry(library.FromFloat, "dtype", dtype=st.sampled_from(("uint8", "uint16")), needs=("float",)),
        entry(library.Normalize, "dtype", normalization=st.sampled_from(ways)),
    ]


def _containers(library: ModuleType) -> list[Entry]:
    plain = (library.HorizontalFlip, library.VerticalFlip, library.InvertImg)
    children = st.one_of([st.builds(cls, p=chances()) for cls in plain])
    lists = st.lists(children, min_size=1, max_size=3)
    certain = [st.builds(cls, p=st.sampled_from((1.0, 0.5))) for cls in plain]
    colors = st.lists(st.builds(library.InvertImg, p=chances()), min_size=1, max_size=2)
    seeds = st.none() | st.integers(0, 9)

    def inside() -> list[Any]:
        return [library.HorizontalFlip(p=0.5), library.VerticalFlip(p=0.5)]

    def contained(name: str, sample: dict[str, Any] | None = None, **arguments: SearchStrategy[Any]) -> Entry:
        cls = getattr(library, name)
        drawn = st.builds(cls, transforms=arguments.pop("transforms", lists), p=chances(), **arguments)
        fixed = sample or {}
        return Entry(cls, "container", drawn, lambda: cls(**{"transforms": inside(), "p": 0.5, **fixed}))

    return [
        contained("Compose", {"p": 1.0}, seed=seeds),
        contained("Sequential"),
        # It divides by the sum of their p.
        contained("OneOf", transforms=st.lists(st.one_of(certain), min_size=1, max_size=3)),
        contained("OneOrOther", transforms=st.tuples(children, children).map(list)),
        contained("RandomOrder", {"n": 2}, n=st.just(1)),
        contained("SomeOf", {"n": 1}, n=st.just(1)),
        contained("SelectiveChannelTransform", {"transforms": [library.InvertImg(p=0.5)]}, transforms=colors),
        contained("ReplayCompose"),
    ]
