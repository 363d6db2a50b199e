"""Weights that resize many crops along one axis to the same few pixels, kept from call to call."""

from functools import lru_cache

import torch

from segaug.functional._resample import resize_weights

__all__ = ["crop_weights"]

# Weights for all lengths up to this are kept: 4 MiB for patches of 16 pixels.
_LONGEST_IN_BANK = 256


def crop_weights(
    length: torch.Tensor, longest: int, size: int, dtype: torch.dtype, frame: tuple[torch.Tensor, int] | None = None
) -> torch.Tensor:
    """Weights that resize the first ``length`` pixels of each crop, alone or centred in a longer empty frame.

    Args:
        length: (K,) int64: pixels of each crop, at least 1.
        longest: The pixels that are there of every crop, at least the largest ``length``.
        size: Pixels after the resize.
        dtype: float32 or float64.
        frame: Pixels of the frame of each crop, (K,) int64, at least ``length``, and the most of them; None for none.

    Returns:
        (K, size, longest). Each row sums to 1, or to less where the frame shows.

    Example:
        >>> crop_weights(torch.tensor([2]), 3, 2, torch.float32).tolist()
        [[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]
        >>> crop_weights(torch.tensor([2]), 2, 4, torch.float32, frame=(torch.tensor([4]), 4)).tolist()
        [[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]]
    """
    if frame is None:
        return _weights(length, longest, size, dtype)
    # A frame's weights, from where the crop begins in it.
    sides, most = frame
    pixel = torch.arange(longest, device=length.device)
    place = pixel + ((sides - length) // 2)[:, None]
    inside = pixel < length[:, None]
    if most > _LONGEST_IN_BANK:
        weights = _weights(sides, most, size, dtype).transpose(1, 2)
        weights = weights.gather(1, place.clamp_(max=most - 1)[..., None].expand(-1, -1, size)) * inside[..., None]
        return weights.transpose(1, 2)
    length_in_bank = _bank_length(most)
    bank = _frame_bank(length_in_bank, size, dtype, length.device)
    rows = torch.where(inside, place + (sides * length_in_bank)[:, None], len(bank) - 1)
    return bank.index_select(0, rows.view(-1)).view(len(length), longest, size).transpose(1, 2)


def _weights(length: torch.Tensor, longest: int, size: int, dtype: torch.dtype) -> torch.Tensor:
    if longest > _LONGEST_IN_BANK:
        return resize_weights(torch.zeros_like(length), length, longest, size, dtype)
    # They depend on the length alone, so they are kept; a power of two, so that few banks are made.
    bank = _weight_bank(_bank_length(longest), size, dtype, length.device)
    return bank.index_select(0, length)[..., :longest]


def _bank_length(longest: int) -> int:
    return 1 << max(4, (longest - 1).bit_length())


@lru_cache(maxsize=16)
def _weight_bank(longest: int, size: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Weights for every length up to ``longest``: (longest + 1, size, longest)."""
    lengths = torch.arange(longest + 1, device=device).clamp_(min=1)
    return resize_weights(torch.zeros_like(lengths), lengths, longest, size, dtype)


@lru_cache(maxsize=16)
def _frame_bank(longest: int, size: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """The same with a row per length and pixel, and one of zeros: ((longest + 1) * longest + 1, size)."""
    rows = _weight_bank(longest, size, dtype, device).transpose(1, 2).reshape(-1, size)
    return torch.cat([rows, rows.new_zeros((1, size))])
