"""Pictures of a pretraining: what is hidden, and what is predicted."""

import io

import torch

from segaug._checks import check_int
from segaug._sheet import Panel, as_picture, draw_sheet, paint_picture
from segaug.structures import SegmentTokens

__all__ = ["draw_reconstructions"]


def draw_reconstructions(
    tokens: SegmentTokens, predicted: SegmentTokens, hidden: torch.Tensor, *, side: int = 144
) -> bytes:
    """Draw each image's tokens in their places: all of them, the visible ones, and with the hidden ones predicted.

    Args:
        tokens: A batch (B, N).
        predicted: The same with predictions in place of what was hidden, as ``MaskedSViT.reconstruct`` gives it.
        hidden: (B, N) bool, which were hidden.
        side: Height and width of a picture in pixels.

    Returns:
        A PNG file.

    Raises:
        TypeError: If ``side`` is no int.
        ValueError: If ``side`` is below 1.
    """
    check_int("side", side, minimum=1)
    captions = ("tokens", "visible", "predicted")
    rows: list[list[Panel]] = []
    for image, filled, is_hidden in zip(tokens, predicted, hidden, strict=True):
        shown = (image, image[~is_hidden], filled)
        pictures = [as_picture(paint_picture(each, side, side)) for each in shown]
        names = ("", "", "") if rows else captions
        rows.append([Panel(picture, name) for picture, name in zip(pictures, names, strict=True)])
    buffer = io.BytesIO()
    draw_sheet([("", rows)]).save(buffer, format="PNG")
    return buffer.getvalue()
