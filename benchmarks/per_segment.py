"""PerSegment on 196 tokens of 16x16, against its own loop, kornia and albumentations. One thread.

Run: uv run --extra dev python benchmarks/per_segment.py
"""

import albumentations
import kornia.augmentation as K
import torch
from _timing import compare, print_machine
from skimage import data
from torchvision.transforms import v2

from segaug import Grid, PerSegment, Segment, Tokenize

N = 196


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    image = v2.functional.resize(torch.from_numpy(data.astronaut()).permute(2, 0, 1), [224, 224])
    tokens = Tokenize(background=False)(Segment(Grid(14, 14))(image))
    floats = v2.ToDtype(torch.float32, scale=True)(tokens)
    parts = {
        "flip": [v2.RandomHorizontalFlip(0.5)],
        "resized crop": [v2.RandomResizedCrop(16)],
        "colour jitter": [v2.ColorJitter(0.4, 0.4, 0.4, 0.1)],
    }
    parts["flip + resized crop + colour jitter"] = [one for (one,) in parts.values()]
    peers = {
        "flip": [K.RandomHorizontalFlip(0.5)],
        "resized crop": [K.RandomResizedCrop((16, 16))],
        "colour jitter": [K.ColorJitter(0.4, 0.4, 0.4, 0.1, p=1.0)],
    }
    peers["flip + resized crop + colour jitter"] = [one for (one,) in peers.values()]
    albumentations_parts = albumentations.Compose(
        [
            albumentations.HorizontalFlip(p=0.5),
            albumentations.RandomResizedCrop((16, 16)),
            albumentations.ColorJitter((0.6, 1.4), (0.6, 1.4), (0.6, 1.4), (-0.1, 0.1), p=1.0),
        ]
    )
    arrays = [patch.permute(1, 2, 0).contiguous().numpy() for patch in tokens.patches.as_subclass(torch.Tensor)]
    batch = floats.patches.as_subclass(torch.Tensor)
    print_machine()
    for name, transforms in parts.items():
        batched, loop = PerSegment(v2.Compose(transforms)), PerSegment(v2.Compose(transforms), vectorized=False)
        sequential = K.AugmentationSequential(*peers[name], data_keys=["input"])
        ways = {
            "segaug, batched, uint8, patches and coverage": lambda f=batched: f(tokens),
            "segaug, batched, float, patches and coverage": lambda f=batched: f(floats),
            "segaug, vectorized=False, uint8": lambda f=loop: f(tokens),
            "kornia, float, patches only": lambda f=sequential: f(batch),
        }
        if len(transforms) == 3:
            ways["albumentations in a loop, uint8, patches only"] = lambda: [
                albumentations_parts(image=array)["image"] for array in arrays
            ]
        compare(f"{name}, {N} tokens of 16x16", ways)


if __name__ == "__main__":
    main()
