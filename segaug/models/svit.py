"""S-ViT: a Vision Transformer whose tokens are segments.

The system is that of S-ViT (arXiv 2402.17863); the transformer is the ViT of arXiv 2010.11929 with timm's parameter
names, so that timm's weights load. Read SViT here, then the blocks in ``_layers`` and the tokens in ``_embeddings``.

Legend of the dimensions:
    ...  leading shape: (B,) for a batch of images, () for one image
    N    segment tokens of an image, padding included
    R    tokens before them: class and distillation token, registers
    L    tokens in the transformer, R + N
    C    channels of a patch
    P    height and width of a patch
    D    width of a token (embed_dim)
    H    attention heads
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segaug._checks import check_choice, check_flag, check_int, check_number, describe
from segaug.models._embeddings import ConvStem, PatchEmbed, PositionEmbed
from segaug.models._layers import Block, ClassAttentionBlock, Mlp
from segaug.models._packing import Packing
from segaug.models._pixels import PixelChannels, mean_color
from segaug.models._plain import Inputs, PlainSViT, open_tokens
from segaug.structures import SegmentTokens

__all__ = ["SViT"]

POOLS = ("cls", "mean", "class_attention")
POSITIONS = ("fourier", "histogram", "mlp", "table")


class SViT(nn.Module):
    """Vision Transformer on segment tokens (S-ViT, arXiv 2402.17863).

    A token is the linear projection of a segment's patch plus an embedding of the segment's position. Padding is masked
    in every block and in pooling, so an image's logits do not depend on its batch, its padding or its tokens' order.

    With ``position="table"`` and segments from a regular grid this is the plain ViT (arXiv 2010.11929): the state dict
    of a timm ``VisionTransformer`` of the same shape loads strictly; for ``pool="mean"`` that is one built with
    ``class_token=False, global_pool="avg"``. :func:`load_vit_weights` takes those of other shapes, and torchvision's.

    Args:
        num_classes: Number of logits, at least 1.
        patch_size: Height and width of the patches in pixels, as in ``Tokenize(size=...)``.
        in_chans: Channels of the patches, without alpha.
        embed_dim: Width of a token, a multiple of ``num_heads``.
        depth: Number of transformer blocks.
        num_heads: Attention heads per block.
        mlp_ratio: Width of a block's MLP over ``embed_dim``.
        pool: What the head sees: ``"cls"``, a class token after the final norm; ``"mean"``, the norm of the mean over
            the image's tokens (no class token then); ``"class_attention"``, a class token that joins behind the trunk,
            in blocks in which it alone changes (CaiT, arXiv 2103.17239).
        position: ``"mlp"``, a small network on the box and area, as in the paper; ``"fourier"``, the same after sines
            and cosines of pi 2^k times the five numbers, k from 0 (Fourier features as in arXiv 2006.10739 and
            2003.08934), which join the five; ``"histogram"``, the same with each number (of the area its root) shared
            between the two nearest of a row of bins; ``"table"``, one learned embedding for each label.
        stem: ``"linear"``, or ``"conv"``: two small convolutions of stride 2, shared by all tokens, before the projection.
        pixel_mean: Subtracted from a segment's own pixels in [0, 1], for all channels or one for each; outside the segment
            pixels stay 0. (A bare ``v2.Normalize`` on tokens moves the outside, too.) So put no ``Normalize`` before the
            model, and give pretrained weights' mean and standard deviation here. The default is about the mean over the
            channels of the numbers that are usual for ImageNet; 0 and 1 take the patches as they are.
        pixel_std: What the pixels are divided by after that, likewise.
        alpha_channel: Feed the patch's alpha, less 1, as a further channel, the last. It is 0 where the segment is, so that
            patches that are covered wholly, as a grid's, are not all shifted by the same large amount.
        color_embed: Add an embedding of the mean colour of the segment's own pixels, by a network of its own.
        num_positions: Size of the table: the largest label. For ``position="table"`` only, and needed there.
        num_frequencies: How many k ``"fourier"`` takes; the other positions do without.
        num_bins: How many bins ``"histogram"`` has for each number, at least 2; the other positions do without.
        num_registers: Further learned tokens that belong to no segment (registers, arXiv 2309.16588).
        class_depth: Number of blocks of ``pool="class_attention"``; the other pools do without.
        distillation: Add a distillation token with a head of its own (DeiT, arXiv 2012.12877, section 4); for
            ``pool="cls"`` only. :meth:`forward` then gives both heads' logits in training and their mean otherwise.
        init_values: First value of the learned factors of each branch's channels (layer scale, arXiv 2103.17239); None
            for no factors.
        drop_path_rate: Probability in [0, 1) to leave out a branch of the last block for an image while training; it
            grows linearly from 0 at the first block.
        drop_rate: Probability in [0, 1) of the dropout before the head.
        packed: Run the blocks on the tokens of a batch side by side, without padding. The result is the same. On CUDA in
            half precision attention takes torch's kernel for rows of several lengths; elsewhere attention alone is padded.
            A compiled or exported model does without packing: how many tokens there are would break its graph.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If an argument is out of its range, or two of them do not go together.

    Example:
        >>> from segaug.structures import SegmentTokens
        >>> tokens = SegmentTokens(
        ...     patches=torch.rand(2, 9, 3, 16, 16), alpha=torch.ones(2, 9, 16, 16), boxes=torch.rand(2, 9, 4),
        ...     areas=torch.rand(2, 9), labels=torch.arange(1, 10).expand(2, 9),
        ... )
        >>> model = SViT(10, embed_dim=64, depth=2, num_heads=4, pool="mean", alpha_channel=True).eval()
        >>> model(tokens).shape
        torch.Size([2, 10])
        >>> model.forward_tokens(tokens).shape, model.attention_maps(tokens).shape
        (torch.Size([2, 9, 64]), torch.Size([2, 2, 4, 9, 9]))
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
        stem: str = "linear",
        pixel_mean: float | Sequence[float] = 0.45,
        pixel_std: float | Sequence[float] = 0.225,
        alpha_channel: bool = False,
        color_embed: bool = False,
        num_positions: int | None = None,
        num_frequencies: int = 6,
        num_bins: int = 16,
        num_registers: int = 0,
        class_depth: int = 2,
        distillation: bool = False,
        init_values: float | None = None,
        drop_path_rate: float = 0.0,
        drop_rate: float = 0.0,
        packed: bool = False,
    ) -> None:
        super().__init__()
        self.num_classes = check_int("num_classes", num_classes, minimum=1)
        self.patch_size = check_int("patch_size", patch_size, minimum=1)
        self.in_chans = check_int("in_chans", in_chans, minimum=1)
        self.embed_dim = check_int("embed_dim", embed_dim, minimum=1)
        check_int("depth", depth, minimum=1)
        self.num_heads = check_int("num_heads", num_heads, minimum=1)
        if self.embed_dim % self.num_heads:
            raise ValueError(f"embed_dim must be a multiple of num_heads, got {embed_dim} and {num_heads}")
        mlp_ratio = _check_number("mlp_ratio", mlp_ratio)
        if not (mlp_ratio < math.inf and int(embed_dim * mlp_ratio) >= 1):
            raise ValueError(f"mlp_ratio must give an MLP at least 1 wide and be finite, got {mlp_ratio}")
        self.pool = check_choice("pool", pool, POOLS)
        self.position = check_choice("position", position, POSITIONS)
        check_choice("stem", stem, ("conv", "linear"))
        self.alpha_channel = check_flag("alpha_channel", alpha_channel)
        check_flag("color_embed", color_embed)
        check_int("num_frequencies", num_frequencies, minimum=1)
        check_int("num_bins", num_bins, minimum=2)
        self.num_registers = check_int("num_registers", num_registers, minimum=0)
        check_int("class_depth", class_depth, minimum=1)
        if check_flag("distillation", distillation) and pool != "cls":
            raise ValueError(f"distillation must be False with pool={pool!r}: its token stands beside a class token")
        if init_values is not None:
            init_values = check_number("init_values", init_values, minimum=0.0)
        drop_path_rate = _check_rate("drop_path_rate", drop_path_rate)
        drop_rate = _check_rate("drop_rate", drop_rate)
        self.packed = check_flag("packed", packed)
        if position == "table":
            if num_positions is None:
                raise ValueError("num_positions must be given with position='table' (the largest label), got None")
            check_int("num_positions", num_positions, minimum=1)
        elif num_positions is not None:
            raise ValueError(f"num_positions must be None with position={position!r}, got {describe(num_positions)}")
        self.num_positions = num_positions

        self.pixel_channels = PixelChannels(pixel_mean, pixel_std, alpha_channel=alpha_channel, in_chans=in_chans)
        channels = in_chans + alpha_channel
        self.patch_embed = (ConvStem if stem == "conv" else PatchEmbed)(channels, patch_size, embed_dim)
        self.cls_token = _token(embed_dim) if pool != "mean" else None
        self.dist_token = _token(embed_dim) if distillation else None
        self.reg_token = _token(embed_dim, num_registers) if num_registers else None
        if num_positions is not None:
            # As in timm, the rows of the class and the distillation token come first.
            rows = (pool == "cls") + distillation + num_positions
            self.pos_embed = nn.Parameter(torch.empty(1, rows, embed_dim))
        else:
            num_features = {"mlp": 0, "fourier": num_frequencies, "histogram": num_bins}[position]
            self.position_embed = PositionEmbed(embed_dim, position, num_features)
        self.color_embed = Mlp(in_chans, embed_dim, embed_dim) if color_embed else None
        self.blocks = nn.ModuleList(
            Block(embed_dim, num_heads, mlp_ratio, drop_path_rate * i / max(depth - 1, 1), init_values)
            for i in range(depth)
        )
        self.blocks_token_only = nn.ModuleList(
            ClassAttentionBlock(embed_dim, num_heads, mlp_ratio, drop_path_rate, init_values)
            for _ in range(class_depth if pool == "class_attention" else 0)
        )
        # As in timm: tokens are normed before a class token is picked, but after a mean is taken.
        self.norm = nn.Identity() if pool == "mean" else nn.LayerNorm(embed_dim, eps=1e-6)
        self.fc_norm = nn.LayerNorm(embed_dim, eps=1e-6) if pool == "mean" else nn.Identity()
        self.head_drop = nn.Dropout(drop_rate)
        self.head = nn.Linear(embed_dim, num_classes)
        self.head_dist = nn.Linear(embed_dim, num_classes) if distillation else None
        self._init_weights()

    def extra_repr(self) -> str:
        """Show in the printed model what its layers and their shapes do not tell."""
        names = (
            "patch_size",
            "in_chans",
            "pool",
            "position",
            "num_positions",
            "num_registers",
            "packed",
        )
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in names)

    def _init_weights(self) -> None:
        """Initialise as timm does; the projection of patches and the position network keep torch's defaults."""
        # The position network has few inputs: a standard deviation of 0.02 would let its output vanish beside the
        # patch's.
        for module in (*self.blocks.modules(), *self.blocks_token_only.modules(), self.head, self.head_dist):
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        if self.num_positions is not None:
            nn.init.trunc_normal_(self.pos_embed, std=0.02)
        for token in (self.cls_token, self.dist_token, self.reg_token):
            if token is not None:
                nn.init.normal_(token, std=1e-6)

    @property
    def pixel_mean(self) -> tuple[float, ...]:
        """What is subtracted from pixels: one number, or one for each channel."""
        return self.pixel_channels.pixel_mean

    @property
    def pixel_std(self) -> tuple[float, ...]:
        """What pixels are divided by after that."""
        return self.pixel_channels.pixel_std

    @property
    def num_prefix_tokens(self) -> int:
        """How many tokens come before the segments' in the transformer: class, distillation and register tokens."""
        return (self.pool == "cls") + (self.dist_token is not None) + self.num_registers

    @property
    def _dtype(self) -> torch.dtype:
        first = cast(Block, self.blocks[0])
        return first.norm1.weight.dtype  # of a layer that nobody replaces, as one does the head

    def forward(self, tokens: SegmentTokens) -> Tensor | tuple[Tensor, Tensor]:
        """Classify images.

        Args:
            tokens: A batch (B, N) or one image (N). ``patches`` of shape (..., N, in_chans, P, P): uint8, which is
                scaled to [0, 1], or float in [0, 1]; with ``pixel_mean=0.0`` and ``pixel_std=1.0`` any float.

        Returns:
            Logits of shape (B, num_classes), or (num_classes,) for one image. In training mode, a model with a
            distillation token gives two of them, the class token's and the distillation token's.

        Raises:
            TypeError: If ``tokens`` are no SegmentTokens, or their pixels neither uint8 nor float.
            ValueError: If the patches do not fit the model, float patches are far from [0, 1], ``position="table"`` has
                no row for a label, or an image has no token to take the mean of. A compiled or exported model leaves
                out the last three checks.
        """
        return self._logits(open_tokens(tokens))

    def plain(self) -> PlainSViT:
        """Make the same model, with the same parameters, that takes plain tensors, as ``torch.export`` needs it."""
        return PlainSViT(self)

    def _logits(self, inputs: Inputs) -> Tensor | tuple[Tensor, Tensor]:
        x = self._features(inputs)  # (..., L, D)
        if self.pool == "mean":
            return self.head(self.head_drop(self.fc_norm(self._mean(x, inputs.padding))))
        logits = self.head(self.head_drop(x[..., 0, :]))
        if self.head_dist is None:
            return logits
        distilled = self.head_dist(self.head_drop(x[..., 1, :]))
        return (logits, distilled) if self.training else (logits + distilled) / 2

    def forward_features(self, tokens: SegmentTokens) -> Tensor:
        """Run the transformer.

        Args:
            tokens: As in :meth:`forward`.

        Returns:
            (B, L, D) after the final norm: the class token (``pool="cls"`` and ``"class_attention"``), the distillation
            token and the registers if there are any, and the segments' tokens. With ``pool="mean"`` the norm comes after
            the mean, so these are without it, and registers are left out. One image: without B. What stands at padding
            has no meaning.

        Raises:
            TypeError: As :meth:`forward` does.
            ValueError: As :meth:`forward` does.
        """
        return self._features(open_tokens(tokens))

    def _features(self, inputs: Inputs) -> Tensor:
        x, mask = self._embed(inputs), self._key_mask(inputs.padding)
        if self.packed and mask is not None and x.ndim == 3 and not torch.compiler.is_compiling():
            packing = Packing.of(mask[:, 0, 0])
            x = packing.pack(x)
            for block in self.blocks:
                x = block(x, packing)
            x = packing.unpack(x)
        else:
            for block in self.blocks:
                x = block(x, mask)
        return self._finish(x, mask)

    def forward_tokens(self, tokens: SegmentTokens) -> Tensor:
        """Give each segment its output.

        Args:
            tokens: As in :meth:`forward`.

        Returns:
            (B, N, D), or (N, D) for one image: the segments' tokens of :meth:`forward_features`, zeros at padding.

        Raises:
            TypeError: As :meth:`forward` does.
            ValueError: As :meth:`forward` does.
        """
        x = self.forward_features(tokens)
        x = x[..., x.shape[-2] - tokens.num_tokens :, :]
        return x.masked_fill(tokens.is_padding.unsqueeze(-1), 0.0)

    def forward_intermediates(self, tokens: SegmentTokens, blocks: Sequence[int] | None = None) -> list[Tensor]:
        """Give the segments' tokens after some blocks, without any norm.

        Args:
            tokens: As in :meth:`forward`.
            blocks: Which blocks, from 0, negative ones from the end; None takes all.

        Returns:
            For each of them (B, N, D), or (N, D) for one image, zeros at padding.

        Raises:
            TypeError: As :meth:`forward` does.
            ValueError: As :meth:`forward` does, or if there is no such block.
        """
        depth = len(self.blocks)
        if isinstance(blocks, int):
            raise TypeError(f"blocks must be a sequence of ints or None, got {blocks}")
        wanted = list(range(depth) if blocks is None else blocks)
        for i in wanted:
            if isinstance(i, bool) or not isinstance(i, int):
                raise TypeError(f"blocks must hold ints, got {describe(i)}")
            if not -depth <= i < depth:
                raise ValueError(f"blocks must be in [{-depth}, {depth - 1}], got {i}")
        inputs = open_tokens(tokens)
        x, mask = self._embed(inputs), self._key_mask(inputs.padding)
        padding = tokens.is_padding.unsqueeze(-1)
        outputs = []
        for block in self.blocks:
            x = block(x, mask)
            outputs.append(x[..., self.num_prefix_tokens :, :].masked_fill(padding, 0.0))
        return [outputs[i] for i in wanted]

    def attention_maps(self, tokens: SegmentTokens) -> Tensor:
        """Compute each block's attention.

        Args:
            tokens: As in :meth:`forward`.

        Returns:
            (B, depth, H, L, L) float32, or (depth, H, L, L) for one image: for each query (row) the weights of the keys, of
            sum 1, and 0 at padding. The first :attr:`num_prefix_tokens` rows and columns belong to no segment. Those of a
            distinct class-attention are in :meth:`class_attention_maps`.

        Raises:
            TypeError: As :meth:`forward` does.
            ValueError: As :meth:`forward` does.
        """
        inputs = open_tokens(tokens)
        x, mask = self._embed(inputs), self._key_mask(inputs.padding)
        maps = []
        for block in cast(Iterable[Block], self.blocks):
            maps.append(block.attn.weights(block.norm1(x), mask))
            x = block(x, mask)
        return torch.stack(maps, dim=-4)

    def class_attention_maps(self, tokens: SegmentTokens) -> Tensor:
        """Compute what the class token of ``pool="class_attention"`` looks at.

        Args:
            tokens: As in :meth:`forward`.

        Returns:
            (B, class_depth, H, 1 + L) float32, or without B for one image: the weights of the class token itself, the
            registers and the segments.

        Raises:
            TypeError: As :meth:`forward` does.
            ValueError: As :meth:`forward` does, or if the model has another pool.
        """
        if self.pool != "class_attention":
            raise ValueError(f"pool must be 'class_attention' for class_attention_maps, got {self.pool!r}")
        inputs = open_tokens(tokens)
        x, mask = self._embed(inputs), self._key_mask(inputs.padding)
        for block in self.blocks:
            x = block(x, mask)
        cls, mask = self._class_token(x), _with_one_more(mask)
        maps = []
        for block in cast(Iterable[ClassAttentionBlock], self.blocks_token_only):
            maps.append(block.attn.weights(block.norm1(torch.cat([cls, x], dim=-2)), mask).squeeze(-2))
            cls = block(cls, x, mask)
        return torch.stack(maps, dim=-3)

    def _finish(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """What comes behind the trunk (..., L, D): class attention, and the norm."""
        if self.pool == "mean":
            return x[..., self.num_registers :, :]
        if self.pool == "class_attention":
            cls, mask = self._class_token(x), _with_one_more(mask)
            for block in self.blocks_token_only:
                cls = block(cls, x, mask)
            x = torch.cat([cls, x], dim=-2)
        return self.norm(x)

    def _class_token(self, x: Tensor) -> Tensor:
        """The class token for each image of (..., L, D): (..., 1, D)."""
        return self.cls_token[0].expand(*x.shape[:-2], 1, -1)  # type: ignore[index]

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
        return self._embed(open_tokens(tokens))

    def _embed(self, inputs: Inputs) -> Tensor:
        self._check(inputs.patches)
        padding = inputs.padding.unsqueeze(-1)  # (..., N, 1)
        dtype = self._dtype
        channels, alpha = self.pixel_channels(inputs.patches, inputs.alpha, inputs.padding, dtype)  # (..., N, C, P, P)
        x = self.patch_embed(channels)  # (..., N, D)
        if self.color_embed is not None:
            x = x + self.color_embed(mean_color(channels[..., : self.in_chans, :, :], alpha))
        if self.num_positions is None:
            positions = torch.cat([inputs.boxes, inputs.areas[..., None]], dim=-1)
            x = x + self.position_embed(positions.masked_fill(padding, 0.0))
        else:
            x = x + self._look_up(inputs.labels, inputs.padding, self.num_positions)
        # Under autocast the projection gives half precision. What the blocks add to has that of the weights, as in timm.
        x = x.to(dtype)
        return torch.cat([*self._prefix(x), x], dim=-2) if self.num_prefix_tokens else x

    def _prefix(self, x: Tensor) -> list[Tensor]:
        """Tokens that belong to no segment, each (..., 1 or R, D)."""
        leading = [self.cls_token if self.pool == "cls" else None, self.dist_token]
        tokens = [token[0] for token in leading if token is not None]
        if self.num_positions is not None:
            tokens = [token + self.pos_embed[0, i : i + 1] for i, token in enumerate(tokens)]
        if self.reg_token is not None:
            tokens.append(self.reg_token[0])
        return [token.expand(*x.shape[:-2], -1, -1) for token in tokens]

    def _check(self, patches: Tensor) -> None:
        """Raise unless the patches fit the model."""
        allowed = (self.in_chans, self.patch_size, self.patch_size)
        if tuple(patches.shape[-3:]) != allowed:
            raise ValueError(
                f"patches must have shape (..., N, {', '.join(map(str, allowed))}) for in_chans={self.in_chans} and "
                f"patch_size={self.patch_size}, got {tuple(patches.shape)}"
            )

    def _look_up(self, labels: Tensor, padding: Tensor, num_positions: int) -> Tensor:
        """Map labels (..., N) to their rows of the table (..., N, D), so that the order of tokens does not matter."""
        table = self.pos_embed[0, self.pos_embed.shape[1] - num_positions :]  # past the rows of the class token's like
        # A compiled graph cannot branch on values.
        if not torch.compiler.is_compiling():
            wrong = ((labels < 1) | (labels > num_positions)) & ~padding
            if bool(wrong.any()):
                label = int(labels[wrong][0])
                hint = "; the background has no place in a table: Tokenize(background=False)" if label == 0 else ""
                raise ValueError(f"labels must be in [1, {num_positions}] (num_positions), got {label}{hint}")
        return F.embedding(labels.masked_fill(padding, 1) - 1, table)  # padding reads any row; it is masked later

    def _key_mask(self, padding: Tensor) -> Tensor | None:
        """Map padding (..., N) to the keys to look at (..., 1, 1, L), or to None where there is no padding."""
        if not torch.compiler.is_compiling():
            has_padding = bool(padding.any())
            if self.pool == "mean" and (has_padding or padding.shape[-1] == 0) and bool(padding.all(-1).any()):
                raise ValueError("tokens must hold at least one per image with pool='mean', got an image without any")
            if not has_padding:
                return None  # lets the GPU use attention kernels that take no mask
        if self.num_prefix_tokens:
            padding = F.pad(padding, (self.num_prefix_tokens, 0), value=False)
        return ~padding[..., None, None, :]

    def _mean(self, x: Tensor, padding: Tensor) -> Tensor:
        """Average (..., N, D) over the tokens that are not padding, to (..., D)."""
        weights = (~padding).to(x.dtype)  # (..., N)
        weights = weights / weights.sum(-1, keepdim=True)
        return (weights.unsqueeze(-2) @ x).squeeze(-2)


def _token(embed_dim: int, count: int = 1) -> nn.Parameter:
    return nn.Parameter(torch.empty(1, count, embed_dim))


def _with_one_more(mask: Tensor | None) -> Tensor | None:
    """A mask (..., 1, 1, L) for one more key in front."""
    return None if mask is None else F.pad(mask, (1, 0), value=True)


def _check_number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, got {describe(value)}")
    return float(value)


def _check_rate(name: str, value: Any) -> float:
    if not 0.0 <= _check_number(name, value) < 1.0:
        raise ValueError(f"{name} must be in [0, 1), got {value}")
    return float(value)
