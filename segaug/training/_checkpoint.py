"""Checkpoints: tensors in safetensors, everything else as JSON in its header. No pickle, so no code runs on loading."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from segaug._files import write_atomically
from segaug._optional import require
from segaug.training._compiled import uncompiled
from segaug.training._encoder_options import encoder_options, option_differences

__all__ = ["Checkpoint", "check_model", "load_checkpoint", "load_model", "load_optimizer", "save_checkpoint"]

# 3: SViT normalises pixels itself, so weights of before mean something else.
_FORMAT = 3
_MODEL, _RAW, _OPTIMIZER = "model/", "raw/", "optimizer/"


@dataclass(frozen=True)
class Checkpoint:
    """What is in a checkpoint.

    Args:
        path: Where it was read.
        model: The model's state dict.
        optimizer: For each parameter's name, the tensors that the optimizer keeps for it; empty if none were saved.
        meta: What was saved beside them.
        raw: The weights that training goes on with, where ``model`` is a mean of weights; empty if it is not.
        has_optimizer: Whether an optimizer was saved; before its first step it has no tensors.
    """

    path: Path
    model: dict[str, torch.Tensor]
    optimizer: dict[str, dict[str, torch.Tensor]] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    raw: dict[str, torch.Tensor] = field(default_factory=dict)
    has_optimizer: bool = False


def save_checkpoint(
    path: str | Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None = None,
    *,
    meta: Mapping[str, Any] | None = None,
    mean: nn.Module | None = None,
) -> None:
    """Write a checkpoint; what was at ``path`` before stays until it is complete.

    Args:
        path: The file, by custom with the suffix ``.safetensors``.
        model: Its parameters and buffers are saved, those of a model that was compiled as a whole under
            their own names.
        optimizer: Its state for each parameter is saved too, if given; its hyperparameters are not.
        meta: Anything else, as JSON can hold it.
        mean: A model of the same shape that is saved in place of ``model``, whose own weights are then kept beside it to
            go on from, if an optimizer is given.

    Raises:
        TypeError: If JSON cannot hold ``meta``, or the optimizer keeps anything but tensors and numbers.
        OSError: If the file cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_checkpoint(Path(folder) / "a.safetensors", nn.Linear(2, 1), meta={"epoch": 3})
        ...     checkpoint = load_checkpoint(Path(folder) / "a.safetensors")
        >>> sorted(checkpoint.model), checkpoint.meta
        (['bias', 'weight'], {'epoch': 3})
    """
    safetensors = require("safetensors.torch", extra="train")
    # Not by its truth: a module with a length of its own may be false, and a compiled one has none.
    model = uncompiled(model)
    shown = model if mean is None else uncompiled(mean)
    tensors = {_MODEL + name: tensor for name, tensor in shown.state_dict().items()}
    if mean is not None and optimizer is not None:
        tensors.update({_RAW + name: tensor for name, tensor in model.state_dict().items()})
    if optimizer is not None:
        names = _names(model)
        for parameter, state in optimizer.state.items():
            for key, value in state.items():
                if not isinstance(value, torch.Tensor):
                    raise TypeError(f"optimizer must keep tensors only to be saved, got {type(value).__name__} {key!r}")
                tensors[f"{_OPTIMIZER}{names[parameter]}/{key}"] = value
    # Copies: safetensors refuses tensors that share memory.
    plain = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    options = encoder_options(shown)
    header = json.dumps({"format": _FORMAT, **({"encoder": options} if options else {}), **(meta or {})})
    metadata = {"segaug": header, "has_optimizer": json.dumps(optimizer is not None)}
    # On the disk before the old one is gone: a checkpoint is for days on which the power fails, too.
    write_atomically(Path(path), safetensors.save(plain, metadata=metadata), durable=True)


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint.

    Args:
        path: The file.

    Returns:
        What is in it, on the CPU.

    Raises:
        FileNotFoundError: If there is no file.
        ValueError: If it is damaged, no checkpoint of segaug, or one of another version.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint at {path}")
    safetensors = require("safetensors.torch", extra="train")
    data = path.read_bytes()
    try:
        tensors = safetensors.load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        meta = json.loads(header["__metadata__"]["segaug"])
        has_optimizer = header["__metadata__"].get("has_optimizer") == "true"
        version = meta.pop("format")
    # safetensors has an exception of its own, and a file of anything else fails in any of these ways.
    except Exception as error:
        raise ValueError(f"{path} is damaged, or no checkpoint of segaug: {error}") from error
    if version != _FORMAT:
        raise ValueError(
            f"{path} is a checkpoint of version {version!r}, and this segaug reads version {_FORMAT}: train anew, or use "
            "the segaug that wrote it"
        )
    model: dict[str, torch.Tensor] = {}
    raw: dict[str, torch.Tensor] = {}
    optimizer: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith(_MODEL):
            model[name.removeprefix(_MODEL)] = tensor
        elif name.startswith(_RAW):
            raw[name.removeprefix(_RAW)] = tensor
        else:
            parameter, _, key = name.removeprefix(_OPTIMIZER).rpartition("/")
            optimizer.setdefault(parameter, {})[key] = tensor
    return Checkpoint(path, model, optimizer, meta, raw, has_optimizer or bool(optimizer))


def load_model(model: nn.Module, checkpoint: Checkpoint, *, raw: bool = False) -> None:
    """Give a model the weights of a checkpoint.

    Args:
        model: A model of the same shape.
        checkpoint: The checkpoint.
        raw: Whether to load the weights that training goes on with, where the checkpoint's model is a mean of weights.

    Raises:
        ValueError: If the checkpoint is of another model: an SViT with other heads, another kind of position or pixels that
            are normalised otherwise, or other parameters. The message names what differs first.
    """
    model = uncompiled(model)
    check_model(model, checkpoint, raw=raw)
    model.load_state_dict((raw and checkpoint.raw) or checkpoint.model)


def check_model(model: nn.Module, checkpoint: Checkpoint, *, raw: bool = False) -> None:
    """Raise the ValueError of :func:`load_model` if a checkpoint is of another model, and change nothing."""
    here, there = uncompiled(model).state_dict(), (raw and checkpoint.raw) or checkpoint.model
    differences = option_differences(model, checkpoint.meta) + [
        f"{name} is {_shape(there.get(name))} there and {_shape(here.get(name))} here"
        for name in (*here, *sorted(there.keys() - here.keys()))
        if _shape(here.get(name)) != _shape(there.get(name))
    ]
    if differences:
        more = f" and {len(differences) - 3} more" if len(differences) > 3 else ""
        raise ValueError(f"{checkpoint.path} is of another model: {'; '.join(differences[:3])}{more}")


def load_optimizer(optimizer: torch.optim.Optimizer, model: nn.Module, checkpoint: Checkpoint) -> None:
    """Give an optimizer the state of a checkpoint, so that it goes on as if it had not been interrupted.

    Args:
        optimizer: An optimizer of ``model``, of the same kind as the one saved.
        model: The model, whose parameters' names say what belongs where.
        checkpoint: The checkpoint.

    Raises:
        ValueError: If the checkpoint was saved without an optimizer.
    """
    if not checkpoint.has_optimizer:
        raise ValueError(f"{checkpoint.path} holds no state of an optimizer, only a model")
    names = _names(model)
    state, number = {}, 0
    # torch numbers the parameters through the groups.
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if names[parameter] in checkpoint.optimizer:
                state[number] = checkpoint.optimizer[names[parameter]]
            number += 1
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _names(model: nn.Module) -> dict[torch.Tensor, str]:
    return {parameter: name for name, parameter in uncompiled(model).named_parameters()}


def _shape(tensor: torch.Tensor | None) -> str:
    return "missing" if tensor is None else "x".join(map(str, tensor.shape)) or "a number"
