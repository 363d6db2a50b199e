"""Evaluate a run: as it is, and under corruptions."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from segaug._checks import check_choice, check_int
from segaug.data import Images, TokenStore
from segaug.evaluation._corruptions import CORRUPTIONS, SEVERITIES, CorruptedImages
from segaug.evaluation._hierarchy import HierarchicalScores, hierarchical_scores
from segaug.evaluation._predict import Predictions, predict
from segaug.evaluation._run import TrainedRun
from segaug.evaluation._scores import Scores, classification_scores

__all__ = ["CorruptionScores", "Evaluation", "evaluate_run"]


@dataclass(frozen=True)
class CorruptionScores:
    """What is left under one corruption at one severity.

    Args:
        corruption: Its name.
        severity: 1 to 5.
        accuracy: Share of the images that are called right.
        negative_log_likelihood: In nats.
        mean_tokens: Tokens per image on average: segmenters see the corrupted image.
    """

    corruption: str
    severity: int
    accuracy: float
    negative_log_likelihood: float
    mean_tokens: float


@dataclass(frozen=True)
class Evaluation:
    """All that was measured.

    Args:
        run: The run's folder.
        checkpoint: ``"best"`` or ``"last"``.
        epoch: The epoch of its weights.
        data: What it was evaluated on.
        mean_tokens: Tokens per image on average.
        skipped: Messages of images left out.
        scores: Scores of the images as they are.
        hierarchy: Hierarchical scores, if there is a tree.
        corruptions: One entry for each corruption and severity.
    """

    run: Path
    checkpoint: str
    epoch: int
    data: str
    mean_tokens: float
    skipped: tuple[str, ...]
    scores: Scores
    hierarchy: HierarchicalScores | None
    corruptions: list[CorruptionScores]

    @property
    def mean_corruption_accuracy(self) -> float | None:
        """Mean accuracy over all corruptions and severities; None if there are none."""
        if not self.corruptions:
            return None
        return sum(line.accuracy for line in self.corruptions) / len(self.corruptions)

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        return {
            **asdict(self),
            "run": str(self.run),
            "skipped": list(self.skipped),
            "mean_corruption_accuracy": self.mean_corruption_accuracy,
        }


def evaluate_run(
    run: TrainedRun,
    images: Images,
    *,
    data: str = "",
    tree: Mapping[str, str | None] | None = None,
    corruptions: Sequence[str] = (),
    severities: Sequence[int] = SEVERITIES,
    seed: int = 0,
    batch_size: int = 64,
    workers: int = 0,
    device: torch.device | str = "cpu",
    store: TokenStore | None = None,
    skip_bad: bool = False,
    progress: bool = False,
) -> Evaluation:
    """Evaluate a run on images, and again on each corruption of them. Needs the extra ``train``.

    Args:
        run: The run.
        images: From :func:`open_images`, or any with targets that index the run's classes.
        data: What the images are, for the report.
        tree: The classes' tree, for hierarchical scores; see :func:`parse_class_tree`.
        corruptions: Names out of :data:`CORRUPTIONS`. The corrupted images are segmented anew.
        severities: Out of 1 to 5.
        seed: Decides the corruptions' noise.
        batch_size: As for :func:`predict`.
        workers: As for :func:`predict`.
        device: As for :func:`predict`.
        store: As for :func:`predict`.
        skip_bad: As for :func:`predict`.
        progress: Whether to show bars on stderr.

    Returns:
        All that was measured.

    Raises:
        BadImageError: If an image cannot be read and ``skip_bad`` is not set.
        TypeError: If an argument is of the wrong type.
        ValueError: If a corruption or severity is unknown or there twice, a class is missing in the tree, or the model
            gives numbers that are not finite.
    """
    check_int("seed", seed, minimum=0)
    _check_list("corruptions", corruptions, CORRUPTIONS)
    _check_list("severities", severities, SEVERITIES)
    if tree is not None:
        # Before hours of segmenting, and not after.
        nothing = torch.zeros(1, dtype=torch.int64)
        hierarchical_scores(nothing, nothing, run.classes, tree)

    def ask(looked_at: Images, title: str) -> Predictions:
        return predict(
            run,
            looked_at,
            batch_size=batch_size,
            workers=workers,
            device=device,
            store=store,
            skip_bad=skip_bad,
            progress=title if progress else None,
        )

    clean = ask(images, "as they are")
    scores = classification_scores(clean.logits, clean.targets, run.classes)
    lines = []
    for name in corruptions:
        for severity in severities:
            answers = ask(CorruptedImages(images, name, severity, seed=seed), f"{name} {severity}")
            lines.append(
                CorruptionScores(
                    name,
                    severity,
                    float((answers.logits.argmax(-1) == answers.targets).double().mean()),
                    float(F.cross_entropy(answers.logits.double(), answers.targets)),
                    answers.mean_tokens,
                )
            )
    hierarchy = None if tree is None else hierarchical_scores(clean.logits.argmax(-1), clean.targets, run.classes, tree)
    return Evaluation(
        run=run.folder,
        checkpoint=run.which,
        epoch=run.epoch,
        data=data,
        mean_tokens=clean.mean_tokens,
        skipped=clean.skipped,
        scores=scores,
        hierarchy=hierarchy,
        corruptions=lines,
    )


def _check_list(name: str, values: Sequence[Any], allowed: Sequence[Any]) -> None:
    if isinstance(values, str):
        raise TypeError(f"{name} must be a list, got {values!r}")
    for value in values:
        check_choice(name, value, allowed)
    if len(set(values)) < len(values):
        raise ValueError(f"{name} must differ, got {list(values)}")
