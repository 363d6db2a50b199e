"""Masked-segment modelling: most tokens are hidden, and a small decoder predicts their pixels.

MAE (arXiv 2111.06377) on segments. Legend of the dimensions:
    ...  leading shape: (B,) for a batch of images, () for one image
    N    tokens of an image, padding included
    M    slots for the visible ones, padding included
    K    hidden tokens of a whole batch, side by side
    C    channels of a patch
    P    height and width of a patch
    E    width of the decoder
"""

import math
from dataclasses import fields

import torch
from torch import Tensor, nn

from segaug._checks import check_flag, check_int, check_number, check_unit_range, describe
from segaug.functional import hide_tokens, premultiply, take_tokens, unpremultiply
from segaug.models._embeddings import PositionEmbed
from segaug.models._layers import Block
from segaug.models._packing import Packing
from segaug.models.svit import SViT
from segaug.structures import SegmentTokens

__all__ = ["MaskedSViT"]

# What stands behind an encoder's blocks, which the pixels do not pass.
_BEHIND = ("blocks_token_only.", "fc_norm.", "head.", "head_dist.", "norm.")
_NUM_FREQUENCIES = 6
# Added to a segment's variance. MAE's 1e-6 would stretch the rounding of flat segments, which are common, to full size.
_VARIANCE_FLOOR = 1e-4


class MaskedSViT(nn.Module):
    """Masked-segment modelling (MAE, arXiv 2111.06377): pretrains an :class:`SViT` without labels.

    Most of each image's tokens are hidden. The encoder sees the others alone, so with three quarters hidden it works on a
    quarter of the tokens. The decoder, a few narrow blocks, sees the encoder's outputs and, for the hidden ones, a learned
    token; each has an embedding of its segment's box and area. It predicts the hidden segments' pixels. Afterwards the
    decoder is thrown away.

    Padding is never hidden and counts nowhere: the loss does not depend on it, nor on the order of tokens.

    Args:
        encoder: What is pretrained, with any options. Its head and whatever else stands behind its blocks stay as they
            are; the blocks run without packing.
        mask_ratio: Share of each image's tokens to hide, in (0, 1), the background token like any other. Of two or more
            tokens at least one is hidden, and at least one is not.
        decoder_dim: Width of the decoder, a multiple of ``decoder_heads``; None is half the encoder's, rounded up to one.
        decoder_depth: Number of the decoder's blocks.
        decoder_heads: Attention heads in each.
        normalize: Predict pixels less the mean of the segment's own pixels, over their spread, as MAE does; else colours
            in [0, 1].

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If an argument is out of its range.

    Example:
        >>> from segaug import Grid, Segment, Tokenize
        >>> tokens = Tokenize(size=8)(Segment(Grid(4, 5))(torch.rand(3, 64, 64)))
        >>> encoder = SViT(10, patch_size=8, embed_dim=16, depth=2, num_heads=2)
        >>> loss, prediction, hidden = MaskedSViT(encoder, decoder_dim=16)(tokens)
        >>> loss.shape, prediction.shape, int(hidden.sum())
        (torch.Size([]), torch.Size([21, 3, 8, 8]), 16)
    """

    def __init__(
        self,
        encoder: SViT,
        *,
        mask_ratio: float = 0.75,
        decoder_dim: int | None = None,
        decoder_depth: int = 2,
        decoder_heads: int = 4,
        normalize: bool = True,
    ) -> None:
        super().__init__()
        if not isinstance(encoder, SViT):
            raise TypeError(f"encoder must be an SViT, got {describe(encoder)}")
        self.mask_ratio = check_number("mask_ratio", mask_ratio, minimum=0.0, maximum=1.0)
        if mask_ratio in (0, 1):
            raise ValueError(f"mask_ratio must be above 0 and below 1, got {mask_ratio}")
        check_int("decoder_depth", decoder_depth, minimum=1)
        check_int("decoder_heads", decoder_heads, minimum=1)
        if decoder_dim is None:
            decoder_dim = math.ceil(encoder.embed_dim / 2 / decoder_heads) * decoder_heads
        if check_int("decoder_dim", decoder_dim, minimum=1) % decoder_heads:
            raise ValueError(f"decoder_dim must be a multiple of decoder_heads, got {decoder_dim} and {decoder_heads}")
        self.normalize = check_flag("normalize", normalize)
        self.encoder = encoder
        # The encoder's own norm may come after a mean over tokens, so this one is the decoder's.
        self.decoder_norm1 = nn.LayerNorm(encoder.embed_dim, eps=1e-6)
        self.decoder_embed = nn.Linear(encoder.embed_dim, decoder_dim)
        self.decoder_position = PositionEmbed(decoder_dim, "fourier", _NUM_FREQUENCIES)
        self.mask_token = nn.Parameter(torch.empty(decoder_dim))
        self.decoder_blocks = nn.ModuleList(
            Block(decoder_dim, decoder_heads, mlp_ratio=4.0, drop_path=0.0, init_values=None)
            for _ in range(decoder_depth)
        )
        self.decoder_norm2 = nn.LayerNorm(decoder_dim, eps=1e-6)
        self.decoder_head = nn.Linear(decoder_dim, encoder.in_chans * encoder.patch_size**2)
        for module in (self.decoder_embed, *self.decoder_blocks.modules(), self.decoder_head):
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.mask_token, std=0.02)

    @property
    def pretrained(self) -> list[str]:
        """The names in the encoder's state dict that are pretrained; the others stand behind its blocks."""
        late = (*_BEHIND, "cls_token") if self.encoder.pool == "class_attention" else _BEHIND
        return [name for name in self.encoder.state_dict() if not name.startswith(late)]

    def forward(self, tokens: SegmentTokens, hidden: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Hide tokens and predict their pixels.

        Args:
            tokens: A batch (B, N) or one image (N), with patches as the encoder takes them: uint8, or float in [0, 1].
            hidden: (..., N) bool, which to hide; None draws them (:meth:`draw_hidden`).

        Returns:
            The loss, the prediction and which tokens were hidden. The loss of a hidden token is the squared error over its
            pixels and channels, each weighted by its alpha; of these it is the mean over the batch's hidden tokens, 0 if
            there are none. A token without coverage counts as 0. The prediction is (..., N, C, P, P) float: straight
            colours, which outside the segment mean nothing; normalised if :attr:`normalize` is set; zeros where nothing is
            hidden. Which were hidden is (..., N) bool.

        Raises:
            TypeError: If ``tokens`` are no SegmentTokens, their patches neither uint8 nor float, or ``hidden`` is not bool.
            ValueError: If the patches do not fit the encoder or are out of range, ``hidden`` does not fit the tokens, hides
                padding or all tokens of an image, or the encoder refuses the tokens.
        """
        hidden = self._hidden(tokens, hidden)
        if tokens.labels.ndim == 1:
            loss, prediction = self._run(tokens[None], hidden[None])
            return loss, prediction[0], hidden
        return *self._run(tokens, hidden), hidden

    def draw_hidden(self, tokens: SegmentTokens, noise: Tensor | None = None) -> Tensor:
        """Draw which tokens to hide.

        Args:
            tokens: A batch (B, N) or one image (N).
            noise: (..., N): a number for each token; the tokens of the lowest are hidden. None draws one uniform number
                per token, none for padding, from torch's default generator on the CPU.

        Returns:
            (..., N) bool.

        Raises:
            TypeError: If ``tokens`` are no SegmentTokens.
            ValueError: If ``noise`` has another shape.
        """
        labels = _labels(tokens)
        if noise is None:
            real = (labels >= 0).cpu()
            # Not for padding, so that the draws do not depend on what else is in the batch.
            noise = torch.zeros(real.shape).masked_scatter(real, torch.rand(int(real.sum()))).to(labels.device)
        return hide_tokens(labels, noise, self.mask_ratio)

    @torch.no_grad()
    def reconstruct(self, tokens: SegmentTokens, hidden: Tensor | None = None) -> tuple[SegmentTokens, Tensor]:
        """Put the predicted pixels into the hidden tokens, to look at them.

        Their outlines are the true ones, and with :attr:`normalize` their mean and spread too, as in MAE's figures.

        Args:
            tokens: As in :meth:`forward`.
            hidden: As in :meth:`forward`.

        Returns:
            The tokens, and which of them were hidden. The others are as they were.

        Raises:
            TypeError: As :meth:`forward` does.
            ValueError: As :meth:`forward` does.
        """
        _, prediction, hidden = self(tokens, hidden)
        patches, alpha = tokens.patches[...].clone(), tokens.alpha[...]
        straight, weights = _straight(patches[hidden], alpha[hidden])
        prediction = prediction[hidden]
        if self.normalize:
            mean, spread = _statistics(straight, weights)
            prediction = prediction * spread + mean
        full = 255.0 if patches.dtype == torch.uint8 else 1.0
        patches[hidden] = premultiply(prediction.clamp(0.0, 1.0) * full, alpha[hidden])
        return SegmentTokens(patches, alpha, tokens.boxes, tokens.areas, tokens.labels), hidden

    def _hidden(self, tokens: SegmentTokens, hidden: Tensor | None) -> Tensor:
        """``hidden``, checked or drawn."""
        labels = _labels(tokens)
        if hidden is None:
            return self.draw_hidden(tokens)
        if not isinstance(hidden, Tensor) or hidden.dtype != torch.bool:
            raise TypeError(f"hidden must be a bool tensor, got {describe(hidden)}")
        if hidden.shape != labels.shape:
            raise ValueError(f"hidden must have the shape of the labels {tuple(labels.shape)}, got {describe(hidden)}")
        if bool((hidden & (labels < 0)).any()):
            raise ValueError("hidden must be False at padding, got True there")
        if bool((hidden.any(-1) & (hidden | (labels < 0)).all(-1)).any()):
            raise ValueError("hidden must leave a token visible in each image, got an image with none")
        return hidden

    def _run(self, tokens: SegmentTokens, hidden: Tensor) -> tuple[Tensor, Tensor]:
        hiding = Packing.of(hidden)
        straight, weights = _straight(hiding.pack(tokens.patches[...]), hiding.pack(tokens.alpha[...]))
        prediction = self._predict(tokens, hidden, hiding).float()  # (K, C, P, P)
        target = straight
        if self.normalize:
            mean, spread = _statistics(straight, weights)
            target = (straight - mean) / spread
        errors = ((prediction - target).square() * weights).sum((-3, -2, -1))
        errors = errors / (weights.sum((-3, -2, -1)) * straight.shape[-3]).clamp_min(1e-6)
        return errors.sum() / max(1, len(errors)), hiding.unpack(prediction)

    def _predict(self, tokens: SegmentTokens, hidden: Tensor, hiding: Packing) -> Tensor:
        """Map a batch to predictions for its hidden tokens, (K, C, P, P)."""
        padding = tokens.is_padding
        visible = ~(hidden | padding)
        index = _plan(visible)
        seen = SegmentTokens(
            **{
                field.name: take_tokens(getattr(tokens, field.name)[...], index, -1 if field.name == "labels" else 0)
                for field in fields(SegmentTokens)
            }
        )
        x = self.decoder_embed(self.decoder_norm1(self.encoder.forward_intermediates(seen, [-1])[0]))  # (B, M, E)
        if x.shape[1]:
            # Back to the slots they came from: a visible token's place among the visible ones.
            place = (visible.cumsum(-1) - 1).clamp_min(0)
            x = x.gather(1, place.unsqueeze(-1).expand(-1, -1, x.shape[-1]))
            x = torch.where(visible.unsqueeze(-1), x, self.mask_token.to(x.dtype))
        else:
            x = self.mask_token.expand(*hidden.shape, -1)
        x = x + self.decoder_position(tokens.positions.masked_fill(padding.unsqueeze(-1), 0.0))
        x = x.to(self.mask_token.dtype)  # as in the encoder: under autocast, what the blocks add to is float32
        # Side by side: with random batches of photos two slots in five are padding.
        real = Packing.of(~padding)
        x = real.pack(x)
        for block in self.decoder_blocks:
            x = block(x, real)
        x = hiding.pack(real.unpack(x))
        size = self.encoder.patch_size
        return self.decoder_head(self.decoder_norm2(x)).unflatten(-1, (self.encoder.in_chans, size, size))


def _labels(tokens: SegmentTokens) -> Tensor:
    if not isinstance(tokens, SegmentTokens):
        raise TypeError(f"tokens must be SegmentTokens, got {describe(tokens)}; Tokenize makes them")
    if tokens.labels.ndim not in (1, 2):
        raise ValueError(f"tokens must be one image (N) or a batch (B, N), got labels {tuple(tokens.labels.shape)}")
    return tokens.labels


def _plan(visible: Tensor) -> Tensor:
    """The visible slots of (B, N) in their order, then padding, as :func:`segaug.functional.take_tokens` wants it."""
    most = int(visible.sum(-1).max()) if visible.numel() else 0
    slots = torch.arange(visible.numel(), device=visible.device).view(visible.shape)
    first = (~visible).to(torch.uint8).argsort(dim=-1, stable=True)[:, :most]
    return torch.where(visible, slots, -1).gather(-1, first)


def _straight(patches: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
    """Straight colours (K, C, P, P) and coverage (K, 1, P, P), float32 in [0, 1]."""
    check_unit_range("patches", patches)
    full = 255.0 if patches.dtype == torch.uint8 else 1.0
    return unpremultiply(patches, alpha).float() / full, alpha.unsqueeze(-3).float() / full


def _statistics(straight: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and spread over the channels and the segment's own pixels: two (K, 1, 1, 1)."""
    total = (weights.sum((-3, -2, -1), keepdim=True) * straight.shape[-3]).clamp_min(1e-6)
    mean = (straight * weights).sum((-3, -2, -1), keepdim=True) / total
    variance = ((straight - mean).square() * weights).sum((-3, -2, -1), keepdim=True) / total
    return mean, (variance + _VARIANCE_FLOOR).sqrt()
