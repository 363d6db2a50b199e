"""Tokenize against loops of crop and resize that make the same patches and coverage. One thread.

One loop is what one writes by hand: the mask of each segment, its box, crop, resize. The other is given all boxes.

Run: uv run --extra dev python benchmarks/tokenizing.py
"""

import torch
from _timing import compare, print_machine
from skimage import data
from torchvision.ops import masks_to_boxes
from torchvision.transforms import v2

from segaug import SLIC, Segment, Tokenize
from segaug.functional import segment_boxes


def resize(crop: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    layers = torch.cat([crop * mask, mask[None].to(torch.uint8) * 255])
    return v2.functional.resize(layers, [16, 16], antialias=True)


def loop(image: torch.Tensor, labels: torch.Tensor, count: int) -> torch.Tensor:
    tokens = []
    for label in range(1, count + 1):
        mask = labels == label
        x1, y1, x2, y2 = masks_to_boxes(mask[None])[0].int().tolist()
        window = (slice(y1, y2 + 1), slice(x1, x2 + 1))
        tokens.append(resize(image[:, *window], mask[window]))
    return torch.stack(tokens)


def loop_with_boxes(image: torch.Tensor, labels: torch.Tensor, boxes: list[list[int]]) -> torch.Tensor:
    tokens = []
    for label, (x1, y1, x2, y2) in enumerate(boxes, start=1):
        window = (slice(y1, y2), slice(x1, x2))
        tokens.append(resize(image[:, *window], labels[window] == label))
    return torch.stack(tokens)


def main() -> None:
    torch.set_num_threads(1)
    print_machine()
    for size, n_segments in ((224, 200), (512, 200)):
        image = v2.functional.resize(torch.from_numpy(data.astronaut()).permute(2, 0, 1), [size, size])
        sample = Segment(SLIC(n_segments=n_segments, compactness=10))(image)
        pixels, labels = (leaf.as_subclass(torch.Tensor) for leaf in (sample.image, sample.segments))
        count = int(labels.max())
        tokenize = Tokenize(16, background=False)
        boxes = segment_boxes(labels, count).tolist()
        tokens = tokenize(sample)
        ours = torch.cat([tokens.patches, tokens.alpha[:, None]], dim=1)
        difference = (ours.int() - loop(pixels, labels, count).int()).abs().max()
        print(f"\n{size}x{size}: the largest difference from the loop is {int(difference)} of 255")
        compare(
            f"tokenize {size}x{size}, {count} segments",
            {
                "segaug.Tokenize": lambda s=sample, t=tokenize: t(s),
                "loop: mask, box, crop, resize": lambda p=pixels, m=labels, c=count: loop(p, m, c),
                "loop: crop, resize (boxes given)": lambda p=pixels, m=labels, b=boxes: loop_with_boxes(p, m, b),
            },
        )


if __name__ == "__main__":
    main()
