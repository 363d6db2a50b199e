"""Decide for each part of a transform how it runs."""

from typing import Any

import torch
from torchvision.transforms import v2

from segaug.transforms._engine._adapted import Adapted
from segaug.transforms._engine._containers import PROBES, Choice, Gated, Order, Sequence
from segaug.transforms._engine._interface import Interface
from segaug.transforms._engine._loop import has_callable
from segaug.transforms._engine._lowering import find_lowering
from segaug.transforms._engine._nodes import Batched, Looped, Node

__all__ = ["make_plan"]


_OWN_SIZE = "each segment comes out in a size of its own, which pictures take and tokens do not"
# Why there is no batched kernel, where there is more to say.
_LOOPED = {
    v2.JPEG: "it is coded picture by picture",
    v2.Lambda: "it is a callable",
    v2.RandomResize: _OWN_SIZE,
    v2.RandomShortestSize: _OWN_SIZE,
    v2.RandomZoomOut: _OWN_SIZE,
    v2.ScaleJitter: _OWN_SIZE,
}


def make_plan(transform: Any, interface: Interface) -> Node:
    """Decide how each part runs."""
    kind = type(transform)

    def plan_all(children: Any) -> tuple[Node, ...]:
        return tuple(make_plan(child, interface) for child in children)

    if kind is torch.nn.Sequential:
        return Sequence(plan_all(transform))
    if kind is v2.Compose or kind is v2.RandomApply:
        steps = Sequence(plan_all(transform.transforms))
        return steps if kind is v2.Compose else Gated(steps, float(transform.p))
    if kind is v2.RandomChoice:
        return Choice(plan_all(transform.transforms), tuple(map(float, transform.p)))
    if kind is v2.RandomOrder:
        children = plan_all(transform.transforms)
        if any(child.output_shape(probe) != probe for child in children for probe in PROBES):
            return Looped(transform, "one of its transforms changes the size", interface)
        if any(child.output_dtype(dtype) != dtype for child in children for dtype in (torch.uint8, torch.float32)):
            return Looped(transform, "one of its transforms changes the dtype", interface)
        return Order(children)
    if kind is Adapted:
        return transform.node
    lowering = find_lowering(transform)
    if lowering is None:
        # A callable must keep the size unless it says so; a class of the user's may do what it wants.
        keeps = kind is v2.JPEG or (has_callable(transform) and not interface.geometry)
        return Looped(transform, _LOOPED.get(kind, "no batched kernel for it"), interface, keeps)
    reason = lowering.why_not(transform)
    if reason is None:
        return Batched(transform, lowering)
    return Looped(transform, reason, interface, lowering=lowering)
