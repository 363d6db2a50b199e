"""What callers rely on: each property holds for right transforms, and says of a wrong one what and where."""

from functools import partial

import albumentations
import kornia.augmentation
import pytest
import torch
from torchvision.transforms import v2

from segaug import PerSegment, PositionJitter, SegmentDrop, SegmentedImage
from segaug.testing import Augmentation, NotApplicable, PropertyFailed
from segaug.testing._probes import make_probe
from segaug.testing.properties import (
    does_not_mutate_input,
    keeps_dtype_and_device,
    keeps_range,
    keeps_shape,
    prints_nothing,
    refuses_unknown_arguments,
    returns_same_structure,
)

PIXEL = torch.full((1, 1, 1), 0.5)
BYTES = torch.full((3, 2, 2), 200, dtype=torch.uint8)
CONTRACT = (
    does_not_mutate_input,
    keeps_dtype_and_device,
    keeps_range,
    keeps_shape,
    prints_nothing,
    refuses_unknown_arguments,
    returns_same_structure,
)
RIGHT = [
    (v2.ColorJitter(0.5, 0.5, 0.5, 0.5), "image", None),
    (v2.RandomHorizontalFlip(), "annotated_image", True),
    (v2.RandomCrop(2), "annotated_image", True),
    (v2.RandomRotation(30), "segmented_image", True),
    (v2.RandomCrop(2), "segmented_image", True),
    (SegmentDrop(0.5), "segment_tokens", False),
    (SegmentDrop(0.5), "token_batch", False),
    (PositionJitter(), "token_batch", False),
    (PerSegment(v2.RandomResizedCrop(2)), "segment_tokens", True),
    (kornia.augmentation.RandomHorizontalFlip(), "image_batch", True),
    (albumentations.HorizontalFlip(), "image", True),
]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32], ids=str)
@pytest.mark.parametrize(("transform", "kind", "is_geometric"), RIGHT)
@pytest.mark.parametrize("holds", CONTRACT)
def test_right_transforms_hold_it(holds, transform, kind, is_geometric, dtype):
    is_kornia = type(transform).__module__.startswith("kornia")
    if is_kornia and (holds is refuses_unknown_arguments or dtype == torch.uint8):
        return
    sample = make_probe(kind, 4, dtype, 3, 2)
    augmentation = Augmentation(transform, is_geometric=is_geometric)
    for seed in range(4):
        try:
            holds(augmentation, sample, seed=seed)
        except NotApplicable as why:
            assert "uint8" in str(why) or "any keyword" in str(why)  # noqa: PT017


class TestReturnsSameStructure:
    @pytest.mark.parametrize(
        ("transform", "message"),
        [
            (lambda image: None, "it returned None"),
            (lambda image: (image, 1), "it returned tuple"),
            (lambda image: 1 / 0, "raised ZeroDivisionError: division by zero"),
        ],
    )
    def test_says_what_came(self, transform, message):
        with pytest.raises(PropertyFailed, match=message):
            returns_same_structure(transform, PIXEL)

    def test_says_which_part_is_gone(self):
        sample = make_probe("annotated_image", 2, torch.uint8, 1, 1)
        with pytest.raises(PropertyFailed, match="it returned image, masks, boxes, labels"):
            returns_same_structure(lambda s: {k: v for k, v in s.items() if k != "keypoints"}, sample)

    def test_names_the_deadline(self):
        def forever(image):
            while True:
                pass

        with pytest.raises(PropertyFailed, match=r"did not return within the deadline of 0\.05 s"):
            returns_same_structure(Augmentation(forever, deadline=0.05), PIXEL)


class TestKeepsDtypeAndDevice:
    @pytest.mark.parametrize(
        ("transform", "message"),
        [
            (lambda image: image / 255, r"image is torch\.float32, was torch\.uint8"),
            (lambda image: image[None], "image has 4 dimensions, had 3"),
            (lambda image: image[:1], "image has 1 channels, had 3"),
            (lambda image: image.to("meta"), "image is meta, was cpu"),
        ],
    )
    def test_says_what_changed(self, transform, message):
        with pytest.raises(PropertyFailed, match=message):
            keeps_dtype_and_device(transform, BYTES)

    def test_looks_at_every_part(self):
        sample = make_probe("annotated_image", 4, torch.uint8, 1, 1)
        with pytest.raises(PropertyFailed, match=r"labels is torch\.int32, was torch\.int64"):
            keeps_dtype_and_device(lambda s: {**s, "labels": s["labels"].int()}, sample)


class TestKeepsShape:
    def test_says_what_to_do_about_a_crop(self):
        with pytest.raises(PropertyFailed, match=r"image has shape \(3, 1, 1\), expected .* is_geometric=True"):
            keeps_shape(v2.CenterCrop(1), BYTES)
        keeps_shape(Augmentation(v2.CenterCrop(1), is_geometric=True), BYTES)

    @pytest.mark.parametrize("part", ["masks", "boxes"])
    def test_a_geometric_one_changes_all_sizes_alike(self, part):
        sample = make_probe("annotated_image", 4, torch.uint8, 1, 1)

        def crop(s):
            return {**v2.CenterCrop(2)(s), part: s[part]}

        with pytest.raises(PropertyFailed, match=f"{part} are .*4, 4.*the image is of .2, 2."):
            keeps_shape(Augmentation(crop, is_geometric=True), sample)

    def test_looks_at_the_map(self):
        sample = make_probe("segmented_image", 4, torch.uint8, 1, 2)

        def crop(s):
            small = object.__new__(SegmentedImage)
            object.__setattr__(small, "image", s.image[..., :2, :2])
            object.__setattr__(small, "segments", s.segments)
            return small

        with pytest.raises(PropertyFailed, match="the image is of"):
            keeps_shape(Augmentation(crop, is_geometric=True), sample)

    def test_patches_keep_their_size(self):
        tokens = make_probe("segment_tokens", 4, torch.uint8, 1, 2)
        crop = PerSegment(v2.RandomCrop(2))
        with pytest.raises(PropertyFailed, match=r"patches are \(1, 2, 2\) each, were \(1, 4, 4\)"):
            keeps_shape(crop, tokens)
        keeps_shape(Augmentation(crop, is_geometric=True), tokens)

    def test_a_batch_stays_as_large(self):
        batch = make_probe("token_batch", 2, torch.uint8, 1, 2)
        with pytest.raises(PropertyFailed, match=r"the batch is \(1,\), was \(2,\)"):
            keeps_shape(lambda tokens: tokens[:1], batch)


class TestKeepsRange:
    @pytest.mark.parametrize(
        ("value", "found"), [(1.5, "1.5"), (-0.1, "-0.1"), (float("nan"), "nan"), (float("inf"), "inf")]
    )
    def test_says_where(self, value, found):
        with pytest.raises(PropertyFailed, match=rf"image\[0, 0, 0\] is {found}"):
            keeps_range(lambda image: torch.full_like(image, value), PIXEL)

    def test_lets_rounding_pass(self):
        keeps_range(lambda image: image * 2 + 5e-7, PIXEL)
        keeps_range(lambda image: image * 2 + 1e-3, PIXEL.half())

    @pytest.mark.parametrize(
        ("boxes", "expected"),
        [([0.2, 0.0, 1.2, 1.0], r"numbers in \[0, 1\]"), ([0.5, 0.0, 0.2, 1.0], "x0 <= x1")],
    )
    def test_looks_at_boxes_of_segments(self, boxes, expected):
        tokens = make_probe("segment_tokens", 2, torch.uint8, 1, 1)

        def move(tokens):
            out = tokens[:]
            out.boxes.copy_(torch.tensor([boxes]))
            return out

        with pytest.raises(PropertyFailed, match=rf"boxes\[0\] is .*expected {expected}"):
            keeps_range(move, tokens)

    def test_looks_at_areas(self):
        tokens = make_probe("segment_tokens", 2, torch.uint8, 1, 1)
        with pytest.raises(PropertyFailed, match=r"areas\[0\] is 3"):
            keeps_range(lambda tokens: (tokens.areas.fill_(3), tokens)[1], tokens)

    def test_does_not_apply_to_what_has_no_range(self):
        with pytest.raises(NotApplicable, match="uint8"):
            keeps_range(torch.nn.Identity(), BYTES)
        with pytest.raises(NotApplicable, match=r"not in \[0, 1\]"):
            keeps_range(torch.nn.Identity(), PIXEL * 9)


class TestDoesNotMutateInput:
    def test_says_where(self):
        with pytest.raises(PropertyFailed, match=r"x after T\(x\): image\[1, 0, 0\] is 0, expected 200"):
            does_not_mutate_input(lambda image: image[1:].zero_(), BYTES)

    def test_sees_what_is_written_before_it_raises(self):
        def write(image):
            image.zero_()
            raise ValueError("too late")

        with pytest.raises(PropertyFailed, match="x after"):
            does_not_mutate_input(write, BYTES)

    @pytest.mark.parametrize(
        "change", [lambda s: s["labels"].zero_(), lambda s: s.pop("labels"), lambda s: s.update(more=1)]
    )
    def test_sees_all_parts_and_the_dict(self, change):
        sample = make_probe("annotated_image", 2, torch.uint8, 1, 1)
        with pytest.raises(PropertyFailed, match="x after"):
            does_not_mutate_input(lambda s: (dict(s), change(s))[0], sample)

    def test_sees_through_numpy(self):
        def darken(array):
            array //= 2
            return array

        with pytest.raises(PropertyFailed, match="x after"):
            does_not_mutate_input(Augmentation(darken, input="numpy"), BYTES)

    def test_leaves_the_streams_and_the_sample(self):
        state, sample = torch.get_rng_state(), BYTES.clone()
        with pytest.raises(PropertyFailed):
            does_not_mutate_input(lambda image: image.random_(), sample)
        assert torch.equal(torch.get_rng_state(), state)
        assert torch.equal(sample, BYTES)


def test_prints_nothing_says_what_was_printed(capsys):
    with pytest.raises(PropertyFailed, match=r"it printed 'x{80}'"):
        prints_nothing(lambda image: print("x" * 100) or image, PIXEL)
    assert capsys.readouterr().out == ""


class TestRefusesUnknownArguments:
    def test_kornia_takes_them(self):
        with pytest.raises(PropertyFailed, match=r"T\(x, no_such_argument=1\) returned"):
            refuses_unknown_arguments(
                kornia.augmentation.RandomHorizontalFlip(), make_probe("image", 4, torch.float32, 3, 1)
            )

    def test_an_error_must_say_it(self):
        def flip(image, **options):
            return {}["image"] if options else image

        with pytest.raises(PropertyFailed, match="raised KeyError: 'image', expected a TypeError"):
            refuses_unknown_arguments(flip, PIXEL)

    def test_a_named_value_error_will_do(self):
        def flip(image, **options):
            if options:
                raise ValueError(f"unknown: {', '.join(options)}")
            return image

        refuses_unknown_arguments(flip, PIXEL)

    def test_tries_the_factory(self):
        def make(**options):
            return v2.RandomHorizontalFlip()

        with pytest.raises(PropertyFailed, match=r"factory\(no_such_argument=1\) returned"):
            refuses_unknown_arguments(Augmentation(make(), factory=make), PIXEL)
        flip = v2.RandomHorizontalFlip
        refuses_unknown_arguments(Augmentation(flip(), factory=partial(flip, 0.3)), PIXEL)

    def test_albumentations_calls_are_left_out(self):
        flip = albumentations.HorizontalFlip
        with pytest.raises(NotApplicable, match="any keyword as data"):
            refuses_unknown_arguments(flip(), BYTES)
        # It warns, which no training log shows.
        with pytest.raises(PropertyFailed, match="factory"):
            refuses_unknown_arguments(Augmentation(flip(), factory=flip), BYTES)
