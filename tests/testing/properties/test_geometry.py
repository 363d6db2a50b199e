import albumentations
import kornia.augmentation
import pytest
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from segaug import PerSegment, RandomMirror, SegmentedImage, SegmentTokens
from segaug.testing import _probes
from segaug.testing._errors import NotApplicable, PropertyFailed
from segaug.testing.properties import boxes_follow_masks, moves_everything_together

BILINEAR = v2.InterpolationMode.BILINEAR
RIGHT = [
    v2.RandomHorizontalFlip(1),
    v2.RandomVerticalFlip(1),
    v2.RandomCrop(5, padding=2, fill=1),
    v2.Pad((1, 2, 3, 4), fill=1),
    v2.Resize((5, 17)),
    v2.Resize((5, 17), interpolation=v2.InterpolationMode.NEAREST_EXACT),
    v2.RandomResizedCrop(7),
    v2.RandomZoomOut(p=1, fill=1),
    v2.RandomRotation(30),
    v2.RandomRotation(30, interpolation=BILINEAR),
    v2.RandomAffine(20, (0.2, 0.2), (0.7, 1.3), 10),
    v2.RandomAffine(20, (0.2, 0.2), (0.7, 1.3), 10, interpolation=BILINEAR),
    v2.RandomPerspective(0.3, p=1),
    v2.ScaleJitter((12, 12), (0.5, 2.0)),
    v2.RandomIoUCrop(),
    kornia.augmentation.RandomHorizontalFlip(p=1.0),
    kornia.augmentation.RandomCrop((4, 5), p=1.0),
    kornia.augmentation.RandomRotation(30.0, p=1.0),
    kornia.augmentation.RandomAffine(20.0, (0.1, 0.1), p=1.0),
    albumentations.HorizontalFlip(p=1),
    albumentations.RandomCrop(4, 5, p=1),
    albumentations.Rotate(30, p=1),
    albumentations.Affine(rotate=20, scale=1.2, p=1),
    albumentations.D4(p=1),
    albumentations.Compose([albumentations.HorizontalFlip(p=0.5)], bbox_params=albumentations.BboxParams("coco")),
]


def annotated(side=9, dtype=torch.float32, objects=2):
    return _probes.make_probe("annotated_image", side, dtype, 3, objects)


@pytest.mark.parametrize("transform", RIGHT, ids=lambda transform: type(transform).__name__)
def test_right_transforms_hold(transform):
    for seed in range(3):
        for sample in (annotated(), annotated(objects=0)):
            moves_everything_together(transform, sample, seed=seed)
        try:
            boxes_follow_masks(transform, annotated(), seed=seed)
        except NotApplicable as error:
            # A bent map has no say in boxes, and a small window may hold too little.
            assert "linear map" in str(error) or "too few" in str(error)  # noqa: PT017


def changed(**parts):
    def transform(sample):
        out = v2.functional.horizontal_flip
        moved = {name: value if name == "labels" else out(value) for name, value in sample.items()}
        return {**moved, **{name: change(sample[name], moved[name]) for name, change in parts.items()}}

    return transform


def rewrapped(box_data, canvas_size):
    return tv_tensors.BoundingBoxes(box_data, format="XYXY", canvas_size=canvas_size)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"masks": lambda before, after: before},
            r"masks\[0\]\[0, 0\] is True, but its pixel comes from \[0, 8\], where",
        ),
        ({"masks": lambda before, after: after[..., 1:]}, "masks are of 9x8 pixels, the image of 9x9"),
        (
            {"keypoints": lambda before, after: tv_tensors.wrap(after + 1, like=after)},
            r"keypoints\[0\] at \(0, 0\) is at \(9, 1\) now, but its pixel at \(8, 0\)",
        ),
        (
            {"keypoints": lambda before, after: tv_tensors.KeyPoints(after.clone(), canvas_size=(4, 4))},
            r"keypoints have canvas_size \(4, 4\), the image is of 9x9",
        ),
    ],
)
def test_a_part_that_moves_otherwise_is_found(parts, message):
    with pytest.raises(PropertyFailed, match=message):
        moves_everything_together(changed(**parts), annotated())
    moves_everything_together(changed(), annotated())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda before, after: before, r"boxes\[0\] is \(0, 0, 3, 4\), but its mask is in \(6, 0, 9, 4\)"),
        (lambda before, after: after - 0.5, r"boxes\[0\] is \(5.5, -0.5, 8.5, 3.5\), but"),
        (lambda before, after: after[:, [2, 1, 0, 3]], r"boxes\[0\] is \(9, 0, 6, 4\), which ends before it starts"),
    ],
)
def test_a_box_elsewhere_is_found(change, message):
    wrong = changed(boxes=lambda before, after: rewrapped(change(*map(torch.Tensor, (before, after))), (9, 9)))
    with pytest.raises(PropertyFailed, match=message):
        boxes_follow_masks(wrong, annotated())
    old_canvas = changed(boxes=lambda before, after: rewrapped(after.clone(), (5, 5)))
    with pytest.raises(PropertyFailed, match=r"canvas_size \(5, 5\), the image is of 9x9"):
        boxes_follow_masks(old_canvas, annotated())


def test_a_box_larger_than_its_turned_mask_is_found():
    def grow(sample):
        turned = {
            name: value if name == "labels" else v2.functional.rotate(value, 30.0) for name, value in sample.items()
        }
        grown = turned["boxes"] + torch.tensor([-3.0, -3.0, 3.0, 3.0])
        return {**turned, "boxes": rewrapped(grown, (24, 24))}

    sample = annotated(24, objects=0)
    mask = torch.zeros(1, 24, 24, dtype=torch.bool)
    mask[0, 8:14, 9:16] = True
    sample.update(
        masks=tv_tensors.Mask(mask),
        boxes=rewrapped(torch.tensor([[9.0, 8, 16, 14]]), (24, 24)),
        labels=torch.tensor([5]),
    )
    with pytest.raises(PropertyFailed, match=r"boxes\[0\] is "):
        boxes_follow_masks(grow, sample)
    boxes_follow_masks(v2.RandomRotation((30, 30)), sample)


def test_boxes_in_another_format_are_converted():
    boxes_follow_masks(v2.Compose([v2.RandomHorizontalFlip(1), v2.ConvertBoundingBoxFormat("CXCYWH")]), annotated())


def test_objects_that_are_taken_out_are_told_by_labels():
    crop = v2.Compose([v2.RandomCrop(5), v2.SanitizeBoundingBoxes()])
    for seed in range(5):
        boxes_follow_masks(crop, annotated(), seed=seed)


def test_without_objects_boxes_say_nothing():
    with pytest.raises(NotApplicable, match="no objects"):
        boxes_follow_masks(v2.RandomHorizontalFlip(1), annotated(objects=0))


def segmented():
    return SegmentedImage(torch.zeros(3, 6, 6), torch.arange(36).reshape(6, 6) // 5)


@pytest.mark.parametrize("kind", [v2.RandomHorizontalFlip(), v2.RandomRotation(40), v2.RandomResizedCrop(5)])
def test_pairs_and_tokens(kind):
    tokens = _probes.make_probe("segment_tokens", 6, torch.uint8, 3, 3)
    for seed in range(3):
        moves_everything_together(kind, segmented(), seed=seed)
        moves_everything_together(PerSegment(kind), segmented(), seed=seed)
        moves_everything_together(PerSegment(kind), tokens, seed=seed)
        moves_everything_together(RandomMirror(), tokens, seed=seed)


def test_a_map_and_a_coverage_that_stay_are_found():
    with pytest.raises(PropertyFailed, match=r"segments\[0, 5\] is 1, but its pixel comes from \[5, 5\]"):
        moves_everything_together(lambda pair: SegmentedImage(pair.image.flip(-2), pair.segments), segmented())

    def flip(tokens):
        return SegmentTokens(tokens.patches.flip(-1), tokens.alpha, tokens.boxes, tokens.areas, tokens.labels)

    tokens = _probes.make_probe("segment_tokens", 4, torch.float32, 3, 2)
    with pytest.raises(
        PropertyFailed, match=r"alpha\[0\]\[0, 0\] is False, but its pixel comes from \[0, 3\], where it was T"
    ):
        moves_everything_together(flip, tokens)


def test_colours_hide_where_pixels_come_from():
    with pytest.raises(NotApplicable, match="tell where it comes from"):
        moves_everything_together(v2.Compose([v2.RandomHorizontalFlip(1), v2.RandomInvert(1)]), annotated())
