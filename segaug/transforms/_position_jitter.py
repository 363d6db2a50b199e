"""PositionJitter: noise on the segments' boxes and areas."""

from typing import Any, ClassVar

import torch

from segaug._checks import check_choice, check_generator, check_number
from segaug.functional import jitter_positions
from segaug.structures import SegmentTokens
from segaug.transforms._base import SegmentTransform
from segaug.transforms._random import normal

__all__ = ["PositionJitter"]


class PositionJitter(SegmentTransform):
    """Add Gaussian noise to where each segment is and how large (arXiv 2402.17863): three horses are three horses.

    Patches stay. Every segment of every image draws its own noise; the background token and padding are left as they are.
    Afterwards corners are ordered and in [0, 1] and areas in (0, 1].

    Args:
        box_std: Standard deviation for the box, in widths and heights of the canvas.
        area_std: Standard deviation for the area: in areas of the canvas for ``"corners"``, of the area's logarithm for
            ``"translate_scale"``.
        mode: ``"corners"`` adds noise to every corner coordinate and to the area. ``"translate_scale"`` moves the box as
            a whole and scales it by the root of the factor that the area is multiplied by; it stays on the canvas.
        generator: Where the noise is drawn; torch's default generator if None.

    Raises:
        TypeError: If an argument is of another type.
        ValueError: If a deviation is negative, or ``mode`` is unknown.

    Example:
        >>> from segaug import Grid, PositionJitter, Segment, Tokenize
        >>> tokens = Tokenize()(Segment(Grid(2, 2))(torch.zeros(3, 32, 32, dtype=torch.uint8)))
        >>> jittered = PositionJitter(0.05, 0.1, mode="translate_scale")(tokens)
        >>> torch.equal(jittered.patches, tokens.patches), torch.equal(jittered.boxes, tokens.boxes)
        (True, False)
    """

    _structures: ClassVar[tuple[type, ...]] = (SegmentTokens,)

    def __init__(
        self,
        box_std: float = 0.02,
        area_std: float = 0.02,
        mode: str = "corners",
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.box_std = check_number("box_std", box_std, minimum=0.0)
        self.area_std = check_number("area_std", area_std, minimum=0.0)
        self.mode = check_choice("mode", mode, ("corners", "translate_scale"))
        self._generator = check_generator(generator)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw ``box_noise`` (..., N, 4) and ``area_noise`` (..., N)."""
        shape = tuple(flat_inputs[0].labels.shape)
        return {
            "box_noise": normal(self.box_std, (*shape, 4), self._stream),
            "area_noise": normal(self.area_std, shape, self._stream),
        }

    def transform(self, inpt: SegmentTokens, params: dict[str, Any]) -> SegmentTokens:
        """Apply noise that was drawn."""
        boxes, areas = jitter_positions(
            inpt.boxes.as_subclass(torch.Tensor),
            inpt.areas,
            params["box_noise"].to(inpt.boxes.device),
            params["area_noise"].to(inpt.areas.device),
            self.mode,
        )
        place = inpt.labels > 0
        return SegmentTokens(
            inpt.patches,
            inpt.alpha,
            torch.where(place[..., None], boxes, inpt.boxes.as_subclass(torch.Tensor)),
            torch.where(place, areas, inpt.areas),
            inpt.labels,
        )
