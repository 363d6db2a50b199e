"""Pictures of an evaluation. Drawn on figures of their own, so they need no display and change no state of pyplot."""

from collections.abc import Sequence

import numpy as np

from segaug._checks import describe
from segaug._figures import new_figure, to_png
from segaug.evaluation._scores import CalibrationBin

__all__ = ["draw_confusion", "draw_reliability"]

# With more classes neither numbers nor names can be read.
_MOST_NUMBERS, _MOST_NAMES = 15, 60
_LONGEST_NAME = 24


def draw_confusion(confusion: Sequence[Sequence[int]], classes: Sequence[str]) -> bytes:
    """Draw a confusion matrix, each row as shares of the row's class. Needs the extra ``train``.

    Args:
        confusion: For each true class (row) how many of its images are called each class (column).
        classes: The classes' names.

    Returns:
        A PNG file.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If it is not square, or names do not fit.
    """
    counts = np.asarray(confusion)
    number = len(classes)
    if counts.shape != (number, number) or not number:
        raise ValueError(f"confusion must have one row and column for each of {number} classes, got {describe(counts)}")
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = min(14.0, 2.6 + 0.5 * number)
    figure = new_figure(side + 1.1, side)
    panel = figure.subplots()
    shown = panel.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    figure.colorbar(shown, ax=panel, label="share of the true class", fraction=0.045, pad=0.02)
    if number <= _MOST_NAMES:
        names = [shorten(name) for name in classes]
        size = 9 if number <= 30 else 6
        slant = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if number <= 30 else {"rotation": 90}
        # Names are no formulas, even with two dollars in them.
        panel.set_xticks(range(number), names, fontsize=size, parse_math=False, **slant)
        panel.set_yticks(range(number), names, fontsize=size, parse_math=False)
    if number <= _MOST_NUMBERS:
        for (row, column), count in np.ndenumerate(counts):
            color = "white" if shares[row, column] > 0.5 else "0.15"
            panel.text(column, row, str(count), ha="center", va="center", color=color, fontsize=9)
    panel.set(xlabel="called", ylabel="true")
    return to_png(figure)


def draw_reliability(bins: Sequence[CalibrationBin], calibration_error: float) -> bytes:
    """Draw accuracy over confidence, and how many images are how confident. Needs the extra ``train``.

    Args:
        bins: The bins, as in :class:`~segaug.evaluation.Scores`.
        calibration_error: Their expected calibration error, for the title.

    Returns:
        A PNG file.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If there are no images in the bins.
    """
    total = sum(one.images for one in bins)
    if not total:
        raise ValueError("bins must hold at least one image, got none")
    figure = new_figure(4.6, 5.6)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    filled = [(one.low, one.high - one.low, one.accuracy, one.confidence) for one in bins if one.images]
    for low, width, accuracy, confidence in filled:
        above.bar(low, accuracy, width, align="edge", color="tab:blue", alpha=0.75, ec="white")
        # From what the model promised to what it kept.
        above.plot([low + width / 2] * 2, [accuracy, confidence], color="tab:red", lw=2)
    above.plot([0, 1], [0, 1], color="0.4", ls="--", lw=1)
    above.plot([], [], color="tab:red", lw=2, label="gap to mean confidence")
    above.plot([], [], color="0.4", ls="--", lw=1, label="calibrated")
    above.legend(fontsize=8, loc="upper left")
    above.set(ylim=(0, 1), xlim=(0, 1), ylabel="accuracy", title=f"expected calibration error {calibration_error:.3f}")
    for one in bins:
        below.bar(one.low, one.images / total, one.high - one.low, align="edge", color="0.6", ec="white")
    below.set(xlabel="confidence", ylabel="share of images")
    for panel in (above, below):
        panel.grid(alpha=0.3)
        panel.set_axisbelow(True)
    return to_png(figure)


def shorten(name: str, longest: int = _LONGEST_NAME) -> str:
    """Cut a name that is too long for its place."""
    return name if len(name) <= longest else f"{name[: longest - 1]}…"
