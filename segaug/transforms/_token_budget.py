"""TokenBudget: at most so many tokens per image."""

from dataclasses import fields
from typing import Any, ClassVar, Literal, cast

import torch

from segaug._checks import check_choice, check_generator, check_int
from segaug.functional import limit_tokens, take_tokens
from segaug.structures import SegmentTokens
from segaug.transforms._base import SegmentTransform
from segaug.transforms._random import integers, uniform

__all__ = ["TokenBudget"]

By = Literal["area", "random"]


class TokenBudget(SegmentTransform):
    """Keep at most k foreground tokens of each image, and its background token.

    What goes over the budget is left out, and does not join the background token, as it does in
    ``Tokenize(max_segments=...)``. A batch is cut to its longest image, so a smaller budget makes a shorter batch and a
    faster step; a model that was trained with k drawn at random can be run with any in between. Where there is nothing to
    leave out or to cut off, the sample comes back as it is.

    Args:
        most: The largest k, and the k if there is no ``least``.
        least: k is drawn from all whole numbers from ``least`` to ``most``, each as likely, once for each call: one k for
            all images of a batch.
        by: ``"area"`` keeps the largest tokens, the earlier label at equal areas; ``"random"`` any, each image by its own
            draw.
        generator: Where to draw; torch's default generator if None.

    Raises:
        TypeError: If an argument is of another type, or a sample holds no tokens.
        ValueError: If an argument is out of range, or ``least`` is above ``most``.

    Example:
        >>> from segaug import Grid, Segment, Tokenize
        >>> tokens = Tokenize()(Segment(Grid(3, 3))(torch.zeros(3, 32, 32, dtype=torch.uint8)))
        >>> TokenBudget(4)(tokens).labels.tolist()
        [1, 2, 4, 5, 0]
    """

    # Told to segaug.testing: labels are lost on purpose.
    drops: ClassVar[bool] = True

    _structures: ClassVar[tuple[type, ...]] = (SegmentTokens,)

    def __init__(
        self, most: int, least: int | None = None, *, by: By = "area", generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.most = check_int("most", most, minimum=1)
        self.least = None if least is None else check_int("least", least, minimum=1)
        if self.least is not None and self.least > self.most:
            raise ValueError(f"least must be at most most ({most}), got {least}")
        self.by = cast(By, check_choice("by", by, ("area", "random")))
        self._generator = check_generator(generator)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw ``budget``, an int, and the ``keys`` (..., N) that decide which tokens stay, or None."""
        budget = self.most
        if self.least is not None:
            budget = self.least + int(integers(self.most - self.least + 1, (), self._stream))
        keys = uniform(0.0, 1.0, tuple(flat_inputs[0].labels.shape), self._stream) if self.by == "random" else None
        return {"budget": budget, "keys": keys}

    def transform(self, inpt: SegmentTokens, params: dict[str, Any]) -> SegmentTokens:
        """Leave out what is over the budget."""
        labels, keys = inpt.labels, params["keys"]
        scores = inpt.areas if keys is None else keys.to(labels.device)
        leading, num = labels.shape[:-1], labels.shape[-1]
        index = limit_tokens(
            labels.reshape(leading.numel(), num), scores.reshape(leading.numel(), num), params["budget"]
        )
        if index.shape[-1] == num and int((index >= 0).sum()) == int((labels >= 0).sum()):
            return inpt

        def take(name: str) -> torch.Tensor:
            field = getattr(inpt, name).as_subclass(torch.Tensor)
            rest = field.shape[labels.ndim :]
            taken = take_tokens(field.reshape(leading.numel(), num, *rest), index, fill=-1 if name == "labels" else 0)
            return taken.view(*leading, index.shape[-1], *rest)

        return SegmentTokens(**{field.name: take(field.name) for field in fields(SegmentTokens)})
