import pytest
import torch
from torchvision import tv_tensors

from segaug import SegmentMap
from segaug.testing.strategies import LAYOUTS, layout_of, with_layout


def picture(*shape, dtype=torch.uint8):
    return torch.arange(torch.Size(shape).numel()).reshape(shape).to(dtype)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.int64, torch.bool])
@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 3, 4, 5)])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_keeps_values_and_is_found_again(layout, shape, dtype):
    tensor = picture(*shape, dtype=dtype)
    out = with_layout(tensor, layout)
    expected = tensor[:1].expand(shape) if layout == "expanded" else tensor
    assert torch.equal(out, expected)
    assert out.dtype == dtype
    assert layout_of(out) == layout
    assert out.untyped_storage().data_ptr() != tensor.untyped_storage().data_ptr()


def test_layouts_are_what_their_names_say():
    image, batch = picture(3, 4, 6), picture(2, 3, 4, 6)
    assert with_layout(batch, "channels_last").is_contiguous(memory_format=torch.channels_last)
    assert with_layout(image, "expanded").stride()[0] == 0
    assert with_layout(image, "transposed").transpose(-1, -2).is_contiguous()
    offset = with_layout(image, "offset")
    assert offset.is_contiguous()
    assert offset.storage_offset() > 0
    sliced = with_layout(image, "sliced")
    assert sliced.stride() == (4 * 4 * 6, 2 * 2 * 6, 2)
    # What lies between belongs to no pixel, and shows when it is read.
    assert (sliced.as_strided((3 * 8 * 12,), (1,))[1::2] == 255).all()


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "channels_last"])
def test_maps_have_layouts_too(layout):
    labels = with_layout(SegmentMap([[1, 2, 0], [3, 3, 0]]), layout)
    assert type(labels) is SegmentMap
    assert layout_of(labels) == layout


def test_keeps_boxes_what_they_are():
    boxes = tv_tensors.BoundingBoxes([[0, 0, 1, 1], [1, 1, 2, 2]], format="XYXY", canvas_size=(4, 4))
    assert with_layout(boxes, "transposed").canvas_size == (4, 4)


def test_one_pixel_is_contiguous_in_every_layout():
    assert {layout_of(with_layout(picture(1, 1, 1), name)) for name in LAYOUTS} == {"contiguous", "offset"}


def test_no_layout_is_none():
    assert layout_of(picture(3, 8, 8)[:, :, ::3]) is None


@pytest.mark.parametrize("name", LAYOUTS)
def test_empty_tensors(name):
    assert with_layout(torch.zeros(0, 3, 4), name).shape == (0, 3, 4)


def test_bad_input():
    with pytest.raises(ValueError, match=r"layout must be one of 'contiguous'.*got 'fortran'"):
        with_layout(picture(3, 2, 2), "fortran")
    with pytest.raises(ValueError, match="tensor must have at least 3 dimensions for 'channels_last'"):
        with_layout(picture(2, 2), "channels_last")
    with pytest.raises(ValueError, match="tensor must have at least 2 dimensions"):
        layout_of(picture(2))
