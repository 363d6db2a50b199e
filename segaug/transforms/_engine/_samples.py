"""One or more examples of each of torchvision's transforms: for the table in the docs, the benchmark and the tests."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torchvision.transforms import v2

__all__ = ["SAMPLES", "torchvision_classes"]

# Classes of torchvision.transforms.v2 that are no transforms.
_OTHERS = (v2.AutoAugmentPolicy, v2.InterpolationMode, v2.Transform)


def torchvision_classes() -> list[type]:
    """Every transform in torchvision's public list, by name."""
    found = [value for name, value in vars(v2).items() if name[0] != "_" and inspect.isclass(value)]
    return sorted((kind for kind in set(found) if kind not in _OTHERS), key=lambda kind: kind.__name__)


def _flip() -> v2.Transform:
    return v2.RandomHorizontalFlip(0.5)


def _jitter() -> v2.Transform:
    return v2.ColorJitter(0.4, 0.4, 0.4, 0.1)


# Made anew for each use, as a transform may hold state. Sizes are for patches of 16 x 16.
SAMPLES: dict[type, Callable[[], Any]] = {
    v2.AugMix: lambda: v2.AugMix(),
    v2.AutoAugment: lambda: v2.AutoAugment(),
    v2.CenterCrop: lambda: v2.CenterCrop(12),
    v2.ClampBoundingBoxes: lambda: v2.ClampBoundingBoxes(),
    v2.ClampKeyPoints: lambda: v2.ClampKeyPoints(),
    v2.ColorJitter: _jitter,
    v2.Compose: lambda: v2.Compose([_flip(), v2.RandomResizedCrop(16), _jitter()]),
    v2.ConvertBoundingBoxFormat: lambda: v2.ConvertBoundingBoxFormat("XYWH"),
    v2.ConvertImageDtype: lambda: v2.ConvertImageDtype(torch.float32),
    v2.CutMix: lambda: v2.CutMix(num_classes=2),
    v2.ElasticTransform: lambda: v2.ElasticTransform(20.0, 1.5),
    v2.FiveCrop: lambda: v2.FiveCrop(8),
    v2.GaussianBlur: lambda: v2.GaussianBlur(5, (0.1, 2.0)),
    v2.GaussianNoise: lambda: v2.GaussianNoise(),
    v2.Grayscale: lambda: v2.Grayscale(3),
    v2.Identity: lambda: v2.Identity(),
    v2.JPEG: lambda: v2.JPEG((5, 95)),
    v2.Lambda: lambda: v2.Lambda(torch.clone),
    v2.LinearTransformation: lambda: v2.LinearTransformation(torch.eye(768), torch.zeros(768)),
    v2.MixUp: lambda: v2.MixUp(num_classes=2),
    v2.Normalize: lambda: v2.Normalize([0.5, 0.4, 0.3], [0.2, 0.3, 0.2]),
    v2.PILToTensor: lambda: v2.PILToTensor(),
    v2.Pad: lambda: v2.Pad(4),
    v2.RGB: lambda: v2.RGB(),
    v2.RandAugment: lambda: v2.RandAugment(),
    v2.RandomAdjustSharpness: lambda: v2.RandomAdjustSharpness(2.0, p=0.5),
    v2.RandomAffine: lambda: v2.RandomAffine(30, (0.1, 0.1), (0.8, 1.2), 10),
    v2.RandomApply: lambda: v2.RandomApply([_jitter()], p=0.5),
    v2.RandomAutocontrast: lambda: v2.RandomAutocontrast(0.5),
    v2.RandomChannelPermutation: lambda: v2.RandomChannelPermutation(),
    v2.RandomChoice: lambda: v2.RandomChoice([_flip(), v2.RandomVerticalFlip(0.5), _jitter()]),
    v2.RandomCrop: lambda: v2.RandomCrop(16, padding=2),
    v2.RandomEqualize: lambda: v2.RandomEqualize(0.5),
    v2.RandomErasing: lambda: v2.RandomErasing(0.5),
    v2.RandomGrayscale: lambda: v2.RandomGrayscale(0.5),
    v2.RandomHorizontalFlip: _flip,
    v2.RandomInvert: lambda: v2.RandomInvert(0.5),
    v2.RandomIoUCrop: lambda: v2.RandomIoUCrop(),
    v2.RandomOrder: lambda: v2.RandomOrder([_flip(), _jitter(), v2.RandomGrayscale(0.5)]),
    v2.RandomPerspective: lambda: v2.RandomPerspective(),
    v2.RandomPhotometricDistort: lambda: v2.RandomPhotometricDistort(),
    v2.RandomPosterize: lambda: v2.RandomPosterize(3, p=0.5),
    v2.RandomResize: lambda: v2.RandomResize(12, 20),
    v2.RandomResizedCrop: lambda: v2.RandomResizedCrop(16),
    v2.RandomRotation: lambda: v2.RandomRotation(30),
    v2.RandomShortestSize: lambda: v2.RandomShortestSize([12, 20]),
    v2.RandomSolarize: lambda: v2.RandomSolarize(128, p=0.5),
    v2.RandomVerticalFlip: lambda: v2.RandomVerticalFlip(0.5),
    v2.RandomZoomOut: lambda: v2.RandomZoomOut(),
    v2.Resize: lambda: v2.Resize((24, 24)),
    v2.SanitizeBoundingBoxes: lambda: v2.SanitizeBoundingBoxes(),
    v2.SanitizeKeyPoints: lambda: v2.SanitizeKeyPoints(),
    v2.ScaleJitter: lambda: v2.ScaleJitter((16, 16)),
    v2.SetClampingMode: lambda: v2.SetClampingMode("soft"),
    v2.TenCrop: lambda: v2.TenCrop(8),
    v2.ToDtype: lambda: v2.ToDtype(torch.float32, scale=True),
    v2.ToImage: lambda: v2.ToImage(),
    v2.ToPILImage: lambda: v2.ToPILImage(),
    v2.ToPureTensor: lambda: v2.ToPureTensor(),
    v2.ToTensor: lambda: v2.ToTensor(),
    v2.TrivialAugmentWide: lambda: v2.TrivialAugmentWide(),
    v2.UniformTemporalSubsample: lambda: v2.UniformTemporalSubsample(2),
}
