"""What must be the same where a run is resumed."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from torch import nn

from segaug._checks import describe
from segaug.training._checkpoint import check_model
from segaug.training._compiled import uncompiled
from segaug.training._recipe import Recipe
from segaug.training._run_folder import RunFolder

__all__ = ["compare", "plain_settings", "recipe_structure", "structure"]

# Where an object is in memory, which its `repr` may tell: another in each run.
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def plain_settings(settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what a checkpoint gives back for ``settings``: a tuple is a list there, a key always a string."""
    if settings is None:
        return {}
    if not isinstance(settings, Mapping):
        raise TypeError(f"settings must be a mapping or None, got {describe(settings)}")
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(settings), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise TypeError(f"settings must be what JSON can hold, got {describe(settings)}: {error}") from error
    return plain


def structure(model: nn.Module) -> str:
    """Return a checksum of what a model's ``repr`` tells: models of other heads may have weights of the same shapes."""
    return hashlib.sha256(_described(uncompiled(model)).encode()).hexdigest()[:16]


def recipe_structure(recipe: Recipe) -> dict[str, str | None]:
    """Describe a recipe's parts, as far as their ``repr`` tells."""
    parts = {"image": recipe.image, "tokens": recipe.tokens, "batch": recipe.batch}
    return {name: None if part is None else _described(part) for name, part in parts.items()}


def compare(run: RunFolder, settings: Mapping[str, Any], model: nn.Module, *, may_change: tuple[str, ...]) -> None:
    """Check that a run can be resumed.

    Args:
        run: The run that is resumed.
        settings: What the run would now be saved with.
        model: The model, with weights of any values.
        may_change: Names of settings that need not be the same.

    Raises:
        ValueError: If another setting or the model differs, or the run has begun more than ``settings["epochs"]``.
    """
    there = run.settings
    names = {*there, *settings} - {*may_change, "model_structure"}
    differing = [
        text
        for name in sorted(names, key=lambda name: (name == "fingerprints", name))
        if there.get(name) != settings.get(name)
        for text in _differences(name, there.get(name), settings.get(name))
    ]
    if differing:
        raise ValueError(f"the run in {run.folder} cannot be resumed with other settings: {'; '.join(differing)}")
    if run.resumed is not None:
        # First the shapes and the encoder's options, as that message says more.
        check_model(model, run.resumed, raw=True)
    if there.get("model_structure") != settings["model_structure"]:
        raise ValueError(
            f"the run in {run.folder} cannot be resumed with another model: the model's structure changed, though its "
            "weights have the same shapes; a drop rate may differ"
        )
    done, epochs = len(run.history), settings["epochs"]
    # The weights are already those of the next epoch.
    begun = done + (run.resumed is not None and "partial" in run.resumed.meta)
    if begun > epochs:
        how = "done" if begun == done else "begun"
        raise ValueError(f"epochs must be at least {begun}, which the run in {run.folder} has {how}, got {epochs}")


def _differences(name: str, was: Any, now: Any) -> list[str]:
    if name == "fingerprint":
        return ["the data changed"]
    if name == "fingerprints":
        sets = zip(("train", "val"), was or ("", ""), now, strict=True)
        return [f"the data of {part} changed" for part, before, after in sets if before != after]
    if name == "recipe_structure":
        parts = [part for part in now if now[part] != (was or {}).get(part)]
        return [f"the recipe changed ({', '.join(parts)})"]
    return [f"{name} was {was!r} and is {now!r}"]


def _described(value: object) -> str:
    return " ".join(_ADDRESS.sub("", repr(value)).split())
