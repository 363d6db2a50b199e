"""A training in one process: its parts, epochs, evaluations and checkpoints."""

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from segaug._progress import progress_bar
from segaug.data import Batch, BatchedTokens, BatchOrder, TokenSet
from segaug.training._checkpoint import load_model, load_optimizer, save_checkpoint
from segaug.training._distillation import Distillation
from segaug.training._evaluate import evaluate
from segaug.training._lines import say, shown, summary
from segaug.training._loaders import BatchLoader
from segaug.training._loggers import Logger
from segaug.training._mean_weights import MeanWeights
from segaug.training._metrics import Meter
from segaug.training._optim import learning_rate, make_optimizer
from segaug.training._plots import draw_curves, draw_tokens
from segaug.training._recipe import Recipe
from segaug.training._resume import compare, plain_settings, recipe_structure, structure
from segaug.training._run_folder import RunFolder
from segaug.training._step import Forward, Stepper
from segaug.training._usage import Usage

__all__ = ["Training"]

# Settings that may change when a run is resumed: how long it goes on, what is measured, and how memory is spared.
_MAY_CHANGE = ("accumulate", "epochs", "evaluate_every")


class Training:
    """A training of one process, from the checks that need the data to the last epoch."""

    def __init__(
        self,
        accelerator: Any,
        model: nn.Module,
        train: TokenSet,
        val: TokenSet,
        run: RunFolder,
        *,
        recipe: Recipe,
        distillation: Distillation | None,
        options: dict[str, Any],
        settings: Mapping[str, Any],
        workers: int,
        checkpoint_steps: int | None,
        memory_limit: int,
        loggers: Sequence[Logger],
        progress: bool,
    ) -> None:
        self._accelerator, self._model, self._train, self._run = accelerator, model, train, run
        self._options = options
        self._checkpoint_steps, self._loggers, self._progress = checkpoint_steps, loggers, progress
        self._device: torch.device = accelerator.device
        whole = {
            **settings,
            **options,
            "model_structure": structure(model),
            "recipe_structure": recipe_structure(recipe),
            "distillation": None if distillation is None else distillation.settings,
            "classes": train.classes,
            "images": [len(train), len(val)],
            "fingerprints": [train.fingerprint, val.fingerprint],
        }
        self._settings = plain_settings(whole)
        number, numbers = accelerator.process_index, accelerator.num_processes
        seed, batch_size = options["seed"], options["batch_size"]
        try:
            self._order = BatchOrder(
                train.lengths, batch_size, seed=seed, groups=options["draw_groups"], share=(number, numbers)
            )
        except ValueError as error:
            raise ValueError(f"draw_groups does not fit batch_size and the number of images: {error}") from error
        model.to(self._device)
        self._optimizer = make_optimizer(
            model, lr=options["lr"], weight_decay=options["weight_decay"], layer_decay=options["layer_decay"]
        )
        ema_decay = options["ema_decay"]
        self._history: list[dict[str, Any]] = []
        if run.resumed is not None:
            compare(run, self._settings, model, may_change=_MAY_CHANGE)
            load_model(model, run.resumed, raw=True)
            load_optimizer(self._optimizer, model, run.resumed)
            self._history = run.history
        self._mean = None if ema_decay is None else MeanWeights(model, ema_decay)
        if run.resumed is not None and self._mean is not None:
            load_model(self._mean.model, run.resumed)
            self._mean.steps = run.resumed.meta["mean_steps"]
        on_gpu = self._device.type == "cuda"
        # Where there is a GPU the batched kernels run there.
        here = Recipe(tokens=recipe.tokens, batch=recipe.batch) if on_gpu else Recipe()
        in_loader = Recipe(image=recipe.image) if on_gpu else recipe
        if accelerator.is_main_process:
            run.clean()
            if run.resumed is None:
                _picture(run, train, next(iter(BatchOrder(train.lengths, batch_size, seed=seed))), recipe, seed)
        batches = BatchedTokens(
            train,
            image=in_loader.image,
            transform=in_loader.tokens,
            batch=in_loader.batch,
            seed=seed,
            memory_limit=memory_limit,
            workers=workers,
        )
        is_quick = train.in_memory and in_loader == Recipe()
        self._loader = BatchLoader(batches, self._order, workers=0 if is_quick else workers, pin_memory=on_gpu)
        # No gradients are kept, so four times the images fit.
        val_order = BatchOrder(val.lengths, max(1, 4 * batch_size // numbers), shuffle=False, share=(number, numbers))
        val_workers = 0 if val.in_memory else workers
        self._val_loader = BatchLoader(BatchedTokens(val), val_order, workers=val_workers, pin_memory=on_gpu)
        prepared = accelerator.prepare_model(Forward(model))
        evaluated = accelerator.unwrap_model(prepared)
        if self._mean is not None:
            evaluated = accelerator.prepare_model(Forward(self._mean.model), evaluation_mode=True)
        self._prepared, self._evaluated = prepared, evaluated
        self._stepper = Stepper(
            accelerator,
            prepared,
            accelerator.prepare_optimizer(self._optimizer, device_placement=False),
            recipe=here,
            label_smoothing=options["label_smoothing"],
            clip_norm=options["clip_norm"],
            accumulate=options["accumulate"],
            # A GPU is quicker with padding than with more and smaller products.
            most_parts=1 if on_gpu else 4,
            classes=len(train.classes),
            seed=seed,
            distillation=distillation,
        )
        if run.resumed is not None and accelerator.scaler is not None:
            accelerator.scaler.load_state_dict(run.resumed.meta["scaler"])

    def close(self) -> None:
        """Close the loggers."""
        for logger in self._loggers:
            logger.close()

    def run(self) -> dict[str, Any]:
        """Train to the end."""
        epochs = self._options["epochs"]
        partial = self._run.resumed.meta.get("partial") if self._run.resumed else None
        if self._history and self._accelerator.is_main_process:
            # It may have been killed after its last checkpoint, and before these.
            self._write_history()
        for epoch in range(len(self._history), epochs):
            line = self._epoch(epoch, partial)
            partial = None
            if (epoch + 1) % self._options["evaluate_every"] == 0 or epoch + 1 == epochs:
                line |= self._evaluate(epoch + 1)
            self._history.append(line)
            self._finish_epoch()
        if "val_accuracy" not in self._history[-1]:
            # A run that was to go on, and now ends with an epoch that was not evaluated.
            self._history[-1] |= self._evaluate(len(self._history))
            self._finish_epoch()
        return summary(self._history, self._train, self._run)

    def _epoch(self, epoch: int, partial: Mapping[str, Any] | None) -> dict[str, Any]:
        options, order, accelerator = self._options, self._order, self._accelerator
        meter = Meter()
        usage = Usage(self._device, cpu_seconds=0.0 if partial is None else partial["cpu_seconds"])
        order.epoch, order.start = epoch, 0
        if partial is not None:
            order.start = partial["step"]
            meter.load(partial["meter"], is_main=accelerator.is_main_process)
        steps = options["epochs"] * order.steps
        groups = order.groups_per_step
        title = f"epoch {epoch + 1}/{options['epochs']}"
        bar = progress_bar(range(order.start, order.steps), title, "batch", shown=self._progress)
        items = iter(self._loader)
        self._prepared.train()
        for step in bar:
            rate = learning_rate(
                epoch * order.steps + step, steps, lr=options["lr"], warmup=round(options["warmup"] * steps)
            )
            for group in self._optimizer.param_groups:
                group["lr"] = rate * group["lr_scale"]
            changed = self._stepper(
                [next(items) for _ in range(groups)],
                meter,
                where=f"epoch {epoch + 1}, step {step + 1}",
                advice=f"lower lr (it is {options['lr']})",
            )
            if changed and self._mean is not None:
                self._mean.update(self._model)
            # Reading the sums waits for a GPU.
            if self._progress and (self._device.type == "cpu" or step % 10 == 0):
                bar.set_postfix(shown(meter), refresh=False)
            if (
                self._checkpoint_steps is not None
                and (step + 1) % self._checkpoint_steps == 0
                and step + 1 < order.steps
            ):
                self._save_within(step + 1, meter, usage)
        # The end of the loader, so that its workers start the next epoch afresh.
        next(items, None)
        meter.reduce(accelerator)
        line = {
            "epoch": epoch + 1,
            "train_loss": meter.loss,
            "train_accuracy": meter.accuracy,
            "lr": rate,
            "grad_norm": meter.grad_norm,
            "grad_norm_max": meter.largest_grad_norm,
            "images_per_second": round(meter.images_per_second, 2),
            "tokens_per_second": round(meter.tokens_per_second, 1),
            "seconds": round(meter.seconds, 3),
            **usage.line(),
        }
        if accelerator.scaler is not None:
            line["skipped_steps"] = meter.skipped
        return line

    def _evaluate(self, epoch: int) -> dict[str, Any]:
        classes = len(self._train.classes)
        measured = evaluate(self._evaluated, _pairs(self._val_loader), device=self._device, classes=classes)
        measured.reduce(self._accelerator)
        if not math.isfinite(measured.loss):
            raise FloatingPointError(
                f"the loss on val is {measured.loss} after epoch {epoch}: lower lr (it is {self._options['lr']}); "
                "the last checkpoint is kept"
            )
        return {
            "val_loss": measured.loss,
            "val_accuracy": measured.accuracy,
            "val_seconds": round(measured.seconds, 3),
        }

    def _meta(self) -> dict[str, Any]:
        meta: dict[str, Any] = {"settings": self._settings, "history": self._history}
        if self._mean is not None:
            meta["mean_steps"] = self._mean.steps
        if self._accelerator.scaler is not None:
            meta["scaler"] = self._accelerator.scaler.state_dict()
        return meta

    def _save_within(self, step: int, meter: Meter, usage: Usage) -> None:
        # A copy: adding up over the processes is for this checkpoint alone.
        together = copy.copy(meter)
        together.reduce(self._accelerator)
        if not self._accelerator.is_main_process:
            return
        partial = {"step": step, "meter": together.state(), "cpu_seconds": usage.cpu_seconds}
        self._save_last({**self._meta(), "partial": partial})

    def _save_last(self, meta: Mapping[str, Any]) -> None:
        save_checkpoint(
            self._run.last,
            self._model,
            self._optimizer,
            meta=meta,
            mean=None if self._mean is None else self._mean.model,
        )

    def _write_history(self) -> None:
        self._run.write_metrics(self._history)
        # Drawing takes as long as a small epoch.
        if "val_accuracy" in self._history[-1]:
            self._run.write("curves.png", draw_curves(self._history))

    def _finish_epoch(self) -> None:
        """Write what the epoch left, in the main process."""
        if not self._accelerator.is_main_process:
            return
        history, run = self._history, self._run
        meta = self._meta()
        # Loggers first: a run killed in between does the epoch again, and they replace its line.
        for logger in self._loggers:
            logger.log(history[-1], len(history) * self._order.steps)
        accuracies = [line.get("val_accuracy", -1.0) for line in history]
        if accuracies[-1] > max(accuracies[:-1], default=-1.0):
            save_checkpoint(run.best, self._model if self._mean is None else self._mean.model, meta=meta)
        # The last one comes after the best: a run killed in between does this epoch again, and finds the same.
        self._save_last(meta)
        self._write_history()
        if self._progress:
            say(history[-1], self._options["epochs"])


def _pairs(loader: BatchLoader) -> Any:
    return ((tokens, targets) for _, tokens, targets in loader)


def _picture(run: RunFolder, train: TokenSet, batch: Batch, recipe: Recipe, seed: int) -> None:
    """Draw the first images of a batch, before and after augmentation."""
    few = batch._replace(indices=batch.indices[:4])
    before, targets = BatchedTokens(train)[few]
    after, _ = BatchedTokens(train, image=recipe.image, transform=recipe.tokens, seed=seed, memory_limit=0)[few]
    run.write("tokens.png", draw_tokens(before, after, classes=[train.classes[target] for target in targets.tolist()]))
