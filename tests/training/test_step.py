"""What guards a step, and what a run leaves where no step was done."""

import os
import re
import signal
from contextlib import contextmanager

import pytest
import torch
from torch.utils.data import get_worker_info

from segaug.training import Recipe, RunFolder, fit, load_checkpoint
from segaug.training._processes import open_accelerator
from segaug.training._step import memory_advice

pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    for name in ("draw_curves", "draw_tokens"):
        monkeypatch.setattr(f"segaug.training._training.{name}", lambda *args, **options: b"picture")


@pytest.fixture
def _scaler(monkeypatch):
    """The scaler of fp16 without fp16, which the CPU has not."""

    @contextmanager
    def scaled(device, precision):
        with open_accelerator(device, precision) as accelerator:
            accelerator.scaler = torch.amp.GradScaler("cpu")
            yield accelerator

    monkeypatch.setattr("segaug.training._loop.open_accelerator", scaled)


def train(folder, model, token_sets, *, resume=False, **options):
    options = {"epochs": 1, "batch_size": 8, "lr": 0.01, "progress": False, **options}
    return fit(model, *token_sets, RunFolder(folder, resume=resume), **options)


def overflowing(model):
    model.head.weight.register_hook(lambda gradient: gradient * float("inf"))
    return model


@pytest.mark.usefixtures("_scaler")
def test_a_run_whose_steps_were_all_skipped_goes_on(tmp_path, make_model, token_sets):
    model = overflowing(make_model())
    train(tmp_path, model, token_sets)
    first = load_checkpoint(tmp_path / "last.safetensors")
    assert first.has_optimizer
    assert first.optimizer == {}
    assert first.meta["history"][0]["skipped_steps"] == 3
    assert first.meta["scaler"]["scale"] == 2.0**13
    assert all(torch.equal(value, first.model[name]) for name, value in make_model().state_dict().items())
    train(tmp_path, make_model(), token_sets, epochs=2, resume=True)
    last = load_checkpoint(tmp_path / "last.safetensors")
    assert last.optimizer
    assert last.meta["history"][1]["skipped_steps"] == 0
    # A best model alone is nothing to go on from.
    assert not load_checkpoint(tmp_path / "best.safetensors").has_optimizer


@pytest.mark.usefixtures("_scaler")
def test_a_gradient_that_is_never_finite_ends_the_run(tmp_path, make_model, token_sets):
    message = r"not finite in 20 steps in a row, up to epoch 1, step 20, .*: use precision 'bf16' or 'no', or lower lr"
    with pytest.raises(FloatingPointError, match=message):
        train(tmp_path, overflowing(make_model()), token_sets, batch_size=1)


def test_memory_that_is_not_there_in_setting_up(tmp_path, make_model, token_sets, monkeypatch):
    def to(*args, **options):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")

    model = make_model()
    monkeypatch.setattr(model, "to", to)
    with pytest.raises(MemoryError, match=r"lower batch_size or max_segments, or raise accumulate, .* \(CUDA out of"):
        train(tmp_path, model, token_sets)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        (
            "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
            "^there is .* memory: be smaller",
        ),
        (
            "CUDA error: out of memory\nCUDA kernel errors might",
            r"^there is .* memory: be smaller \(CUDA error: out of",
        ),
        (
            "DataLoader worker (pid 7) is killed by signal: Killed. ",
            "^a worker was killed, .*: lower workers, or be smaller",
        ),
        ("DataLoader worker (pid 7) is killed by signal: Bus error. It is possible", "^a worker was killed"),
    ],
)
def test_what_tells_that_memory_ran_out(text, advice):
    with pytest.raises(MemoryError, match=advice), memory_advice("be smaller"):
        raise RuntimeError(text)


@pytest.mark.parametrize(
    "text", ["DataLoader worker (pid 7) is killed by signal: Segmentation fault. ", "mat1 and mat2"]
)
def test_other_errors_are_left_alone(text):
    with pytest.raises(RuntimeError, match=re.escape(text)), memory_advice("be smaller"):
        raise RuntimeError(text)


def test_a_worker_that_is_really_killed(tmp_path, make_model, token_sets):
    def die(tokens):
        if get_worker_info() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return tokens

    with pytest.raises(MemoryError, match=r"a worker was killed, .*: lower workers, or lower batch_size"):
        train(tmp_path, make_model(), token_sets, recipe=Recipe(tokens=die), workers=1)
