"""Corruptions at five strengths, after ImageNet-C, with torchvision's functionals (JPEG: Pillow)."""

import hashlib
import io
from collections.abc import Callable
from typing import Any

import PIL.Image
import torch
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from segaug._checks import check_choice, check_generator, check_int, describe
from segaug.data import Images, derive_seed
from segaug.structures import SegmentedImage

__all__ = ["CORRUPTIONS", "SEVERITIES", "CorruptedImages", "corrupt"]

SEVERITIES = (1, 2, 3, 4, 5)
# The side of the pictures that the paper's lengths are meant for.
_SIDE = 224
# Points along the shorter side at which the elastic warp is drawn.
_WAVES = 12
_Kernel = Callable[[torch.Tensor, Any, torch.Generator | None], torch.Tensor]


def corrupt(image: Any, name: str, severity: int, *, generator: torch.Generator | None = None) -> Any:
    """Corrupt one image (Hendrycks and Dietterich, arXiv 1903.12261).

    Operations are torchvision's (JPEG is Pillow's); strengths are the paper's where the operation is the same. Lengths
    (of blurs and warps) are scaled by the shorter side over 224, so that a small picture is harmed like a large one.

    - The paper's: ``"gaussian_noise"`` (standard deviation 0.08, 0.12, 0.18, 0.26, 0.38), ``"shot_noise"`` (60, 25, 12, 5,
      3 photons at white), ``"impulse_noise"`` (3, 6, 9, 17, 27 % of all values are 0 or 255), ``"gaussian_blur"`` (sigma 1,
      2, 3, 4, 6 pixels of 224), ``"zoom_blur"`` (mean over zooms up to 1.10, 1.15, 1.20, 1.24, 1.30), ``"pixelate"`` (0.6,
      0.5, 0.4, 0.3, 0.25 of the side) and ``"jpeg"`` (quality 25, 18, 15, 10, 7).
    - The paper's factors in torchvision's operation: ``"contrast"`` (0.4, 0.3, 0.2, 0.1, 0.05; around the mean of the grey
      picture instead of each channel's) and ``"saturation"`` (0.3, 0.1, 2, 5, 20; towards grey instead of in HSV).
    - Ours: ``"brightness"`` (factor 1.2, 1.4, 1.6, 1.8, 2.0: what the paper adds, for a value of a half) and ``"elastic"``
      (a smooth warp whose root mean square is 0.4, 0.8, 1.2, 1.6, 2 % of the shorter side; the paper mixes shears and warps).

    Args:
        image: (C, H, W) uint8 with 1 or 3 channels, or a :class:`~segaug.SegmentedImage` of one; its map moves with the
            pixels (only ``"elastic"`` moves any).
        name: One of :data:`CORRUPTIONS`.
        severity: 1 to 5.
        generator: Where noise and warps are drawn from; None is torch's default generator.

    Returns:
        The corrupted image, of the same type, shape and dtype.

    Raises:
        TypeError: If ``image`` is no uint8 tensor.
        ValueError: If its shape, the name or the severity is not among the allowed.

    Example:
        >>> image = torch.full((3, 32, 32), 100, dtype=torch.uint8)
        >>> corrupt(image, "brightness", 3)[0, 0, 0]
        tensor(160, dtype=torch.uint8)
        >>> noise = [corrupt(image, "gaussian_noise", 3, generator=torch.Generator().manual_seed(0)) for _ in range(2)]
        >>> torch.equal(*noise)
        True
    """
    check_choice("name", name, CORRUPTIONS)
    if check_int("severity", severity, minimum=1) > len(SEVERITIES):
        raise ValueError(f"severity must be from 1 to {len(SEVERITIES)}, got {severity}")
    check_generator(generator)
    pixels = image.image if isinstance(image, SegmentedImage) else image
    if not isinstance(pixels, torch.Tensor) or pixels.dtype != torch.uint8:
        raise TypeError(f"image must be a uint8 tensor, got {describe(pixels)}")
    if pixels.ndim != 3 or pixels.shape[0] not in (1, 3) or 0 in pixels.shape:
        raise ValueError(f"image must have the shape (1 or 3, H, W), got {tuple(pixels.shape)}")
    plain = pixels.as_subclass(torch.Tensor)
    if name == "elastic":
        shift = _shift(plain, _ELASTIC[severity - 1], generator)
        if isinstance(image, SegmentedImage):
            return SegmentedImage(F.elastic(image.image, shift), F.elastic(image.segments, shift))
        return F.elastic(image, shift)
    kernel, strengths = _KERNELS[name]
    result = kernel(plain, strengths[severity - 1], generator)
    if isinstance(image, SegmentedImage):
        return SegmentedImage(tv_tensors.Image(result), image.segments)
    return tv_tensors.wrap(result, like=image) if isinstance(image, tv_tensors.TVTensor) else result


class CorruptedImages(Dataset[tuple[Any, int]]):
    """The images of another dataset, corrupted; each draws from a stream of its own, which ``seed`` and its index decide.

    :class:`~segaug.data.TokenDataset` segments them anew, so a corruption reaches the segmenter too.

    Args:
        images: uint8 images, or SegmentedImages with maps of their own, which are kept.
        name: As for :func:`corrupt`.
        severity: As for :func:`corrupt`.
        seed: Decides all draws. They are the same for all severities, which so differ in strength only.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If an argument is out of range.

    Example:
        >>> from segaug.data import SceneImages, Scenes
        >>> images = CorruptedImages(SceneImages(Scenes("count", n=3, size=64)), "jpeg", 5)
        >>> len(images), images[0][0].image.shape
        (3, torch.Size([3, 64, 64]))
    """

    def __init__(self, images: Images, name: str, severity: int, *, seed: int = 0) -> None:
        self.images = images
        self.name = check_choice("name", name, CORRUPTIONS)
        self.severity = check_int("severity", severity, minimum=1)
        self.seed = check_int("seed", seed, minimum=0)
        self.classes, self.size, self.targets = images.classes, images.size, images.targets
        if (paths := getattr(images, "paths", None)) is not None:
            self.paths = paths
        # If what a corruption computes ever changes, stored tokens are made again.
        sample = corrupt(_sample(), name, severity, generator=torch.Generator().manual_seed(0))
        self._checksum = hashlib.sha256(sample.numpy().tobytes()).hexdigest()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        """Return the corrupted image of item ``index`` and its class."""
        image, target = self.images[index]
        generator = torch.Generator().manual_seed(derive_seed(self.seed, index))
        return corrupt(image, self.name, self.severity, generator=generator), target

    def key(self, index: int) -> dict[str, Any]:
        """What item ``index`` depends on, as a dict that JSON can hold."""
        drawn = [self.name, self.severity, self.seed, index]
        return {"source": self.images.key(index), "corruption": drawn, "checksum": self._checksum}


def _sample() -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(24), torch.arange(32), indexing="ij")
    return torch.stack([(37 * y + 11 * x + 5 * y * x + 80 * c) % 256 for c in range(3)]).to(torch.uint8)


def _scale(image: torch.Tensor) -> float:
    return min(image.shape[-2:]) / _SIDE


def _unit(image: torch.Tensor) -> torch.Tensor:
    return F.to_dtype(image, torch.float32, scale=True)


def _bytes(image: torch.Tensor) -> torch.Tensor:
    return (image.clamp(0, 1) * 255).round().to(torch.uint8)


def _draw_normal(image: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
    return torch.empty(image.shape).normal_(generator=generator).to(image.device)


def _gaussian_noise(image: torch.Tensor, deviation: float, generator: torch.Generator | None) -> torch.Tensor:
    # F.gaussian_noise takes no generator.
    return _bytes(_unit(image) + deviation * _draw_normal(image, generator))


def _shot_noise(image: torch.Tensor, photons: float, generator: torch.Generator | None) -> torch.Tensor:
    return _bytes(torch.poisson(_unit(image).cpu() * photons, generator=generator).to(image.device) / photons)


def _impulse_noise(image: torch.Tensor, amount: float, generator: torch.Generator | None) -> torch.Tensor:
    draw = torch.empty(image.shape).uniform_(generator=generator).to(image.device)
    black, white = draw < amount / 2, draw >= 1 - amount / 2
    return image.masked_fill(black, 0).masked_fill(white, 255)


def _blur(image: torch.Tensor, sigma: float) -> torch.Tensor:
    # Four sigma, as the paper's blur has it; the reflected border must be shorter than the picture.
    radius = min(max(1, round(4 * sigma)), min(image.shape[-2:]) - 1)
    return F.gaussian_blur(image, [2 * radius + 1] * 2, [sigma] * 2) if radius else image


def _gaussian_blur(image: torch.Tensor, sigma: float, generator: torch.Generator | None) -> torch.Tensor:
    return _bytes(_blur(_unit(image), sigma * _scale(image)))


def _zoom_blur(image: torch.Tensor, zooms: tuple[float, ...], generator: torch.Generator | None) -> torch.Tensor:
    total = unzoomed = _unit(image)
    for zoom in zooms:
        zoomed = F.affine(unzoomed, 0.0, [0, 0], zoom, [0.0, 0.0], interpolation=InterpolationMode.BILINEAR)
        total = total + zoomed
    return _bytes(total / (len(zooms) + 1))


def _pixelate(image: torch.Tensor, share: float, generator: torch.Generator | None) -> torch.Tensor:
    sides = [int(side) for side in image.shape[-2:]]
    small = F.resize(image, [max(1, int(side * share)) for side in sides], antialias=True)
    return F.resize(small, sides, interpolation=InterpolationMode.NEAREST_EXACT)


def _jpeg(image: torch.Tensor, quality: int, generator: torch.Generator | None) -> torch.Tensor:
    # By Pillow: torchvision's encoder is deprecated since 0.29.
    buffer = io.BytesIO()
    F.to_pil_image(image.cpu()).save(buffer, format="JPEG", quality=quality)
    with PIL.Image.open(buffer) as picture:
        return F.pil_to_tensor(picture).to(image.device)


def _shift(image: torch.Tensor, strength: float, generator: torch.Generator | None) -> torch.Tensor:
    """A smooth random shift of every pixel, (1, H, W, 2), in halves of the width and height as F.elastic takes it."""
    height, width = image.shape[-2:]
    side = min(height, width)
    # Drawn on a coarse grid: as smooth as blurred noise, and much cheaper.
    rows, columns = (max(2, round(_WAVES * length / side)) for length in (height, width))
    noise = torch.empty(2, rows, columns).uniform_(-1, 1, generator=generator)
    smooth = F.resize(noise, [height, width], interpolation=InterpolationMode.BICUBIC)
    pixels = strength * side * smooth / smooth.square().mean().sqrt().clamp(min=1e-6)
    halves = (pixels * (2 / torch.tensor([width, height])).view(2, 1, 1)).permute(1, 2, 0)
    x, y = (torch.linspace(1 - size, size - 1, size) / size for size in (width, height))
    places = torch.stack([x.expand(height, width), y.view(-1, 1).expand(height, width)], -1)
    # Nothing is fetched from beyond the border, which would be black: the paper mirrors there.
    limit = 1 - 1 / torch.tensor([width, height])
    return ((places + halves).clamp(-limit, limit) - places).unsqueeze(0).to(image.device)


_ELASTIC = (0.004, 0.008, 0.012, 0.016, 0.02)
_KERNELS: dict[str, tuple[_Kernel, tuple[Any, ...]]] = {
    "gaussian_noise": (_gaussian_noise, (0.08, 0.12, 0.18, 0.26, 0.38)),
    "shot_noise": (_shot_noise, (60, 25, 12, 5, 3)),
    "impulse_noise": (_impulse_noise, (0.03, 0.06, 0.09, 0.17, 0.27)),
    "gaussian_blur": (_gaussian_blur, (1, 2, 3, 4, 6)),
    "zoom_blur": (
        _zoom_blur,
        tuple(
            tuple(1 + step * i for i in range(count))
            for step, count in ((0.01, 11), (0.01, 16), (0.02, 11), (0.02, 13), (0.03, 11))
        ),
    ),
    "brightness": (lambda image, factor, _: F.adjust_brightness(image, factor), (1.2, 1.4, 1.6, 1.8, 2.0)),
    "contrast": (lambda image, factor, _: F.adjust_contrast(image, factor), (0.4, 0.3, 0.2, 0.1, 0.05)),
    "saturation": (lambda image, factor, _: F.adjust_saturation(image, factor), (0.3, 0.1, 2, 5, 20)),
    "pixelate": (_pixelate, (0.6, 0.5, 0.4, 0.3, 0.25)),
    "jpeg": (_jpeg, (25, 18, 15, 10, 7)),
}
CORRUPTIONS = (*_KERNELS, "elastic")
