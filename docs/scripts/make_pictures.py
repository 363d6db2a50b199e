"""Make the pictures of the README and of the documentation, from photos that come with scikit-image.

    uv run --extra train docs/scripts/make_pictures.py

The same code and the same releases of the packages give the same files.
"""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import PIL.Image
import PIL.ImageDraw
import skimage.data
import skimage.filters
import skimage.measure
import skimage.morphology
import skimage.segmentation
import torch
from torchvision.transforms import v2

from segaug import (
    SLIC,
    Felzenszwalb,
    Grid,
    PerSegment,
    PositionJitter,
    Segment,
    SegmentedImage,
    SegmentTokens,
    Tokenize,
    Voronoi,
    Watershed,
)
from segaug._files import write_atomically
from segaug._sheet import Panel, as_picture, draw_outlines, draw_sheet, draw_tokens, paint_picture
from segaug.data import Scenes

FOLDER = Path(__file__).resolve().parents[1] / "pictures"
COLOR = v2.ColorJitter(0.3, 0.3, 0.3, 0.05)


def load(name: str, width: int) -> PIL.Image.Image:
    photo = PIL.Image.fromarray(getattr(skimage.data, name)())
    return photo.resize((width, round(photo.height * width / photo.width)), PIL.Image.Resampling.LANCZOS)


def seeded_stream(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def paint(tokens: SegmentTokens, sample: SegmentedImage) -> PIL.Image.Image:
    return as_picture(paint_picture(tokens, *sample.segments.shape))


def overview() -> PIL.Image.Image:
    """The README's: a photo, its segments, its tokens, and both kinds of augmentation."""
    photo = load("coffee", 384)
    sample = Segment(Felzenszwalb(scale=100, min_size=150))(photo)
    tokens = Tokenize()(sample)[:-1]  # Felzenszwalb covers every pixel, so the background token is empty
    augmented = PerSegment(v2.Compose([v2.RandomHorizontalFlip(), COLOR]), generator=seeded_stream(2))(tokens)
    recolored = PerSegment(COLOR, generator=seeded_stream(6))(sample)
    order = tokens.areas.argsort(descending=True, stable=True)
    size = photo.size
    return draw_sheet(
        [
            (
                "",
                [
                    [
                        Panel(photo, "a photo"),
                        Panel(draw_outlines(sample), f"its {sample.segments.num_segments} segments"),
                        Panel(draw_tokens(tokens, size, order=order), "a token of 16 x 16 for each"),
                    ],
                    [
                        Panel(as_picture(recolored.image), "PerSegment(ColorJitter) in the picture"),
                        Panel(paint(augmented, sample), "the tokens on the right, painted back"),
                        Panel(draw_tokens(augmented, size, order=order), "PerSegment(flip, colour) on the tokens"),
                    ],
                ],
            )
        ]
    )


def segmenters() -> PIL.Image.Image:
    """What each segmenter makes of one photo."""
    photo = load("astronaut", 256)
    kinds = [
        Felzenszwalb(scale=200, min_size=60),
        SLIC(n_segments=100),
        Watershed(n_segments=100),
        Grid(10, 10),
        Voronoi(n=100),
    ]
    panels = [
        Panel(draw_outlines(sample, (320, 320)), f"{type(kind).__name__}: {sample.segments.num_segments} segments")
        for kind in kinds
        for sample in [Segment(kind)(photo)]
    ]
    return draw_sheet([("", [[Panel(load("astronaut", 320), "photo"), *panels[:2]], panels[2:]])])


def flips() -> PIL.Image.Image:
    """All 16 patterns of one random flip on four segments."""
    sample = Segment(Grid(2, 2))(load("astronaut", 144))
    tokens = Tokenize(size=72, background=False)(sample)
    flip = PerSegment(v2.RandomHorizontalFlip(), generator=seeded_stream(0))
    patterns: dict[tuple[bool, ...], Panel] = {}
    while len(patterns) < 16:
        flipped = flip(tokens)
        same = (flipped.patches == tokens.patches).flatten(1).all(1)
        patterns[tuple(same.tolist())] = Panel(paint(flipped, sample))
    panels = [patterns[key] for key in sorted(patterns, reverse=True)]
    return draw_sheet([("", [panels[:8], panels[8:]])], margin=12)


def tokens() -> PIL.Image.Image:
    """The largest tokens of a photo: patches, and their alpha."""
    sample = Segment(Felzenszwalb(scale=300, min_size=150))(load("rocket", 384))
    made = Tokenize(background=False)(sample)
    order = made.areas.argsort(descending=True, stable=True)[:24]
    coverage = SegmentTokens(
        made.alpha[:, None].expand_as(made.patches),
        torch.full_like(made.alpha, 255),
        made.boxes,
        made.areas,
        made.labels,
    )
    black = SegmentTokens(made.patches, torch.full_like(made.alpha, 255), made.boxes, made.areas, made.labels)
    strip = (24 * 35, 35)  # patches of 16, drawn twice as large
    return draw_sheet(
        [
            (
                "",
                [
                    [
                        Panel(load("rocket", 416), "photo"),
                        Panel(draw_outlines(sample, (416, 278)), f"{made.num_tokens} segments"),
                    ],
                    [
                        Panel(
                            draw_tokens(black, strip, order=order),
                            "patches of the 24 largest: black outside the segment",
                        )
                    ],
                    [
                        Panel(
                            draw_tokens(coverage, strip, order=order), "their alpha: how much of a pixel is the segment"
                        )
                    ],
                ],
            )
        ]
    )


def per_segment() -> PIL.Image.Image:
    """The same tokens under several transforms."""
    made = Tokenize(size=32, background=False)(Segment(Felzenszwalb(scale=300, min_size=150))(load("coffee", 384)))
    order = made.areas.argsort(descending=True, stable=True)[:12]
    wrapped = [
        v2.RandomHorizontalFlip(),
        v2.RandomResizedCrop(32, scale=(0.3, 1.0), antialias=True),
        v2.ColorJitter(0.4, 0.4, 0.4, 0.1),
        v2.RandomGrayscale(0.5),
        v2.RandomRotation(45),
        v2.GaussianBlur(9, 3.0),
    ]
    strip = (12 * 71, 71)  # patches of 32, drawn twice as large
    rows = [
        [Panel(draw_tokens(made, strip, order=order), "the 12 largest tokens of 32 x 32, grey outside the segment")]
    ]
    for transform in wrapped:
        apply = PerSegment(transform, generator=seeded_stream(1))
        picture = draw_tokens(apply(made), strip, order=order)
        (name, how), *_ = apply.lowered
        rows.append([Panel(picture, f"PerSegment({name}), {how.partition(':')[0]}")])
    return draw_sheet([("", rows)])


def in_the_picture() -> PIL.Image.Image:
    """Coins changed where they lie, with each way to fill what they leave."""
    photo = v2.functional.to_image(load("coins", 384).convert("RGB"))
    smooth = skimage.filters.gaussian(photo[0].numpy(), 2)
    inside = skimage.morphology.closing(
        smooth > skimage.filters.threshold_local(smooth, 151), skimage.morphology.disk(5)
    )
    inside = skimage.morphology.opening(inside, skimage.morphology.disk(7))
    labels = skimage.measure.label(skimage.segmentation.clear_border(inside))
    areas = torch.bincount(torch.from_numpy(labels).flatten())
    sample = SegmentedImage(photo, torch.from_numpy(labels).masked_fill(areas[labels] < 300, 0))

    def change(transform: v2.Transform, fill: str = "mean") -> PIL.Image.Image:
        return as_picture(PerSegment(transform, fill=fill, background=False, generator=seeded_stream(1))(sample).image)

    shift = v2.RandomAffine(0, translate=(0.3, 0.3))
    turn = v2.RandomRotation(90, interpolation=v2.InterpolationMode.BILINEAR)
    return draw_sheet(
        [
            (
                "",
                [
                    [
                        Panel(draw_outlines(sample), f"{sample.segments.num_segments} segments of a photo"),
                        Panel(change(v2.RandomHorizontalFlip(1.0)), "PerSegment(RandomHorizontalFlip)"),
                        Panel(change(turn), "PerSegment(RandomRotation)"),
                        Panel(change(v2.ColorJitter(0.5, 0.5)), "PerSegment(ColorJitter)"),
                    ],
                    [
                        Panel(change(v2.RandomResizedCrop(30)), "PerSegment(RandomResizedCrop(30))"),
                        Panel(change(shift), 'PerSegment(RandomAffine), fill="mean"'),
                        Panel(change(shift, "inpaint"), 'the same, fill="inpaint"'),
                        Panel(change(shift, "keep"), 'the same, fill="keep"'),
                    ],
                ],
            )
        ]
    )


def position_jitter() -> PIL.Image.Image:
    """Boxes before and after noise, in both modes."""
    sample = Segment(Felzenszwalb(scale=300, min_size=150))(load("rocket", 384))
    made = Tokenize(background=False)(sample)
    chosen = made.areas.argsort(descending=True, stable=True)[1:13]

    def boxes(jitter: PositionJitter | None) -> PIL.Image.Image:
        picture = PIL.Image.blend(as_picture(sample.image), PIL.Image.new("RGB", (384, 256), "white"), 0.45)
        picture = picture.resize((768, 512), PIL.Image.Resampling.BICUBIC)
        draw = PIL.ImageDraw.Draw(picture)
        scale = torch.tensor([767, 511, 767, 511])
        for line, source in ((4, jitter(made) if jitter else made), (0, made)):
            for box in (source.boxes.as_subclass(torch.Tensor)[chosen] * scale).round().int().tolist():
                # First what is new, thick; then the old boxes, thin.
                if line:
                    draw.rectangle(box, outline=(215, 60, 40), width=line)
                elif jitter is not None:
                    draw.rectangle(box, outline=(30, 60, 200), width=2)
        return picture.resize((384, 256), PIL.Image.Resampling.LANCZOS)

    corners = PositionJitter(0.03, 0.0, mode="corners", generator=seeded_stream(0))
    whole = PositionJitter(0.03, 0.2, mode="translate_scale", generator=seeded_stream(0))
    return draw_sheet(
        [
            (
                "",
                [
                    [
                        Panel(boxes(None), "12 segments' boxes"),
                        Panel(boxes(corners), 'PositionJitter(0.03, mode="corners"); blue: before'),
                        Panel(boxes(whole), 'PositionJitter(0.03, 0.2, mode="translate_scale")'),
                    ]
                ],
            )
        ]
    )


def scenes() -> PIL.Image.Image:
    """A scene of each task, and its segments."""
    panels: list[list[Panel]] = [[], []]
    for task in ("count", "majority", "relation", "orientation"):
        data = Scenes(task, n=8, size=96)
        scene, target = data[5]
        panels[0].append(Panel(as_picture(scene.image, (192, 192)), f'"{task}": {data.classes[target]}'))
        panels[1].append(Panel(draw_outlines(scene, (192, 192))))
    return draw_sheet([("", panels)])


PICTURES: dict[str, Callable[[], PIL.Image.Image]] = {
    "flips": flips,
    "in_the_picture": in_the_picture,
    "overview": overview,
    "per_segment": per_segment,
    "position_jitter": position_jitter,
    "scenes": scenes,
    "segmenters": segmenters,
    "tokens": tokens,
}


def main(folder: Path = FOLDER) -> None:
    for name, make in PICTURES.items():
        buffer = io.BytesIO()
        make().save(buffer, format="PNG", optimize=True)
        write_atomically(folder / f"{name}.png", buffer.getvalue())
        print(f"{folder / name}.png: {len(buffer.getvalue()) // 1024} KiB")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
