"""What transforms share that act with a probability, each segment by its own draw."""

from abc import abstractmethod
from typing import Any

import torch

from segaug.functional._colors import Colors, on_tokens
from segaug.transforms._engine._lowering import ColorLowering, Draw, Lowering, Params
from segaug.transforms._random import bernoulli

__all__ = ["GatedColorLowering", "GatedLowering", "gate_outcomes"]


def gate_outcomes(p: float) -> list[Params]:
    """Every outcome of a gate that opens with probability ``p``, closed first."""
    return [{"gate": torch.tensor([gate])} for gate in (False, True) if (p > 0.0 if gate else p < 1.0)]


class GatedLowering(Lowering):
    """Draws whether each segment is changed, with the probability ``transform.p``, and nothing else."""

    def make_params(self, transform: Any, draw: Draw) -> Params:
        """Draw the gate."""
        return {"gate": bernoulli(transform.p, (draw.count,), draw.generator)}

    def outcomes(self, transform: Any, channels: int) -> list[Params] | None:
        """Closed or open."""
        return gate_outcomes(transform.p)


class GatedColorLowering(GatedLowering, ColorLowering):
    """Changes the colours of the segments whose gate is open; subclasses override ``change``."""

    @abstractmethod
    def change(self, transform: Any, colors: Colors) -> torch.Tensor:
        """Return the new values of ``colors``, all of which are to be changed."""

    def apply(
        self, transform: Any, patches: torch.Tensor, alpha: torch.Tensor, params: Params
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Change the chosen ones, so that the others cost nothing."""
        chosen = params["gate"].nonzero().squeeze(1)
        if not len(chosen):
            return patches, alpha
        if len(chosen) == len(patches):
            return on_tokens(patches, alpha, lambda colors: self.change(transform, colors)), alpha
        changed = on_tokens(patches[chosen], alpha[chosen], lambda colors: self.change(transform, colors))
        return patches.index_copy(0, chosen, changed), alpha

    def recolor(self, transform: Any, colors: Colors, params: Params) -> None:
        """Change those."""
        colors.on(params["gate"], lambda part, rows: self.change(transform, part))
