"""S-ViT on plain tensors, as torch.export needs it."""

from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor, nn

from segaug._checks import describe
from segaug.structures import SegmentTokens

if TYPE_CHECKING:
    from segaug.models.svit import SViT

__all__ = ["Inputs", "PlainSViT", "open_tokens"]


class Inputs(NamedTuple):
    """The fields of SegmentTokens as plain tensors: torch.export cannot make torchvision's types."""

    patches: Tensor
    alpha: Tensor
    boxes: Tensor
    areas: Tensor
    labels: Tensor

    @property
    def padding(self) -> Tensor:
        """Where there is no token, (..., N)."""
        return self.labels < 0


def open_tokens(tokens: SegmentTokens) -> Inputs:
    """Take the fields out of tokens, or raise a TypeError."""
    if not isinstance(tokens, SegmentTokens):
        raise TypeError(f"tokens must be SegmentTokens, got {describe(tokens)}; Tokenize makes them")
    # Indexing takes torchvision's type off in a way that torch.compile can follow.
    return Inputs(tokens.patches[...], tokens.alpha[...], tokens.boxes[...], tokens.areas, tokens.labels)


class PlainSViT(nn.Module):
    """An :class:`SViT` on plain tensors, for ``torch.export`` and other tools that know no ``SegmentTokens``.

    Args:
        model: The model; its parameters are shared.

    Example:
        >>> import torch
        >>> from torch.export import Dim, export
        >>> from segaug.models import SViT
        >>> model = SViT(5, embed_dim=16, depth=1, num_heads=1, patch_size=4).eval()
        >>> images, tokens = Dim("images", max=1024), Dim("tokens", max=1024)
        >>> example = (
        ...     torch.rand(2, 7, 3, 4, 4), torch.ones(2, 7, 4, 4), torch.rand(2, 7, 4), torch.rand(2, 7),
        ...     torch.arange(1, 8).repeat(2, 1),
        ... )
        >>> program = export(model.plain(), example, dynamic_shapes=({0: images, 1: tokens},) * 5)
        >>> program.module()(*(field[:1, :3] for field in example)).shape
        torch.Size([1, 5])
    """

    def __init__(self, model: "SViT") -> None:
        super().__init__()
        self.model = model

    def forward(
        self, patches: Tensor, alpha: Tensor, boxes: Tensor, areas: Tensor, labels: Tensor
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Classify images: the fields of :class:`~segaug.SegmentTokens`, (B, N, ...) or (N, ...), to logits."""
        return self.model._logits(Inputs(patches, alpha, boxes, areas, labels))
