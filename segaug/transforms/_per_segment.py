"""PerSegment: any transform, applied to every segment by its own draw."""

import logging
from typing import Any, Literal

import torch

from segaug._checks import check_choice, check_flag, check_generator, check_probability, describe
from segaug._optional import require
from segaug.structures import SegmentedImage, SegmentTokens
from segaug.transforms._base import SegmentTransform
from segaug.transforms._engine import _lowerings as _lowerings  # registers torchvision's transforms
from segaug.transforms._engine._containers import Gated
from segaug.transforms._engine._detection import find_detection
from segaug.transforms._engine._interface import Interface
from segaug.transforms._engine._loop import has_callable
from segaug.transforms._engine._lowering import Draw, Params
from segaug.transforms._engine._nodes import LIVE as _LIVE
from segaug.transforms._engine._nodes import Looped
from segaug.transforms._engine._on_picture import run_on_picture
from segaug.transforms._engine._on_tokens import run_on_tokens
from segaug.transforms._engine._picture import Picture
from segaug.transforms._engine._picture_draws import draw_for_picture
from segaug.transforms._engine._picture_rules import check_in_picture
from segaug.transforms._engine._plan import make_plan
from segaug.transforms._engine._refused import check_allowed
from segaug.transforms._engine._v1 import as_v2

__all__ = ["PerSegment"]

_logger = logging.getLogger("segaug")


class PerSegment(SegmentTransform):
    """Apply a transform to each segment by its own draw: n segments and one random flip give 2^n pictures.

    On :class:`~segaug.SegmentTokens` (one image or a batch) it changes patches and alpha, and nothing else: the flip of a
    segment is not a move.

    On a :class:`~segaug.SegmentedImage` it changes each segment where it lies: colours once over the picture; geometry
    about the segment's own box, composited back with the smaller segments on top, and the map with it. A sample with one
    image and one map is taken too, as torchvision's detection samples are: the map a ``SegmentMap`` or instance masks, a
    ``Mask`` (N, H, W). ``BoundingBoxes`` and labels follow where geometry changes it, and segments of which nothing is left
    are dropped. The page "In the picture" tells the rules.

    Colour transforms see the segment's straight colours: outside stays black, and statistics such as the mean of the
    contrast count the segment's own pixels, weighted by coverage. With a full mask each segment comes out as from the
    plain transform.

    Most of torchvision's transforms and of kornia's run batched, for all segments at once; parameters are drawn from the
    same distributions as there. Any other transform is called once per segment, which is logged once; :attr:`lowered`
    tells which is which, and the page "What is supported" lists all. Those that cannot be applied to one segment are
    refused.

    Args:
        transform: A transform of torchvision (v2, or v1, which is taken as its v2 equal), kornia or albumentations, their
            containers, or any callable on one picture, as ``input`` and ``geometry`` say.
        p: Probability that a segment is transformed at all.
        background: Whether the background, the token or label 0, is transformed too. In a picture it never moves. Padding
            is never transformed.
        vectorized: False calls the transform once per segment, whatever it is: the reference that the batched path is
            tested against. For one segment with a full mask the result is the plain transform's, bit for bit under the
            same seed.
        input: For callables that are no transforms of a known library: what they take and return. ``"tensor"``: (C, H, W);
            ``"pil"``: a PIL image (uint8 only); ``"numpy"``: an array (H, W, C).
        geometry: For such callables: True says that ``transform`` moves pixels. It then gets colour premultiplied by
            coverage, and the coverage as one more channel, and may change the size. False: it gets the straight colours,
            with the segment's mean colour outside it, and must leave pixels in place.
        fill: In a picture: what stands where a segment has moved away. ``"mean"``: the mean colour of the picture outside
            the segments that changed. ``"inpaint"``: what is around is continued, by OpenCV on the CPU; it needs the extra
            ``inpaint``. ``"keep"``: the old pixels. Its label is 0 in any case.
        generator: Where to draw; torch's default generator if None. With a generator the global state stays as it is.

    Raises:
        TypeError: If an argument is of another type, ``transform`` is refused or returns anything but one picture of the same
            dtype, or a sample holds no segments.
        ValueError: If ``p`` is not in [0, 1], floats are outside [0, 1], segments come out in different sizes, or boxes and
            labels do not fit the map.
        ImportError: If an extra is missing.

    Example:
        >>> from torchvision.transforms import v2
        >>> from segaug import Grid, PerSegment, Segment, Tokenize
        >>> image = torch.arange(32, dtype=torch.uint8).repeat(3, 32, 2)
        >>> tokens = Tokenize(background=False)(Segment(Grid(2, 2))(image))
        >>> flip = PerSegment(v2.RandomHorizontalFlip(0.5), generator=torch.Generator().manual_seed(1))
        >>> (flip(tokens).patches[:, 0, 0, 0] > 16).tolist()
        [False, True, True, False]
        >>> flip.lowered
        [('RandomHorizontalFlip', 'batched')]
    """

    def __init__(
        self,
        transform: Any,
        *,
        p: float = 1.0,
        background: bool = True,
        vectorized: bool = True,
        input: Literal["tensor", "pil", "numpy"] = "tensor",  # noqa: A002
        geometry: bool = False,
        fill: Literal["mean", "inpaint", "keep"] = "mean",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if not callable(transform):
            raise TypeError(f"transform must be callable, got {describe(transform)}")
        if isinstance(transform, type):
            raise TypeError(f"transform must be an instance, got the class {transform.__name__}")
        self.transform_per_segment = as_v2(transform)
        check_allowed(self.transform_per_segment)
        self.p = check_probability("p", p)
        self.background = check_flag("background", background)
        self.vectorized = check_flag("vectorized", vectorized)
        self.interface = Interface(input, geometry)
        if self.interface != Interface() and not has_callable(self.transform_per_segment):
            raise ValueError(
                f"input and geometry are for plain callables, got input={input!r}, geometry={geometry} with {transform!r}"
            )
        self.fill = check_choice("fill", fill, ("mean", "inpaint", "keep"))
        if fill == "inpaint":
            # Now, rather than at the first segment that moves.
            require("cv2", extra="inpaint")
        self._generator = check_generator(generator)
        if self.vectorized:
            plan = make_plan(self.transform_per_segment, self.interface)
            for name, how in plan.lowered():
                if how != "batched":
                    _logger.warning("PerSegment calls %s once per segment (%s)", name, how)
        else:
            plan = Looped(self.transform_per_segment, "vectorized=False", self.interface)
        self._plan = Gated(plan, self.p)

    @property
    def lowered(self) -> list[tuple[str, str]]:
        """How each wrapped transform runs: ``"batched"``, or ``"looped: ..."`` with the reason."""
        return list(self._plan.lowered())

    def make_params(self, flat_inputs: list[Any]) -> Params:
        """Draw for every slot of tokens, or for every segment of a picture, the background first.

        A loop has no parameters of its own: its params are the state of the stream that it starts from.
        """
        structure = flat_inputs[0]
        if isinstance(structure, SegmentedImage):
            return self._draw(Picture.read(structure))
        if not isinstance(structure, SegmentTokens):
            raise TypeError(
                f"make_params takes [SegmentTokens] or [SegmentedImage], got {describe(structure)}: of an image and "
                "its map make a SegmentedImage"
            )
        channels, height, width = structure.patches.shape[-3:]
        return self._plan.make_params(
            Draw(structure.labels.numel(), channels, height, width, self._stream, dtype=structure.patches.dtype)
        )

    def transform(self, inpt: SegmentTokens | SegmentedImage, params: Params) -> SegmentTokens | SegmentedImage:
        """Apply parameters that were drawn."""
        if isinstance(inpt, SegmentTokens):
            return run_on_tokens(self._plan, inpt, params, self.background)
        return self._apply(Picture.read(inpt), params).sample()

    def forward(self, *inputs: Any) -> Any:
        """Transform every structure of the sample; what geometry moves in a picture, its boxes and labels follow."""
        if self._plan.is_color:
            return super().forward(*inputs)
        detection = find_detection(type(self).__name__, inputs if len(inputs) > 1 else inputs[0])
        if detection is None:
            return super().forward(*inputs)
        before = detection.picture()
        return detection.rebuild(before, self._apply(before, self._draw(before)))

    def _run(self, structure: Any) -> Any:
        if isinstance(structure, SegmentedImage):
            # Its segments are numbered once for both.
            picture = Picture.read(structure)
            return self._apply(picture, self._draw(picture)).sample()
        if not isinstance(self._plan.child, Looped) or self._generator:
            return super()._run(structure)
        # A loop stands in for calling the transform by hand: it draws from the default generator as it stands, and moves
        # it on as that would have.
        gate = None if self.p >= 1.0 else torch.rand(structure.labels.numel()) < self.p
        return run_on_tokens(self._plan, structure, {"gate": gate, "child": _LIVE}, self.background)

    def _draw(self, picture: Picture) -> Params:
        check_in_picture(self.transform_per_segment, picture.image)
        return draw_for_picture(self._plan, picture, self._stream)

    def _apply(self, picture: Picture, params: Params) -> Picture:
        check_in_picture(self.transform_per_segment, picture.image)
        return run_on_picture(self._plan, picture, params, self.background, self.fill)

    def extra_repr(self) -> str:
        """Name the wrapped transform and the options."""
        return (
            f"{self.transform_per_segment!r}, p={self.p:g}, background={self.background}, vectorized={self.vectorized}"
        )
