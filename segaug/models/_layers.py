"""The parts of a transformer block.

Legend of the dimensions:
    ...  leading shape: (B,) for a batch of images, () for one image
    L    tokens in the transformer, padding included
    T    tokens of a whole batch without padding, side by side (see Packing)
    D    width of a token
    H    attention heads

A layer takes tokens (..., L, D) with a mask of the keys to look at, or (T, D) with a Packing. All but attention treat
tokens one by one, so only attention and stochastic depth need to know which.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segaug.models._packing import Packing

__all__ = ["Block", "ClassAttentionBlock", "Mlp"]


class DropPath(nn.Module):
    """Leaves out the whole branch for some images while training (stochastic depth, arXiv 1603.09382)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor, among: Tensor | Packing | None) -> Tensor:
        """Map (..., L, D) to (..., L, D), or (T, D) to (T, D)."""
        if not self.training or self.rate == 0.0:
            return x
        keep = 1.0 - self.rate
        # One draw per image, so the stream of draws does not depend on the number of tokens.
        if isinstance(among, Packing):
            kept = x.new_empty((among.shape[0], 1)).bernoulli_(keep).index_select(0, among.images)
        else:
            kept = x.new_empty((*x.shape[:-2], 1, 1)).bernoulli_(keep)
        # Dividing keeps the branch's mean what it is in eval mode.
        return x * kept.div_(keep)

    def extra_repr(self) -> str:
        """Show the rate in the printed model."""
        return f"rate={self.rate:.3f}"


class LayerScale(nn.Module):
    """A learned factor for each channel of a branch (CaiT, arXiv 2103.17239, section 2)."""

    def __init__(self, embed_dim: int, init_value: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((embed_dim,), init_value))

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., D) to (..., D)."""
        return x * self.gamma


class Mlp(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, in_features: int, hidden_features: int, out_features: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(in_features, hidden_features)
        self.fc2 = nn.Linear(hidden_features, out_features)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in_features) to (..., out_features)."""
        return self.fc2(F.gelu(self.fc1(x)))


class Attention(nn.Module):
    """Multi-head self-attention that never looks at padding."""

    def __init__(self, embed_dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(embed_dim, 3 * embed_dim)
        self.proj = nn.Linear(embed_dim, embed_dim)

    def forward(self, x: Tensor, among: Tensor | Packing | None) -> Tensor:
        """Map (..., L, D) to (..., L, D), or (T, D) to (T, D); a mask (..., 1, 1, L) is True for the keys to look at."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).unbind(-3)  # each (..., L, H, D/H)
        return self.proj(_attend(q, k, v, among).flatten(-2))

    def weights(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Map (..., L, D) to the attention (..., H, L, L): for each query (row) the weights of the keys, of sum 1."""
        q, k, _ = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).movedim(-3, 0).transpose(-3, -2)
        return _attention_weights(q, k, mask)

    def extra_repr(self) -> str:
        """Show the heads in the printed model."""
        return f"num_heads={self.num_heads}"


class Block(nn.Module):
    """Pre-norm transformer block: attention, then MLP, each on a residual path."""

    def __init__(
        self, embed_dim: int, num_heads: int, mlp_ratio: float, drop_path: float, init_values: float | None
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dim, eps=1e-6)
        self.attn = Attention(embed_dim, num_heads)
        self.ls1 = _layer_scale(embed_dim, init_values)
        self.norm2 = nn.LayerNorm(embed_dim, eps=1e-6)
        self.mlp = Mlp(embed_dim, int(embed_dim * mlp_ratio), embed_dim)
        self.ls2 = _layer_scale(embed_dim, init_values)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, among: Tensor | Packing | None) -> Tensor:
        """Map (..., L, D) to (..., L, D), or (T, D) to (T, D)."""
        x = x + self.drop_path(self.ls1(self.attn(self.norm1(x), among)), among)
        return x + self.drop_path(self.ls2(self.mlp(self.norm2(x))), among)


class ClassAttention(nn.Module):
    """Attention whose only query is the class token (CaiT, arXiv 2103.17239, section 3)."""

    def __init__(self, embed_dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q = nn.Linear(embed_dim, embed_dim)
        self.k = nn.Linear(embed_dim, embed_dim)
        self.v = nn.Linear(embed_dim, embed_dim)
        self.proj = nn.Linear(embed_dim, embed_dim)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Map (..., L, D), the class token first, to the class token's (..., 1, D)."""
        parts = (self.q(x[..., :1, :]), self.k(x), self.v(x))
        q, k, v = (part.unflatten(-1, (self.num_heads, -1)) for part in parts)
        return self.proj(_attend(q, k, v, mask).flatten(-2))

    def weights(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Map (..., L, D) to the weights of the keys (..., H, 1, L)."""
        q, k = (
            part.unflatten(-1, (self.num_heads, -1)).transpose(-3, -2) for part in (self.q(x[..., :1, :]), self.k(x))
        )
        return _attention_weights(q, k, mask)

    def extra_repr(self) -> str:
        """Show the heads in the printed model."""
        return f"num_heads={self.num_heads}"


class ClassAttentionBlock(nn.Module):
    """A block that changes the class token alone: it looks at the others, and they do not look at it."""

    def __init__(
        self, embed_dim: int, num_heads: int, mlp_ratio: float, drop_path: float, init_values: float | None
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dim, eps=1e-6)
        self.attn = ClassAttention(embed_dim, num_heads)
        self.ls1 = _layer_scale(embed_dim, init_values)
        self.norm2 = nn.LayerNorm(embed_dim, eps=1e-6)
        self.mlp = Mlp(embed_dim, int(embed_dim * mlp_ratio), embed_dim)
        self.ls2 = _layer_scale(embed_dim, init_values)
        self.drop_path = DropPath(drop_path)

    def forward(self, cls: Tensor, x: Tensor, mask: Tensor | None) -> Tensor:
        """Map the class token (..., 1, D), which looks at itself and at (..., N, D), to (..., 1, D)."""
        normed = self.norm1(torch.cat([cls, x], dim=-2))
        cls = cls + self.drop_path(self.ls1(self.attn(normed, mask)), None)
        return cls + self.drop_path(self.ls2(self.mlp(self.norm2(cls))), None)


def _layer_scale(embed_dim: int, init_values: float | None) -> nn.Module:
    return nn.Identity() if init_values is None else LayerScale(embed_dim, init_values)


def _attend(q: Tensor, k: Tensor, v: Tensor, among: Tensor | Packing | None) -> Tensor:
    """Scaled dot-product attention: (..., L, H, D/H), or (T, H, D/H) with a Packing, to the same."""
    if q.dtype == torch.bfloat16 and q.device.type == "cpu":
        # On a CPU torch's backward pass of attention is slower in bfloat16 than in float32. Autocast would cast back.
        with torch.autocast("cpu", enabled=False):
            return _attend(q.float(), k.float(), v.float(), among).to(q.dtype)
    if isinstance(among, Packing):
        return among.attend(q, k, v)
    q, k, v = (part.transpose(-3, -2) for part in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=among).transpose(-3, -2)


def _attention_weights(q: Tensor, k: Tensor, mask: Tensor | None) -> Tensor:
    scores = (q @ k.transpose(-2, -1)).float() * q.shape[-1] ** -0.5
    if mask is None:
        return scores.softmax(-1)
    # Filled a second time for images without any token, whose softmax has no value.
    return scores.masked_fill(~mask, float("-inf")).softmax(-1).masked_fill(~mask, 0.0)
