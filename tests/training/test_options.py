import inspect
from dataclasses import asdict

import numpy as np
import pytest

from segaug.training import TrainingOptions, fit


def test_defaults_are_those_of_fit():
    parameters = inspect.signature(fit).parameters
    assert asdict(TrainingOptions()) == {name: parameters[name].default for name in asdict(TrainingOptions())}


def test_numbers_of_numpy_become_pythons():
    options = TrainingOptions(
        epochs=np.int64(3), lr=np.float32(0.5), draw_groups=np.int32(2), ema_decay=np.float64(0.9)
    )
    assert [type(value) for value in (options.epochs, options.lr, options.draw_groups, options.ema_decay)] == [
        int, float, int, float,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"accumulate": 65}, r"accumulate must be at most batch_size \(64\), got 65"),
        ({"draw_groups": 0}, "draw_groups must be at least 1, got 0"),
        ({"lr": -0.1}, "lr must be at least 0.0, got -0.1"),
        ({"warmup": 1.5}, r"warmup must be in \[0.0, 1.0\], got 1.5"),
        ({"clip_norm": 0}, "clip_norm must be above 0, got 0"),
        ({"ema_decay": 1}, "ema_decay must be below 1, got 1"),
        ({"precision": "half"}, "precision must be one of 'no', 'bf16', 'fp16', got 'half'"),
    ],
)
def test_what_is_out_of_range_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        TrainingOptions(**options)


def test_wrong_types_are_named():
    with pytest.raises(TypeError, match=r"batch_size must be an int, got 2\.5"):
        TrainingOptions(batch_size=2.5)
