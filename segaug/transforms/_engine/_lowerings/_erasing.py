"""Random erasing."""

from typing import Any

import torch
from torchvision.transforms import v2

from segaug.functional import premultiply
from segaug.functional._noise import seeded_normal
from segaug.transforms._engine._lowering import Draw, Params, register_lowering
from segaug.transforms._engine._lowerings._gate import GatedLowering
from segaug.transforms._engine._lowerings._noise import draw_seeds
from segaug.transforms._random import uniform

__all__: list[str] = []


@register_lowering(v2.RandomErasing)
class _RandomErasing(GatedLowering):
    """Erases a window of the patch. The segment keeps its coverage: what is erased gets another colour."""

    # As in torchvision: the first of ten windows that fits, else none.
    _TRIES = 10

    def outcomes(self, transform: Any, channels: int) -> list[Params] | None:
        return None

    def make_params(self, transform: Any, draw: Draw) -> Params:
        value = transform.value
        if value is not None and len(value) not in (1, draw.channels):
            raise ValueError(
                f"value must be one number or one per channel ({draw.channels}) of the segments, got {len(value)}"
            )
        shape = (draw.count, self._TRIES)
        smallest, largest = transform.scale
        area = uniform(smallest, largest, shape, draw.generator).double() * (draw.height * draw.width)
        low, high = transform._log_ratio.tolist()
        aspect = uniform(low, high, shape, draw.generator).exp().double()
        h, w = (area * aspect).sqrt().round().long(), (area / aspect).sqrt().round().long()
        fits = (h < draw.height) & (w < draw.width)
        first = fits.to(torch.uint8).argmax(-1, keepdim=True)
        none = ~fits.any(-1)
        h, w = (side.gather(-1, first).squeeze(-1).masked_fill_(none, 0) for side in (h, w))
        place = uniform(0.0, 1.0, (2, draw.count), draw.generator).double()
        # A float below 1 times n can round up to n.
        i = torch.minimum((place[0] * (draw.height - h + 1)).long(), draw.height - h)
        j = torch.minimum((place[1] * (draw.width - w + 1)).long(), draw.width - w)
        params = {**super().make_params(transform, draw), "i": i, "j": j, "h": h, "w": w}
        if value is None:
            return {**params, "seed": draw_seeds(draw)}
        return {**params, "v": torch.tensor(value, device=i.device).view(1, -1, 1, 1).expand(draw.count, -1, 1, 1)}

    def apply(
        self, transform: Any, patches: torch.Tensor, alpha: torch.Tensor, params: Params
    ) -> tuple[torch.Tensor, torch.Tensor]:
        i, j, h, w = (params[key][:, None] for key in "ijhw")
        row, column = (torch.arange(side, device=patches.device) for side in alpha.shape[1:])
        down = (row >= i) & (row < i + h) & params["gate"][:, None]
        window = down[:, :, None] & ((column >= j) & (column < j + w))[:, None]
        value = params["v"] if "v" in params else self._noise(params["seed"], patches.shape)
        # Numbers beyond a byte overflow, as in torchvision.
        value = value.to(patches.dtype)
        painted = premultiply(value.float() if patches.dtype == torch.uint8 else value, alpha)
        return torch.where(window[:, None], painted, patches), alpha

    @staticmethod
    def _noise(seed: torch.Tensor, shape: torch.Size) -> torch.Tensor:
        return seeded_normal(seed, shape[1:].numel()).view(shape)
