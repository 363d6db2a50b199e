"""What fine-tuning starts from."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from segaug.training._checkpoint import load_checkpoint
from segaug.training._compiled import uncompiled
from segaug.training._encoder_options import option_differences

__all__ = ["load_encoder"]

# What a model of another number of classes, pool or distillation has others of, or has not.
_MAY_BE_LEFT = ("blocks_token_only.", "cls_token", "dist_token", "fc_norm.", "head.", "head_dist.", "norm.")
_HEADS = ("head.", "head_dist.")


def load_encoder(model: nn.Module, path: str | Path) -> list[str]:
    """Start from a pretrained encoder: load all that was pretrained, but no head.

    What stands behind the blocks, or in a class or distillation token, is taken if both have it, and is left out if only
    the file does. A class token is taken only from a model of the same pool: in another it has another role. A
    position table may have rows for other tokens: those that both have are taken.

    Args:
        model: An :class:`~segaug.models.SViT` with the encoder's options; its classes, pool and distillation may be others.
        path: ``encoder.safetensors`` of :func:`pretrain`, or any checkpoint of such a model, as ``best.safetensors`` of
            :func:`fit`.

    Returns:
        The names in the model's state dict that were left as they are.

    Raises:
        FileNotFoundError: If there is no file.
        ValueError: If the file is no checkpoint, or its encoder is another: of other shapes, or with other heads, another
            kind of position, or pixels that are normalised otherwise. The message names the first differences.

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
    model = uncompiled(model)
    here = model.state_dict()
    pretrained = checkpoint.meta.get("pretrained", checkpoint.model.keys())
    there = {name: checkpoint.model[name] for name in pretrained if not name.startswith(_HEADS)}
    if _pool(here) != _pool(checkpoint.model):
        there.pop("cls_token", None)
    there = {name: tensor for name, tensor in there.items() if name in here or not name.startswith(_MAY_BE_LEFT)}
    differences = option_differences(model, checkpoint.meta)
    if all("pos_embed" in names and names["pos_embed"].ndim == 3 for names in (there, here)):
        # Its rows depend on the pool: as many rows need not be the same ones.
        rows = [table["pos_embed"].shape[1] - len(_with_rows(table)) for table in (checkpoint.model, here)]
        if rows[0] != rows[1]:
            differences.append(f"num_positions is {rows[0]} there and {rows[1]} here")
        elif there["pos_embed"].shape[2:] == here["pos_embed"].shape[2:]:
            there["pos_embed"] = _fit_rows(checkpoint.model, here)
    needed = [name for name in here if name in there or not name.startswith(_MAY_BE_LEFT)]
    differences += [
        f"{name} is {_shape(there.get(name))} there and {_shape(here.get(name))} here"
        for name in (*needed, *sorted(there.keys() - here.keys()))
        if _shape(there.get(name)) != _shape(here.get(name))
    ]
    if differences:
        more = f" and {len(differences) - 3} more" if len(differences) > 3 else ""
        raise ValueError(f"{checkpoint.path} is of another encoder: {'; '.join(differences[:3])}{more}")
    model.load_state_dict(there, strict=False)
    return [name for name in here if name not in there]


def _pool(names: Mapping[str, Tensor]) -> str:
    """The pool of an SViT, by its parameters' names."""
    if any(name.startswith("blocks_token_only.") for name in names):
        return "class_attention"
    return "cls" if "cls_token" in names else "mean"


def _with_rows(state: Mapping[str, Tensor]) -> list[str]:
    """The tokens that have a row of their own in a position table, in the order of the rows."""
    tokens = ["cls_token"] if _pool(state) == "cls" else []
    return [*tokens, *(["dist_token"] if "dist_token" in state else [])]


def _fit_rows(there: Mapping[str, Tensor], here: Mapping[str, Tensor]) -> Tensor:
    """The table of one model with the rows that another needs, its own where there are none."""
    table, tokens = there["pos_embed"], _with_rows(there)
    rows = [
        table[:, tokens.index(name)] if name in tokens else here["pos_embed"][:, i].to(table)
        for i, name in enumerate(_with_rows(here))
    ]
    return torch.cat([*(row.unsqueeze(1) for row in rows), table[:, len(tokens) :]], dim=1)


def _shape(tensor: Tensor | None) -> str:
    return "missing" if tensor is None else "x".join(map(str, tensor.shape))
