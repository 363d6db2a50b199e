"""Ways for a tensor of the same values to lie in memory."""

import torch
from torchvision import tv_tensors

from segaug._checks import check_choice, describe

__all__ = ["LAYOUTS", "layout_of", "with_layout"]

LAYOUTS: tuple[str, ...] = ("contiguous", "channels_last", "sliced", "expanded", "transposed", "offset")
"""The names of the layouts, see :func:`with_layout`."""

_OFFSET = 3


def with_layout(tensor: torch.Tensor, layout: str) -> torch.Tensor:
    """Copy a tensor into memory of another layout.

    Memory that belongs to no value holds what a picture seldom is (the largest uint8, 1.0, True, -1), so that reading it
    by mistake shows.

    Args:
        tensor: (..., H, W), any dtype.
        layout: ``"contiguous"``; ``"channels_last"``: the values of one pixel lie together; ``"sliced"``: every second
            row and column of a larger buffer; ``"expanded"``: the first entry of the first dimension, repeated with
            stride 0; ``"transposed"``: the values of one column lie together; ``"offset"``: contiguous, but not from
            the start of its buffer.

    Returns:
        A tensor of the same type, shape, dtype and values; with ``"expanded"`` the first entry's values throughout.

    Raises:
        ValueError: If ``layout`` is unknown, or the tensor has too few dimensions for it.

    Example:
        >>> image = torch.zeros(3, 4, 5)
        >>> with_layout(image, "channels_last").stride(), with_layout(image, "expanded").stride()
        ((1, 15, 3), (0, 5, 1))
    """
    check_choice("layout", layout, LAYOUTS)
    least = 3 if layout == "channels_last" else 2
    if tensor.ndim < least:
        raise ValueError(f"tensor must have at least {least} dimensions for {layout!r}, got {describe(tensor)}")
    plain = tensor.detach().as_subclass(torch.Tensor)
    if layout == "channels_last":
        out = _copy(plain.movedim(-3, -1)).movedim(-1, -3)
    elif layout == "sliced":
        height, width = plain.shape[-2:]
        buffer = plain.new_full((*plain.shape[:-2], 2 * height, 2 * width), _filler(plain.dtype))
        out = buffer[..., ::2, ::2].copy_(plain)
    elif layout == "expanded":
        out = _copy(plain[:1]).expand(plain.shape)
    elif layout == "transposed":
        out = _copy(plain.transpose(-1, -2)).transpose(-1, -2)
    elif layout == "offset":
        buffer = plain.new_full((_OFFSET + plain.numel(),), _filler(plain.dtype))
        out = buffer[_OFFSET:].view(plain.shape).copy_(plain)
    else:
        out = _copy(plain)
    return tv_tensors.wrap(out, like=tensor) if isinstance(tensor, tv_tensors.TVTensor) else out


def layout_of(tensor: torch.Tensor) -> str | None:
    """Find the layout that gives a tensor's strides.

    Args:
        tensor: (..., H, W), any dtype.

    Returns:
        The first of :data:`LAYOUTS` whose result has the strides of ``tensor``, those of dimensions of size 1 aside, and
        starts at its buffer's start or not, as ``tensor`` does; None if there is no such layout.

    Raises:
        ValueError: If the tensor has fewer than two dimensions.

    Example:
        >>> image = torch.zeros(3, 4, 5)
        >>> layout_of(image), layout_of(with_layout(image, "sliced")), layout_of(image.flip(0)[:, 1:, ::3])
        ('contiguous', 'sliced', None)
    """
    if tensor.ndim < 2:
        raise ValueError(f"tensor must have at least 2 dimensions, got {describe(tensor)}")
    model = torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")
    here = _steps(tensor)
    for layout in LAYOUTS:
        if (layout != "channels_last" or tensor.ndim > 2) and _steps(with_layout(model, layout)) == here:
            return layout
    return None


def _copy(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.clone(memory_format=torch.contiguous_format)


def _filler(dtype: torch.dtype) -> int | bool:
    if dtype == torch.bool or dtype.is_floating_point:
        return True
    return 255 if dtype == torch.uint8 else -1


def _steps(tensor: torch.Tensor) -> tuple[list[int], bool]:
    strides = [step for step, length in zip(tensor.stride(), tensor.shape, strict=True) if length > 1]
    return strides, bool(tensor.storage_offset() > 0)
