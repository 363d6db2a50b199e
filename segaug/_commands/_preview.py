"""``segaug preview``: a photo, its segments, its tokens and augmented versions on one sheet."""

import argparse
import io
from pathlib import Path

import PIL.Image
import PIL.ImageOps
from torchvision.transforms import v2

from segaug._checks import check_int
from segaug._files import write_atomically
from segaug._photos import open_photo
from segaug._sheet import Panel, as_picture, draw_outlines, draw_sheet, draw_tokens, paint_picture
from segaug.data import parse_segmenter, seeded_stream
from segaug.structures import SegmentedImage, SegmentTokens
from segaug.transforms import PerSegment, PositionJitter, Segment, Tokenize

__all__ = ["add_preview", "run_preview"]

# A picture is drawn at least this long, in pixels, so that captions fit above it.
_SMALLEST_TILE = 300
_MARGIN = 16
_FORMATS = {".jpeg": "JPEG", ".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP"}


def add_preview(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Enter the command and its options."""
    preview = commands.add_parser(
        "preview",
        help="draw a photo, its segments, its tokens and augmented versions on one sheet",
        description="Draw a photo, its segments, its tokens and augmented versions on one sheet.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    preview.add_argument("image", metavar="IMAGE", type=Path, help="the photo, in any format that Pillow reads")
    preview.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        required=True,
        default=argparse.SUPPRESS,
        help=f"the sheet: {', '.join(_FORMATS)}",
    )
    preview.add_argument(
        "--segmenter",
        default="felzenszwalb",
        metavar="NAME[:OPTION=VALUE,...]",
        help="felzenszwalb, grid, sam, slic, voronoi or watershed, as in felzenszwalb:scale=60,min_size=25",
    )
    preview.add_argument("--size", type=int, default=224, help="longer side of the photo in pixels before segmentation")
    preview.add_argument("--token-size", type=int, default=16, help="side of a token in pixels")
    preview.add_argument("--max-segments", type=int, default=196, help="how many segments become tokens")
    preview.add_argument("--rows", type=int, default=2, help="rows of augmented versions of each kind")
    preview.add_argument("--columns", type=int, default=4, help="augmented versions in a row, at least 3")
    preview.add_argument("--seed", type=int, default=0, help="decides all draws")
    preview.set_defaults(run=run_preview)


def run_preview(options: argparse.Namespace) -> int:
    """Draw the sheet, write it, and say what is on it."""
    out: Path = options.out
    if out.suffix.lower() not in _FORMATS:
        raise ValueError(f"--out must end in one of {', '.join(_FORMATS)}, got {out}")
    for name, minimum in (("size", 1), ("rows", 1), ("columns", 3), ("seed", 0)):
        check_int(f"--{name}", getattr(options, name), minimum=minimum)
    tokenize = Tokenize(size=options.token_size, max_segments=options.max_segments)
    segmenter = parse_segmenter(options.segmenter)
    if isinstance(segmenter, tuple):
        raise ValueError(f"--segmenter must be a single one for a preview, got {options.segmenter}")
    photo = _read(options.image)
    scale = options.size / max(photo.size)
    size = (max(1, round(photo.width * scale)), max(1, round(photo.height * scale)))
    sample = Segment(segmenter)(photo.resize(size, PIL.Image.Resampling.BICUBIC))
    tokens = tokenize(sample)
    sheet = _sheet(photo, sample, tokens, options)
    buffer = io.BytesIO()
    sheet.save(buffer, format=_FORMATS[out.suffix.lower()])
    write_atomically(out, buffer.getvalue())
    print(f"{out}: {sample.segments.num_segments} segments, {tokens.num_tokens} tokens, {sheet.width} x {sheet.height}")
    return 0


def _read(path: Path) -> PIL.Image.Image:
    if not path.is_file():
        raise FileNotFoundError(f"IMAGE must be a file, found none at {path}")
    try:
        return open_photo(str(path))
    # Pillow raises nearly anything for a broken file.
    except Exception as error:
        unknown = isinstance(error, PIL.UnidentifiedImageError)
        reason = "not in a format that Pillow knows" if unknown else str(error)
        raise ValueError(f"cannot read {path} as an image: {reason}") from error


def _sheet(
    photo: PIL.Image.Image, sample: SegmentedImage, tokens: SegmentTokens, options: argparse.Namespace
) -> PIL.Image.Image:
    height, width = sample.segments.shape
    enlarge = max(1.0, _SMALLEST_TILE / max(height, width))
    tile = (max(1, round(width * enlarge)), max(1, round(height * enlarge)))
    on_tokens = v2.Compose(
        [
            PerSegment(
                v2.Compose(
                    [
                        v2.RandomHorizontalFlip(),
                        v2.RandomResizedCrop(options.token_size, scale=(0.6, 1.0), antialias=True),
                        v2.ColorJitter(0.3, 0.3, 0.3, 0.05),
                    ]
                )
            ),
            PositionJitter(0.02, 0.1, mode="translate_scale"),
        ]
    )
    in_picture = PerSegment(v2.ColorJitter(0.3, 0.3, 0.3, 0.05))

    def token_version(place: tuple[int, int]) -> Panel:
        if place == (0, 0):
            return Panel(as_picture(paint_picture(tokens, height, width), tile), "not augmented")
        with seeded_stream(options.seed, 0, *place):
            augmented = on_tokens(tokens)
        caption = "augmented" if place == (0, 1) else ""
        return Panel(as_picture(paint_picture(augmented, height, width), tile), caption)

    def picture_version(place: tuple[int, int]) -> Panel:
        with seeded_stream(options.seed, 1, *place):
            return Panel(as_picture(in_picture(sample).image, tile))

    # A stream for each place, so that more rows or columns change none of the others.
    places = [[(row, column) for column in range(options.columns)] for row in range(options.rows)]
    gap = _MARGIN // 2
    wide = (tile[0] + gap) * (options.columns - 2) - gap
    segments = sample.segments.num_segments
    kept = "all segments" if segments <= options.max_segments else f"the {options.max_segments} largest segments"
    side = options.token_size
    originals = [
        Panel(photo.resize(tile, PIL.Image.Resampling.LANCZOS), "photo"),
        Panel(draw_outlines(sample, tile), f"{segments} segments"),
        Panel(
            draw_tokens(tokens, (wide, max(tile[1], _SMALLEST_TILE // 3))),
            f"{tokens.num_tokens} tokens of {side} x {side}: {kept} and the background",
        ),
    ]
    return draw_sheet(
        [
            (f"{options.image.name}    {options.segmenter}    {width} x {height}", [originals]),
            (
                "On tokens, painted back: PerSegment(flip, crop, colour) and PositionJitter",
                [[token_version(place) for place in row] for row in places],
            ),
            (
                "In the picture: PerSegment(ColorJitter)",
                [[picture_version(place) for place in row] for row in places],
            ),
        ],
        margin=_MARGIN,
    )
