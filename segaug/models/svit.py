"""S-ViT: a Vision Transformer whose tokens are segments.

The system is that of S-ViT (arXiv 2402.17863); the transformer is the ViT of arXiv 2010.11929 with timm's parameter
names, so that timm's weights load. Read from the bottom up: SViT, Block, Attention.

Legend of the dimensions:
    ...  leading shape: (B,) for a batch of images, () for one image
    N    segment tokens of an image, padding included
    L    tokens in the transformer: 1 + N with a class token (pool="cls"), N without (pool="mean")
    C    channels of a patch, and one more where alpha is fed too
    P    height and width of a patch
    D    width of a token (embed_dim)
    H    attention heads
    K    frequencies of the position's sines and cosines
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segaug._checks import check_choice, check_flag, check_int, describe
from segaug.structures import SegmentTokens

__all__ = ["SViT", "svit_base", "svit_micro", "svit_small", "svit_tiny"]

_NUM_POSITION_FEATURES = 5  # left, top, right, bottom, area


class DropPath(nn.Module):
    """Leaves out the whole branch for some images while training (stochastic depth, arXiv 1603.09382)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., L, D) to (..., L, D)."""
        if not self.training or self.rate == 0.0:
            return x
        keep = 1.0 - self.rate
        # One draw per image, so the stream of draws does not depend on the number of tokens.
        kept = x.new_empty((*x.shape[:-2], 1, 1)).bernoulli_(keep)
        # Dividing keeps the branch's mean what it is in eval mode.
        return x * kept.div_(keep)

    def extra_repr(self) -> str:
        """Show the rate in the printed model."""
        return f"rate={self.rate:.3f}"


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

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Map (..., L, D) to (..., L, D); ``mask`` (..., 1, 1, L) is True for the keys to look at."""
        qkv = self.qkv(x).unflatten(-1, (3, self.num_heads, -1))  # (..., L, 3, H, D/H)
        q, k, v = qkv.movedim(-3, 0).transpose(-3, -2)  # each (..., H, L, D/H), views without a copy
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.proj(x.transpose(-3, -2).flatten(-2))


class Block(nn.Module):
    """Pre-norm transformer block: attention, then MLP, each on a residual path."""

    def __init__(self, embed_dim: int, num_heads: int, mlp_ratio: float, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dim, eps=1e-6)
        self.attn = Attention(embed_dim, num_heads)
        self.norm2 = nn.LayerNorm(embed_dim, eps=1e-6)
        self.mlp = Mlp(embed_dim, int(embed_dim * mlp_ratio), embed_dim)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Map (..., L, D) to (..., L, D)."""
        x = x + self.drop_path(self.attn(self.norm1(x), mask))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class PatchEmbed(nn.Module):
    """Linear projection of patches, with the parameters of a convolution of stride P, as in timm."""

    def __init__(self, in_chans: int, patch_size: int, embed_dim: int) -> None:
        super().__init__()
        # Only holds the parameters (D, C, P, P): on patches that are cut already, the convolution is a matrix product.
        self.proj = nn.Conv2d(in_chans, embed_dim, kernel_size=patch_size, stride=patch_size)

    def forward(self, pixels: Tensor) -> Tensor:
        """Map (..., N, C, P, P) to (..., N, D)."""
        return F.linear(pixels.flatten(-3), self.proj.weight.flatten(1), self.proj.bias)


class PositionEmbed(nn.Module):
    """The paper's position network: an MLP on a segment's box and area, after ``num_frequencies`` sines and cosines."""

    def __init__(self, embed_dim: int, num_frequencies: int) -> None:
        super().__init__()
        self.num_frequencies = num_frequencies
        self.mlp = Mlp(_NUM_POSITION_FEATURES * (1 + 2 * num_frequencies), embed_dim, embed_dim)

    def forward(self, positions: Tensor) -> Tensor:
        """Map float32 (..., N, 5) to (..., N, D)."""
        features = positions
        if self.num_frequencies:
            octaves = torch.arange(self.num_frequencies, device=positions.device)
            angles = positions.unsqueeze(-1) * (math.pi * 2.0**octaves)  # (..., N, 5, K)
            # The five numbers stay in: a sine alone cannot tell the background's -1 from 1.
            features = torch.cat([positions, angles.sin().flatten(-2), angles.cos().flatten(-2)], dim=-1)
        return self.mlp(features.to(self.mlp.fc1.weight.dtype))


class SViT(nn.Module):
    """Vision Transformer on segment tokens (S-ViT, arXiv 2402.17863).

    A token is the linear projection of a segment's patch plus an embedding of the segment's position. Padding is masked
    in every block and in pooling, so an image's logits do not depend on its batch, its padding or its tokens' order.

    With ``position="table"`` and segments from a regular grid this is the plain ViT (arXiv 2010.11929): the state dict
    of a timm ``VisionTransformer`` of the same shape loads strictly; for ``pool="mean"`` that is one built with
    ``class_token=False, global_pool="avg"``. The other positions load it with ``strict=False``, all but the position
    embedding.

    Args:
        num_classes: Number of logits, at least 1.
        patch_size: Height and width of the patches in pixels, as in ``Tokenize(size=...)``.
        in_chans: Channels of the patches, without alpha.
        embed_dim: Width of a token, a multiple of ``num_heads``.
        depth: Number of transformer blocks.
        num_heads: Attention heads per block.
        mlp_ratio: Width of a block's MLP over ``embed_dim``.
        pool: What the head sees: ``"cls"``, a class token after the final norm, or ``"mean"``, the norm of the mean
            over the image's tokens (no class token then).
        position: ``"mlp"``, a small network on the box and area, as in the paper; ``"fourier"``, the same after sines
            and cosines of pi 2^k times the five numbers, k from 0 (Fourier features as in arXiv 2006.10739 and
            2003.08934), which join the five; ``"table"``, one learned embedding for each label.
        alpha_channel: Feed the patch's alpha as a further channel, the last.
        num_positions: Size of the table: the largest label. For ``position="table"`` only, and needed there.
        num_frequencies: How many k ``"fourier"`` takes; the other positions do without.
        drop_path_rate: Probability in [0, 1) to leave out a branch of the last block for an image while training; it
            grows linearly from 0 at the first block.
        drop_rate: Probability in [0, 1) of the dropout before the head.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If an argument is out of its range, or ``num_positions`` does not go with ``position``.

    Example:
        >>> from segaug.structures import SegmentTokens
        >>> tokens = SegmentTokens(
        ...     patches=torch.rand(2, 9, 3, 16, 16), alpha=torch.ones(2, 9, 16, 16), boxes=torch.rand(2, 9, 4),
        ...     areas=torch.rand(2, 9), labels=torch.arange(1, 10).expand(2, 9),
        ... )
        >>> model = SViT(10, embed_dim=64, depth=2, num_heads=4, pool="mean", alpha_channel=True).eval()
        >>> model(tokens).shape
        torch.Size([2, 10])
        >>> model.forward_features(tokens).shape
        torch.Size([2, 9, 64])
    """

    def __init__(
        self,
        num_classes: int,
        *,
        patch_size: int = 16,
        in_chans: int = 3,
        embed_dim: int = 192,
        depth: int = 12,
        num_heads: int = 3,
        mlp_ratio: float = 4.0,
        pool: str = "cls",
        position: str = "fourier",
        alpha_channel: bool = False,
        num_positions: int | None = None,
        num_frequencies: int = 6,
        drop_path_rate: float = 0.0,
        drop_rate: float = 0.0,
    ) -> None:
        super().__init__()
        self.num_classes = check_int("num_classes", num_classes, minimum=1)
        self.patch_size = check_int("patch_size", patch_size, minimum=1)
        self.in_chans = check_int("in_chans", in_chans, minimum=1)
        self.embed_dim = check_int("embed_dim", embed_dim, minimum=1)
        check_int("depth", depth, minimum=1)
        if self.embed_dim % check_int("num_heads", num_heads, minimum=1):
            raise ValueError(f"embed_dim must be a multiple of num_heads, got {embed_dim} and {num_heads}")
        mlp_ratio = _check_number("mlp_ratio", mlp_ratio)
        if not (mlp_ratio < math.inf and int(embed_dim * mlp_ratio) >= 1):
            raise ValueError(f"mlp_ratio must give an MLP at least 1 wide and be finite, got {mlp_ratio}")
        self.pool = check_choice("pool", pool, ("cls", "mean"))
        self.position = check_choice("position", position, ("fourier", "mlp", "table"))
        self.alpha_channel = check_flag("alpha_channel", alpha_channel)
        check_int("num_frequencies", num_frequencies, minimum=1)
        drop_path_rate = _check_rate("drop_path_rate", drop_path_rate)
        drop_rate = _check_rate("drop_rate", drop_rate)
        if position == "table":
            if num_positions is None:
                raise ValueError("num_positions must be given with position='table' (the largest label), got None")
            check_int("num_positions", num_positions, minimum=1)
        elif num_positions is not None:
            raise ValueError(f"num_positions must be None with position={position!r}, got {describe(num_positions)}")
        self.num_positions = num_positions

        self.patch_embed = PatchEmbed(in_chans + alpha_channel, patch_size, embed_dim)
        self.cls_token = nn.Parameter(torch.empty(1, 1, embed_dim)) if pool == "cls" else None
        if num_positions is not None:
            # As in timm, the class token's row comes first.
            self.pos_embed = nn.Parameter(torch.empty(1, (pool == "cls") + num_positions, embed_dim))
        else:
            self.position_embed = PositionEmbed(embed_dim, num_frequencies if position == "fourier" else 0)
        self.blocks = nn.ModuleList(
            Block(embed_dim, num_heads, mlp_ratio, drop_path_rate * i / max(depth - 1, 1)) for i in range(depth)
        )
        # As in timm: tokens are normed before a class token is picked, but after a mean is taken.
        self.norm = nn.LayerNorm(embed_dim, eps=1e-6) if pool == "cls" else nn.Identity()
        self.fc_norm = nn.LayerNorm(embed_dim, eps=1e-6) if pool == "mean" else nn.Identity()
        self.head_drop = nn.Dropout(drop_rate)
        self.head = nn.Linear(embed_dim, num_classes)
        self._init_weights()

    def _init_weights(self) -> None:
        """Initialise as timm does; the projection of patches and the position network keep torch's defaults."""
        # The position network has few inputs: a standard deviation of 0.02 would let its output vanish beside the
        # patch's.
        for module in (*self.blocks.modules(), self.head):
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        if self.num_positions is not None:
            nn.init.trunc_normal_(self.pos_embed, std=0.02)
        if self.cls_token is not None:
            nn.init.normal_(self.cls_token, std=1e-6)

    def forward(self, tokens: SegmentTokens) -> Tensor:
        """Classify images.

        Args:
            tokens: A batch (B, N) or one image (N). ``patches`` of shape (..., N, in_chans, P, P): uint8, which is
                scaled to [0, 1], or float, which is taken as it is (so ``v2.Normalize`` can come before).

        Returns:
            Logits of shape (B, num_classes), or (num_classes,) for one image.

        Raises:
            TypeError: If ``tokens`` are no SegmentTokens, or their pixels neither uint8 nor float.
            ValueError: If the patches do not fit the model, ``position="table"`` has no row for a label, or an image
                has no token to take the mean of.
        """
        x = self.forward_features(tokens)  # (..., L, D)
        x = self._mean(x, tokens.is_padding) if self.pool == "mean" else x[..., 0, :]
        return self.head(self.head_drop(self.fc_norm(x)))

    def forward_features(self, tokens: SegmentTokens) -> Tensor:
        """Run the transformer.

        Args:
            tokens: As in :meth:`forward`.

        Returns:
            (B, 1 + N, D) with ``pool="cls"``: the class token and the segments' tokens, after the final norm.
            (B, N, D) with ``pool="mean"``: the segments' tokens; the norm comes after the mean there. One image:
            without B. What stands at padding has no meaning.

        Raises:
            TypeError: As :meth:`forward` does.
            ValueError: As :meth:`forward` does.
        """
        x = self.embed(tokens)
        mask = self._key_mask(tokens.is_padding)
        for block in self.blocks:
            x = block(x, mask)
        return self.norm(x)

    def embed(self, tokens: SegmentTokens) -> Tensor:
        """Turn patches and positions into the transformer's input.

        Args:
            tokens: As in :meth:`forward`.

        Returns:
            (B, L, D), or (L, D) for one image.

        Raises:
            TypeError: As :meth:`forward` does.
            ValueError: As :meth:`forward` does.
        """
        self._check(tokens)
        padding = tokens.is_padding.unsqueeze(-1)  # (..., N, 1)
        dtype = self.patch_embed.proj.weight.dtype
        pixels = _unit_floats("patches", tokens.patches, dtype)
        if self.alpha_channel:
            alpha = _unit_floats("alpha", tokens.alpha, dtype).unsqueeze(-3)
            pixels = torch.cat([pixels, alpha], dim=-3)  # (..., N, C, P, P)
        # Zeros for whatever lies in padding: masking alone would let a NaN there into the gradients.
        pixels = pixels.masked_fill(padding[..., None, None], 0.0)
        x = self.patch_embed(pixels)  # (..., N, D)
        if self.num_positions is None:
            positions = tokens.positions.as_subclass(Tensor).float()
            x = x + self.position_embed(positions.masked_fill(padding, 0.0))
        else:
            x = x + self._look_up(tokens.labels, tokens.is_padding, self.num_positions)
        if self.cls_token is None:
            return x
        cls = self.cls_token[0]
        if self.num_positions is not None:
            cls = cls + self.pos_embed[0, :1]
        return torch.cat([cls.expand(*x.shape[:-2], 1, -1), x], dim=-2)

    def _check(self, tokens: SegmentTokens) -> None:
        """Raise unless the patches fit the model."""
        if not isinstance(tokens, SegmentTokens):
            raise TypeError(f"tokens must be SegmentTokens, got {describe(tokens)}; Tokenize makes them")
        allowed = (self.in_chans, self.patch_size, self.patch_size)
        came = tuple(tokens.patches.shape[-3:])
        if came != allowed:
            raise ValueError(
                f"patches must have shape (..., N, {', '.join(map(str, allowed))}) for in_chans={self.in_chans} and "
                f"patch_size={self.patch_size}, got {tuple(tokens.patches.shape)}"
            )

    def _look_up(self, labels: Tensor, padding: Tensor, num_positions: int) -> Tensor:
        """Map labels (..., N) to their rows of the table (..., N, D), so that the order of tokens does not matter."""
        table = self.pos_embed[0, self.pos_embed.shape[1] - num_positions :]  # past the class token's row
        wrong = ((labels < 1) | (labels > num_positions)) & ~padding
        if bool(wrong.any()):
            label = int(labels[wrong][0])
            hint = "; the background has no place in a table: Tokenize(background=False)" if label == 0 else ""
            raise ValueError(f"labels must be in [1, {num_positions}] (num_positions), got {label}{hint}")
        return F.embedding(labels.masked_fill(padding, 1) - 1, table)  # padding reads any row; it is masked later

    def _key_mask(self, padding: Tensor) -> Tensor | None:
        """Map padding (..., N) to the keys to look at (..., 1, 1, L), or to None where there is no padding."""
        has_padding = bool(padding.any())
        if self.pool == "mean" and (has_padding or padding.shape[-1] == 0) and bool(padding.all(-1).any()):
            raise ValueError("tokens must hold at least one per image with pool='mean', got an image without any")
        if not has_padding:
            return None  # lets the GPU use attention kernels that take no mask
        if self.cls_token is not None:
            padding = F.pad(padding, (1, 0), value=False)
        return ~padding[..., None, None, :]

    def _mean(self, x: Tensor, padding: Tensor) -> Tensor:
        """Average (..., N, D) over the tokens that are not padding, to (..., D)."""
        weights = (~padding).to(x.dtype)  # (..., N)
        weights = weights / weights.sum(-1, keepdim=True)
        return (weights.unsqueeze(-2) @ x).squeeze(-2)


def svit_micro(num_classes: int, **options: Any) -> SViT:
    """S-ViT for a few hundred pictures and a CPU: width 128, 4 blocks, 4 heads, alpha fed, mean pooling, drop path.

    Args:
        num_classes: Number of logits.
        **options: Further arguments of :class:`SViT`; they come before the ones above.

    Returns:
        A model with 1,078,504 parameters at 1,000 classes and the other options at their defaults.

    Raises:
        TypeError: As :class:`SViT` does.
        ValueError: As :class:`SViT` does.

    Example:
        >>> sum(p.numel() for p in svit_micro(1000).parameters())
        1078504
    """
    preset = {
        "embed_dim": 128,
        "depth": 4,
        "num_heads": 4,
        "pool": "mean",
        "alpha_channel": True,
        "drop_path_rate": 0.1,
    }
    return SViT(num_classes, **{**preset, **options})


def svit_tiny(num_classes: int, **options: Any) -> SViT:
    """S-ViT with the size of ViT-Tiny: width 192, 12 blocks, 3 heads.

    Args:
        num_classes: Number of logits.
        **options: Further arguments of :class:`SViT`; they come before the ones above.

    Returns:
        A model with 5,729,320 parameters at 1,000 classes and the other options at their defaults.

    Raises:
        TypeError: As :class:`SViT` does.
        ValueError: As :class:`SViT` does.

    Example:
        >>> sum(p.numel() for p in svit_tiny(1000).parameters())
        5729320
    """
    return SViT(num_classes, **{"embed_dim": 192, "depth": 12, "num_heads": 3, **options})


def svit_small(num_classes: int, **options: Any) -> SViT:
    """S-ViT with the size of ViT-Small: width 384, 12 blocks, 6 heads.

    Args:
        num_classes: Number of logits.
        **options: Further arguments of :class:`SViT`; they come before the ones above.

    Returns:
        A model with 22,148,200 parameters at 1,000 classes and the other options at their defaults.

    Raises:
        TypeError: As :class:`SViT` does.
        ValueError: As :class:`SViT` does.

    Example:
        >>> sum(p.numel() for p in svit_small(1000).parameters())
        22148200
    """
    return SViT(num_classes, **{"embed_dim": 384, "depth": 12, "num_heads": 6, **options})


def svit_base(num_classes: int, **options: Any) -> SViT:
    """S-ViT with the size of ViT-Base: width 768, 12 blocks, 12 heads.

    Args:
        num_classes: Number of logits.
        **options: Further arguments of :class:`SViT`; they come before the ones above.

    Returns:
        A model with 87,057,640 parameters at 1,000 classes and the other options at their defaults.

    Raises:
        TypeError: As :class:`SViT` does.
        ValueError: As :class:`SViT` does.

    Example:
        >>> with torch.device("meta"):  # count without allocating
        ...     model = svit_base(1000)
        >>> sum(p.numel() for p in model.parameters())
        87057640
    """
    return SViT(num_classes, **{"embed_dim": 768, "depth": 12, "num_heads": 12, **options})


def _unit_floats(name: str, pixels: Tensor, dtype: torch.dtype) -> Tensor:
    """Return plain floats: uint8 over 255, floats as they are."""
    pixels = pixels.as_subclass(Tensor)
    if pixels.dtype == torch.uint8:
        return pixels.to(dtype).div_(255)  # in place: the conversion has made a copy
    if not pixels.is_floating_point():
        raise TypeError(f"{name} must be uint8 or float, got {pixels.dtype}")
    return pixels.to(dtype)


def _check_number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, got {describe(value)}")
    return float(value)


def _check_rate(name: str, value: Any) -> float:
    if not 0.0 <= _check_number(name, value) < 1.0:
        raise ValueError(f"{name} must be in [0, 1), got {value}")
    return float(value)
