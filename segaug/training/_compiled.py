"""A model and what ``torch.compile`` makes of it are one model."""

from torch import nn

__all__ = ["uncompiled"]


def uncompiled(model: nn.Module) -> nn.Module:
    """Return the module that ``torch.compile`` has wrapped, whose parameters have their own names; any other as it is.

    What is compiled within a model keeps its wrapper.
    """
    inner = getattr(model, "_orig_mod", model)
    return inner if isinstance(inner, nn.Module) else model
