"""The numbers of a training, checked."""

from dataclasses import dataclass

from segaug._checks import check_choice, check_int, check_number, check_probability
from segaug.training._processes import PRECISIONS

__all__ = ["TrainingOptions"]


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """The numbers that decide a run of :func:`fit`. Make one to have them checked before the data are made.

    ``fit`` takes each as an argument, so ``fit(..., **dataclasses.asdict(options))``.

    Args:
        epochs: As for :func:`fit`, which explains them all.
        batch_size: Images per step.
        lr: Highest learning rate.
        weight_decay: Decay of the matrices.
        layer_decay: Factor of the rate from a layer to the one before it.
        warmup: Share of all steps over which the rate rises.
        label_smoothing: Probability that is spread over all classes.
        clip_norm: Longest gradient.
        ema_decay: Decay of a running mean of the weights, or None.
        seed: Decides the order and all draws.
        precision: ``"no"``, ``"bf16"`` or ``"fp16"``.
        accumulate: In how many parts at least each group of a batch is worked through, of one image at least.
        draw_groups: Into how many groups a batch is cut for augmentation; None is the number of processes.
        evaluate_every: Epochs between two evaluations.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If an argument is out of range.

    Example:
        >>> from dataclasses import asdict
        >>> options = TrainingOptions(epochs=5, lr=3e-4)
        >>> asdict(options)["lr"]
        0.0003
        >>> TrainingOptions(lr=-1)
        Traceback (most recent call last):
        ...
        ValueError: lr must be at least 0.0, got -1
    """

    epochs: int = 20
    batch_size: int = 64
    lr: float = 1e-3
    weight_decay: float = 0.05
    layer_decay: float = 1.0
    warmup: float = 0.1
    label_smoothing: float = 0.1
    clip_norm: float = 1.0
    ema_decay: float | None = None
    seed: int = 0
    precision: str = "no"
    accumulate: int = 1
    draw_groups: int | None = None
    evaluate_every: int = 1

    def __post_init__(self) -> None:
        """Check everything, and turn numpy's numbers into Python's."""
        for name in ("epochs", "batch_size", "accumulate", "evaluate_every"):
            self._set(name, check_int(name, getattr(self, name), minimum=1))
        self._set("seed", check_int("seed", self.seed, minimum=0))
        if self.accumulate > self.batch_size:
            raise ValueError(f"accumulate must be at most batch_size ({self.batch_size}), got {self.accumulate}")
        if self.draw_groups is not None:
            self._set("draw_groups", check_int("draw_groups", self.draw_groups, minimum=1))
        for name in ("lr", "weight_decay", "clip_norm"):
            self._set(name, check_number(name, getattr(self, name), minimum=0.0))
        for name in ("layer_decay", "warmup", "label_smoothing"):
            self._set(name, check_probability(name, getattr(self, name)))
        if self.clip_norm == 0.0:
            raise ValueError(f"clip_norm must be above 0, got {self.clip_norm}")
        if self.ema_decay is not None:
            self._set("ema_decay", check_probability("ema_decay", self.ema_decay))
            if self.ema_decay == 1.0:
                raise ValueError(f"ema_decay must be below 1, got {self.ema_decay}")
        check_choice("precision", self.precision, PRECISIONS)

    def _set(self, name: str, value: float) -> None:
        object.__setattr__(self, name, value)
