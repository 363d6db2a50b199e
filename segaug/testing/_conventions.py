"""How each library's transforms are called: the same samples go in and come out, whatever the transform takes."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from segaug._optional import require
from segaug.testing._compare import plain
from segaug.testing._errors import PropertyFailed

__all__ = ["CONVENTIONS", "Call", "library_of"]

Call = Callable[..., Any]
_LIBRARIES = ("albumentations", "kornia", "segaug", "torchvision")


def library_of(transform: Any) -> str:
    """The library whose conventions a transform follows: by the nearest of its classes that comes from one."""
    for kind in type(transform).__mro__:
        root = kind.__module__.partition(".")[0]
        if root in _LIBRARIES:
            return root
    return "callable"


def _call_tensor(transform: Any, sample: Any, **options: Any) -> Any:
    return transform(sample, **options)


def _call_plain_tensor(transform: Any, sample: Any, **options: Any) -> Any:
    """A callable that is no transform of a library is given plain tensors, unless types tell parts of a sample apart."""
    if type(sample) is tv_tensors.Image:
        return transform(plain(sample), **options)
    return transform(sample, **options)


def _call_numpy(transform: Any, sample: Any, **options: Any) -> Any:
    return _from_array(transform(_to_array(sample), **options))


def _call_pil(transform: Any, sample: Any, **options: Any) -> Any:
    returned = transform(F.to_pil_image(plain(sample)), **options)
    return F.pil_to_tensor(returned) if type(returned).__module__.startswith("PIL.") else returned


def _to_array(image: torch.Tensor) -> np.ndarray[Any, Any]:
    """(C, H, W) or (B, C, H, W) to (H, W, C) or (B, H, W, C), with the strides that this gives."""
    return plain(image).movedim(-3, -1).numpy()


def _from_array(returned: Any) -> Any:
    if not isinstance(returned, np.ndarray):
        return returned
    # A transform may return a view with negative strides, which torch has no tensors for.
    tensor = torch.from_numpy(np.ascontiguousarray(returned))
    return tensor[None] if tensor.ndim == 2 else tensor.movedim(-1, -3)


def _call_kornia(transform: Any, sample: Any, **options: Any) -> Any:
    if isinstance(sample, dict):
        return _kornia_annotated(transform, sample, options)
    image = plain(sample)
    returned = transform(image, **options)
    # kornia returns a batch of one for a single picture.
    if isinstance(returned, torch.Tensor) and image.ndim == 3 and returned.ndim == 4 and len(returned) == 1:
        return returned[0]
    return returned


def _kornia_annotated(transform: Any, sample: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    augmentation = require("kornia.augmentation", extra="kornia")
    # kornia's boxes end with the last pixel that they hold, torchvision's behind it.
    inclusive = torch.tensor([0.0, 0.0, 1.0, 1.0])
    parts = {
        "image": ("input", plain(sample["image"])),
        "masks": ("mask", plain(sample["masks"]).to(sample["image"].dtype)),
        "boxes": ("bbox_xyxy", plain(sample["boxes"]) - inclusive),
        "keypoints": ("keypoints", plain(sample["keypoints"])),
    }
    # It takes no part that holds nothing.
    given = {name: part for name, part in parts.items() if len(part[1])}
    container = augmentation.AugmentationSequential
    keys = [key for key, _ in given.values()]
    sequence = container(transform, data_keys=keys) if not isinstance(transform, container) else transform
    returned = sequence(*(value[None] for _, value in given.values()), data_keys=keys, **options)
    values = returned if isinstance(returned, list | tuple) else [returned]
    # One that keeps the number of dimensions it sees may return the picture without the batch's.
    found = {
        name: value if value.ndim == part[1].ndim else value[0]
        for (name, part), value in zip(given.items(), values, strict=True)
    }
    size = tuple(found["image"].shape[-2:])
    masks = found["masks"] > 0.5 if "masks" in found else torch.zeros(0, *size, dtype=torch.bool)
    boxes = found["boxes"] + inclusive if "boxes" in found else plain(sample["boxes"])
    return {
        **sample,
        "image": tv_tensors.Image(found["image"]),
        "masks": tv_tensors.Mask(masks),
        "boxes": tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=size),
        "keypoints": tv_tensors.KeyPoints(found.get("keypoints", plain(sample["keypoints"])), canvas_size=size),
    }


def _call_albumentations(transform: Any, sample: Any, **options: Any) -> Any:
    if isinstance(sample, dict):
        return _albumentations_annotated(transform, sample, options)
    if sample.ndim == 4:
        return _from_array(transform(images=_to_array(sample), **options)["images"])
    returned = transform(image=_to_array(sample), **options)
    if not isinstance(returned, dict) or "image" not in returned:
        raise PropertyFailed(f'it returned {type(returned).__name__}, not a dict with "image"')
    return _from_array(returned["image"])


def _albumentations_annotated(transform: Any, sample: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    library = require("albumentations", extra="albumentations")
    own = _albumentations_streams(transform)
    composed = _albumentations_compose(transform, library)
    # A Compose seeds its members anew when it is made: give them back the streams that they had.
    for member, generator, python in own:
        member.random_generator, member.py_random = generator, python
    masks = [mask.numpy().astype(np.uint8) for mask in plain(sample["masks"])]
    # No mask at all is a sample without the key; an empty list is refused.
    given = {"masks": masks} if masks else {}
    found = composed(
        image=_to_array(sample["image"]),
        bboxes=plain(sample["boxes"]).numpy().astype(np.float32),
        keypoints=plain(sample["keypoints"]).numpy().astype(np.float32),
        labels=plain(sample["labels"]).numpy(),
        **given,
        **options,
    )
    image = _from_array(found["image"])
    height, width = image.shape[-2:]
    boxes = torch.as_tensor(np.ascontiguousarray(found["bboxes"], dtype=np.float32).reshape(-1, 4))
    points = torch.as_tensor(np.ascontiguousarray(found["keypoints"], dtype=np.float32).reshape(-1, 2))
    stack = [torch.as_tensor(np.ascontiguousarray(mask)) > 0 for mask in found.get("masks", [])]
    return {
        **sample,
        "image": tv_tensors.Image(image),
        "masks": tv_tensors.Mask(torch.stack(stack) if stack else torch.zeros(0, height, width, dtype=torch.bool)),
        "boxes": tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=(height, width)),
        "keypoints": tv_tensors.KeyPoints(points, canvas_size=(height, width)),
        "labels": torch.as_tensor(np.asarray(found["labels"], dtype=np.int64).reshape(-1)),
    }


def _albumentations_compose(transform: Any, library: Any) -> Any:
    """A Compose that takes torchvision's boxes and key points; what a given one filters out, it filters out too."""
    given = {name: copy.copy(processor.params) for name, processor in getattr(transform, "processors", {}).items()}
    boxes = given.get("bboxes", library.BboxParams("pascal_voc"))
    boxes.format, boxes.label_fields = "pascal_voc", ["labels"]
    points = given.get("keypoints", library.KeypointParams("xy", remove_invisible=False))
    points.format, points.label_fields = "xy", None
    # A Compose in a Compose leaves boxes and key points to the outer one.
    return library.Compose([transform], bbox_params=boxes, keypoint_params=points)


def _albumentations_streams(transform: Any) -> list[tuple[Any, Any, Any]]:
    own = [(transform, transform.random_generator, transform.py_random)]
    for member in getattr(transform, "transforms", ()):
        own += _albumentations_streams(member)
    return own


def _call_torchvision(transform: Any, sample: Any, **options: Any) -> Any:
    if not isinstance(transform, v2.Transform) and isinstance(sample, tv_tensors.Image):
        # The first version of torchvision's transforms knows plain tensors only.
        return transform(plain(sample), **options)
    return transform(sample, **options)


# By the library, or by what a callable of no library takes.
CONVENTIONS: dict[str, Call] = {
    "albumentations": _call_albumentations,
    "kornia": _call_kornia,
    "numpy": _call_numpy,
    "pil": _call_pil,
    "segaug": _call_tensor,
    "tensor": _call_plain_tensor,
    "torchvision": _call_torchvision,
}
