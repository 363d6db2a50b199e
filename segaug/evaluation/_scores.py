"""How good predictions are: per class, on average, and whether the model knows."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F

from segaug._checks import describe
from segaug._optional import require

__all__ = ["Averages", "CalibrationBin", "ClassScores", "Scores", "classification_scores"]

_BINS = 15


@dataclass(frozen=True)
class ClassScores:
    """Scores of one class, each in [0, 1]; None where they are undefined because no image is of the class.

    Args:
        name: The class.
        support: How many images are of it.
        precision: Share of the images called so that are of it; 0 if none is called so.
        recall: Share of its images that are called so.
        f1: Harmonic mean of the two.
        average_precision: Area under precision over recall, by the class's probability.
    """

    name: str
    support: int
    precision: float
    recall: float | None
    f1: float | None
    average_precision: float | None


@dataclass(frozen=True)
class Averages:
    """Precision, recall and F1, averaged in one way."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class CalibrationBin:
    """The images whose largest probability is at least ``low`` and below ``high`` (the last bin holds 1 too)."""

    low: float
    high: float
    images: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Scores:
    """Scores of a classifier.

    Args:
        images: How many images.
        accuracy: Share whose largest logit is the true class's.
        top5_accuracy: Share whose true class is among the five largest; None with five classes or fewer.
        negative_log_likelihood: Mean of -log(probability of the true class), in nats.
        calibration_error: Expected calibration error over 15 bins of equal width (arXiv 1706.04599, equation 3).
        mean_average_precision: Mean over the classes that have images.
        macro: Mean over the classes that have images.
        micro: Over all decisions; with one class per image all three are the accuracy.
        per_class: Scores of each class.
        confusion: (classes, classes): images of the row's class that are called the column's.
        bins: The bins of the calibration error.
    """

    images: int
    accuracy: float
    top5_accuracy: float | None
    negative_log_likelihood: float
    calibration_error: float
    mean_average_precision: float
    macro: Averages
    micro: Averages
    per_class: list[ClassScores]
    confusion: list[list[int]]
    bins: list[CalibrationBin]

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        return asdict(self)


def classification_scores(logits: torch.Tensor, targets: torch.Tensor, classes: Sequence[str]) -> Scores:
    """Score logits with torchmetrics (extra ``train``).

    Args:
        logits: (images, classes), floating point and finite.
        targets: (images,) int64, indices into ``classes``.
        classes: The classes' names. Some may have no images: averages are over those that have.

    Returns:
        The scores.

    Raises:
        ImportError: If torchmetrics is not installed.
        TypeError: If logits are no floats or targets no integers.
        ValueError: If shapes do not fit, there is no image, or a value is not finite or out of range.

    Example:
        >>> logits = torch.tensor([[4.0, 0.0], [3.0, 0.0], [0.0, 2.0], [1.0, 0.0]])
        >>> scores = classification_scores(logits, torch.tensor([0, 0, 1, 1]), ["cat", "dog"])
        >>> scores.accuracy, scores.per_class[1].precision, scores.per_class[1].recall, scores.confusion
        (0.75, 1.0, 0.5, [[2, 0], [1, 1]])
    """
    _check(logits, targets, classes)
    metrics = require("torchmetrics.functional.classification", extra="train")
    count = len(classes)
    logits = logits.detach().double().cpu()
    targets = targets.detach().cpu()
    probabilities = logits.softmax(-1)
    called = logits.argmax(-1)
    options = {"num_classes": count, "validate_args": False}

    def both(name: str, average: str | None) -> Any:
        # A single class would make a binary problem of it.
        return getattr(metrics, name)(called, targets, average=average, **options)

    support = torch.bincount(targets, minlength=count)
    rows = [both(f"multiclass_{name}", None).tolist() for name in ("precision", "recall", "f1_score")]
    per_class = []
    for index, (name, images) in enumerate(zip(classes, support.tolist(), strict=True)):
        precision, recall, f1 = (row[index] for row in rows)
        area = None
        if images:
            area = float(metrics.binary_average_precision(probabilities[:, index], (targets == index).long()))
        per_class.append(ClassScores(name, images, precision, recall if images else None, f1 if images else None, area))
    present = [row for row in per_class if row.support]
    return Scores(
        images=len(targets),
        accuracy=float(both("multiclass_accuracy", "micro")),
        top5_accuracy=_top5(metrics, probabilities, targets) if count > 5 else None,
        negative_log_likelihood=float(F.cross_entropy(logits, targets)),
        calibration_error=float(
            # A confidence of 1, in float32, would have a 16th bin there.
            metrics.multiclass_calibration_error(
                probabilities.clamp(max=1 - 1e-7), targets, n_bins=_BINS, norm="l1", **options
            )
        ),
        mean_average_precision=sum(row.average_precision or 0.0 for row in present) / len(present),
        macro=Averages(
            sum(row.precision for row in present) / len(present),
            sum(row.recall or 0.0 for row in present) / len(present),
            sum(row.f1 or 0.0 for row in present) / len(present),
        ),
        micro=Averages(*(float(both(f"multiclass_{name}", "micro")) for name in ("precision", "recall", "f1_score"))),
        per_class=per_class,
        confusion=metrics.multiclass_confusion_matrix(called, targets, **options).tolist(),
        bins=_bins(probabilities, called == targets),
    )


def _top5(metrics: Any, probabilities: torch.Tensor, targets: torch.Tensor) -> float:
    classes = probabilities.shape[1]
    return float(metrics.multiclass_accuracy(probabilities, targets, num_classes=classes, top_k=5, average="micro"))


def _bins(probabilities: torch.Tensor, correct: torch.Tensor) -> list[CalibrationBin]:
    confidences = probabilities.amax(-1)
    edges = torch.linspace(0, 1, _BINS + 1, dtype=torch.float64)
    # As torchmetrics has it: a value on a border belongs to the bin above.
    places = (torch.bucketize(confidences, edges, right=True) - 1).clamp(max=_BINS - 1)
    bins = []
    for index, (low, high) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)):
        here = places == index
        images = int(here.sum())
        confidence = float(confidences[here].mean()) if images else None
        accuracy = float(correct[here].double().mean()) if images else None
        bins.append(CalibrationBin(low, high, images, confidence, accuracy))
    return bins


def _check(logits: Any, targets: Any, classes: Sequence[str]) -> None:
    if not isinstance(logits, torch.Tensor) or not logits.is_floating_point():
        raise TypeError(f"logits must be a floating-point tensor, got {describe(logits)}")
    if not isinstance(targets, torch.Tensor) or targets.dtype != torch.int64:
        raise TypeError(f"targets must be an int64 tensor, got {describe(targets)}")
    if logits.ndim != 2 or logits.shape[1] != len(classes) or not len(classes):
        raise ValueError(f"logits must have the shape (images, {len(classes)}), got {tuple(logits.shape)}")
    if targets.shape != logits.shape[:1] or not len(targets):
        raise ValueError(f"targets must have one class for each of {len(logits)} images, got {tuple(targets.shape)}")
    if not bool(logits.isfinite().all()):
        raise ValueError("logits must be finite, got NaN or infinity: the model's weights may be broken")
    low, high = int(targets.min()), int(targets.max())
    if low < 0 or high >= len(classes):
        raise ValueError(f"targets must be from 0 to {len(classes) - 1}, got {low if low < 0 else high}")
