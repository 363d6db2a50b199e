"""What a plain callable gets of a segment, and what it may give back."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import PIL.Image
import torch
import torchvision.transforms.v2.functional as F

from segaug._checks import check_choice, check_flag, describe

__all__ = ["Interface"]

Kind = Literal["tensor", "pil", "numpy"]


@dataclass(frozen=True)
class Interface:
    """How a callable is called: with a tensor (C, H, W), a PIL image or an array (H, W, C); and whether it moves pixels."""

    input: Kind = "tensor"
    geometry: bool = False

    def __post_init__(self) -> None:
        check_choice("input", self.input, ("tensor", "pil", "numpy"))
        check_flag("geometry", self.geometry)

    def call(self, transform: Any, pixels: torch.Tensor) -> Any:
        """Call ``transform`` on pixels (C, H, W) in its own terms; what it returns comes back as a tensor (C, H, W)."""
        if self.input == "tensor":
            return transform(pixels)
        if self.input == "numpy":
            array = np.ascontiguousarray(pixels.movedim(0, -1).cpu().numpy())
            return self._from_array(transform(array), pixels)
        if pixels.dtype != torch.uint8:
            raise TypeError(f'patches must be uint8 for input="pil", got {pixels.dtype}: convert them with v2.ToDtype')
        return self._from_pil(transform(_to_pil(pixels)), pixels)

    def _from_array(self, output: Any, pixels: torch.Tensor) -> torch.Tensor:
        if not isinstance(output, np.ndarray):
            raise TypeError(f'transform must return an array with input="numpy", got {describe(output)}')
        if output.ndim == 2:
            output = output[..., None]
        # Flips give arrays with negative strides, which torch does not take.
        return torch.from_numpy(np.ascontiguousarray(output)).movedim(-1, 0).to(pixels.device)

    def _from_pil(self, output: Any, pixels: torch.Tensor) -> torch.Tensor:
        if not isinstance(output, PIL.Image.Image):
            raise TypeError(f'transform must return a PIL image with input="pil", got {describe(output)}')
        return F.pil_to_tensor(output).to(pixels.device)


# Coverage, with geometry=True, is the last channel.
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def _to_pil(pixels: torch.Tensor) -> PIL.Image.Image:
    array = pixels.movedim(0, -1).cpu().numpy()
    mode = _MODES[len(pixels)]
    return PIL.Image.fromarray(np.ascontiguousarray(array[..., 0] if mode == "L" else array), mode=mode)
