"""Automatic augmentations: RandAugment, TrivialAugmentWide, AutoAugment and AugMix."""

from abc import abstractmethod
from typing import Any

import torch
from torchvision.transforms import v2

from segaug.functional._alpha import fill_outside, premultiply
from segaug.transforms._engine._lowering import Draw, Params, register_lowering
from segaug.transforms._engine._lowerings._operations import IDENTITY, NAMES, apply_operations
from segaug.transforms._engine._lowerings._warps import Warp
from segaug.transforms._random import bernoulli, dirichlet, integers

__all__: list[str] = []


class _AutoAugment(Warp):
    """Draws ``operation`` (M, steps), numbers of ``NAMES``, and ``magnitude`` (M, steps) float64."""

    @abstractmethod
    def make_params(self, transform: Any, draw: Draw) -> Params:
        """Draw operations and magnitudes."""

    def apply(
        self, transform: Any, patches: torch.Tensor, alpha: torch.Tensor, params: Params
    ) -> tuple[torch.Tensor, torch.Tensor]:
        for operation, magnitude in zip(params["operation"].unbind(-1), params["magnitude"].unbind(-1), strict=True):
            patches, alpha = apply_operations(
                patches,
                alpha,
                operation,
                magnitude,
                **self.options(transform),
            )
        return patches, alpha


@register_lowering(v2.RandAugment)
class _RandAugment(_AutoAugment):
    def make_params(self, transform: Any, draw: Draw) -> Params:
        space = _Space(transform._AUGMENTATION_SPACE, transform.num_magnitude_bins, draw)
        shape = (draw.count, transform.num_ops)
        return space.pick(integers(len(space.numbers), shape, draw.generator), transform.magnitude, draw)


@register_lowering(v2.TrivialAugmentWide)
class _TrivialAugmentWide(_AutoAugment):
    def make_params(self, transform: Any, draw: Draw) -> Params:
        space = _Space(transform._AUGMENTATION_SPACE, transform.num_magnitude_bins, draw)
        shape = (draw.count, 1)
        choice = integers(len(space.numbers), shape, draw.generator)
        return space.pick(choice, integers(transform.num_magnitude_bins, shape, draw.generator), draw)


@register_lowering(v2.AutoAugment)
class _AutoAugmentPolicies(_AutoAugment):
    _BINS = 10

    def make_params(self, transform: Any, draw: Draw) -> Params:
        space = _Space(transform._AUGMENTATION_SPACE, self._BINS, draw)
        place = {name: i for i, name in enumerate(transform._AUGMENTATION_SPACE)}
        policies = transform._policies
        choice = torch.tensor([[place[name] for name, _, _ in policy] for policy in policies])
        p = torch.tensor([[p for _, p, _ in policy] for policy in policies])
        strength = torch.tensor([[strength or 0 for _, _, strength in policy] for policy in policies])
        which = integers(len(policies), (draw.count,), draw.generator).cpu()
        params = space.pick(choice[which], strength[which], draw)
        taken = torch.rand(p[which].shape, generator=draw.generator, device=params["operation"].device)
        closed = taken > p[which].to(taken.device)
        return {**params, "operation": params["operation"].masked_fill(closed, IDENTITY)}


@register_lowering(v2.AugMix)
class _AugMix(_AutoAugment):
    """Mixes several chains of operations, so it leaves each segment's outline as it is.

    The chains act on whole patches, the segment's mean colour outside it, as the plain transform does in the loop.
    """

    _BINS, _DEEPEST = 10, 3

    def why_not(self, transform: Any) -> str | None:
        if transform.fill not in (None, 0):
            return f"fill={transform.fill} (batched: None and 0)"
        return super().why_not(transform)

    def make_params(self, transform: Any, draw: Draw) -> Params:
        every = transform._AUGMENTATION_SPACE if transform.all_ops else transform._PARTIAL_AUGMENTATION_SPACE
        space = _Space(every, self._BINS, draw)
        chains = (draw.count, transform.mixture_width)
        own = dirichlet(transform.alpha, (draw.count, 2), draw.generator)
        weights = dirichlet(transform.alpha, chains, draw.generator) * own[:, 1:]
        deepest = transform.chain_depth if transform.chain_depth > 0 else self._DEEPEST
        shape = (*chains, deepest)
        params = space.pick(
            integers(len(space.numbers), shape, draw.generator),
            integers(transform.severity, shape, draw.generator),
            draw,
        )
        if transform.chain_depth <= 0:
            depth = integers(self._DEEPEST, chains, draw.generator) + 1
            beyond = torch.arange(deepest, device=depth.device) >= depth[..., None]
            params["operation"] = params["operation"].masked_fill(beyond, IDENTITY)
        return {**params, "own_weight": own[:, 0], "weights": weights}

    def apply(
        self, transform: Any, patches: torch.Tensor, alpha: torch.Tensor, params: Params
    ) -> tuple[torch.Tensor, torch.Tensor]:
        whole = fill_outside(patches, alpha)
        count, width = params["weights"].shape
        chains = whole[:, None].expand(-1, width, -1, -1, -1).flatten(0, 1)
        full = torch.full_like(chains[:, 0], 255 if patches.dtype == torch.uint8 else 1)
        for operation, magnitude in zip(
            params["operation"].flatten(0, 1).unbind(-1), params["magnitude"].flatten(0, 1).unbind(-1), strict=True
        ):
            # What a plain image uncovers counts as the image's own.
            chains, _ = apply_operations(
                chains,
                full,
                operation,
                magnitude,
                **self.options(transform),
            )
        mixed = params["own_weight"][:, None, None, None] * whole
        for i, chain in enumerate(chains.view(count, width, *whole.shape[1:]).unbind(1)):
            mixed += params["weights"][:, i, None, None, None] * chain
        mixed = mixed.to(patches.dtype)
        straight = mixed.float() if patches.dtype == torch.uint8 else mixed
        return premultiply(straight, alpha), alpha


class _Space:
    """What an augmentation chooses from, as tables: the operations' numbers, magnitudes, and whether a sign is drawn."""

    def __init__(self, space: dict[str, Any], bins: int, draw: Draw) -> None:
        self.numbers = torch.tensor([NAMES.index(name) for name in space])
        rows = [magnitudes(bins, draw.height, draw.width) for magnitudes, _ in space.values()]
        self._magnitudes = torch.stack([torch.zeros(bins).double() if row is None else row.double() for row in rows])
        self._signed = torch.tensor([signed for _, signed in space.values()])

    def pick(self, choice: torch.Tensor, strength: Any, draw: Draw) -> Params:
        """Operations and magnitudes for places (M, ...) in the table; the sign is drawn."""
        device = choice.device if draw.generator is None else draw.generator.device
        choice = choice.to(device)
        strength = torch.as_tensor(strength, device=device).expand(choice.shape)
        magnitude = self._magnitudes.to(device)[choice, strength]
        negative = bernoulli(0.5, tuple(choice.shape), draw.generator) & self._signed.to(device)[choice]
        return {
            "operation": self.numbers.to(device)[choice],
            "magnitude": torch.where(negative, -magnitude, magnitude),
        }
