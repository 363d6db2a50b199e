"""Train one of torchvision's detectors with per-segment augmentation in the picture: drawn scenes, or COCO photos.

    uv run --extra train examples/train_detector.py
    uv run --extra train examples/train_detector.py --data FOLDER --steps 200

FOLDER holds images/{train,val}/*.jpg, panoptic/{train,val}/*.png and panoptic_{train,val}.json, in COCO's panoptic format,
itself or in a folder "instances". Every object is flipped and recoloured by its own draw, where it stands; masks, boxes and
labels follow. The last line printed is one JSON object.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import PIL.Image
import torch
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.models import detection
from torchvision.ops import masks_to_boxes
from torchvision.transforms import v2

from segaug import PerSegment, SegmentMap
from segaug.data import Scenes

MODELS = ("fasterrcnn_mobilenet_v3_large_320_fpn", "fasterrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn")
Sample = tuple[tv_tensors.Image, dict[str, Any]]


class Photos(Dataset[Sample]):
    """COCO photos with the true masks of their things."""

    def __init__(self, folder: Path, split: str) -> None:
        root = folder / "instances" if (folder / "instances").is_dir() else folder
        index = root / f"panoptic_{split}.json"
        if not index.is_file():
            raise FileNotFoundError(f"there is no {index}; --help says what the folder holds")
        listed = json.loads(index.read_text(encoding="utf-8"))
        things = [kind["id"] for kind in listed["categories"] if kind["isthing"]]
        # Class 0 is the detectors' background.
        self.classes = {number: i + 1 for i, number in enumerate(things)}
        self.images, self.panoptic = root / "images" / split, root / "panoptic" / split
        self.annotations = listed["annotations"]

    def __len__(self) -> int:
        return len(self.annotations)

    def __getitem__(self, index: int) -> Sample:
        annotation = self.annotations[index]
        segments = SegmentMap.from_coco_panoptic(self.panoptic / annotation["file_name"])
        found = [
            one for one in annotation["segments_info"] if one["category_id"] in self.classes and not one["iscrowd"]
        ]
        masks = [segments == one["id"] for one in found]
        with PIL.Image.open((self.images / annotation["file_name"]).with_suffix(".jpg")) as photo:
            image = v2.functional.to_image(photo.convert("RGB"))
        return image, make_target(masks, [self.classes[one["category_id"]] for one in found], segments.shape[-2:])


class Objects(Dataset[Sample]):
    """Drawn scenes: find every object, all of one class."""

    def __init__(self, n: int, seed: int) -> None:
        self.scenes = Scenes("count", n=n, size=128, seed=seed)
        self.classes = {1: 1}

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: int) -> Sample:
        scene, _ = self.scenes[index]
        masks = [scene.segments == label for label in scene.segments.unique() if label > 0]
        return scene.image, make_target(masks, [1] * len(masks), scene.segments.shape)


def make_target(masks: list[torch.Tensor], labels: list[int], size: torch.Size) -> dict[str, Any]:
    """Put one image's objects into the form that torchvision's detectors are trained on."""
    stack = torch.stack([*masks, torch.zeros(size, dtype=torch.bool)])[:-1].as_subclass(torch.Tensor)
    # torchvision's boxes hold the last pixel's index; half-open ones end behind it.
    boxes = masks_to_boxes(stack) + torch.tensor([0, 0, 1, 1])
    return {
        "boxes": tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=tuple(size)),
        "labels": torch.tensor(labels, dtype=torch.int64),
        "masks": tv_tensors.Mask(stack),
    }


class Augmented(Dataset[Sample]):
    """Every object by its own draw: flipped, recoloured, in its place."""

    def __init__(self, images: Dataset[Sample], fill: str) -> None:
        self.images = images
        objects = v2.Compose([v2.RandomHorizontalFlip(), v2.ColorJitter(0.3, 0.3, 0.3, 0.05)])
        self.transform = v2.Compose([PerSegment(objects, fill=fill), v2.ToDtype(torch.float32, scale=True)])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Sample:
        image, target = self.transform(*self.images[index])
        # Mask R-CNN takes bytes.
        return image, {**target, "masks": tv_tensors.Mask(target["masks"].to(torch.uint8))}


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", type=Path, metavar="FOLDER", help="default: drawn scenes")
    add("--split", default="train", help="which photos, default: %(default)s")
    add("--model", choices=MODELS, default=MODELS[0], help="default: %(default)s")
    add(
        "--fill",
        choices=("mean", "inpaint", "keep"),
        default="mean",
        help="what stands where an object was, default: %(default)s; inpaint needs segaug[inpaint]",
    )
    add("--steps", type=int, default=15, help="default: %(default)s")
    add("--batch-size", type=int, default=2, help="default: %(default)s")
    add("--lr", type=float, default=0.005, help="default: %(default)s")
    add("--workers", type=int, default=0, help="processes that make images; default: %(default)s")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="default: %(default)s")
    add("--seed", type=int, default=0, help="default: %(default)s")
    args = parser.parse_args()
    for name in ("steps", "batch_size"):
        if getattr(args, name) < 1:
            raise ValueError(f"{name} must be at least 1, got {getattr(args, name)}")
    return args


def main() -> dict[str, Any]:
    """Train."""
    args = parse_arguments()
    torch.manual_seed(args.seed)
    images = Objects(1000, args.seed) if args.data is None else Photos(args.data, args.split)
    print(f"{len(images)} images, {len(images.classes)} classes")
    model = getattr(detection, args.model)(weights=None, weights_backbone=None, num_classes=len(images.classes) + 1)
    model.to(args.device).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9, weight_decay=1e-4)
    loader = DataLoader(
        Augmented(images, args.fill),
        args.batch_size,
        shuffle=True,
        num_workers=args.workers,
        collate_fn=lambda batch: tuple(zip(*batch, strict=True)),
    )
    losses: list[float] = []
    while len(losses) < args.steps:
        for photos, targets in loader:
            inputs = [photo.to(args.device) for photo in photos]
            on_device = [{key: value.to(args.device) for key, value in target.items()} for target in targets]
            parts = model(inputs, on_device)
            loss = sum(parts.values())
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            losses.append(loss.item())
            if not torch.isfinite(loss):
                raise FloatingPointError(f"the loss is {losses[-1]} at step {len(losses)}: try a lower --lr")
            each = ", ".join(f"{name.removeprefix('loss_')} {part.item():.3f}" for name, part in parts.items())
            print(f"step {len(losses)}: loss {losses[-1]:.3f} ({each})")
            if len(losses) == args.steps:
                break
    return {"steps": len(losses), "first_loss": losses[0], "last_loss": losses[-1]}


if __name__ == "__main__":
    try:
        print(json.dumps(main()))
    except (FloatingPointError, ImportError, OSError, TypeError, ValueError) as error:
        print(f"{Path(sys.argv[0]).name}: error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
