import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segaug.functional import jitter_positions

MODES = ["corners", "translate_scale"]
UNIT = st.floats(0, 1, width=32)
NOISE = st.floats(-(2.0**100), 2.0**100, width=32) | st.floats(-2, 2, width=32) | st.sampled_from([0.0, 1e-7, -1e-7])


def place(box, area):
    return torch.tensor([box]), torch.tensor([area])


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    corners=st.tuples(UNIT, UNIT, UNIT, UNIT),
    area=st.floats(2**-30, 1, width=32),
    noise=st.tuples(NOISE, NOISE, NOISE, NOISE),
    area_noise=NOISE,
)
def test_corners_stay_ordered_and_on_the_canvas(mode, corners, area, noise, area_noise):
    x1, y1, x2, y2 = min(corners[0], corners[2]), min(corners[1], corners[3]), max(corners[::2]), max(corners[1::2])
    boxes, areas = place([x1, y1, x2, y2], area)
    before = boxes.clone(), areas.clone()
    new_boxes, new_areas = jitter_positions(boxes, areas, torch.tensor([noise]), torch.tensor([area_noise]), mode)
    assert torch.equal(boxes, before[0])
    assert torch.equal(areas, before[1])
    if not (x2 > x1 and y2 > y1):
        assert torch.equal(new_boxes, boxes)
        assert torch.equal(new_areas, areas)
        return
    left, top, right, bottom = new_boxes[0].tolist()
    assert 0 <= left < right <= 1
    assert 0 <= top < bottom <= 1
    assert 0 < new_areas.item() <= 1


@pytest.mark.parametrize("mode", MODES)
def test_background_and_padding_stay(mode):
    boxes = torch.tensor([[-1.0, -1.0, -1.0, -1.0], [0.0, 0.0, 0.0, 0.0], [0.2, 0.2, 0.5, 0.6]])
    areas = torch.tensor([0.4, 0.0, 0.05])
    new_boxes, new_areas = jitter_positions(boxes, areas, torch.full((3, 4), 0.1), torch.full((3,), 0.1), mode)
    assert torch.equal(new_boxes[:2], boxes[:2])
    assert torch.equal(new_areas[:2], areas[:2])
    assert not torch.isclose(new_boxes[2], boxes[2]).any()
    assert new_areas[2] > areas[2]


@pytest.mark.parametrize("mode", MODES)
def test_no_noise_changes_nothing(mode, make_map):
    # A pixel of a large picture is smaller than any area that noise may leave.
    boxes = torch.tensor([[0.1, 0.2, 0.5, 0.9], [0.0, 0.0, 1.0, 1.0], [0.5, 0.5, 0.5 + 1 / 512, 0.5 + 1 / 512]])
    areas = torch.tensor([0.2, 1.0, 1 / 512**2])
    new_boxes, new_areas = jitter_positions(boxes, areas, torch.zeros(3, 4), torch.zeros(3), mode)
    torch.testing.assert_close(new_boxes, boxes, rtol=0, atol=1e-6)
    torch.testing.assert_close(new_areas, areas, rtol=1e-6, atol=0)


class TestCorners:
    def test_every_number_gets_its_own(self):
        boxes, areas = place([0.2, 0.3, 0.6, 0.7], 0.1)
        new_boxes, new_areas = jitter_positions(
            boxes, areas, torch.tensor([[0.1, -0.1, 0.2, 0.05]]), torch.tensor([0.05]), "corners"
        )
        torch.testing.assert_close(new_boxes, torch.tensor([[0.3, 0.2, 0.8, 0.75]]))
        torch.testing.assert_close(new_areas, torch.tensor([0.15]))

    def test_corners_that_pass_each_other_change_places(self):
        boxes, areas = place([0.2, 0.3, 0.6, 0.7], 0.1)
        new_boxes, _ = jitter_positions(boxes, areas, torch.tensor([[0.6, 0.0, 0.0, -0.5]]), torch.zeros(1))
        torch.testing.assert_close(new_boxes, torch.tensor([[0.6, 0.2, 0.8, 0.3]]))

    @pytest.mark.parametrize("shift", [5.0, -5.0])
    def test_a_box_pushed_off_the_canvas_keeps_an_extent(self, shift):
        boxes, areas = place([0.2, 0.3, 0.6, 0.7], 0.1)
        new_boxes, _ = jitter_positions(boxes, areas, torch.full((1, 4), shift), torch.zeros(1))
        assert (new_boxes[0, 2:] > new_boxes[0, :2]).all()
        assert new_boxes.max() <= 1
        assert new_boxes.min() >= 0


class TestTranslateScale:
    def test_moves_as_a_whole(self):
        boxes, areas = place([0.2, 0.3, 0.4, 0.6], 0.03)
        noise = torch.tensor([[0.1, -0.05, 9.0, 9.0]])
        new_boxes, new_areas = jitter_positions(boxes, areas, noise, torch.zeros(1), "translate_scale")
        torch.testing.assert_close(new_boxes, torch.tensor([[0.3, 0.25, 0.5, 0.55]]))
        torch.testing.assert_close(new_areas, areas)

    @pytest.mark.parametrize("factor", [0.25, 0.5, 2.0, 4.0])
    def test_grows_about_its_centre_and_the_area_with_it(self, factor):
        boxes, areas = place([0.4, 0.45, 0.5, 0.6], 0.01)
        new_boxes, new_areas = jitter_positions(
            boxes, areas, torch.zeros(1, 4), torch.tensor([math.log(factor)]), "translate_scale"
        )
        torch.testing.assert_close(new_boxes[0, 2:] - new_boxes[0, :2], torch.tensor([0.1, 0.15]) * factor**0.5)
        torch.testing.assert_close(new_boxes[0, 2:] + new_boxes[0, :2], torch.tensor([0.9, 1.05]))
        torch.testing.assert_close(new_areas, areas * factor)

    def test_stops_at_the_border_at_its_size(self):
        boxes, areas = place([0.2, 0.3, 0.4, 0.6], 0.03)
        for x, y, expected in (
            (5, 5, [0.8, 0.7, 1.0, 1.0]),
            (-5, 0, [0.0, 0.3, 0.2, 0.6]),
            (0, -5, [0.2, 0.0, 0.4, 0.3]),
        ):
            noise = torch.tensor([[float(x), float(y), 0.0, 0.0]])
            new_boxes, _ = jitter_positions(boxes, areas, noise, torch.zeros(1), "translate_scale")
            torch.testing.assert_close(new_boxes, torch.tensor([expected]))

    def test_grows_no_larger_than_the_canvas_and_keeps_its_shape(self):
        boxes, areas = place([0.2, 0.3, 0.4, 0.7], 0.08)
        new_boxes, new_areas = jitter_positions(
            boxes, areas, torch.zeros(1, 4), torch.tensor([50.0]), "translate_scale"
        )
        side = new_boxes[0, 2:] - new_boxes[0, :2]
        torch.testing.assert_close(side, torch.tensor([0.5, 1.0]))
        torch.testing.assert_close(new_areas, areas * 2.5**2)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("leading", [(), (4,), (2, 3), (0,), (2, 0)])
def test_leading_dimensions(mode, leading, make_tokens):
    tokens = make_tokens(4, batch=leading, padding=1)
    boxes, areas = tokens.boxes.as_subclass(torch.Tensor), tokens.areas
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(boxes.shape, generator=generator) * 0.2, torch.randn(areas.shape, generator=generator) * 0.2
    new_boxes, new_areas = jitter_positions(boxes, areas, *noise, mode)
    assert (new_boxes.shape, new_areas.shape) == (boxes.shape, areas.shape)
    for i in range(areas.numel()):
        one = jitter_positions(
            boxes.view(-1, 4)[i], areas.view(-1)[i], noise[0].view(-1, 4)[i], noise[1].view(-1)[i], mode
        )
        assert torch.equal(one[0], new_boxes.view(-1, 4)[i])
        assert torch.equal(one[1], new_areas.view(-1)[i])


class TestBadInput:
    @pytest.mark.parametrize(
        "shapes",
        [
            ((2, 4), (3,), (2, 4), (2,)),
            ((2, 4), (2,), (2,), (2,)),
            ((2, 5), (2,), (2, 5), (2,)),
            ((2, 4), (2,), (2, 4), (1,)),
        ],
    )
    def test_shapes(self, shapes):
        with pytest.raises(ValueError, match="boxes and box_noise must have shape"):
            jitter_positions(*(torch.zeros(shape) for shape in shapes))

    def test_mode(self):
        with pytest.raises(ValueError, match="mode must be one of 'corners', 'translate_scale', got 'shake'"):
            jitter_positions(torch.zeros(1, 4), torch.zeros(1), torch.zeros(1, 4), torch.zeros(1), "shake")

    def test_dtype(self):
        with pytest.raises(TypeError, match="boxes and areas must be float, got"):
            jitter_positions(torch.zeros(1, 4).long(), torch.zeros(1), torch.zeros(1, 4), torch.zeros(1))
