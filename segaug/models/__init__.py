"""Models on segment tokens."""

from segaug.models._masked import MaskedSViT
from segaug.models._presets import svit_base, svit_micro, svit_small, svit_tiny
from segaug.models._vit_weights import LoadedWeights, load_vit_weights
from segaug.models.svit import SViT

__all__ = [
    "LoadedWeights",
    "MaskedSViT",
    "SViT",
    "load_vit_weights",
    "svit_base",
    "svit_micro",
    "svit_small",
    "svit_tiny",
]
