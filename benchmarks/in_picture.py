"""PerSegment in a picture of 512x512 with about 100 segments, against the same transform on the whole image. One thread.

Colours run once over the picture; geometry is cut out, moved and composited segment by segment.

Run: uv run --extra dev python benchmarks/in_picture.py
"""

import torch
from _timing import compare, print_machine
from skimage import data
from torchvision import tv_tensors
from torchvision.transforms import v2

from segaug import SLIC, PerSegment, Segment

COLORS = {
    "ColorJitter(0.4, 0.4, 0.4, 0.1)": v2.ColorJitter(0.4, 0.4, 0.4, 0.1),
    "ColorJitter(brightness=0.4)": v2.ColorJitter(brightness=0.4),
    "ColorJitter(contrast=0.4)": v2.ColorJitter(contrast=0.4),
    "ColorJitter(saturation=0.4)": v2.ColorJitter(saturation=0.4),
    "ColorJitter(hue=0.1)": v2.ColorJitter(hue=0.1),
    "RandomGrayscale(1.0)": v2.RandomGrayscale(1.0),
    "RandomPhotometricDistort()": v2.RandomPhotometricDistort(),
    "RandomAutocontrast(1.0)": v2.RandomAutocontrast(1.0),
    "RandomChannelPermutation()": v2.RandomChannelPermutation(),
    "RandomEqualize(1.0)": v2.RandomEqualize(1.0),
    "RandomInvert(1.0)": v2.RandomInvert(1.0),
    "RandomPosterize(3, p=1.0)": v2.RandomPosterize(3, p=1.0),
    "RandomSolarize(128, p=1.0)": v2.RandomSolarize(128, p=1.0),
}
GEOMETRY = {
    "RandomHorizontalFlip(0.5)": v2.RandomHorizontalFlip(0.5),
    "RandomRotation(30)": v2.RandomRotation(30),
}


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    image = tv_tensors.Image(torch.from_numpy(data.astronaut()).permute(2, 0, 1).contiguous())
    # SLIC joins small superpixels, so it gives fewer than it is asked for.
    sample = Segment(SLIC(n_segments=200))(image)
    print_machine()
    print(f"{sample.segments.num_segments} segments")
    for name, transform in {**COLORS, **GEOMETRY}.items():
        per_segment = PerSegment(transform)
        compare(
            name,
            {
                "torchvision, the whole image": lambda f=transform: f(image),
                "segaug, each segment in the picture": lambda f=per_segment: f(sample),
            },
        )


if __name__ == "__main__":
    main()
