import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional as F

from segaug.functional import affine, elastic, perspective, rotate
from segaug.functional._grid import perspective_coefficients

few = settings(max_examples=40, deadline=None, derandomize=True)
MODES = ["nearest", "bilinear"]
DTYPES = [torch.uint8, torch.float16, torch.float32, torch.float64]


def pixels_of(shape, dtype, seed=0):
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    return pixels if dtype == torch.uint8 else (pixels / 255).to(dtype)


def unchanged(leading, height, width):
    """Each kernel, with parameters that change nothing."""
    one, none = torch.ones(leading), torch.zeros((*leading, 2))
    corners = torch.tensor([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]).expand(*leading, 4, 2)
    return [
        (affine, (one * 0, none, one, none)),
        (rotate, (one * 0,)),
        (perspective, (perspective_coefficients(corners, corners),)),
        (elastic, (torch.zeros(*leading, height, width, 2),)),
    ]


def changed(leading, height, width, seed=0):
    """Each kernel, with parameters that change much."""
    torch.manual_seed(seed)
    inwards = torch.tensor([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * torch.randint(0, 3, (*leading, 4, 2))
    corners = torch.tensor([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]).expand(*leading, 4, 2)
    return [
        (
            affine,
            (
                torch.empty(leading).uniform_(-180, 180),
                torch.randint(-3, 4, (*leading, 2)),
                torch.empty(leading).uniform_(0.5, 2.0),
                torch.empty(*leading, 2).uniform_(-40, 40),
            ),
        ),
        (rotate, (torch.empty(leading).uniform_(-500, 500),)),
        (perspective, (perspective_coefficients(corners, corners + inwards),)),
        (elastic, (torch.randn(*leading, height, width, 2) * 0.2,)),
    ]


KERNELS = range(4)


class TestAll:
    @pytest.mark.parametrize("which", KERNELS)
    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("fill_mask", [False, True])
    def test_no_change(self, which, mode, dtype, fill_mask):
        pixels = pixels_of((6, 3, 7, 10), dtype)
        before = pixels.clone()
        kernel, params = unchanged((6,), 7, 10)[which]
        out = kernel(pixels, *params, interpolation=mode, fill_mask=fill_mask)
        assert torch.equal(pixels, before)
        assert (out.shape, out.dtype) == (pixels.shape, dtype)
        torch.testing.assert_close(out, pixels, atol=1e-5 if dtype.is_floating_point else 0, rtol=1e-3)

    @pytest.mark.parametrize("which", KERNELS)
    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("leading", [(), (4,), (2, 3), (0,), (2, 0)])
    def test_leading_shapes_and_a_batch_equals_its_parts(self, which, mode, leading):
        pixels = pixels_of((*leading, 4, 6, 9), torch.float32)
        kernel, params = changed(leading, 6, 9)[which]
        out = kernel(pixels, *params, interpolation=mode)
        assert (out.shape, out.dtype) == (pixels.shape, pixels.dtype)
        depth = len(leading)
        flat = [p.reshape(-1, *p.shape[depth:]) for p in params]
        for i, one in enumerate(pixels.reshape(-1, 4, 6, 9)):
            alone = kernel(one, *(p[i] for p in flat), interpolation=mode)
            assert torch.equal(alone, out.reshape(-1, 4, 6, 9)[i])

    @pytest.mark.parametrize("which", KERNELS)
    def test_fill_mask_darkens_the_border_of_bilinear_alone(self, which):
        pixels = torch.ones(20, 1, 8, 8)
        kernel, params = changed((20,), 8, 8)[which]
        once = kernel(pixels, *params, interpolation="bilinear")
        twice = kernel(pixels, *params, interpolation="bilinear", fill_mask=True)
        torch.testing.assert_close(twice, once.square())
        nearest = kernel(pixels, *params, interpolation="nearest", fill_mask=True)
        assert set(nearest.unique().tolist()) == {0.0, 1.0}

    @pytest.mark.parametrize("which", KERNELS)
    def test_colour_stays_below_coverage(self, which):
        alpha = pixels_of((50, 1, 9, 9), torch.uint8)
        layers = torch.cat([(alpha * 0.7).round().byte(), alpha], 1)
        kernel, params = changed((50,), 9, 9)[which]
        for fill_mask in (False, True):
            out = kernel(layers, *params, interpolation="bilinear", fill_mask=fill_mask)
            assert bool((out[:, 0] <= out[:, 1]).all())

    @pytest.mark.parametrize("which", KERNELS)
    def test_bad_interpolation(self, which):
        kernel, params = unchanged((2,), 4, 4)[which]
        with pytest.raises(ValueError, match="interpolation must be one of 'nearest', 'bilinear', got 'bicubic'"):
            kernel(torch.zeros(2, 3, 4, 4), *params, interpolation="bicubic")

    @pytest.mark.parametrize(
        ("which", "name", "position"),
        [
            (0, "angle", 0),
            (0, "translate", 1),
            (0, "scale", 2),
            (0, "shear", 3),
            (1, "angle", 0),
            (2, "coefficients", 0),
            (3, "displacement", 0),
        ],
    )
    @pytest.mark.parametrize("bad", [torch.zeros(3, 5), torch.tensor(1.0), 1.0])
    def test_bad_shape(self, which, name, position, bad):
        kernel, params = unchanged((2,), 4, 4)[which]
        with pytest.raises(ValueError, match=rf"{name} must be a tensor of shape \(2,.*\), got"):
            kernel(torch.zeros(2, 3, 4, 4), *params[:position], bad, *params[position + 1 :])


@st.composite
def cases(draw):
    height, width = draw(st.integers(1, 14)), draw(st.integers(1, 14))
    dtype = draw(st.sampled_from([torch.uint8, torch.float32, torch.float64]))
    pixels = pixels_of((4, draw(st.sampled_from([1, 4])), height, width), dtype, seed=draw(st.integers(0, 99)))
    options = {"interpolation": draw(st.sampled_from(MODES)), "fill": draw(st.sampled_from([None, 0]))}
    return pixels, options, draw(st.integers(0, 99))


def check(out, expected):
    for got, one in zip(out, expected, strict=True):
        torch.testing.assert_close(got, one, atol=1 if got.dtype == torch.uint8 else 1e-5, rtol=0)


def ours(options):
    return {"interpolation": options["interpolation"], "fill_mask": options["fill"] is not None}


class TestAsTorchvision:
    @few
    @given(cases(), st.sampled_from([None, [0, 0], [3.5, 2.0]]))
    def test_affine(self, case, center):
        pixels, options, seed = case
        angle, translate, scale, shear = changed((4,), *pixels.shape[-2:], seed=seed)[0][1]
        expected = [
            F.affine_image(
                pixels[i],
                angle[i].item(),
                translate[i].tolist(),
                scale[i].item(),
                shear[i].tolist(),
                center=center,
                **options,
            )
            for i in range(4)
        ]
        check(affine(pixels, angle, translate, scale, shear, center=center, **ours(options)), expected)

    @few
    @given(cases(), st.sampled_from([None, [0, 0], [3.5, 2.0]]))
    def test_rotate(self, case, center):
        pixels, options, seed = case
        angle = changed((4,), 3, 3, seed=seed)[1][1][0]
        expected = [F.rotate_image(pixels[i], angle[i].item(), center=center, **options) for i in range(4)]
        check(rotate(pixels, angle, center=center, **ours(options)), expected)

    @few
    @given(cases())
    def test_elastic(self, case):
        pixels, options, seed = case
        displacement = changed((4,), *pixels.shape[-2:], seed=seed)[3][1][0]
        expected = [F.elastic_image(pixels[i], displacement[i : i + 1], **options) for i in range(4)]
        check(elastic(pixels, displacement, **ours(options)), expected)

    @few
    @given(cases())
    def test_perspective(self, case):
        pixels, options, seed = case
        torch.manual_seed(seed)
        start = torch.tensor([[0, 0], [11, 0], [11, 9], [0, 9]]).expand(4, 4, 2)
        end = start + torch.randint(-2, 3, start.shape)
        coefficients = perspective_coefficients(start, end)
        expected = [F.perspective_image(pixels[i], start[i].tolist(), end[i].tolist(), **options) for i in range(4)]
        from_given = [
            F.perspective_image(pixels[i], None, None, coefficients=coefficients[i].tolist(), **options)
            for i in range(4)
        ]
        out = perspective(pixels, coefficients, **ours(options))
        check(out, from_given)
        if options["interpolation"] == "bilinear":
            check(out, expected)


class TestAffine:
    def test_each_its_own_center(self):
        pixels = pixels_of((5, 3, 8, 8), torch.uint8)
        params = changed((5,), 8, 8)[0][1]
        centers = torch.rand(5, 2) * 8
        out = affine(pixels, *params, center=centers, interpolation="bilinear")
        for i in range(5):
            alone = affine(pixels[i], *(p[i] for p in params), center=centers[i], interpolation="bilinear")
            assert torch.equal(out[i], alone)

    def test_moves_by_whole_pixels(self):
        pixels = pixels_of((2, 3, 6, 8), torch.uint8)
        one = torch.ones(2)
        out = affine(pixels, one * 0, torch.tensor([[2, -1], [0, 3]]), one, torch.zeros(2, 2))
        assert torch.equal(out[0, :, :-1, 2:], pixels[0, :, 1:, :-2])
        assert not out[0, :, -1].any()
        assert torch.equal(out[1, :, 3:], pixels[1, :, :-3])

    @pytest.mark.parametrize("scale", [0.0, -1.0, math.nan])
    def test_bad_scale(self, scale):
        none = torch.zeros(1, 2)
        with pytest.raises(ValueError, match="scale must be above 0, got"):
            affine(torch.zeros(1, 3, 4, 4), torch.zeros(1), none, torch.tensor([scale]), none)

    def test_bad_center(self):
        one, none = torch.ones(2), torch.zeros(2, 2)
        with pytest.raises(ValueError, match=r"center must be a tensor of shape \(2, 2\), got"):
            affine(torch.zeros(2, 3, 4, 4), one, none, one, none, center=[1.0, 2.0, 3.0])


class TestRotate:
    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("size", [8, 9])
    def test_quarter_turns(self, mode, size):
        pixels = pixels_of((5, 3, size, size), torch.uint8)
        out = rotate(pixels, torch.tensor([0.0, 90.0, 180.0, 270.0, -90.0]), interpolation=mode, fill_mask=True)
        for i, turns in enumerate((0, 1, 2, 3, -1)):
            assert torch.equal(out[i], pixels[i].rot90(turns, (-2, -1)))

    @few
    @given(st.floats(-360, 360), st.sampled_from([-1080.0, -360.0, 360.0, 720.0]))
    def test_a_full_turn_more(self, angle, more):
        pixels = pixels_of((1, 3, 9, 6), torch.float64)
        once, more = (
            rotate(pixels, torch.tensor([a], dtype=torch.float64), interpolation="bilinear")
            for a in (angle, angle + more)
        )
        torch.testing.assert_close(once, more, atol=1e-9, rtol=0)

    def test_turns_the_other_way_than_affine(self):
        pixels = pixels_of((4, 3, 9, 9), torch.uint8)
        angle, none = torch.tensor([10.0, 50.0, -20.0, 100.0]), torch.zeros(4, 2)
        assert torch.equal(rotate(pixels, angle), affine(pixels, -angle, none, torch.ones(4), none))


def test_the_horizon_is_outside():
    # At the middle of the second pixel of four, the line of sight is level.
    coefficients = torch.tensor([[1.0, 0, 0, 0, 1, 0, -1 / 1.5, 0], [1.0, 0, -1.5, 0, 0, 0, -1 / 1.5, 0]])
    for mode in MODES:
        out = perspective(torch.ones(2, 1, 1, 4), coefficients, interpolation=mode, fill_mask=True)
        assert bool(out.isfinite().all())
        assert not out[..., 1].any()


class TestPerspectiveCoefficients:
    @few
    @given(st.integers(2, 40), st.integers(2, 40), st.integers(0, 99))
    def test_takes_corners_there(self, height, width, seed):
        torch.manual_seed(seed)
        start = torch.tensor([[0, 0], [width, 0], [width, height], [0, height]]).double()
        inwards = torch.tensor([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * torch.rand(3, 4, 2) * 0.45
        end = start + inwards * torch.tensor([width, height])
        a = torch.cat([perspective_coefficients(start.expand(3, 4, 2), end).double(), torch.ones(3, 1)], -1)
        back = torch.cat([end, torch.ones(3, 4, 1)], -1).double() @ a.view(3, 3, 3).transpose(1, 2)
        torch.testing.assert_close(back[..., :2] / back[..., 2:], start.expand(3, 4, 2), atol=1e-3, rtol=1e-3)

    def test_none_change_nothing(self):
        start = torch.tensor([[0, 0], [8, 0], [8, 8], [0, 8]]).expand(2, 4, 2)
        end = torch.stack([torch.full((4, 2), 4), start[1]])
        unchanged = torch.tensor([1.0, 0, 0, 0, 1, 0, 0, 0])
        torch.testing.assert_close(perspective_coefficients(start, end), unchanged.expand(2, 8))
