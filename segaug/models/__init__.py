"""Models on segment tokens."""

from segaug.models.svit import SViT, svit_base, svit_micro, svit_small, svit_tiny

__all__ = ["SViT", "svit_base", "svit_micro", "svit_small", "svit_tiny"]
