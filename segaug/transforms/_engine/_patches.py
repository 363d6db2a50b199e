"""One segment's patch, out of its picture and back onto the canvas."""

import torch

__all__ = ["Frame", "compare_patches", "cut_patch", "lay_patch"]

# Top, left, height and width of the part of the picture that a segment's patch shows; it may reach beyond.
Frame = tuple[int, int, int, int]


def cut_patch(image: torch.Tensor, rows: torch.Tensor, row: int, frame: Frame) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut out a segment: its pixels (C, h, w), black outside it, and its coverage (h, w)."""
    top, left, height, width = frame
    full = 255 if image.dtype == torch.uint8 else 1
    y1, x1, y2, x2 = max(top, 0), max(left, 0), min(top + height, rows.shape[0]), min(left + width, rows.shape[1])
    inside = rows[y1:y2, x1:x2] == row
    patch, alpha = image[:, y1:y2, x1:x2] * inside, inside.to(image.dtype) * full
    beyond = [x1 - left, left + width - x2, y1 - top, top + height - y2]
    if any(beyond):
        patch, alpha = (torch.nn.functional.pad(layer, beyond) for layer in (patch, alpha))
    return patch, alpha


def compare_patches(
    patch: torch.Tensor, alpha: torch.Tensor, new_patch: torch.Tensor, new_alpha: torch.Tensor, down: int, right: int
) -> tuple[bool, bool]:
    """Tell whether a result, which begins ``down`` and ``right`` of the patch, covers the same, and whether it shows it."""
    height, width = alpha.shape
    if down > 0 or right > 0 or down + new_alpha.shape[0] < height or right + new_alpha.shape[1] < width:
        return False, False
    inner = (..., slice(-down, -down + height), slice(-right, -right + width))
    covers = torch.equal(new_alpha[inner], alpha) and (
        new_alpha.shape == alpha.shape or int((new_alpha > 0).sum()) == int((alpha > 0).sum())
    )
    return covers, covers and torch.equal(new_patch[inner], patch)


def lay_patch(
    patch: torch.Tensor, alpha: torch.Tensor, frame: Frame, canvas: torch.Size, row: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Colours (C, M), alpha, places and rows (M,) of the pixels of a segment that are on the canvas."""
    top, left, height, width = frame
    y1, x1, y2, x2 = max(-top, 0), max(-left, 0), min(height, canvas[0] - top), min(width, canvas[1] - left)
    inner = (..., slice(y1, max(y1, y2)), slice(x1, max(x1, x2)))
    patch, alpha = patch[inner], alpha[inner]
    own = (alpha > 0).flatten().nonzero().squeeze(1)
    wide = max(alpha.shape[1], 1)
    y = own // wide
    place = (y + top + y1) * canvas[1] + own - y * wide + left + x1
    colors = torch.stack([plane.reshape(-1).index_select(0, own) for plane in patch])
    return colors, alpha.reshape(-1).index_select(0, own), place, torch.full_like(own, row)
