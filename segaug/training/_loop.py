"""The training loop."""

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader

from segaug._checks import check_int, check_number, check_probability
from segaug._optional import require
from segaug._progress import progress_bar
from segaug.data import Batch, BatchedTokens, BatchOrder, TokenSet, seeded_stream
from segaug.training._checkpoint import load_model, load_optimizer, save_checkpoint
from segaug.training._metrics import Meter
from segaug.training._optim import learning_rate, make_optimizer
from segaug.training._parts import split_by_length
from segaug.training._plots import draw_curves, draw_tokens
from segaug.training._recipe import Recipe
from segaug.training._run_folder import RunFolder

__all__ = ["evaluate", "fit"]

# Settings that may change when a run is resumed: how long it goes on.
_MAY_CHANGE = ("epochs",)


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
    warmup: float = 0.1,
    label_smoothing: float = 0.1,
    clip_norm: float = 1.0,
    seed: int = 0,
    workers: int = 0,
    device: torch.device | str = "cpu",
    settings: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Train a classifier on tokens: AdamW, warm-up and cosine, label smoothing, gradient clipping.

    After each epoch the model is evaluated and the run's folder brought up to date. A run that is resumed goes on after
    its last finished epoch and ends as if it had never stopped: on the CPU, bit for bit. Every step draws from a stream
    of its own, which depends on ``seed``, epoch and step alone, so ``workers`` changes nothing either.

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
        warmup: Share of all steps over which the rate rises.
        label_smoothing: Probability that is spread over all classes (arXiv 1512.00567).
        clip_norm: Longest gradient; a longer one is shortened to it.
        seed: Decides the order and all draws of the training; the model's weights are the caller's.
        workers: Processes that make and augment batches; 0 does it in this one. None are started where there is
            nothing to do for them.
        device: Where the model runs.
        settings: What else decides the run, as JSON can hold it. It is kept in the checkpoints, and a run that is resumed
            must have the same.
        progress: Whether to show a bar on stderr.

    Returns:
        ``val_accuracy`` (of the last epoch), ``best_val_accuracy``, ``train_loss``, ``epochs``, ``images_per_second`` (in
        training, without evaluation), ``mean_tokens`` (per training image) and ``run``.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If an argument is out of range, or the resumed run has other settings or is of another model. The
            message names what differs.
        FloatingPointError: If the loss is no longer finite.
    """
    check_int("epochs", epochs, minimum=1)
    check_int("batch_size", batch_size, minimum=1)
    check_int("seed", seed, minimum=0)
    check_int("workers", workers, minimum=0)
    check_probability("warmup", warmup)
    check_probability("label_smoothing", label_smoothing)
    if check_number("clip_norm", clip_norm, minimum=0.0) == 0.0:
        raise ValueError(f"clip_norm must be above 0, got {clip_norm}")
    recipe = Recipe() if recipe is None else recipe
    all_settings = {
        **(settings or {}),
        "epochs": epochs,
        "batch_size": batch_size,
        "lr": lr,
        "weight_decay": weight_decay,
        "warmup": warmup,
        "label_smoothing": label_smoothing,
        "clip_norm": clip_norm,
        "seed": seed,
        "classes": train.classes,
        "images": [len(train), len(val)],
    }
    device = torch.device(device)
    model.to(device)
    optimizer = make_optimizer(model, lr=lr, weight_decay=weight_decay)
    history: list[dict[str, Any]] = []
    if run.resumed is not None:
        _compare(run, all_settings)
        load_model(model, run.resumed)
        load_optimizer(optimizer, model, run.resumed)
        history = run.resumed.meta["history"]

    # Where there is a GPU the batched kernels run there.
    on_device = recipe.tokens if device.type == "cuda" else None
    in_loader = recipe.tokens if on_device is None else None
    # A GPU is quicker with padding than with more and smaller products.
    most_parts = 1 if device.type == "cuda" else 4
    order = BatchOrder(train.lengths, batch_size, seed=seed)
    batches = BatchedTokens(train, image=recipe.image, transform=in_loader, seed=seed)
    is_quick = train.in_memory and recipe.image is None and in_loader is None
    loader = _loader(batches, order, 0 if is_quick else workers, device)
    # No gradients are kept, so four times the images fit.
    val_order = BatchOrder(val.lengths, 4 * batch_size, shuffle=False)
    val_loader = _loader(BatchedTokens(val), val_order, 0 if val.in_memory else workers, device)
    if not history:
        _picture(run, train, next(iter(order)), recipe, seed)
    steps = epochs * len(order)
    for epoch in range(len(history), epochs):
        order.epoch = epoch
        meter = Meter()
        bar = progress_bar(loader, f"epoch {epoch + 1}/{epochs}", "batch", shown=progress)
        model.train()
        for step, (tokens, targets) in enumerate(bar):
            rate = learning_rate(epoch * len(order) + step, steps, lr=lr, warmup=round(warmup * steps))
            for group in optimizer.param_groups:
                group["lr"] = rate
            with seeded_stream(seed, epoch, step):
                tokens, targets = tokens.to(device, non_blocking=True), targets.to(device, non_blocking=True)
                if on_device is not None:
                    tokens = on_device(tokens)
                optimizer.zero_grad(set_to_none=True)
                for part, answers in split_by_length(tokens, targets, most_parts=most_parts):
                    logits = model(part)
                    loss = F.cross_entropy(logits, answers, label_smoothing=label_smoothing)
                    # Weighted, so that the gradient is that of the whole batch.
                    (loss * (len(answers) / len(targets))).backward()
                    meter.add(loss, logits, answers)
                nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
                optimizer.step()
            # Reading the sums waits for a GPU.
            if progress and (device.type == "cpu" or step % 10 == 0):
                bar.set_postfix(_shown(meter), refresh=False)
        train_loss, speed, seconds = meter.loss, meter.images_per_second, meter.seconds
        if not math.isfinite(train_loss):
            raise FloatingPointError(f"the loss is {train_loss} in epoch {epoch + 1}: lower lr (it is {lr})")
        measured = evaluate(model, val_loader, device=device)
        history.append(
            {
                "epoch": epoch + 1,
                "train_loss": train_loss,
                "train_accuracy": meter.accuracy,
                "val_loss": measured.loss,
                "val_accuracy": measured.accuracy,
                "lr": rate,
                "images_per_second": round(speed, 2),
                "seconds": round(seconds + measured.seconds, 3),
            }
        )
        _save(run, model, optimizer, all_settings, history)
        if progress:
            _say(history[-1], epochs)
    return _summary(history, train, run)


def evaluate(model: nn.Module, loader: Any, *, device: torch.device | str = "cpu") -> Meter:
    """Measure a model's loss (without label smoothing) and accuracy.

    Args:
        model: Maps a batch of :class:`~segaug.SegmentTokens` to logits; it is left in eval mode.
        loader: Gives batches of tokens and targets.
        device: Where the model is.

    Returns:
        The sums.

    Example:
        >>> from segaug import Grid, Segment, Tokenize, collate
        >>> from segaug.models import SViT
        >>> tokens = Tokenize()(Segment(Grid(2, 2))(torch.zeros(3, 32, 32, dtype=torch.uint8)))
        >>> model = SViT(2, embed_dim=8, depth=1, num_heads=1)
        >>> evaluate(model, [(collate([tokens, tokens]), torch.tensor([0, 1]))]).accuracy
        0.5
    """
    meter = Meter()
    model.eval()
    with torch.inference_mode():
        for tokens, targets in loader:
            logits = model(tokens.to(device, non_blocking=True))
            targets = targets.to(device, non_blocking=True)
            meter.add(F.cross_entropy(logits, targets), logits, targets)
    return meter


def _loader(batches: BatchedTokens, order: BatchOrder, workers: int, device: torch.device) -> Any:
    return DataLoader(
        batches,
        sampler=order,
        batch_size=None,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=device.type == "cuda",
        # The loader draws a seed for its workers; not from the caller's generator.
        generator=torch.Generator().manual_seed(0),
    )


def _compare(run: RunFolder, settings: Mapping[str, Any]) -> None:
    there = run.settings
    differing = [
        f"{name} was {there.get(name)!r} and is {settings.get(name)!r}"
        for name in sorted({*there, *settings} - set(_MAY_CHANGE))
        if there.get(name) != settings.get(name)
    ]
    if differing:
        raise ValueError(f"the run in {run.folder} cannot be resumed with other settings: {'; '.join(differing)}")
    done, epochs = len(run.resumed.meta["history"]) if run.resumed else 0, settings["epochs"]
    if done > epochs:
        raise ValueError(f"epochs must be at least {done}, which the run in {run.folder} has done, got {epochs}")


def _picture(run: RunFolder, train: TokenSet, batch: Batch, recipe: Recipe, seed: int) -> None:
    """Draw the first images of a batch, before and after augmentation."""
    few = batch._replace(indices=batch.indices[:4])
    before, targets = BatchedTokens(train)[few]
    after, _ = BatchedTokens(train, image=recipe.image, transform=recipe.tokens, seed=seed)[few]
    run.write("tokens.png", draw_tokens(before, after, classes=[train.classes[target] for target in targets.tolist()]))


def _save(
    run: RunFolder,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    settings: Mapping[str, Any],
    history: list[dict[str, Any]],
) -> None:
    meta = {"settings": dict(settings), "history": history}
    accuracies = [line["val_accuracy"] for line in history]
    if accuracies[-1] > max(accuracies[:-1], default=-1.0):
        save_checkpoint(run.best, model, meta=meta)
    # The last one comes after the best: a run killed in between does this epoch again, and finds the same.
    save_checkpoint(run.last, model, optimizer, meta=meta)
    run.write_metrics(history)
    run.write("curves.png", draw_curves(history))


def _shown(meter: Meter) -> dict[str, str]:
    return {
        "loss": f"{meter.loss:.3f}",
        "accuracy": f"{meter.accuracy:.3f}",
        "images/s": f"{meter.images_per_second:.0f}",
    }


def _say(line: Mapping[str, Any], epochs: int) -> None:
    require("tqdm", extra="train").tqdm.write(
        f"epoch {line['epoch']}/{epochs}: train loss {line['train_loss']:.3f}, accuracy {line['train_accuracy']:.3f}; "
        f"val loss {line['val_loss']:.3f}, accuracy {line['val_accuracy']:.3f}; {line['images_per_second']:.0f} images/s"
    )


def _summary(history: list[dict[str, Any]], train: TokenSet, run: RunFolder) -> dict[str, Any]:
    seconds = [len(train) / max(line["images_per_second"], 1e-9) for line in history]
    return {
        "val_accuracy": history[-1]["val_accuracy"],
        "train_loss": history[-1]["train_loss"],
        "epochs": len(history),
        "images_per_second": round(len(train) * len(history) / sum(seconds), 1),
        "mean_tokens": round(train.mean_tokens, 1),
        "best_val_accuracy": max(line["val_accuracy"] for line in history),
        "run": str(run.folder),
    }
