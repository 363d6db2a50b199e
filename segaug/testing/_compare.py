"""Compare samples: the same structure, the same values, and if not, where."""

from typing import Any

import torch
from torch.utils import _pytree as pytree
from torchvision import tv_tensors

from segaug.testing._errors import PropertyFailed

__all__ = ["check_equal", "check_same_structure", "copy_sample", "named_leaves", "plain"]


def plain(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor without torchvision's type, so that operations give plain tensors."""
    return tensor.as_subclass(torch.Tensor)


def named_leaves(sample: Any) -> dict[str, Any]:
    """The leaves of a sample by name, as ``image`` or ``boxes``; that of a sample that is one tensor is ``image``."""
    if isinstance(sample, torch.Tensor):
        return {"image": sample}
    if hasattr(sample, "__dataclass_fields__"):
        return {name: getattr(sample, name) for name in sample.__dataclass_fields__}
    if isinstance(sample, dict):
        return {str(name): value for name, value in sample.items()}
    leaves, _ = pytree.tree_flatten(sample)
    return {f"[{i}]": leaf for i, leaf in enumerate(leaves)}


def copy_sample(sample: Any) -> Any:
    """A copy of all tensors, each with its type, and laid out in memory as it was."""
    return pytree.tree_map(lambda leaf: _copy(leaf) if isinstance(leaf, torch.Tensor) else leaf, sample)


def _copy(leaf: torch.Tensor) -> torch.Tensor:
    raw = plain(leaf).detach()
    # The whole of the memory: clone() would make a sliced or expanded tensor contiguous.
    memory = raw.untyped_storage().clone()
    copied = torch.empty(0, dtype=raw.dtype, device=raw.device)
    return _retype(leaf, copied.set_(memory, raw.storage_offset(), raw.shape, raw.stride()))


def _retype(like: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    return tv_tensors.wrap(value, like=like) if isinstance(like, tv_tensors.TVTensor) else value


def check_same_structure(given: Any, returned: Any) -> None:
    """Raise PropertyFailed unless both have the same leaves by name, and tensors where tensors were."""
    if returned is None:
        raise PropertyFailed("it returned None")
    if isinstance(given, torch.Tensor) != isinstance(returned, torch.Tensor):
        raise PropertyFailed(f"given {type(given).__name__}, it returned {type(returned).__name__}")
    before, after = named_leaves(given), named_leaves(returned)
    if before.keys() != after.keys():
        raise PropertyFailed(f"given {', '.join(before)}, it returned {', '.join(after) or 'nothing'}")
    for name, value in before.items():
        if isinstance(value, torch.Tensor) and not isinstance(after[name], torch.Tensor):
            raise PropertyFailed(f"{name} was a tensor, and is {type(after[name]).__name__} now")


def check_equal(
    expected: Any, found: Any, what: str, *, atol: float = 0.0, levels: float = 0.0, only: tuple[str, ...] = ()
) -> None:
    """Raise PropertyFailed unless two samples are equal.

    Args:
        expected: The one sample.
        found: The other.
        what: What was compared, as the message begins.
        atol: How far floats may be apart.
        levels: How far integers may be apart.
        only: Names of the leaves to compare; empty means all.
    """
    first, second = named_leaves(expected), named_leaves(found)
    if first.keys() != second.keys():
        raise PropertyFailed(f"{what}: {', '.join(first)} against {', '.join(second)}")
    for name in only or first:
        one, other = first[name], second[name]
        if not (isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor)):
            if type(one) is not type(other) or one != other:
                raise PropertyFailed(f"{what}: {name} is {other!r}, expected {one!r}")
            continue
        _check_tensor(plain(one), plain(other), f"{what}: {name}", atol, levels)


def _check_tensor(one: torch.Tensor, other: torch.Tensor, what: str, atol: float, levels: float) -> None:
    if one.shape != other.shape:
        raise PropertyFailed(f"{what} has shape {tuple(other.shape)}, expected {tuple(one.shape)}")
    if one.dtype != other.dtype:
        raise PropertyFailed(f"{what} is {other.dtype}, expected {one.dtype}")
    allowed = atol if one.is_floating_point() else levels
    exact, came = one.cpu().double(), other.cpu().double()
    same = (exact == came) | (exact.isnan() & came.isnan()) | ((exact - came).abs() <= allowed)
    if bool(same.all()):
        return
    place = tuple((~same).nonzero()[0].tolist())
    where = f"[{', '.join(map(str, place))}]" if place else ""
    number = int((~same).sum())
    more = f" ({number} of {same.numel()} differ)" if number > 1 else ""
    raise PropertyFailed(f"{what}{where} is {came[place].item():g}, expected {exact[place].item():g}{more}")
