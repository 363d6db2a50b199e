import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segaug import Grid
from segaug.functional import paint_tokens, paint_values, tokenize, tokenize_masks


def painted(tokens, size):
    patches, alpha, boxes, _, labels = tokens
    return paint_tokens(patches, alpha, boxes, labels, size)


def psnr(left, right):
    return (10 * torch.log10(255**2 / (left.double() - right.double()).square().mean())).item()


class TestValues:
    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(
        leading=st.sampled_from([(), (1,), (2,), (2, 2), (0,)]),
        tokens=st.integers(0, 6),
        extra=st.sampled_from([(), (1,), (3,), (2, 2)]),
        dtype=st.sampled_from([torch.float32, torch.float64, torch.float16, torch.uint8, torch.int64, torch.bool]),
        seed=st.integers(0, 200),
    )
    def test_against_a_loop_over_pixels(self, leading, tokens, extra, dtype, seed):
        generator = torch.Generator().manual_seed(seed)
        pool = torch.tensor([0, 3, 5, 2**31, 2**31 + 1, 8, 9])
        count = torch.Size(leading).numel()
        orders = [torch.randperm(len(pool), generator=generator)[:tokens] for _ in range(count)]
        labels = torch.stack([pool[order] for order in orders]) if orders else torch.zeros(0, tokens, dtype=torch.int64)
        labels = torch.where(torch.rand(labels.shape, generator=generator) < 0.2, -1, labels)
        segments = pool[torch.randint(0, len(pool), (count, 4, 5), generator=generator)]
        values = (torch.rand((count, tokens, *extra), generator=generator) * 200).to(dtype)
        out = paint_values(
            values.view(*leading, tokens, *extra), labels.view(*leading, tokens), segments.view(*leading, 4, 5)
        )
        assert (out.shape, out.dtype) == ((*leading, 4, 5, *extra), dtype)
        for i in range(count):
            shown = {int(label): values[i, j] for j, label in enumerate(labels[i]) if label >= 0}
            for y in range(4):
                for x in range(5):
                    value = shown.get(int(segments[i, y, x]), shown.get(0, torch.zeros(extra, dtype=dtype)))
                    assert torch.equal(out.view(count, 4, 5, *extra)[i, y, x], value)

    @pytest.mark.parametrize("value", [float("inf"), float("nan")])
    def test_no_value_spreads_to_pixels_without_a_token(self, value):
        assert paint_values(torch.tensor([value, 2.0]), torch.tensor([5, 7]), torch.tensor([[3, 7]])).tolist() == [
            [0, 2]
        ]

    def test_areas_of_tokens(self, photo, make_map):
        labels = make_map(72, 96, 12)
        _, _, _, areas, values = tokenize(photo, labels, 8, max_segments=6)
        canvas = paint_values(areas, values, labels)
        # Each token's value fills its area, what was over the budget has the background's.
        assert canvas.mean().item() == pytest.approx(areas.square().sum().item(), rel=1e-4)

    @pytest.mark.parametrize(
        ("values", "labels", "segments"),
        [((3,), (4,), (5, 5)), ((2, 3), (2, 3), (5, 5)), ((2, 3), (2, 3), (3, 5, 5)), ((3,), (2, 3), (2, 5, 5))],
    )
    def test_shapes(self, values, labels, segments):
        with pytest.raises(ValueError, match=r"values .*, labels .* and segments .* must fit together, got"):
            paint_values(torch.zeros(values), torch.zeros(labels).long(), torch.zeros(segments).long())

    def test_inputs_are_left_alone(self):
        values, labels, segments = torch.rand(3), torch.tensor([4, 0, -1]), torch.tensor([[4, 9, 0]])
        before = values.clone(), labels.clone(), segments.clone()
        paint_values(values, labels, segments)
        assert all(torch.equal(a, b) for a, b in zip(before, (values, labels, segments), strict=True))


class TestTokens:
    @pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
    @pytest.mark.parametrize("background", [True, False])
    @pytest.mark.parametrize("channels", [1, 3])
    def test_cells_as_large_as_a_patch_come_back_exactly(self, load_photo, dtype, background, channels):
        picture = load_photo("coffee", 48, 64)[:channels]
        image = picture if dtype == torch.uint8 else (picture / 255).to(dtype)
        labels = Grid(3, 4)(picture).as_subclass(torch.Tensor)
        canvas = painted(tokenize(image, labels, 16, background=background), (48, 64))
        assert canvas.dtype == dtype
        assert torch.equal(canvas, image)

    def test_every_pixel_its_own_segment(self, load_photo):
        picture = load_photo("rocket", 12, 17)
        labels = torch.arange(1, 12 * 17 + 1).view(12, 17)
        assert torch.equal(painted(tokenize(picture, labels, 3, max_segments=500), (12, 17)), picture)

    def test_one_colour_stays_whatever_the_segments(self, make_map):
        image = torch.full((3, 60, 80), 137, dtype=torch.uint8)
        # Where segments meet, soft edges must not darken.
        for background in (True, False):
            labels = make_map(60, 80, 25, background=background)
            difference = (painted(tokenize(image, labels, 16, background=background), (60, 80)).int() - 137).abs()
            assert difference.max() <= 2

    @pytest.mark.parametrize(("name", "bound"), [("astronaut", 21.5), ("coffee", 25.0), ("rocket", 28.0)])
    def test_photos_come_back_nearly(self, load_photo, make_map, name, bound):
        picture = load_photo(name, 96, 128)
        canvas = painted(tokenize(picture, make_map(96, 128, 60), 16), (96, 128))
        assert psnr(canvas, picture) > bound

    def test_overlaps_are_averaged(self):
        image = torch.full((3, 8, 8), 100, dtype=torch.uint8)
        masks = torch.zeros(2, 8, 8, dtype=torch.bool)
        masks[0, :, :6], masks[1, :, 2:] = True, True
        patches, alpha, boxes, _, labels = tokenize_masks(image, masks, 4)
        patches[1] = 200
        canvas = paint_tokens(patches, alpha, boxes, labels, (8, 8))
        assert canvas[0, 4].tolist() == [100, 100, 150, 150, 150, 150, 200, 200]

    def test_the_background_shows_where_no_segment_is(self):
        patches = torch.tensor([50, 200], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 4, 4)
        alpha = torch.full((2, 4, 4), 255, dtype=torch.uint8)
        boxes, labels = torch.tensor([[0.0, 0.0, 0.5, 0.5], [-1.0] * 4]), torch.tensor([3, 0])
        canvas = paint_tokens(patches, alpha, boxes, labels, (4, 4))
        assert canvas[1].tolist() == [[50, 50, 200, 200]] * 2 + [[200] * 4] * 2
        for order in ([1, 0], [0, 1]):
            assert torch.equal(paint_tokens(patches[order], alpha[order], boxes[order], labels[order], (4, 4)), canvas)

    def test_padding_paints_nothing(self, make_tokens):
        tokens = make_tokens(3, background=False)
        padded = make_tokens(3, background=False, padding=2)
        padded.patches[3:], padded.alpha[3:] = 255, 255
        left, right = (
            paint_tokens(t.patches, t.alpha, t.boxes, t.labels, (9, 11)).as_subclass(torch.Tensor)
            for t in (tokens, padded[:5])
        )
        same = paint_tokens(
            padded.patches[:3], padded.alpha[:3], padded.boxes[:3], padded.labels[:3], (9, 11)
        ).as_subclass(torch.Tensor)
        assert torch.equal(right, same)
        assert left.shape == right.shape == (3, 9, 11)

    @pytest.mark.parametrize("leading", [(1,), (3,), (2, 2), (0,), (2, 0)])
    @pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
    def test_leading_dimensions(self, make_tokens, leading, dtype):
        tokens = make_tokens(3, batch=leading, padding=1, dtype=dtype)
        fields = [
            field.as_subclass(torch.Tensor) for field in (tokens.patches, tokens.alpha, tokens.boxes, tokens.labels)
        ]
        before = [field.clone() for field in fields]
        canvas = paint_tokens(*fields, (10, 13))
        assert (canvas.shape, canvas.dtype) == ((*leading, 3, 10, 13), dtype)
        assert all(torch.equal(a, b) for a, b in zip(fields, before, strict=True))
        flat = [field.reshape(-1, *field.shape[len(leading) :]) if field.numel() else field for field in fields]
        for i in range(torch.Size(leading).numel()):
            alone = paint_tokens(*(field[i] for field in flat), (10, 13))
            torch.testing.assert_close(canvas.view(-1, 3, 10, 13)[i], alone, rtol=0, atol=1e-6)

    @pytest.mark.parametrize("background", [True, False])
    def test_no_tokens(self, make_tokens, background):
        tokens = make_tokens(0, background=False)
        assert not paint_tokens(tokens.patches, tokens.alpha, tokens.boxes, tokens.labels, (4, 5)).any()

    @pytest.mark.parametrize("size", [(1, 1), (1, 30), (30, 1), (5, 3)])
    def test_canvas_of_another_size(self, photo, make_map, size):
        canvas = painted(tokenize(photo, make_map(72, 96, 20), 16), size)
        assert canvas.shape == (3, *size)
        assert canvas.float().mean().item() == pytest.approx(photo.float().mean().item(), abs=45)

    def test_a_box_smaller_than_a_pixel_is_seen(self):
        patches, alpha = torch.full((1, 3, 4, 4), 90, dtype=torch.uint8), torch.full((1, 4, 4), 255, dtype=torch.uint8)
        for box in ([0.51, 0.51, 0.52, 0.52], [0.999, 0.999, 1.0, 1.0], [0.0, 0.0, 1e-5, 1e-5]):
            canvas = paint_tokens(patches, alpha, torch.tensor([box]), torch.tensor([1]), (4, 4))
            assert (canvas[0] > 0).sum() == 1

    @pytest.mark.parametrize(
        ("alpha", "labels"), [((3, 5, 4), (3,)), ((2, 4, 4), (3,)), ((3, 4, 4), (2,)), ((3, 4, 4), (3, 1))]
    )
    def test_shapes(self, alpha, labels):
        with pytest.raises(ValueError, match="patches, alpha and labels must fit together, got"):
            paint_tokens(
                torch.zeros(3, 3, 4, 4), torch.zeros(alpha), torch.zeros(3, 4), torch.zeros(labels).long(), (4, 4)
            )
