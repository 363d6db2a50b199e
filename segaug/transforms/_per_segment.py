"""PerSegment: any transform, applied to every segment by its own draw."""

import logging
from typing import Any, Literal

import torch
from torchvision import tv_tensors

from segaug._checks import check_flag, check_generator, check_probability, check_unit_range, describe
from segaug.functional import relabel
from segaug.functional._color import PictureColors
from segaug.structures import SegmentedImage, SegmentTokens
from segaug.transforms import _lowerings as _lowerings  # registers torchvision's transforms
from segaug.transforms._base import SegmentTransform
from segaug.transforms._containers import Gated
from segaug.transforms._interface import Interface
from segaug.transforms._lowering import Draw, Params
from segaug.transforms._nodes import LIVE as _LIVE
from segaug.transforms._nodes import Looped, Segments, put_back
from segaug.transforms._plan import make_plan
from segaug.transforms._refused import check_allowed
from segaug.transforms._v1 import as_v2

__all__ = ["PerSegment"]

_logger = logging.getLogger("segaug")


class PerSegment(SegmentTransform):
    """Apply a transform to each segment by its own draw: n segments and one random flip give 2^n pictures.

    On :class:`~segaug.SegmentTokens` (one image or a batch) it changes patches and alpha, and nothing else: the flip of a
    segment is not a move. On a :class:`~segaug.SegmentedImage`, or an image and a map side by side in a sample, it changes
    the colours of each segment in the picture; geometry there is not implemented yet and is refused.

    Colour transforms see the segment's straight colours: outside stays black, and statistics such as the mean of the
    contrast count the segment's own pixels, weighted by coverage. With a full mask each segment comes out as from the
    plain transform.

    torchvision's ``RandomHorizontalFlip``, ``RandomVerticalFlip``, ``RandomResizedCrop``, ``ColorJitter``,
    ``RandomGrayscale``, ``Compose``, ``RandomApply`` and ``Identity`` run batched, for all segments at once; parameters are
    drawn from the same distributions as there. Any other transform is called once per segment, which is logged once;
    :attr:`lowered` tells which is which.

    Args:
        transform: A torchvision transform (v2, or v1, which is taken as its v2 equal), or any callable from an image
            tensor (C, H, W) to one of the same channels, size and dtype.
        p: Probability that a segment is transformed at all.
        background: Whether the background, the token or label 0, is transformed too. Padding never is.
        vectorized: False calls the transform once per segment, whatever it is: the reference that the batched path is
            tested against. For one segment with a full mask the result is the plain transform's, bit for bit under the
            same seed.
        input: For callables that are no transforms of a known library: what they take and return. ``"tensor"``: (C, H, W);
            ``"pil"``: a PIL image (uint8 only); ``"numpy"``: an array (H, W, C).
        geometry: For such callables: True says that ``transform`` moves pixels. It then gets colour premultiplied by
            coverage, and the coverage as one more channel, and may change the size. False: it gets the straight colours,
            with the segment's mean colour outside it, and must leave pixels in place.
        generator: Where to draw; torch's default generator if None. With a generator the global state stays as it is.

    Raises:
        TypeError: If an argument is of another type, a sample holds no segments, or ``transform`` returns anything but one
            tensor of the same dtype.
        ValueError: If ``p`` is not in [0, 1], floats are outside [0, 1], or segments come out in different sizes.

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
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if not callable(transform):
            raise TypeError(f"transform must be callable, got {describe(transform)}")
        if isinstance(transform, SegmentTransform):
            raise TypeError(f"transform must act on an image, got {type(transform).__name__}, which acts on segments")
        if isinstance(transform, type):
            raise TypeError(f"transform must be an instance, got the class {transform.__name__}")
        check_allowed(transform)
        self.transform_per_segment = as_v2(transform)
        self.p = check_probability("p", p)
        self.background = check_flag("background", background)
        self.vectorized = check_flag("vectorized", vectorized)
        self.interface = Interface(input, geometry)
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
        """Draw for every slot of a structure; in a map one row per segment, the background first.

        A loop has no parameters of its own: its params are the state of the stream that it starts from.
        """
        structure = flat_inputs[0]
        if isinstance(structure, SegmentTokens):
            count = structure.labels.numel()
            shape = structure.patches.shape[-3:]
        else:
            count = relabel(structure.segments.as_subclass(torch.Tensor))[1].shape[-1] + 1
            shape = structure.image.shape
        channels, height, width = shape
        return self._plan.make_params(Draw(count, channels, height, width, self._stream))

    def transform(self, inpt: SegmentTokens | SegmentedImage, params: Params) -> SegmentTokens | SegmentedImage:
        """Apply parameters that were drawn."""
        if isinstance(inpt, SegmentTokens):
            return self._on_tokens(inpt, params)
        return self._on_picture(inpt, params)

    def _run(self, structure: Any) -> Any:
        if not isinstance(structure, SegmentTokens) or not isinstance(self._plan.child, Looped) or self._generator:
            return super()._run(structure)
        # A loop stands in for calling the transform by hand: it draws from the default generator as it stands, and moves
        # it on as that would have.
        gate = None if self.p >= 1.0 else torch.rand(structure.labels.numel()) < self.p
        return self._on_tokens(structure, {"gate": gate, "child": _LIVE})

    def _on_tokens(self, tokens: SegmentTokens, params: Params) -> SegmentTokens:
        patches = tokens.patches.as_subclass(torch.Tensor)
        alpha = tokens.alpha.as_subclass(torch.Tensor)
        check_unit_range("patches", patches)
        leading = tokens.labels.shape
        labels = tokens.labels.reshape(-1)
        active = labels >= 0 if self.background else labels > 0
        index = torch.arange(len(labels), device=labels.device)

        def names(chosen: torch.Tensor) -> list[str]:
            width = leading[-1]
            return [
                f"the segment with label {label} (token {i % width} of image {i // width})"
                for i, label in zip(chosen.tolist(), labels[chosen].tolist(), strict=True)
            ]

        everything = Segments(patches.flatten(0, -4), alpha.flatten(0, -3), names, index)
        chosen = active.nonzero().squeeze(1)
        new_patches, new_alpha = self._plan.apply(everything.only(chosen), params)
        changed = new_patches.shape[1:] != everything.patches.shape[1:] or new_patches.dtype != everything.patches.dtype
        if changed and bool(((labels < 0) | active).all()):
            # Padding takes the new shape and dtype too, and stays empty.
            everything = Segments(
                new_patches.new_zeros((len(labels), *new_patches.shape[1:])),
                new_alpha.new_zeros((len(labels), *new_alpha.shape[1:])),
                names,
                index,
            )
        new_patches, new_alpha = put_back(everything, chosen, new_patches, new_alpha)
        return SegmentTokens(
            new_patches.reshape(*leading, *new_patches.shape[1:]).as_subclass(tv_tensors.Image),
            new_alpha.reshape(*leading, *new_alpha.shape[1:]).as_subclass(tv_tensors.Mask),
            tokens.boxes,
            tokens.areas,
            tokens.labels,
        )

    def _on_picture(self, sample: SegmentedImage, params: Params) -> SegmentedImage:
        if not self._plan.is_color:
            raise TypeError("PerSegment on a SegmentedImage takes colour transforms only so far")
        image = sample.image.as_subclass(torch.Tensor)
        check_unit_range("image", image)
        levels = image.dtype == torch.uint8
        segment = relabel(sample.segments.as_subclass(torch.Tensor))[0].flatten()
        active = torch.ones(int(segment.max()) + 1 if len(segment) else 1, dtype=torch.bool, device=segment.device)
        active[0] = self.background
        values = image.flatten(1)[:, None].float() if levels else image.flatten(1)[:, None].clone()
        colors = PictureColors(values, segment, levels)

        def change(part: PictureColors, index: torch.Tensor) -> torch.Tensor:
            self._plan.recolor(part, params)
            return part.values

        colors.on(active, change)
        changed = colors.values.to(image.dtype).view(image.shape)
        return SegmentedImage(changed.as_subclass(tv_tensors.Image), sample.segments)

    def extra_repr(self) -> str:
        """Name the wrapped transform and the options."""
        return (
            f"{self.transform_per_segment!r}, p={self.p:g}, background={self.background}, vectorized={self.vectorized}"
        )
