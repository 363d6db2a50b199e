"""Pictures of segments and tokens, and sheets of captioned pictures. Pillow only."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import torch
from torchvision.transforms.v2 import functional as F

from segaug._checks import check_int
from segaug.functional import paint_tokens
from segaug.structures import SegmentedImage, SegmentTokens

__all__ = ["Panel", "as_picture", "draw_outlines", "draw_sheet", "draw_tokens", "paint_picture"]

_PAPER, _INK, _FAINT = (255, 255, 255), (40, 40, 40), (110, 110, 110)
# What is outside a segment, where its token is drawn: neither black nor white, which segments often are.
_OUTSIDE = 0.87
_OUTLINE = (255, 225, 0)


@dataclass(frozen=True)
class Panel:
    """A picture and what to write above it."""

    picture: PIL.Image.Image
    caption: str = ""


def as_picture(image: torch.Tensor, size: tuple[int, int] | None = None) -> PIL.Image.Image:
    """Turn an image (C, H, W), uint8 or float in [0, 1], 1 or 3 channels, into an RGB picture.

    Args:
        image: The image.
        size: Width and height to enlarge or shrink it to (bicubic); None keeps its own.

    Returns:
        The picture.

    Example:
        >>> as_picture(torch.zeros(1, 4, 6), size=(12, 8)).size
        (12, 8)
    """
    pixels = F.to_dtype(image.detach().as_subclass(torch.Tensor).cpu(), torch.uint8, scale=True)
    picture = F.to_pil_image(pixels.expand(3, -1, -1))
    return picture if size is None else picture.resize(size, PIL.Image.Resampling.BICUBIC)


def draw_outlines(
    sample: SegmentedImage, size: tuple[int, int] | None = None, color: tuple[int, int, int] = _OUTLINE
) -> PIL.Image.Image:
    """Draw the borders between segments on the image.

    Args:
        sample: The image and its map.
        size: Width and height of the picture; None is that of the image. Lines are half a pixel wide.
        color: RGB of the lines.

    Returns:
        The picture.

    Example:
        >>> from segaug import Grid, Segment
        >>> picture = draw_outlines(Segment(Grid(1, 2))(torch.zeros(3, 4, 8)), size=(32, 16))
        >>> [picture.getpixel((x, 8)) != (0, 0, 0) for x in (0, 15)]
        [False, True]
    """
    picture = as_picture(sample.image, size)
    # Twice as large, then halved: thinner lines, without steps.
    width, height = 2 * picture.width, 2 * picture.height
    labels = sample.segments.as_subclass(torch.Tensor).cpu()
    rows = torch.arange(height) * labels.shape[0] // height
    columns = torch.arange(width) * labels.shape[1] // width
    labels = labels[rows][:, columns]
    border = torch.zeros(labels.shape, dtype=torch.bool)
    border[:, :-1] |= labels[:, 1:] != labels[:, :-1]
    border[:-1] |= labels[1:] != labels[:-1]
    mask = F.to_pil_image(border[None].to(torch.uint8) * 255).resize(picture.size, PIL.Image.Resampling.BOX)
    picture.paste(color, mask=mask)
    return picture


def draw_tokens(tokens: SegmentTokens, size: tuple[int, int], *, order: torch.Tensor | None = None) -> PIL.Image.Image:
    """Draw the tokens of one image side by side, as large as they fit, light grey where they have no coverage.

    Args:
        tokens: The tokens of one image; padding is left out.
        size: Width and height of the picture.
        order: (K,) indices of the tokens to draw; None is all of them, the largest first.

    Returns:
        The picture.

    Example:
        >>> from segaug import Grid, Segment, Tokenize
        >>> tokens = Tokenize(size=8)(Segment(Grid(2, 2))(torch.zeros(3, 16, 16)))
        >>> draw_tokens(tokens, (60, 40)).size
        (60, 40)
    """
    width, height = size
    picture = PIL.Image.new("RGB", size, _PAPER)
    if order is None:
        kept = (~tokens.is_padding).nonzero().squeeze(1)
        order = kept[tokens.areas[kept].argsort(descending=True, stable=True)]
    if not len(order):
        return picture
    patches = _unit_floats(tokens.patches[order])
    alpha = _unit_floats(tokens.alpha[order])[:, None]
    tiles = patches + (1.0 - alpha) * _OUTSIDE
    columns, side = _fit(len(order), width, height)
    gap = max(1, side // 10)
    for i, tile in enumerate(tiles):
        row, column = divmod(i, columns)
        drawn = as_picture(tile.clamp(0, 1)).resize((side - gap, side - gap), PIL.Image.Resampling.NEAREST)
        picture.paste(drawn, (column * side, row * side))
    return picture


def paint_picture(tokens: SegmentTokens, height: int, width: int) -> torch.Tensor:
    """Paint the tokens of one image back on a light grey canvas.

    Args:
        tokens: The tokens of one image.
        height: Height of the canvas in pixels.
        width: Width of the canvas in pixels.

    Returns:
        The canvas, (C, height, width) float in [0, 1].

    Example:
        >>> from segaug import Grid, Segment, Tokenize
        >>> tokens = Tokenize(size=8)(Segment(Grid(2, 2))(torch.zeros(3, 16, 16)))
        >>> canvas = paint_picture(tokens[:1], 16, 16)
        >>> float(canvas[0, 0, 0]), round(float(canvas[0, 15, 15]), 2)
        (0.0, 0.87)
    """
    patches, alpha = _unit_floats(tokens.patches), _unit_floats(tokens.alpha)
    boxes, labels = tokens.boxes.as_subclass(torch.Tensor).cpu(), tokens.labels.cpu()
    painted = paint_tokens(patches, alpha, boxes, labels, (height, width))
    # White tokens of the same shape, painted on black, are the coverage.
    coverage = paint_tokens(alpha[:, None].expand_as(patches), alpha, boxes, labels, (height, width))
    return (painted + (1.0 - coverage) * _OUTSIDE).clamp(0, 1)


def draw_sheet(
    sections: Sequence[tuple[str, Sequence[Sequence[Panel]]]], *, margin: int = 16, font_size: int = 15
) -> PIL.Image.Image:
    """Put captioned pictures on one sheet of paper.

    Args:
        sections: For each its title ("" for none) and its rows of panels.
        margin: Pixels around the sheet; half of it is between panels.
        font_size: Height of captions in pixels; titles are a little larger.

    Returns:
        The sheet.

    Example:
        >>> draw_sheet([("", [[Panel(PIL.Image.new("RGB", (40, 30)))]])], margin=10).size
        (60, 50)
    """
    check_int("margin", margin, minimum=0)
    check_int("font_size", font_size, minimum=1)
    caption_font = PIL.ImageFont.load_default(size=font_size)
    title_font = PIL.ImageFont.load_default(size=round(font_size * 1.2))
    gap, line, title_line = margin // 2, round(font_size * 1.6), round(font_size * 2.2)
    # Lay out first, as the size of the sheet follows from it.
    places: list[tuple[int, int, Panel | str]] = []
    top, right = margin, 0
    for title, rows in sections:
        if title:
            places.append((margin, top, title))
            top += title_line
        for row in rows:
            has_caption = any(panel.caption for panel in row)
            left = margin
            for panel in row:
                places.append((left, top + line * has_caption, panel))
                left += panel.picture.width + gap
            right = max(right, left - gap)
            top += line * has_caption + max(panel.picture.height for panel in row) + gap
    sheet = PIL.Image.new("RGB", (right + margin, top - gap + margin), _PAPER)
    draw = PIL.ImageDraw.Draw(sheet)
    for left, top, item in places:
        if isinstance(item, str):
            draw.text((left, top + title_line // 2), item, fill=_INK, font=title_font, anchor="lm")
            continue
        sheet.paste(item.picture, (left, top))
        if item.caption:
            draw.text((left, top - line // 2), item.caption, fill=_FAINT, font=caption_font, anchor="lm")
    return sheet


def _unit_floats(field: torch.Tensor) -> torch.Tensor:
    return F.to_dtype(field.as_subclass(torch.Tensor).cpu(), torch.float32, scale=True)


def _fit(count: int, width: int, height: int) -> tuple[int, int]:
    """Columns and side of the largest squares of which ``count`` fit into width x height."""
    columns = next(n for n in range(1, count + 1) if n * height >= math.ceil(count / n) * width or n == count)
    # The row count may drop with one column less or more, so both neighbours are tried.
    options = [n for n in (columns - 1, columns, columns + 1) if n >= 1]
    sides = [max(2, min(width // n, height // math.ceil(count / n))) for n in options]
    best = max(range(len(options)), key=sides.__getitem__)
    return max(options[best], min(count, width // sides[best])), sides[best]
