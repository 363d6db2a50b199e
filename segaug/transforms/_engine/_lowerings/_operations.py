"""The operations that torchvision's automatic augmentations choose from, each segment its own, all segments at once."""

from collections.abc import Callable

import torch

from segaug.functional._color import brighten, change_contrast, saturate
from segaug.functional._colors import Change, TokenColors, on_tokens
from segaug.functional._filter import adjust_sharpness
from segaug.functional._tone import autocontrast, equalize, invert, posterize, solarize
from segaug.functional._warp import affine
from segaug.transforms._engine._place import narrow, widen

__all__ = ["IDENTITY", "NAMES", "apply_operations"]

_COLOR: dict[str, Callable[[TokenColors, torch.Tensor], torch.Tensor]] = {
    "Brightness": lambda colors, magnitude: brighten(colors, 1.0 + magnitude),
    "Color": lambda colors, magnitude: saturate(colors, 1.0 + magnitude),
    "Contrast": lambda colors, magnitude: change_contrast(colors, 1.0 + magnitude),
    "Posterize": lambda colors, magnitude: posterize(colors, magnitude.long()),
    "Solarize": lambda colors, magnitude: solarize(colors, (255.0 if colors.levels else 1.0) * magnitude),
    "AutoContrast": lambda colors, magnitude: autocontrast(colors),
    "Equalize": lambda colors, magnitude: equalize(colors),
    "Invert": lambda colors, magnitude: invert(colors),
}
_GEOMETRY = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")
# Numbers stand for the operations, so that parameters are tensors.
NAMES = ("Identity", *_COLOR, "Sharpness", *_GEOMETRY)
IDENTITY = 0
_NUMBER = {name: number for number, name in enumerate(NAMES)}
_SHARPNESS, _FIRST_GEOMETRY = _NUMBER["Sharpness"], _NUMBER["ShearX"]


def apply_operations(
    patches: torch.Tensor,
    alpha: torch.Tensor,
    operation: torch.Tensor,
    magnitude: torch.Tensor,
    *,
    interpolation: str,
    fill_mask: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Apply one operation to each segment: operation (M,) numbers of ``NAMES``, magnitude (M,) float64."""
    patches, alpha = patches.clone(), alpha.clone()
    chosen = ((operation > IDENTITY) & (operation < _SHARPNESS)).nonzero().squeeze(1)
    if len(chosen):
        patches[chosen] = _recolor(patches[chosen], alpha[chosen], operation[chosen], magnitude[chosen])
    chosen = (operation == _SHARPNESS).nonzero().squeeze(1)
    if len(chosen):
        wide = widen(patches[chosen], 1, 1), widen(alpha[chosen], 1, 1)
        patches[chosen] = narrow(adjust_sharpness(*wide, 1.0 + magnitude[chosen]), 1, 1)
    chosen = (operation >= _FIRST_GEOMETRY).nonzero().squeeze(1)
    if len(chosen):
        packed = torch.cat([patches[chosen], alpha[chosen, None]], dim=1)
        packed = _move(packed, operation[chosen], magnitude[chosen], interpolation, fill_mask)
        patches[chosen], alpha[chosen] = packed[:, :-1], packed[:, -1]
    return patches, alpha


def _recolor(
    patches: torch.Tensor, alpha: torch.Tensor, operation: torch.Tensor, magnitude: torch.Tensor
) -> torch.Tensor:
    def make_change(run: Callable[[TokenColors, torch.Tensor], torch.Tensor]) -> Change:
        return lambda part, rows: run(part, magnitude[rows])

    changes = {_NUMBER[name]: make_change(run) for name, run in _COLOR.items()}

    def change(colors: TokenColors) -> torch.Tensor:
        colors.on_groups(operation, changes)
        return colors.values

    return on_tokens(patches, alpha, change)


def _move(
    packed: torch.Tensor, operation: torch.Tensor, magnitude: torch.Tensor, interpolation: str, fill_mask: bool
) -> torch.Tensor:
    """Shear, shift or turn: one resampling for all segments."""
    height, width = packed.shape[-2:]
    zero = torch.zeros_like(magnitude)

    def where(name: str, value: torch.Tensor) -> torch.Tensor:
        return torch.where(operation == _NUMBER[name], value, zero)

    # As torchvision turns the slope into an angle, about the patch's corner.
    slope = torch.rad2deg(torch.atan(magnitude))
    shear = torch.stack([where("ShearX", slope), where("ShearY", slope)], dim=-1)
    shift = torch.stack([where("TranslateX", magnitude.trunc()), where("TranslateY", magnitude.trunc())], dim=-1)
    is_shear = (operation == _NUMBER["ShearX"]) | (operation == _NUMBER["ShearY"])
    middle = torch.tensor([width * 0.5, height * 0.5], dtype=magnitude.dtype, device=magnitude.device)
    center = torch.where(is_shear[:, None], torch.zeros_like(middle), middle)
    return affine(
        packed,
        angle=where("Rotate", -magnitude),
        translate=shift,
        scale=torch.ones_like(magnitude),
        shear=shear,
        center=center,
        interpolation=interpolation,
        fill_mask=fill_mask,
    )
