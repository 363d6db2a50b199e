"""The training loop."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import nn

from segaug._checks import check_int, describe
from segaug.data import TokenSet
from segaug.training._distillation import Distillation
from segaug.training._loggers import Logger
from segaug.training._options import TrainingOptions
from segaug.training._processes import check_device, open_accelerator
from segaug.training._recipe import Recipe
from segaug.training._resume import plain_settings
from segaug.training._run_folder import RunFolder
from segaug.training._step import memory_advice
from segaug.training._training import Training

__all__ = ["fit"]

_GIB = 2**30


def fit(
    model: nn.Module,
    train: TokenSet,
    val: TokenSet,
    run: RunFolder,
    *,
    recipe: Recipe | None = None,
    epochs: int = 20,
    batch_size: int = 64,
    lr: float = 1e-3,
    weight_decay: float = 0.05,
    layer_decay: float = 1.0,
    warmup: float = 0.1,
    label_smoothing: float = 0.1,
    clip_norm: float = 1.0,
    ema_decay: float | None = None,
    distillation: Distillation | None = None,
    seed: int = 0,
    workers: int = 0,
    device: torch.device | str = "cpu",
    precision: str = "no",
    accumulate: int = 1,
    draw_groups: int | None = None,
    evaluate_every: int = 1,
    checkpoint_steps: int | None = None,
    memory_limit: int = _GIB,
    loggers: Sequence[Logger] = (),
    settings: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Train a classifier on tokens: AdamW, warm-up and cosine, label smoothing, gradient clipping.

    The model is evaluated after each epoch, or fewer of them, and the run's folder brought up to date. A run that is
    resumed goes on from its last checkpoint and ends as if it had never stopped: on the CPU, bit for bit. Every step draws
    from a stream of its own, which depends on ``seed``, epoch, step and group alone, so ``workers`` changes nothing
    either.

    It runs on Hugging Face Accelerate: under ``accelerate launch`` (or torch's launcher) with several processes, each of
    them takes its share of every batch and of the validation set. ``batch_size`` is that of all together, and the gradient
    is that of the whole batch. The main process alone writes and prints. If a process fails, the launcher stops all.

    Needs the extra ``train``.

    Args:
        model: Maps a batch of :class:`~segaug.SegmentTokens` to logits.
        train: What to train on.
        val: What to evaluate on.
        run: The run's folder, opened with ``resume=True`` to go on.
        recipe: How to augment; None does not.
        epochs: How many epochs the whole run has. A resumed run may have another number than before; the cosine then
            ends there.
        batch_size: Images per step; evaluation takes more at once.
        lr: Highest learning rate.
        weight_decay: Decay of the matrices.
        layer_decay: Factor of the rate from a layer to the one before it, as for :func:`make_optimizer`; 1 is off.
        warmup: Share of all steps over which the rate rises.
        label_smoothing: Probability that is spread over all classes (arXiv 1512.00567).
        clip_norm: Longest gradient; a longer one is shortened to it.
        ema_decay: Decay of a running mean of the weights, in [0, 1), which is then evaluated and saved as the model in
            place of the last weights; early on the decay is lower, (1 + n) / (10 + n) after n steps. ``model`` itself
            keeps the last weights; the mean is in the run's ``best.safetensors``. None keeps none.
        distillation: Logits of a teacher to learn from as well; not together with a recipe that has ``batch``.
        seed: Decides the order and all draws of the training; the model's weights are the caller's.
        workers: Processes that make and augment batches; 0 does it in this one. None are started where there is
            nothing to do for them.
        device: Where the model runs. With several processes on GPUs, ``"cuda"`` gives each its own.
        precision: ``"no"``, or mixed precision in ``"bf16"`` or ``"fp16"``; the weights stay as they are.
        accumulate: In how many parts at least each group of a batch is worked through (see ``draw_groups``: a process's
            share is one, unless said), to need less memory; a part holds one image at least. The gradient is that of the
            whole; only drop path and dropout, which draw for each part, draw otherwise than without it.
        draw_groups: Into how many groups a batch is cut, each augmented by a draw of its own; None is the number of
            processes, of which it must be a multiple. Runs with the same number are the same run, whether one process
            works through the groups or several do.
        evaluate_every: Epochs between two evaluations; the last epoch is always evaluated. The others' lines have no
            ``val_loss`` and ``val_accuracy``.
        checkpoint_steps: Steps between two checkpoints within an epoch; None saves after each epoch alone.
        memory_limit: Bytes that decoded images may take for a recipe with ``image``; above, they are read each time.
        loggers: Where the epochs' lines go besides ``metrics.jsonl``, as a :class:`CsvLogger`; closed at the end.
        settings: What else decides the run, as JSON can hold it; a tuple is a list there, a key a string. It is kept in the
            checkpoints, and a run that is resumed must have the same.
        progress: Whether to show a bar on stderr and to print a line per epoch.

    Returns:
        ``val_accuracy`` (of the last epoch), ``best_val_accuracy``, ``train_loss``, ``epochs``, ``images_per_second`` (in
        training, without evaluation), ``mean_tokens`` (per training image) and ``run``.

    Raises:
        TypeError: If an argument is of the wrong type, or JSON cannot hold ``settings``.
        ValueError: If an argument is out of range, no parameter of the model learns, a class has no image in ``train`` or in
            ``val``, the model gives another number of logits, or the resumed run has other settings, other data, another
            recipe or is of another model (of recipe and model what their ``repr`` tells). The message names what differs.
        FloatingPointError: If the loss or its gradient is no longer finite, or with ``"fp16"`` the gradient of 20 steps in
            a row; the weights are as before that step. If the loss on ``val`` is not; the last checkpoint is kept.
        MemoryError: If there is not enough memory. The message says what to lower.
    """
    settings = plain_settings(settings)
    options = TrainingOptions(
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        weight_decay=weight_decay,
        layer_decay=layer_decay,
        warmup=warmup,
        label_smoothing=label_smoothing,
        clip_norm=clip_norm,
        ema_decay=ema_decay,
        seed=seed,
        precision=precision,
        accumulate=accumulate,
        draw_groups=draw_groups,
        evaluate_every=evaluate_every,
    )
    check_int("workers", workers, minimum=0)
    check_int("memory_limit", memory_limit, minimum=0)
    if checkpoint_steps is not None:
        check_int("checkpoint_steps", checkpoint_steps, minimum=1)
    recipe = Recipe() if recipe is None else recipe
    if distillation is not None:
        if not isinstance(distillation, Distillation):
            raise TypeError(f"distillation must be a Distillation or None, got {describe(distillation)}")
        distillation.check(len(train), len(train.classes))
        if recipe.batch is not None:
            raise ValueError(
                "distillation must be None with a recipe that mixes images (Recipe(batch=...)), as the teacher has not "
                "seen the mixtures"
            )
    if val.classes != train.classes:
        raise ValueError(f"val must have the classes of train, {train.classes}, got {val.classes}")
    _check_classes("train", train)
    _check_classes("val", val)
    device = check_device(device, precision)
    with open_accelerator(device, precision) as accelerator:
        if options.draw_groups is None:
            options = replace(options, draw_groups=accelerator.num_processes)
        elif options.draw_groups % accelerator.num_processes:
            raise ValueError(
                f"draw_groups must be a multiple of the number of processes ({accelerator.num_processes}), "
                f"got {draw_groups}"
            )
        advice = "lower batch_size or max_segments, or raise accumulate, which is slower"
        with memory_advice(advice):
            training = Training(
                accelerator,
                model,
                train,
                val,
                run,
                recipe=recipe,
                distillation=distillation,
                options=asdict(options),
                settings=settings,
                workers=workers,
                checkpoint_steps=checkpoint_steps,
                memory_limit=memory_limit,
                loggers=loggers if accelerator.is_main_process else (),
                progress=progress and accelerator.is_main_process,
            )
            try:
                return training.run()
            finally:
                training.close()


def _check_classes(name: str, tokens: TokenSet) -> None:
    """Raise a ValueError if a class has no image: it could not be learnt, or not be measured."""
    there = set(tokens.targets)
    missing = [title for number, title in enumerate(tokens.classes) if number not in there]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        skipped = f"; {len(tokens.skipped)} images were skipped, as they cannot be read" if tokens.skipped else ""
        raise ValueError(
            f"{name} must have images of each of its {len(tokens.classes)} classes, got none of "
            f"{', '.join(map(repr, missing[:5]))}{more}{skipped}"
        )
