"""Tokens of a batch side by side, without padding."""

from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Packing"]


class Packing(NamedTuple):
    """Where the tokens of a padded batch (B, L) lie in a row (T,) of those that are no padding.

    Args:
        shape: (B, L).
        slots: (T,) int64: each token's slot in the flattened batch.
        images: (T,) int64: each token's image.
        mask: (B, 1, 1, L) bool: which slots hold a token.
    """

    shape: torch.Size
    slots: Tensor
    images: Tensor
    mask: Tensor

    @classmethod
    def of(cls, real: Tensor) -> Self:
        """Pack the slots (B, L) that are True."""
        slots = real.flatten().nonzero().squeeze(1)
        return cls(real.shape, slots, slots // real.shape[1], real[:, None, None])

    def pack(self, x: Tensor) -> Tensor:
        """Map (B, L, ...) to (T, ...)."""
        return x.flatten(0, 1).index_select(0, self.slots)

    def unpack(self, x: Tensor) -> Tensor:
        """Map (T, ...) to (B, L, ...), zeros at padding."""
        zeros = x.new_zeros((self.shape[0] * self.shape[1], *x.shape[1:]))
        return zeros.index_copy(0, self.slots, x).view(*self.shape, *x.shape[1:])

    @property
    def lengths(self) -> Tensor:
        """(B,) int64: the images' numbers of tokens."""
        return self.mask.sum((1, 2, 3))

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Scaled dot-product attention of each image's tokens among themselves: three (T, H, D/H) to one."""
        if q.is_cuda and q.dtype in (torch.float16, torch.bfloat16):
            # torch has a kernel for rows of several lengths on CUDA, in half precision.
            from torch.nn.attention.varlen import varlen_attn

            ends = F.pad(self.lengths.cumsum(0), (1, 0)).to(torch.int32)
            longest = self.shape[1]
            out: Tensor = varlen_attn(q, k, v, ends, ends, longest, longest)  # type: ignore[assignment]
            return out
        q, k, v = (self.unpack(part).transpose(1, 2) for part in (q, k, v))
        return self.pack(F.scaled_dot_product_attention(q, k, v, attn_mask=self.mask).transpose(1, 2))
