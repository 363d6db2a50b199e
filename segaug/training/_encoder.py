"""What fine-tuning starts from."""

from pathlib import Path

import torch
from torch import nn

from segaug.training._checkpoint import load_checkpoint

__all__ = ["load_encoder"]

# A model of another number of classes, pool or distillation has others of these.
_MAY_BE_LEFT = ("blocks_token_only.", "cls_token", "dist_token", "fc_norm.", "head.", "head_dist.", "norm.")
_HEADS = ("head.", "head_dist.")


def load_encoder(model: nn.Module, path: str | Path) -> list[str]:
    """Start from a pretrained encoder: load all that was pretrained, but no head.

    Args:
        model: An :class:`~segaug.models.SViT` with the encoder's options; its classes, and what stands behind its blocks
            (pool, distillation), may be others.
        path: ``encoder.safetensors`` of :func:`pretrain`, or any checkpoint of such a model, as ``best.safetensors`` of
            :func:`fit`.

    Returns:
        The names in the model's state dict that were left as they are.

    Raises:
        FileNotFoundError: If there is no file.
        ValueError: If the file is no checkpoint, or its encoder is another. The message names the first differences.

    Example:
        >>> import tempfile
        >>> from segaug.models import SViT
        >>> from segaug.training import save_checkpoint
        >>> small = {"patch_size": 4, "embed_dim": 8, "depth": 1, "num_heads": 1}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_checkpoint(Path(folder) / "a.safetensors", SViT(5, **small))
        ...     load_encoder(SViT(3, **small), Path(folder) / "a.safetensors")
        ['head.weight', 'head.bias']
    """
    checkpoint = load_checkpoint(path)
    pretrained = checkpoint.meta.get("pretrained", checkpoint.model.keys())
    there = {name: checkpoint.model[name] for name in pretrained if not name.startswith(_HEADS)}
    here = model.state_dict()
    left = [name for name in here if name not in there]
    needed = [name for name in here if name in there or not name.startswith(_MAY_BE_LEFT)]
    differences = [
        f"{name} is {_shape(there.get(name))} there and {_shape(here.get(name))} here"
        for name in (*needed, *sorted(there.keys() - here.keys()))
        if _shape(there.get(name)) != _shape(here.get(name))
    ]
    if differences:
        more = f" and {len(differences) - 3} more" if len(differences) > 3 else ""
        raise ValueError(f"{checkpoint.path} is of another encoder: {'; '.join(differences[:3])}{more}")
    model.load_state_dict(there, strict=False)
    return left


def _shape(tensor: torch.Tensor | None) -> str:
    return "missing" if tensor is None else "x".join(map(str, tensor.shape))
