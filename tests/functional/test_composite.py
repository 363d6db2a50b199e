"""Painter's order, filling and boxes, against loops over segments and pixels."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segaug.functional import composite_segments, fill_holes, mask_boxes, paint_order


def random_layers(count, height, width, seed, dtype=torch.uint8):
    """``count`` segments, each with coverage on random pixels, and a map that some of them are in already."""
    generator = torch.Generator().manual_seed(seed)
    alpha = torch.randint(1, 256, (count, height, width), generator=generator)
    alpha[torch.rand(alpha.shape, generator=generator) < 0.5] = 255
    alpha[torch.rand(alpha.shape, generator=generator) < 0.3] = 0
    colors = (torch.randint(0, 256, (3, count, height, width), generator=generator) * alpha / 255).round()
    image = torch.randint(0, 256, (3, height, width), generator=generator)
    labels = torch.randint(0, count + 1, (height, width), generator=generator)
    rank = torch.randperm(count, generator=generator)
    if dtype == torch.uint8:
        return image.to(dtype), labels, rank, colors.to(dtype), alpha.to(dtype)
    return image.to(dtype) / 255, labels, rank, colors.to(dtype) / 255, alpha.to(dtype) / 255


def paint_one_by_one(image, labels, rank, colors, alpha):
    """The same, segment by segment, in numpy."""
    full = 255 if image.dtype == torch.uint8 else 1
    canvas, label = image.double().numpy().copy(), labels.numpy().copy()
    height = np.concatenate([[-1], rank.numpy()])
    for segment in np.argsort(rank.numpy()) + 1:
        coverage = alpha[segment - 1].double().numpy() / full
        shown = (coverage > 0) & (height[segment] >= height[labels.numpy()])
        over = colors[:, segment - 1].double().numpy() + canvas * (1 - coverage)
        canvas = np.where(shown, over, canvas)
        label = np.where(shown & (coverage >= 0.5), segment, label)
    canvas = np.clip(canvas, 0, full)
    return np.round(canvas) if full == 255 else canvas, label


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    count=st.integers(1, 5),
    height=st.integers(1, 7),
    width=st.integers(1, 7),
    seed=st.integers(0, 10**6),
    dtype=st.sampled_from([torch.uint8, torch.float32, torch.float64]),
)
def test_equals_painting_one_after_the_other(count, height, width, seed, dtype):
    image, labels, rank, colors, alpha = random_layers(count, height, width, seed, dtype)
    before = image.clone(), labels.clone()
    owner = torch.arange(1, count + 1)[:, None].expand(-1, height * width).reshape(-1)
    place = torch.arange(height * width).repeat(count)
    shuffle = torch.randperm(len(place), generator=torch.Generator().manual_seed(seed))
    new, now = composite_segments(
        image,
        labels,
        rank,
        colors.reshape(3, -1)[:, shuffle],
        alpha.reshape(-1)[shuffle],
        place[shuffle],
        owner[shuffle],
    )
    expected, expected_labels = paint_one_by_one(image, labels, rank, colors, alpha)
    assert np.abs(new.double().numpy() - expected).max() <= (1 if dtype == torch.uint8 else 1e-6)
    assert np.array_equal(now.numpy(), expected_labels)
    assert new.dtype == dtype
    assert torch.equal(image, before[0])
    assert torch.equal(labels, before[1])


def test_full_coverage_is_an_exact_copy():
    image, colors = torch.zeros(3, 16, 16, dtype=torch.uint8), torch.arange(256).to(torch.uint8).repeat(3, 1)
    new, now = composite_segments(
        image,
        torch.zeros(16, 16, dtype=torch.int64),
        torch.tensor([0]),
        colors,
        torch.full((256,), 255, dtype=torch.uint8),
        torch.arange(256),
        torch.ones(256, dtype=torch.int64),
    )
    assert torch.equal(new.flatten(1), colors)
    assert bool((now == 1).all())


def test_nothing_to_paint():
    image, labels = torch.rand(1, 3, 4), torch.ones(3, 4, dtype=torch.int64)
    none = torch.zeros(0, dtype=torch.int64)
    new, now = composite_segments(image, labels, torch.tensor([0]), image.new_zeros(1, 0), torch.zeros(0), none, none)
    assert torch.equal(new, image)
    assert torch.equal(now, labels)


def test_the_larger_are_painted_first_and_of_equals_the_last():
    areas = torch.tensor([3, 9, 3, 1, 9])
    order = sorted(range(5), key=lambda i: (-areas[i], -i))
    assert paint_order(areas).argsort().tolist() == order
    assert paint_order(areas[:0]).tolist() == []


class TestFill:
    @pytest.mark.parametrize("channels", [1, 3])
    @pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
    @pytest.mark.parametrize("method", ["mean", "inpaint"])
    def test_keeps_what_is_no_hole(self, photo, channels, dtype, method):
        image = photo[:channels] if dtype == torch.uint8 else photo[:channels].to(dtype) / 255
        holes = torch.zeros(photo.shape[1:], dtype=torch.bool)
        holes[10:30, 20:50] = True
        filled = fill_holes(image, holes, method)
        assert filled.dtype == dtype
        assert torch.equal(filled[:, ~holes], image[:, ~holes])
        if method == "mean":
            mean = image[:, ~holes].double().mean(1, keepdim=True)
            bound = 0.5 if dtype == torch.uint8 else 1e-6
            assert (filled[:, holes].double() - mean).abs().max() <= bound

    @pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
    def test_inpainting_goes_on_with_what_is_around(self, dtype):
        ramp = torch.arange(64).expand(3, 40, 64) * 4
        image = ramp.to(torch.uint8) if dtype == torch.uint8 else ramp / 255
        holes = torch.zeros(40, 64, dtype=torch.bool)
        holes[15:25, 20:30] = True
        broken = torch.where(holes, image.new_zeros(()), image)
        full = 255 if dtype == torch.uint8 else 1
        error = {m: (fill_holes(broken, holes, m).double() - image.double()).abs().mean() / full for m in METHODS}
        assert error["inpaint"] < 0.2 * error["mean"]

    def test_with_nothing_left_it_is_the_mean_of_all(self, photo):
        everything = torch.ones(photo.shape[1:], dtype=torch.bool)
        for method in METHODS:
            filled = fill_holes(photo, everything, method)
            assert torch.equal(filled[:, 0, 0], photo.flatten(1).double().mean(1).round().to(torch.uint8))
            assert bool((filled == filled[:, :1, :1]).all())

    def test_without_holes_nothing_happens(self, photo):
        assert fill_holes(photo, torch.zeros(photo.shape[1:], dtype=torch.bool), "inpaint") is photo


METHODS = ("mean", "inpaint")


@settings(max_examples=40, deadline=None, derandomize=True)
@given(count=st.integers(0, 4), height=st.integers(1, 6), width=st.integers(1, 6), seed=st.integers(0, 10**6))
def test_boxes_hold_their_masks_tightly(count, height, width, seed):
    generator = torch.Generator().manual_seed(seed)
    masks = torch.rand(count, height, width, generator=generator) < 0.2
    for mask, (x1, y1, x2, y2) in zip(masks, mask_boxes(masks).tolist(), strict=True):
        rows, columns = np.nonzero(mask.numpy())
        expected = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) if len(rows) else (0, 0, 0, 0)
        assert (x1, y1, x2, y2) == expected


class TestBadInput:
    def test_shapes_that_do_not_fit(self):
        image, labels, one = (
            torch.zeros(3, 4, 4),
            torch.zeros(4, 4, dtype=torch.int64),
            torch.ones(1, dtype=torch.int64),
        )
        good = (image, labels, torch.zeros(1, dtype=torch.int64), torch.zeros(3, 1), torch.ones(1), one, one)
        wrong = {
            0: (torch.zeros(4, 4, 4), "1 or 3 channels"),
            1: (labels[:2], "image must have shape"),
            3: (torch.zeros(3, 2), "must fit together"),
            4: (torch.ones(1, dtype=torch.uint8), "dtype of image"),
        }
        for at, (value, message) in wrong.items():
            with pytest.raises(ValueError, match=message):
                composite_segments(*good[:at], value, *good[at + 1 :])

    def test_fill(self):
        image, holes = torch.zeros(3, 4, 4), torch.ones(4, 4, dtype=torch.bool)
        with pytest.raises(ValueError, match="method must be 'mean' or 'inpaint', got 'blur'"):
            fill_holes(image, holes, "blur")
        with pytest.raises(ValueError, match="holes must be bool"):
            fill_holes(image, holes.int(), "mean")
        with pytest.raises(ValueError, match="image must have shape"):
            fill_holes(image, holes[:2], "mean")
