import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional as F

from segaug.functional import crop, horizontal_flip, resized_crop, vertical_flip

FLIPS = [(horizontal_flip, F.horizontal_flip_image), (vertical_flip, F.vertical_flip_image)]


def pixels_of(shape, dtype, seed=0):
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    return pixels if dtype == torch.uint8 else (pixels / 255).to(dtype)


class TestFlips:
    @pytest.mark.parametrize(("kernel", "plain"), FLIPS)
    @pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.float32])
    @pytest.mark.parametrize("shape", [(5, 3, 4, 6), (2, 3, 1, 7, 7), (1, 3, 1, 1), (0, 3, 4, 4), (3, 4, 4)])
    def test_the_chosen_alone(self, kernel, plain, dtype, shape):
        pixels = pixels_of(shape, dtype)
        before = pixels.clone()
        which = torch.rand(shape[:-3], generator=torch.Generator().manual_seed(1)) < 0.5
        out = kernel(pixels, which)
        assert torch.equal(pixels, before)
        assert (out.shape, out.dtype) == (pixels.shape, dtype)
        count = which.numel()
        for got, one, flip in zip(
            out.view(count, *shape[-3:]), pixels.view(count, *shape[-3:]), which.view(-1).tolist(), strict=True
        ):
            assert torch.equal(got, plain(one) if flip else one)

    @pytest.mark.parametrize("kernel", [horizontal_flip, vertical_flip])
    @pytest.mark.parametrize(
        "which", [torch.ones(4), torch.ones(4, dtype=torch.int64), torch.ones(3).bool(), torch.tensor(True)]
    )
    def test_bad_choice(self, kernel, which):
        with pytest.raises(ValueError, match=r"which must be bool of shape \(4,\), got"):
            kernel(torch.zeros(4, 3, 2, 2), which)


class TestCrop:
    @pytest.mark.parametrize("leading", [(), (7,), (2, 3), (0,)])
    @pytest.mark.parametrize("size", [(1, 1), (4, 2), (6, 8)])
    def test_each_its_own_window(self, leading, size):
        pixels = pixels_of((*leading, 3, 6, 8), torch.uint8)
        generator = torch.Generator().manual_seed(0)
        top, left = (
            torch.randint(side - part + 1, leading, generator=generator)
            for side, part in zip((6, 8), size, strict=True)
        )
        out = crop(pixels, top, left, size)
        assert out.shape == (*leading, 3, *size)
        assert out.dtype == pixels.dtype
        for got, one, row, column in zip(
            out.reshape(-1, 3, *size), pixels.reshape(-1, 3, 6, 8), top.reshape(-1), left.reshape(-1), strict=True
        ):
            assert torch.equal(got, F.crop_image(one, int(row), int(column), *size))

    @pytest.mark.parametrize(
        ("top", "left", "size", "name"), [(-1, 0, (2, 2), "top"), (3, 0, (2, 2), "top"), (0, 3, (2, 2), "left")]
    )
    def test_beyond_the_patch(self, top, left, size, name):
        with pytest.raises(ValueError, match=f"{name} must give windows of at least one pixel inside patches of 4 x 4"):
            crop(torch.zeros(1, 3, 4, 4), torch.tensor([top]), torch.tensor([left]), size)

    def test_larger_than_the_patch(self):
        none = torch.zeros(0, dtype=torch.int64)
        with pytest.raises(ValueError, match="top must give windows"):
            crop(torch.zeros(0, 3, 4, 4), none, none, (5, 2))

    def test_bad_input(self):
        pixels, zero = torch.zeros(2, 3, 4, 4), torch.zeros(2, dtype=torch.int64)
        with pytest.raises(ValueError, match=r"left must have shape \(2,\), got"):
            crop(pixels, zero, zero[:1], (2, 2))
        with pytest.raises(TypeError, match="top must be integers, got"):
            crop(pixels, zero.float(), zero, (2, 2))
        with pytest.raises(ValueError, match="size must be at least 1, got 0"):
            crop(pixels, zero, zero, (0, 2))


class TestResizedCrop:
    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(st.data())
    def test_each_window_as_torchvision(self, data):
        rows, columns = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 20))
        size = data.draw(st.tuples(st.integers(1, 24), st.integers(1, 24)))
        dtype = data.draw(st.sampled_from([torch.uint8, torch.float32, torch.float64]))
        channels = data.draw(st.sampled_from([1, 3]))
        windows = []
        for _ in range(data.draw(st.integers(1, 4))):
            height, width = data.draw(st.integers(1, rows)), data.draw(st.integers(1, columns))
            windows.append(
                (data.draw(st.integers(0, rows - height)), data.draw(st.integers(0, columns - width)), height, width)
            )
        pixels = pixels_of((len(windows), channels, rows, columns), dtype)
        before = pixels.clone()
        out = resized_crop(pixels, *torch.tensor(windows).unbind(-1), size)
        assert torch.equal(pixels, before)
        assert out.dtype == dtype
        bound = 1 if dtype == torch.uint8 else 1e-5
        for got, one, window in zip(out, pixels, windows, strict=True):
            expected = F.resized_crop_image(one, *window, list(size), antialias=True)
            assert (got.double() - expected.double()).abs().max() <= bound

    @pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
    def test_the_whole_patch_at_its_size_is_unchanged(self, dtype):
        pixels = pixels_of((4, 3, 9, 7), dtype)
        zero, rows, columns = torch.zeros(4, dtype=torch.int64), torch.full((4,), 9), torch.full((4,), 7)
        assert torch.equal(resized_crop(pixels, zero, zero, rows, columns, (9, 7)), pixels)

    @pytest.mark.parametrize("leading", [(6,), (2, 3), (1, 6, 1), (0,), (2, 0), ()])
    @pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
    def test_leading_dimensions(self, leading, dtype):
        pixels = pixels_of((*leading, 3, 8, 8), dtype)
        count = torch.Size(leading).numel()
        steps = torch.arange(count).view(leading)
        windows = steps % 3, steps % 4, steps % 5 + 1, steps % 4 + 1
        out = resized_crop(pixels, *windows, (5, 6))
        assert out.shape == (*leading, 3, 5, 6)
        for i in range(count):
            alone = resized_crop(pixels.view(-1, 3, 8, 8)[i], *(value.reshape(-1)[i] for value in windows), (5, 6))
            torch.testing.assert_close(out.view(-1, 3, 5, 6)[i], alone, rtol=0, atol=1e-6)

    def test_strided_pixels(self):
        pixels = pixels_of((3, 8, 8, 3), torch.float32).permute(0, 3, 2, 1)
        one = torch.ones(3, dtype=torch.int64)
        left = resized_crop(pixels, one, one, one * 5, one * 6, (4, 4))
        assert torch.equal(left, resized_crop(pixels.contiguous(), one, one, one * 5, one * 6, (4, 4)))

    @pytest.mark.parametrize(
        "window", [(-1, 0, 2, 2), (0, 0, 0, 2), (3, 0, 2, 2), (0, 3, 2, 2), (0, 0, 2, 0), (0, -1, 2, 2)]
    )
    def test_windows_outside(self, window):
        with pytest.raises(ValueError, match="must give windows of at least one pixel inside patches of 4 x 4"):
            resized_crop(torch.zeros(1, 3, 4, 4), *(torch.tensor([value]) for value in window), (2, 2))

    def test_one_value_for_all(self):
        two = torch.tensor([2, 2])
        with pytest.raises(ValueError, match=r"left must have shape \(2,\), got"):
            resized_crop(torch.zeros(2, 3, 4, 4), two * 0, torch.tensor(0), two, two, (2, 2))
