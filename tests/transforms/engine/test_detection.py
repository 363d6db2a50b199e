"""PerSegment on detection samples: map, masks, boxes, labels and other entries follow."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from segaug import PerSegment, SegmentedImage, SegmentMap
from segaug.functional import mask_boxes

FLIP = v2.RandomHorizontalFlip(1.0)


def plain(tensor):
    return tensor.as_subclass(torch.Tensor)


def make_boxes(masks, box_format="XYXY", dtype=torch.float32):
    boxes = tv_tensors.BoundingBoxes(mask_boxes(masks).to(dtype), format="XYXY", canvas_size=masks.shape[-2:])
    return F.convert_bounding_box_format(boxes, new_format=tv_tensors.BoundingBoxFormat[box_format])


@pytest.fixture
def make_target(photo, make_map):
    """``make_target(segments)``: a real photo and a torchvision target of its segments, as masks."""

    def make(segments=6, *, seed=0, box_format="XYXY", dtype=torch.float32):
        labels = make_map(72, 96, segments, seed=seed)
        masks = torch.stack([labels == i for i in range(1, segments + 1)])
        target = {
            "image_id": 17,
            "boxes": make_boxes(masks, box_format, dtype),
            "labels": torch.arange(segments) + 10,
            "masks": tv_tensors.Mask(masks),
            "iscrowd": [0] * segments,
            "area": masks.sum((-2, -1)).float(),
        }
        return tv_tensors.Image(photo.clone()), target

    return make


def vanishing(*widths):
    """A transform that removes segments whose boxes are so wide."""
    return lambda pixels: pixels * 0 if pixels.shape[-1] in widths else pixels


class TestFollow:
    @settings(max_examples=25, deadline=None, derandomize=True)
    @given(
        segments=st.integers(1, 9),
        seed=st.integers(0, 1000),
        box_format=st.sampled_from(["XYXY", "XYWH", "CXCYWH"]),
        transform=st.sampled_from(
            [
                v2.RandomHorizontalFlip(),
                v2.RandomRotation(60),
                v2.Compose([v2.RandomAffine(0, (0.9, 0.9)), v2.ColorJitter(0.5), v2.RandomVerticalFlip()]),
                v2.RandomResizedCrop(20),
            ]
        ),
    )
    def test_masks_boxes_and_rows_stay_together(self, photo, make_map, segments, seed, box_format, transform):
        labels = make_map(72, 96, segments, seed=seed)
        masks = torch.stack([labels == i for i in range(1, segments + 1)])
        numbers = torch.arange(segments)
        target = {
            "boxes": make_boxes(masks, box_format),
            "labels": numbers,
            "masks": tv_tensors.Mask(masks),
            "area": masks.sum((-2, -1)).float(),
            "iscrowd": numbers.tolist(),
        }
        torch.manual_seed(seed)
        image, new = PerSegment(transform, background=False)(tv_tensors.Image(photo), target)
        # The same on the map.
        torch.manual_seed(seed)
        there = labels.unique()[labels.unique() > 0]
        other_image, other_map = PerSegment(transform, background=False)(tv_tensors.Image(photo), SegmentMap(labels))
        assert torch.equal(plain(image), plain(other_image))
        left = new["labels"]
        assert left.tolist() == new["iscrowd"] == sorted(left.tolist())
        assert set(left.tolist()) >= set((other_map.unique() - 1).tolist()) - {-1}
        assert len(new["boxes"]) == len(new["masks"]) == len(new["area"]) == len(left)
        for number, mask in zip(left.tolist(), plain(new["masks"]), strict=True):
            assert torch.equal(mask, plain(other_map) == number + 1)
            assert bool(mask.any()) or number + 1 not in there
        assert torch.equal(plain(new["boxes"]), plain(make_boxes(plain(new["masks"]), box_format)))
        assert new["boxes"].format.value == box_format
        assert new["area"].tolist() == new["masks"].sum((-2, -1)).tolist()

    def test_a_map_with_boxes_in_the_order_of_its_labels(self, photo):
        labels = torch.zeros(72, 96, dtype=torch.int64)
        labels[10:20, 10:30], labels[20:25, 10:15] = 90, 90
        labels[50:60, 50:70] = 4
        masks = torch.stack([labels == 4, labels == 90])
        target = {"boxes": make_boxes(masks), "labels": torch.tensor([1, 2])}
        # Only 90 vanishes.
        out = PerSegment(vanishing(20), geometry=True)
        labels[50:60, 70] = 4
        target["boxes"] = make_boxes(torch.stack([labels == 4, labels == 90]))
        _, new_map, new = out(tv_tensors.Image(photo), SegmentMap(labels), target)
        assert new_map.unique().tolist() == [0, 4]
        assert new["labels"].tolist() == [1]
        assert plain(new["boxes"]).tolist() == [[50, 50, 71, 60]]

    def test_unchanged_boxes_keep_their_numbers(self, make_target):
        image, target = make_target(2)
        target["boxes"] = target["boxes"] + 0.25
        target["boxes"] = tv_tensors.BoundingBoxes(target["boxes"], format="XYXY", canvas_size=(72, 96))
        _, new = PerSegment(FLIP, p=0.0)(image, target)
        assert torch.equal(plain(new["boxes"]), plain(target["boxes"]))
        # The same with a colour, which moves nothing, in a loop.
        _, new = PerSegment(lambda pixels: 255 - pixels)(image, target)
        assert torch.equal(plain(new["boxes"]), plain(target["boxes"]))
        assert torch.equal(plain(new["masks"]), plain(target["masks"]))

    def test_all_may_vanish(self, make_target):
        image, target = make_target(3)
        _, new = PerSegment(lambda pixels: pixels * 0, geometry=True)(image, target)
        assert plain(new["boxes"]).shape == (0, 4)
        assert new["boxes"].canvas_size == (72, 96)
        assert new["masks"].shape == (0, 72, 96)
        assert new["labels"].shape == (0,)
        assert new["iscrowd"] == []
        assert new["image_id"] == 17

    def test_none_to_begin_with(self, photo):
        masks = torch.zeros(0, 72, 96, dtype=torch.bool)
        target = {
            "boxes": make_boxes(masks),
            "labels": torch.zeros(0, dtype=torch.int64),
            "masks": tv_tensors.Mask(masks),
        }
        image, new = PerSegment(FLIP)(tv_tensors.Image(photo), target)
        assert torch.equal(plain(image), photo)
        assert new["masks"].shape == (0, 72, 96)

    @pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64])
    def test_masks_keep_their_dtype(self, make_target, dtype):
        image, target = make_target()
        target["masks"] = tv_tensors.Mask(target["masks"].to(dtype))
        _, new = PerSegment(FLIP)(image, target)
        assert new["masks"].dtype == dtype
        assert isinstance(new["masks"], tv_tensors.Mask)

    def test_integer_boxes(self, make_target):
        image, target = make_target(dtype=torch.int64)
        _, new = PerSegment(FLIP)(image, target)
        assert new["boxes"].dtype == torch.int64
        assert torch.equal(plain(new["boxes"]), mask_boxes(plain(new["masks"])))


def per_instance(count, kind):
    """Entries of a target with one row per segment, numbered, as lists, arrays or tensors."""
    make = {"list": list, "array": np.array, "tensor": torch.tensor}[kind]
    numbers = list(range(count))
    return {key: make(numbers) for key in ("scores", "id", "instance_id", "category_id", "iscrowd", "difficult")}


class TestRows:
    """Entries beside boxes and masks, in the forms that data sets have them in."""

    @pytest.mark.parametrize("kind", ["list", "array", "tensor"])
    def test_what_vanishes_is_dropped_everywhere(self, photo, kind):
        masks = torch.zeros(3, 72, 96, dtype=torch.bool)
        masks[0, 5:15, 5:25] = masks[1, 20:30, 20:27] = masks[2, 40:50, 40:48] = True
        target = {
            **per_instance(3, kind),
            "labels": {"list": list, "array": np.array, "tensor": torch.tensor}[kind]([7, 8, 9]),
            "masks": tv_tensors.Mask(masks),
            "boxes": make_boxes(masks),
            "segmentation": [[[5.0, 5.0]], {"counts": [1], "size": [72, 96]}, [[40.0, 40.0]]],
            "names": ["a", "b", "c"],
            "size": torch.tensor([72, 96, 3]),
            "image_id": [4, 5, 6],
            "mean": (0.1, 0.2, 0.3),
            "depth": torch.zeros(3, 72, 96),
            "number": 3,
            "about": {"place": ["x", "y", "z"]},
        }
        out = PerSegment(vanishing(7), geometry=True)
        _, new = out(tv_tensors.Image(photo), target)
        for key in per_instance(3, kind):
            assert type(new[key]) is type(target[key])
            assert list(new[key]) == [0, 2], key
        assert list(new["labels"]) == [7, 9]
        assert new["names"] == ["a", "c"]
        assert new["segmentation"] == [target["segmentation"][0], target["segmentation"][2]]
        for key in ("size", "image_id", "mean", "depth", "number"):
            assert new[key] is target[key]
        assert new["about"] == target["about"]

    @pytest.mark.parametrize("kind", ["list", "arrays", "array", "tensor"])
    def test_coco_boxes_and_areas_are_computed_anew(self, photo, kind):
        labels = torch.zeros(72, 96, dtype=torch.int64)
        labels[5:15, 5:25], labels[40:50, 40:48] = 1, 2
        masks = torch.stack([labels == 1, labels == 2])
        rows = [[5.25, 5.0, 20.0, 10.0], [40.0, 40.25, 8.0, 10.0]]
        areas = [200.5, 80.5]
        bbox = {
            "list": rows,
            "arrays": [np.array(row) for row in rows],
            "array": np.array(rows),
            "tensor": torch.tensor(rows),
        }[kind]
        area = {"list": areas, "arrays": areas, "array": np.array(areas), "tensor": torch.tensor(areas)}[kind]

        def shrink_wide(pixels):
            return pixels[:, 2:-2, 3:-3] if pixels.shape[-1] == 20 else pixels

        _, new = PerSegment(shrink_wide, geometry=True)(
            tv_tensors.Image(photo), {"masks": tv_tensors.Mask(masks), "bbox": bbox, "area": area}
        )
        assert type(new["bbox"]) is type(bbox)
        assert [[float(side) for side in row] for row in new["bbox"]] == [[8, 7, 14, 6], rows[1]]
        assert [float(one) for one in new["area"]] == [84, 80.5]

    def test_an_array_of_labels_by_position(self, photo):
        labels = torch.zeros(72, 96, dtype=torch.int64)
        labels[5:15, 5:25], labels[40:50, 40:48] = 1, 2
        out = PerSegment(vanishing(20), geometry=True)(tv_tensors.Image(photo), SegmentMap(labels), np.array([7, 8]))
        assert out[2].tolist() == [8]

    @pytest.mark.parametrize("key", ["labels", "area", "iscrowd", "bbox"])
    @pytest.mark.parametrize("make", [list, np.array, torch.tensor])
    def test_counts_that_disagree(self, make_target, key, make):
        image, target = make_target()
        with pytest.raises(ValueError, match=f"{key} must have one entry per segment, got 5 for 6 masks"):
            PerSegment(FLIP)(image, {**target, key: make([1, 2, 3, 4, 5])})

    def test_boxes_of_a_form_that_is_not_known(self, make_target):
        image, target = make_target()
        target["boxes"] = plain(target["boxes"])
        with pytest.raises(
            TypeError, match=r"boxes must be tv_tensors.BoundingBoxes to follow the segments, got Tensor"
        ):
            PerSegment(FLIP)(image, target)
        # Nothing moves.
        _, new = PerSegment(lambda pixels: 255 - pixels)(image, target)
        assert new["boxes"] is target["boxes"]

    def test_one_entry_beside_one_segment(self, make_target):
        image, target = make_target(1)
        target["index"] = torch.tensor([3])
        _, new = PerSegment(FLIP)(image, target)
        assert new["index"] is target["index"]
        with pytest.raises(ValueError, match="index must not be of length 1 beside a single segment"):
            PerSegment(lambda pixels: pixels * 0, geometry=True)(image, target)
        del target["index"]
        _, new = PerSegment(lambda pixels: pixels * 0, geometry=True)(image, {**target, "image_id": torch.tensor([3])})
        assert new["image_id"].tolist() == [3]


class TestOverlaps:
    """Masks that overlap: a 12 x 12 square and a 4 x 6 bar on it, or beside it."""

    @staticmethod
    def sample(photo, bar=(slice(20, 24), slice(14, 20))):
        masks = torch.zeros(3, 72, 96, dtype=torch.bool)
        masks[0, 16:28, 10:22] = True
        masks[1][bar] = True
        masks[2, 60:62, 80:82] = True
        target = {"boxes": make_boxes(masks), "labels": torch.tensor([5, 6, 7]), "masks": tv_tensors.Mask(masks)}
        return tv_tensors.Image(photo), target, masks

    def test_a_mask_keeps_its_parts_below_unchanged_neighbours(self, photo):
        image, target, masks = self.sample(photo)

        def flip_third(pixels):
            return torch.nn.functional.pad(pixels, [0, 1]) if pixels.shape[-1] == 2 else pixels

        _, new = PerSegment(flip_third, geometry=True)(image, target)
        assert torch.equal(plain(new["masks"])[:2], masks[:2])

    def test_a_changed_segment_loses_what_a_smaller_unchanged_one_hides(self, photo):
        image, target, masks = self.sample(photo)

        def move_square(pixels):
            return torch.nn.functional.pad(pixels, [4, 0]) if pixels.shape[-1] == 12 else pixels

        new_image, new = PerSegment(move_square, geometry=True)(image, target)
        # The square's own pixels are those that the bar leaves; both move by 2, and the bar stays on top.
        own = (masks[0] & ~masks[1]).roll(2, -1)
        assert torch.equal(plain(new["masks"])[0], own & ~masks[1])
        assert torch.equal(plain(new["masks"])[1], masks[1])
        assert torch.equal(plain(new_image)[:, masks[1]], photo[:, masks[1]])
        assert plain(new["boxes"])[1].tolist() == plain(target["boxes"])[1].tolist()
        assert plain(new["boxes"])[0].tolist() == [12, 16, 24, 28]

    def test_an_unchanged_mask_loses_what_a_changed_segment_now_covers(self, photo):
        image, target, masks = self.sample(photo, bar=(slice(20, 24), slice(24, 30)))

        def move_bar(pixels):
            return torch.nn.functional.pad(pixels, [0, 12]) if pixels.shape[-1] == 6 else pixels

        _, new = PerSegment(move_bar, geometry=True)(image, target)
        moved = masks[1].roll(-6, -1)
        assert torch.equal(plain(new["masks"])[1], moved)
        assert torch.equal(plain(new["masks"])[0], masks[0] & ~moved)
        assert torch.equal(plain(new["masks"])[2], masks[2])

    def test_the_larger_mask_lies_below_even_if_less_of_it_is_seen(self, photo):
        masks = torch.zeros(2, 72, 96, dtype=torch.bool)
        masks[0, 10:20, 10:24] = True
        masks[1, 10:20, 12:24] = True
        target = {"masks": tv_tensors.Mask(masks)}

        def widen(pixels):
            return torch.nn.functional.pad(pixels, [8, 0]) if pixels.shape[-1] == 2 else pixels

        _, new = PerSegment(widen, geometry=True)(tv_tensors.Image(photo), target)
        # What is seen of the first moves by 4, below the second, which is larger to the eye but the smaller mask: gone.
        assert torch.equal(plain(new["masks"]), masks[1:])

    def test_colour_goes_to_the_smallest_mask_and_masks_stay(self, photo):
        image, target, masks = self.sample(photo)
        calls = []

        def invert_bar(pixels):
            calls.append(pixels.shape[-2:])
            return 255 - pixels if pixels.shape[-1] == 6 else pixels

        new_image, new = PerSegment(invert_bar)(image, target)
        assert torch.equal(plain(new_image)[:, masks[1]], 255 - photo[:, masks[1]])
        assert torch.equal(plain(new_image)[:, ~masks[1]], photo[:, ~masks[1]])
        assert torch.equal(plain(new["masks"]), masks)

    def test_a_mask_that_was_empty_or_hidden_stays(self, photo):
        masks = torch.zeros(3, 72, 96, dtype=torch.bool)
        masks[0, 10:20, 10:20] = masks[1, 10:20, 10:20] = True
        target = {"masks": tv_tensors.Mask(masks), "labels": torch.tensor([1, 2, 3])}
        _, new = PerSegment(FLIP)(tv_tensors.Image(photo), target)
        assert new["labels"].tolist() == [1, 2, 3]


class Sample(NamedTuple):
    image: tv_tensors.Image
    target: dict
    name: str


class TestStructures:
    def test_tuples_dicts_and_named_tuples(self, make_target):
        image, target = make_target()
        outs = [
            PerSegment(FLIP)(image, target),
            PerSegment(FLIP)((image, target)),
            PerSegment(FLIP)([image, [target]]),
            PerSegment(FLIP)({"image": image, "target": target}),
            PerSegment(FLIP)(Sample(image, target, "a")),
        ]
        assert isinstance(outs[4], Sample)
        assert outs[4].name == "a"
        targets = [outs[0][1], outs[1][1], outs[2][1][0], outs[3]["target"], outs[4].target]
        for new in targets:
            assert list(new) == list(target)
            for key in ("boxes", "masks", "labels", "area"):
                assert torch.equal(plain(new[key]), plain(targets[0][key]))

    def test_a_tuple_with_labels_by_position(self, photo):
        labels = torch.zeros(72, 96, dtype=torch.int64)
        labels[5:15, 5:25], labels[40:50, 40:48] = 1, 2
        masks = torch.stack([labels == 1, labels == 2])
        sample = (tv_tensors.Image(photo), make_boxes(masks), torch.tensor([7, 8]), tv_tensors.Mask(masks))
        out = PerSegment(vanishing(20), geometry=True)(*sample)
        assert out[2].tolist() == [8]
        assert len(out[1]) == len(out[3]) == 1

    def test_a_pil_image_comes_back_as_an_image(self, make_target):
        image, target = make_target()
        picture = F.to_pil_image(image)
        new_image, new = PerSegment(FLIP)(picture, target)
        assert isinstance(new_image, tv_tensors.Image)
        assert torch.equal(plain(new_image), plain(PerSegment(FLIP)(image, target)[0]))
        assert len(new["boxes"]) == 6

    def test_a_segmented_image_beside_its_boxes(self, make_target):
        image, target = make_target(4)
        sample = SegmentedImage(image, SegmentMap.from_masks(target["masks"]))
        out, boxes = PerSegment(FLIP)(sample, target["boxes"])
        expected_image, expected = PerSegment(FLIP)(image, target)
        assert isinstance(out, SegmentedImage)
        assert torch.equal(plain(out.image), plain(expected_image))
        assert torch.equal(plain(boxes), plain(expected["boxes"]))

    def test_a_plain_mask_of_labels_keeps_its_type(self, photo, make_map):
        labels = make_map(72, 96, 5).to(torch.uint8)
        _, new = PerSegment(FLIP)(tv_tensors.Image(photo), tv_tensors.Mask(labels))
        assert type(new) is tv_tensors.Mask
        assert new.dtype == torch.uint8

    def test_targets_of_the_whole_image_are_left_alone(self, photo, make_map):
        segments = SegmentMap(make_map(72, 96, 3))
        target = {"label": 4, "class_labels": torch.zeros(10), "labels": torch.arange(5), "name": ["a", "b", "c"]}
        _, new, _ = PerSegment(vanishing(*range(100)), geometry=True)(tv_tensors.Image(photo), target, segments)
        assert new["label"] == 4
        assert len(new["class_labels"]) == 10
        assert len(new["labels"]) == 5
        assert new["name"] == ["a", "b", "c"]

    def test_the_sample_is_not_changed(self, make_target):
        image, target = make_target()
        copies = {key: plain(value).clone() for key, value in target.items() if isinstance(value, torch.Tensor)}
        PerSegment(v2.RandomRotation(50))(image, target)
        assert all(torch.equal(plain(target[key]), copy) for key, copy in copies.items())

    def test_colour_alone_leaves_everything_but_the_image(self, make_target):
        image, target = make_target()
        target["labels"] = torch.arange(99)
        new_image, new = PerSegment(v2.ColorJitter(0.5))(image, target)
        assert not torch.equal(plain(new_image), plain(image))
        assert all(new[key] is target[key] for key in target if key != "iscrowd")
        assert new["iscrowd"] == target["iscrowd"]


class TestBadInput:
    @pytest.mark.parametrize(
        ("change", "error", "message"),
        [
            ({"labels": torch.arange(5)}, ValueError, "labels must have one entry per segment, got 5 for 6 masks"),
            ({"iscrowd": [0]}, ValueError, "iscrowd must have one entry per segment, got 1 for 6 masks"),
            ({"area": torch.zeros(7)}, ValueError, "area must have one entry per segment"),
        ],
    )
    def test_rows_that_disagree(self, make_target, change, error, message):
        image, target = make_target()
        with pytest.raises(error, match=message):
            PerSegment(FLIP)(image, {**target, **change})

    @pytest.mark.parametrize(
        ("boxes", "canvas", "message"),
        [
            ([[0, 0, 5, 5]] * 5, (72, 96), "one row per segment, .* for 6 masks"),
            ([[0, 0, 5, 5]] * 6, (96, 72), r"do not fit the map: their canvas is \(96, 72\), the map \(72, 96\)"),
            ([[0, 0, 5, 5]] * 5 + [[80, 60, 97, 70]], (72, 96), r"do not fit the map: XYXY \[80.0, .*\] of row 5"),
            ([[-2, 0, 5, 5]] * 6, (72, 96), "do not fit the map"),
            ([[9, 9, 5, 12]] * 6, (72, 96), "do not fit the map"),
            ([[float("nan"), 9, 5, 12]] * 6, (72, 96), "do not fit the map"),
        ],
    )
    def test_boxes_that_do_not_fit_the_map(self, make_target, boxes, canvas, message):
        image, target = make_target()
        target["boxes"] = tv_tensors.BoundingBoxes(torch.tensor(boxes).float(), format="XYXY", canvas_size=canvas)
        with pytest.raises(ValueError, match=message):
            PerSegment(FLIP)(image, target)

    def test_boxes_of_some_of_the_maps_segments(self, make_target):
        image, target = make_target()
        segments = SegmentMap.from_masks(target["masks"])
        boxes = tv_tensors.wrap(target["boxes"][:3], like=target["boxes"])
        with pytest.raises(ValueError, match=r"got BoundingBoxes .* for 6 segments in the map"):
            PerSegment(FLIP)(image, boxes, segments)

    def test_rotated_boxes(self, make_target):
        image, target = make_target()
        target["boxes"] = tv_tensors.BoundingBoxes(torch.zeros(6, 5), format="XYWHR", canvas_size=(72, 96))
        with pytest.raises(TypeError, match="boxes must be XYXY, XYWH or CXCYWH"):
            PerSegment(FLIP)(image, target)

    def test_key_points(self, make_target):
        image, target = make_target()
        target["points"] = tv_tensors.KeyPoints(torch.zeros(6, 2), canvas_size=(72, 96))
        with pytest.raises(TypeError, match="cannot move KeyPoints"):
            PerSegment(FLIP)(image, target)

    def test_several_maps_or_pictures(self, make_target):
        image, target = make_target()
        with pytest.raises(ValueError, match="exactly one image and one SegmentMap or Mask"):
            PerSegment(FLIP)(image, target, target["masks"])
        sample = SegmentedImage(image, SegmentMap.from_masks(target["masks"]))
        for extra in ((sample, target["boxes"]), (target["masks"],)):
            with pytest.raises(ValueError, match="one picture with one map"):
                PerSegment(FLIP)(sample, *extra)

    @pytest.mark.parametrize("channels", [2, 4])
    def test_other_channels(self, photo, make_map, channels):
        image = tv_tensors.Image(photo[:1].repeat(channels, 1, 1))
        with pytest.raises(ValueError, match="1 or 3 channels"):
            PerSegment(FLIP)(image, SegmentMap(make_map(72, 96, 3)))

    def test_a_map_of_another_size(self, photo, make_map):
        with pytest.raises(ValueError, match="same height and width"):
            PerSegment(FLIP)(tv_tensors.Image(photo), SegmentMap(make_map(70, 96, 3)))
