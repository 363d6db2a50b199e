"""A trained run, read back: the model, and how its tokens were made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from segaug import models
from segaug._checks import check_choice, check_int, describe
from segaug.data import parse_segmenter
from segaug.training import load_checkpoint, load_model
from segaug.transforms import Tokenize

__all__ = ["TrainedRun", "load_run"]

CHECKPOINTS = ("best", "last")
_NEEDED = ("data", "model", "max_segments", "segmenter", "size", "classes")
_SCENES = "scenes:"


@dataclass(frozen=True)
class TrainedRun:
    """A classifier and everything it needs to see an image as in training.

    Args:
        folder: The run's folder.
        which: ``"best"`` or ``"last"``.
        epoch: How many epochs were finished when the weights were saved. ``"last"`` of a run that was stopped within an
            epoch has some steps more.
        model: The model in eval mode, on the CPU.
        classes: The classes' names; a logit belongs to the class in its place.
        segmenter: Image to map; a tuple of several for tokens of several scales; None if the images bring their own maps.
        tokenize: From maps to tokens.
        size: Height and width of the images in pixels, or (height, width).
        settings: All settings of the run.
    """

    folder: Path
    which: str
    epoch: int
    model: nn.Module
    classes: list[str]
    segmenter: Any
    tokenize: Tokenize
    size: int | tuple[int, int]
    settings: Mapping[str, Any]


def load_run(folder: str | Path, which: str = "best", *, max_segments: int | None = None) -> TrainedRun:
    """Read a run that ``examples/train_svit.py`` left behind. Needs the extra ``train``.

    Args:
        folder: The run's folder.
        which: ``"best"``, the epoch with the highest validation accuracy, or ``"last"``.
        max_segments: How many segments an image may have, in place of what the run was trained with: fewer are faster.

    Returns:
        The run.

    Raises:
        FileNotFoundError: If there is no run.
        TypeError: If ``max_segments`` is no int.
        ValueError: If ``max_segments`` is below 1; if the checkpoint is damaged, of another version or of another model,
            its weights are not merged with LoRA's, or its settings do not say how to make the model and the tokens.

    Example:
        >>> load_run("no/such/run")
        Traceback (most recent call last):
        ...
        FileNotFoundError: there is no run in no/such/run: best.safetensors is missing
    """
    check_choice("which", which, CHECKPOINTS)
    folder = Path(folder)
    path = folder / f"{which}.safetensors"
    if not path.is_file():
        raise FileNotFoundError(f"there is no run in {folder}: {path.name} is missing")
    checkpoint = load_checkpoint(path)
    settings = checkpoint.meta.get("settings")
    if not isinstance(settings, dict):
        raise ValueError(f"{path} is no checkpoint of a run: it holds no settings")
    if any(".lora_" in name for name in checkpoint.model):
        raise ValueError(
            f"{path} holds LoRA's matrices beside a model's weights: merge them (examples/finetune_lora.py does, into "
            f"{folder / 'merged'})"
        )
    missing = [name for name in _NEEDED if name not in settings]
    if missing:
        raise ValueError(
            f"the settings of the run in {folder} must hold {', '.join(_NEEDED)}, as examples/train_svit.py saves them; "
            f"{', '.join(missing)} missing"
        )
    classes = settings["classes"]
    if not isinstance(classes, list) or not classes or not all(isinstance(name, str) for name in classes):
        raise ValueError(f"the settings of the run in {folder} must hold the classes' names, got {describe(classes)}")
    model = _make_model(folder, settings, len(classes))
    load_model(model, checkpoint)
    history = checkpoint.meta.get("history") or []
    return TrainedRun(
        folder=folder,
        which=which,
        epoch=len(history),
        model=model.eval(),
        classes=classes,
        segmenter=_segmenter(settings),
        tokenize=_tokenize(folder, settings, max_segments),
        size=_size(settings),
        settings=settings,
    )


def _make_model(folder: Path, settings: Mapping[str, Any], classes: int) -> nn.Module:
    factories = [name for name in models.__all__ if name.startswith("svit_")]
    name = settings["model"]
    if name not in factories:
        raise ValueError(
            f"the model of the run in {folder} must be one of {', '.join(factories)}, got {describe(name)}"
        )
    options = settings.get("model_options") or {}
    try:
        return getattr(models, name)(classes, **options)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the run in {folder} is of another version: cannot make {name} with {options}: {error}"
        ) from error


def _segmenter(settings: Mapping[str, Any]) -> Any:
    name = settings["segmenter"]
    if name is None:
        name = "true" if str(settings["data"]).startswith(_SCENES) else "felzenszwalb"
    return None if name == "true" else parse_segmenter(name)


def _tokenize(folder: Path, settings: Mapping[str, Any], max_segments: int | None) -> Tokenize:
    # Runs from before an option existed do without it.
    options = {name: settings[name] for name in ("aspect", "edges") if settings.get(name) is not None}
    if max_segments is not None:
        check_int("max_segments", max_segments, minimum=1)
    try:
        return Tokenize(max_segments=settings["max_segments"] if max_segments is None else max_segments, **options)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the run in {folder} is of another version: cannot make its tokens: {error}") from error


def _size(settings: Mapping[str, Any]) -> int | tuple[int, int]:
    size = settings["size"]
    if size is None:
        # What open_data takes where nothing is said.
        return 96 if str(settings["data"]).startswith(_SCENES) else 144
    return tuple(size) if isinstance(size, Sequence) else size
