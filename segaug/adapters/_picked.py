"""A node for containers that draw which of their children run."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from segaug.transforms._engine._lowering import Draw, Params
from segaug.transforms._engine._nodes import Node, Segments, Shape, put_back

__all__ = ["Picked"]


@dataclass(frozen=True)
class Picked(Node):
    """Each segment takes ``fewest`` to ``most`` of the children, drawn by weight, in the order drawn.

    As in kornia they are drawn with replacement where there are not enough, or where their number is above the sum of the
    weights.
    """

    children: tuple[Node, ...]
    weights: tuple[float, ...]
    fewest: int
    most: int

    @property
    def _repeats(self) -> bool:
        return self.most > sum(self.weights) or self.most > self._eligible

    @property
    def _eligible(self) -> int:
        return sum(weight > 0 for weight in self.weights)

    def make_params(self, draw: Draw) -> Params:
        # A child that comes twice has drawn twice.
        rounds = self.most if self._repeats else 1
        params = [[child.make_params(draw) for child in self.children] for _ in range(rounds)]
        return {"picks": self._picks(draw.count, draw.generator), "rounds": params}

    def _picks(self, count: int, generator: torch.Generator | None) -> torch.Tensor:
        """Indices of children (count, most), -1 behind the last."""
        device = torch.device("cpu") if generator is None else generator.device
        picks = torch.full((count, self.most), -1, device=device)
        if not count or not self._eligible or not self.most:
            return picks
        weights = torch.tensor(self.weights, dtype=torch.float64, device=device).expand(count, -1)
        number = torch.randint(self.fewest, self.most + 1, (count, 1), generator=generator, device=device)
        distinct = min(self.most, self._eligible)
        picks[:, :distinct] = torch.multinomial(weights, distinct, generator=generator)
        if self._repeats:
            any_of = torch.multinomial(weights, self.most, replacement=True, generator=generator)
            picks = torch.where((number > sum(self.weights)) | (number > self._eligible), any_of, picks)
        return picks.masked_fill(torch.arange(self.most, device=device) >= number, -1)

    def output_shape(self, shape: Shape, in_picture: bool = False) -> Shape | None:
        return shape if all(child.output_shape(shape, in_picture) == shape for child in self.children) else None

    def apply(self, segments: Segments, params: Params) -> tuple[torch.Tensor, torch.Tensor]:
        picks = params["picks"].to(segments.index.device)[segments.index]
        for step, pick in enumerate(picks.unbind(-1)):
            own = params["rounds"][min(step, len(params["rounds"]) - 1)]
            for key, child in enumerate(self.children):
                chosen = (pick == key).nonzero().squeeze(1)
                if len(chosen):
                    patches, alpha = put_back(segments, chosen, *child.apply(segments.only(chosen), own[key]))
                    segments = replace(segments, patches=patches, alpha=alpha)
        return segments.patches, segments.alpha

    def lowered(self) -> Iterator[tuple[str, str]]:
        for child in self.children:
            yield from child.lowered()

    def outcomes(self, shape: Shape) -> list[Params]:
        raise ValueError("transform must have finitely many outcomes that are known, random_apply has none")
