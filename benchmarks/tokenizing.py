"""Tokenize against a loop of crop and resize. One thread.

The loop is given the boxes for free in one row, and finds them with one mask per segment in the other.

Run: uv run --extra dev python benchmarks/tokenizing.py
"""

import torch
from _timing import compare, print_machine
from skimage import data
from torchvision.ops import masks_to_boxes
from torchvision.transforms import v2

from segaug import SLIC, Segment, SegmentedImage, Tokenize
from segaug.functional import segment_boxes


def loop(sample: SegmentedImage, boxes: list[list[int]]) -> torch.Tensor:
    image, labels = (leaf.as_subclass(torch.Tensor) for leaf in (sample.image, sample.segments))
    patches = []
    for label, (x1, y1, x2, y2) in enumerate(boxes, start=1):
        crop = image[:, y1:y2, x1:x2] * (labels[y1:y2, x1:x2] == label)
        patches.append(v2.functional.resize(crop, [16, 16], antialias=True))
    return torch.stack(patches)


def find_boxes(sample: SegmentedImage) -> list[list[int]]:
    labels = sample.segments.as_subclass(torch.Tensor)
    masks = labels == torch.arange(1, int(labels.max()) + 1)[:, None, None]
    x1, y1, x2, y2 = masks_to_boxes(masks).long().unbind(-1)
    return torch.stack([x1, y1, x2 + 1, y2 + 1], dim=-1).tolist()


def main() -> None:
    torch.set_num_threads(1)
    print_machine()
    for size, n_segments in ((224, 175), (512, 175)):
        image = v2.functional.resize(torch.from_numpy(data.astronaut()).permute(2, 0, 1), [size, size])
        sample = Segment(SLIC(n_segments=n_segments, compactness=10))(image)
        labels = sample.segments.as_subclass(torch.Tensor)
        count = int(labels.max())
        tokenize = Tokenize(16, background=False)
        boxes = segment_boxes(labels, count).tolist()
        difference = (tokenize(sample).patches.int() - loop(sample, boxes).int()).abs().max()
        print(f"\n{size}x{size}, {count} segments; largest difference from the loop: {int(difference)} of 255")
        compare(
            f"tokenize {size}x{size}, {count} segments",
            {
                "segaug.Tokenize": lambda s=sample, t=tokenize: t(s),
                "loop of crop and resize, boxes for free": lambda s=sample, b=boxes: loop(s, b),
                "loop of crop and resize, boxes from masks": lambda s=sample: loop(s, find_boxes(s)),
            },
        )


if __name__ == "__main__":
    main()
