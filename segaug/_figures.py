"""Figures of matplotlib that need no display and change no state of pyplot."""

import io
from typing import Any

from segaug._optional import require

__all__ = ["new_figure", "to_png"]


def new_figure(width: float, height: float, layout: str | None = "constrained") -> Any:
    """Make an empty figure of so many inches. Needs the extra ``train``."""
    figure = require("matplotlib.figure", extra="train").Figure(figsize=(width, height), layout=layout)
    # Sets itself as the figure's canvas.
    require("matplotlib.backends.backend_agg", extra="train").FigureCanvasAgg(figure)
    return figure


def to_png(figure: Any) -> bytes:
    """Draw a figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
