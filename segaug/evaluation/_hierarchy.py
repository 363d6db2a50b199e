"""Precision and recall that forgive a mistake in part, by how near two classes are in a tree."""

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from segaug._checks import describe

__all__ = ["HierarchicalScores", "hierarchical_scores", "load_class_tree", "parse_class_tree"]


@dataclass(frozen=True)
class HierarchicalScores:
    """Hierarchical precision, recall and their harmonic mean, each in [0, 1]."""

    precision: float
    recall: float
    f1: float


def parse_class_tree(tree: Any) -> dict[str, str | None]:
    """Read a tree of classes.

    Args:
        tree: ``{child: parent, ...}``, or nested: ``{name: {name: {...}, ...}, ...}`` with ``{}`` or None below a leaf.

    Returns:
        For every name its parent, None for those on top.

    Raises:
        TypeError: If it is neither.
        ValueError: If a name has two parents, or is above itself.

    Example:
        >>> parse_class_tree({"animal": {"cat": {}, "dog": {}}, "car": {}})
        {'animal': None, 'cat': 'animal', 'dog': 'animal', 'car': None}
        >>> parse_class_tree({"cat": "animal", "dog": "animal"}) == {"cat": "animal", "dog": "animal", "animal": None}
        True
    """
    if not isinstance(tree, Mapping) or not tree:
        raise TypeError(f"tree must be {{child: parent, ...}} or nested dicts, got {describe(tree)}")
    parents: dict[str, str | None] = {}
    if all(isinstance(parent, str) for parent in tree.values()):
        parents = {str(child): parent for child, parent in tree.items()}
        for parent in tree.values():
            parents.setdefault(parent, None)
        _check_cycles(parents)
    else:
        _walk(tree, (), parents)
    return parents


def load_class_tree(path: str | Path) -> dict[str, str | None]:
    """Read a tree of classes from a JSON file.

    Args:
        path: The file, which holds what :func:`parse_class_tree` takes.

    Returns:
        For every name its parent, None for those on top.

    Raises:
        FileNotFoundError: If there is no file.
        TypeError: If it holds anything else.
        ValueError: If it is no JSON, a name has two parents, or is above itself.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no class tree at {path}")
    try:
        tree = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_no_name_twice)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} must hold JSON: {error}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must hold JSON in UTF-8: {error}") from error
    return parse_class_tree(tree)


def hierarchical_scores(
    called: torch.Tensor, targets: torch.Tensor, classes: Sequence[str], tree: Mapping[str, str | None]
) -> HierarchicalScores:
    """Compare classes by the sets of themselves and all that is above them (Kiritchenko et al. 2006).

    The paper is "Learning and evaluation in the presence of class hierarchies: application to text categorization".
    Precision is the sum over the images of what both sets hold, over the sum of what the sets of the classes called hold;
    recall has the true classes' sets below the line. The root is in no set: everything is below it. It is the one name on
    top; with several on top, none of them is the root.

    Args:
        called: (images,) int64, the predicted classes.
        targets: (images,) int64, the true classes.
        classes: The classes' names, leaves of the tree or not.
        tree: For every name its parent, None on top; see :func:`parse_class_tree`.

    Returns:
        The scores.

    Raises:
        ValueError: If a class is missing in the tree, or is its root, or there is no image.

    Example:
        >>> tree = parse_class_tree({"animal": {"cat": {}, "dog": {}}, "vehicle": {"car": {}}})
        >>> hierarchical_scores(torch.tensor([1, 2]), torch.tensor([0, 0]), ["cat", "dog", "car"], tree)
        HierarchicalScores(precision=0.25, recall=0.25, f1=0.25)
    """
    if called.shape != targets.shape or called.ndim != 1 or not len(called):
        raise ValueError(
            f"called and targets must be of the same length, got {describe(called)} and {describe(targets)}"
        )
    sets = _ancestors(classes, tree)
    shared, sizes = sets @ sets.T, sets.sum(-1)
    both = float(shared[called, targets].sum())
    precision, recall = both / float(sizes[called].sum()), both / float(sizes[targets].sum())
    return HierarchicalScores(precision, recall, 2 * precision * recall / (precision + recall) if both else 0.0)


def _ancestors(classes: Sequence[str], tree: Mapping[str, str | None]) -> torch.Tensor:
    """(classes, names) float64: 1 where the name is the class or above it, and not the root."""
    missing = [name for name in classes if name not in tree]
    if missing:
        near = difflib.get_close_matches(missing[0], list(tree), 1)
        meant = f"; did the tree mean {missing[0]!r} by {near[0]!r}?" if near else ""
        shown = ", ".join(repr(name) for name in missing[:8]) + (", ..." if len(missing) > 8 else "")
        raise ValueError(f"tree must hold every class, missing: {shown}{meant}")
    tops = [name for name, parent in tree.items() if parent is None]
    root = tops[0] if len(tops) == 1 else None
    if root in classes:
        raise ValueError(f"tree must have its classes below the root, and {root!r} is the root")
    places = {name: place for place, name in enumerate(tree)}
    sets = torch.zeros(len(classes), len(tree), dtype=torch.float64)
    for row, name in enumerate(classes):
        above: str | None = name
        while above is not None and above != root:
            sets[row, places[above]] = 1
            above = tree[above]
    return sets


def _walk(tree: Mapping[str, Any], above: tuple[str, ...], parents: dict[str, str | None]) -> None:
    for name, below in tree.items():
        if below is not None and not isinstance(below, Mapping):
            raise TypeError(
                f"tree must be {{child: parent, ...}} or nested dicts with {{}} or null below a leaf, "
                f"got {describe(below)} below {name!r}"
            )
        if name in above:
            raise ValueError(f"tree must have no cycle, got {' > '.join((*above, name))}")
        parent = above[-1] if above else None
        if name in parents:
            raise ValueError(f"tree must give every name one parent, got {name!r} twice")
        parents[str(name)] = parent
        if below:
            _walk(below, (*above, name), parents)


def _check_cycles(parents: Mapping[str, str | None]) -> None:
    fine: set[str] = set()
    for start in parents:
        path: list[str] = []
        name: str | None = start
        while name is not None and name not in fine:
            if name in path:
                raise ValueError(f"tree must have no cycle, got {' < '.join((*path[path.index(name) :], name))}")
            path.append(name)
            name = parents[name]
        fine.update(path)


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # json keeps the last of several silently.
    seen: dict[str, Any] = {}
    for name, value in pairs:
        if name in seen:
            raise ValueError(f"tree must give every name one parent, got {name!r} twice")
        seen[name] = value
    return seen
