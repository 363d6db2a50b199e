"""TwoViews: two augmented versions of the same tokens, for self-supervised training."""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import torch

from segaug._checks import check_generator, describe
from segaug.functional import match_tokens
from segaug.structures import SegmentTokens
from segaug.transforms._base import SegmentTransform
from segaug.transforms._engine._nodes import own_stream

__all__ = ["TwoViews", "Views"]


class Views(NamedTuple):
    """Two views of the same tokens, matched by label.

    A named tuple, so ``segaug.collate``, loaders and torchvision's transforms go through it.

    Args:
        first: Tokens of one image or of a batch.
        second: Tokens of the same images.

    Example:
        >>> tokens = SegmentTokens(
        ...     torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 4), torch.rand(2, 4), torch.rand(2), torch.tensor([1, 2])
        ... )
        >>> Views(tokens, tokens[1:]).match.tolist()
        [-1, 0]
    """

    first: SegmentTokens
    second: SegmentTokens

    @property
    def match(self) -> torch.Tensor:
        """(..., N) int64: for each token of ``first`` the slot in ``second`` with its label, or -1 if there is none.

        Padding is matched with nothing. It is found from the labels as they are, so it holds after any later change.
        """
        return match_tokens(self.first.labels, self.second.labels)


class TwoViews(SegmentTransform):
    """Augment the same tokens twice, by independent draws, for contrastive and other self-supervised training.

    In the sample :class:`Views` take the place of the tokens (of one image, or of a batch): ``views.match`` says which
    token of the first view is which of the second, also after a :class:`SegmentDrop`.

    Each view draws from a stream of its own, so ``make_params`` fixes all that ``transform`` draws from torch's default
    generator, and the default generator is left as it was. A ``generator`` of a transform inside is drawn from as it stands.

    Args:
        transform: From tokens to tokens: a transform, ``v2.Compose`` or any callable. It must leave labels as they are.
        other: The same for the second view; None takes ``transform`` for both.
        generator: Where the streams are drawn; torch's default generator if None.

    Raises:
        TypeError: If an argument is of another type, a sample holds no tokens, or a view is anything but tokens.
        ValueError: If a view is not of the same images.

    Example:
        >>> from torchvision.transforms import v2
        >>> from segaug import Grid, PerSegment, Segment, SegmentDrop, Tokenize, TwoViews
        >>> tokens = Tokenize()(Segment(Grid(2, 2))(torch.rand(3, 32, 32)))
        >>> augment = v2.Compose([PerSegment(v2.RandomHorizontalFlip()), SegmentDrop(0.5)])
        >>> views = TwoViews(augment, generator=torch.Generator().manual_seed(3))(tokens)
        >>> views.first.labels.tolist(), views.second.labels.tolist(), views.match.tolist()
        ([2, 3, 0], [1, 2, 4, 0], [1, -1, 3])
    """

    _structures: ClassVar[tuple[type, ...]] = (SegmentTokens,)

    def __init__(
        self,
        transform: Callable[[Any], Any],
        other: Callable[[Any], Any] | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        for name, view in (("transform", transform), ("other", transform if other is None else other)):
            if not callable(view):
                raise TypeError(f"{name} must be callable, got {describe(view)}")
            if isinstance(view, type):
                raise TypeError(f"{name} must be an instance, got the class {view.__name__}")
        self._views = (transform, transform if other is None else other)
        self._generator = check_generator(generator)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw where each view's stream starts: ``first`` and ``second``, states of a generator."""
        stream = self._stream
        device = "cpu" if stream is None else stream.device
        seeds = torch.randint(2**63 - 1, (2,), generator=stream, device=device).tolist()
        first, second = (torch.Generator().manual_seed(seed).get_state() for seed in seeds)
        return {"first": first, "second": second}

    def transform(self, inpt: SegmentTokens, params: dict[str, Any]) -> Views:
        """Make both views from their streams."""
        views = []
        for view, name in zip(self._views, ("first", "second"), strict=True):
            with own_stream(params[name], inpt.device):
                tokens = view(inpt)
            if not isinstance(tokens, SegmentTokens):
                raise TypeError(f"transform must return SegmentTokens for the {name} view, got {describe(tokens)}")
            if tokens.labels.shape[:-1] != inpt.labels.shape[:-1]:
                raise ValueError(
                    f"transform must return the same images for the {name} view: labels {tuple(inpt.labels.shape)} "
                    f"became {tuple(tokens.labels.shape)}"
                )
            views.append(tokens)
        return Views(*views)

    def extra_repr(self) -> str:
        """Name what makes the views."""
        first, second = self._views
        return repr(first) if first is second else f"{first!r}, {second!r}"
