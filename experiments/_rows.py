"""What one line of a table is: everything that decides a training but its seed."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Row"]

# Counts up whenever the same row comes to mean another training, so that old results are not taken for new ones.
# 2: the model normalises pixels.
_VERSION = 2


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Args:
        data: ``scenes`` (the photos), ``nlvr:objects``, ``nlvr:yellow``, ``nlvr:circle``, or a task that is drawn, such as
            ``scenes:count``.
        limit: Training images per class; None takes all.
        segmenter: As for ``parse_segmenter``; ``true`` is the drawn scenes' own.
        augment: Names of :mod:`_augmentations`, joined by ``+``.
        model: Options of ``svit_micro``, whose ``pixel_std`` is that of a ViT unless it is given.
        tokenize: Options of ``Tokenize``.
        epochs: Epochs of the training.
        lr: Highest learning rate.
        batch_size: Images per step.
        weights: Name of a pretraining of :mod:`pretraining` to start from; None starts from random weights.
        layer_decay: Factor of the learning rate from a block to the one before it.
    """

    data: str
    segmenter: str
    augment: str = "none"
    limit: int | None = None
    model: dict[str, Any] = field(default_factory=dict)
    tokenize: dict[str, Any] = field(default_factory=dict)
    epochs: int = 40
    lr: float = 1e-3
    batch_size: int = 64
    weights: str | None = None
    layer_decay: float = 1.0

    def to_json(self) -> str:
        """The same row always gives the same text."""
        return json.dumps({**asdict(self), "version": _VERSION}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Row":
        """The row that :meth:`to_json` wrote.

        Raises:
            ValueError: If it was written when rows meant other trainings.
        """
        settings = json.loads(text)
        if (version := settings.pop("version", 1)) != _VERSION:
            raise ValueError(f"row must be of version {_VERSION}, got version {version}")
        return cls(**settings)

    @property
    def key(self) -> str:
        """A short name of its own for each row."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]
