"""Position tables of other grids, and projections of patches of other sizes.

Legend of the dimensions:
    D    width of a token
    C    channels of a patch
    P    height and width of a patch
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["fit_projection", "fit_table", "split_table"]


def split_table(
    key: str, table: Tensor, counts: Sequence[int], grid: tuple[int, int] | None, *, decides: bool = False
) -> tuple[list[Tensor | None], Tensor, tuple[int, int]]:
    """Split a position table into the rows of the tokens that are no patches, and the rows of a grid.

    Args:
        key: The table's name, for errors.
        table: (1, rows, D).
        counts: How many tokens of each kind come first. The table has rows for all of them or, as timm has it with
            ``no_embed_class=True``, for none.
        grid: (rows, columns) of the grid that it will be used for, if known; the table's own is a square, or that.
        decides: Whether a table that could be two is the one with as many places as ``grid``.

    Returns:
        The rows of each kind, (1, count, D), or None where there are none; those of the grid; and its (rows, columns).

    Raises:
        ValueError: If the rows make no grid, or could be two.
    """
    rows, found = table.shape[1], []
    for prefix in dict.fromkeys((sum(counts), 0)):
        places = rows - prefix
        side = round(max(places, 0) ** 0.5)
        if places >= 1 and side**2 == places:
            found.append((prefix, (side, side)))
        elif grid is not None and places == grid[0] * grid[1]:
            found.append((prefix, grid))
    if decides and grid is not None and len(found) > 1:
        found = [(prefix, size) for prefix, size in found if rows - prefix == grid[0] * grid[1]]
    if len(found) != 1:
        raise ValueError(
            f"{key} must have one row for each place of a square grid, or of the one given, and for each of the "
            f"{sum(counts)} other tokens or none of them, got {rows} rows{', which fits both' if found else ''}"
        )
    prefix, size = found[0]
    parts = list(table[:, :prefix].split(list(counts) if prefix else [0] * len(counts), dim=1))
    return [part if part.shape[1] else None for part in parts], table[:, prefix:], size


def fit_table(places: Tensor, source: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """Resample the rows of a grid (1, rows x columns, D) to another grid: bicubic and antialiased, as timm does."""
    dtype = places.dtype
    picture = places.float().unflatten(1, source).movedim(-1, 1)  # (1, D, rows, columns)
    picture = F.interpolate(picture, size=grid, mode="bicubic", antialias=True)
    return picture.flatten(2).mT.to(dtype)


def fit_projection(key: str, weight: Tensor, patch_size: int, in_chans: int) -> tuple[Tensor, list[str]]:
    """Fit the projection (D, C, P, P) to patches of another size.

    The new one gives a patch that was resized (bicubic) what the old one gave the patch itself; where patches get
    smaller, the nearest to it (FlexiViT, arXiv 2212.08013, section 3.4).

    Returns:
        The projection, and what was changed.

    Raises:
        ValueError: If it is no projection of square patches of ``in_chans`` channels.
    """
    if weight.ndim != 4 or weight.shape[1] != in_chans or weight.shape[2] != weight.shape[3]:
        raise ValueError(f"{key} must have shape (width, {in_chans}, P, P), got {tuple(weight.shape)}")
    old = weight.shape[2]
    if old == patch_size:
        return weight, []
    # Row i: what the i-th basis patch of the old size becomes.
    basis = torch.eye(old * old, device=weight.device).view(-1, 1, old, old)
    resized = F.interpolate(basis, size=(patch_size, patch_size), mode="bicubic", antialias=True).flatten(1)
    # For a patch x: <x, w> = <x @ resized, new> for all x if new = pinv(resized) @ w.
    new = weight.float().flatten(2) @ torch.linalg.pinv(resized).mT
    new = new.unflatten(-1, (patch_size, patch_size)).to(weight.dtype)
    return new, [f"patches of {old}x{old} resampled to {patch_size}x{patch_size}"]
