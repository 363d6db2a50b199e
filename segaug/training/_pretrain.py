"""Pretraining without labels: the loop."""

import math
import time
from collections.abc import Mapping
from typing import Any

import torch

from segaug._checks import check_choice, check_int, describe
from segaug._optional import require
from segaug._progress import progress_bar
from segaug.data import BatchedTokens, BatchOrder, TokenSet, seeded_stream
from segaug.models import MaskedSViT
from segaug.training._checkpoint import load_model, load_optimizer, save_checkpoint
from segaug.training._loaders import BatchLoader
from segaug.training._optim import learning_rate, make_optimizer
from segaug.training._options import TrainingOptions
from segaug.training._pretrain_plot import draw_reconstructions
from segaug.training._processes import check_device, open_accelerator
from segaug.training._recipe import Recipe
from segaug.training._resume import compare, plain_settings, recipe_structure, structure
from segaug.training._run_folder import RunFolder
from segaug.training._step import Forward, memory_advice

__all__ = ["pretrain"]

# A stream of its own beside those that augment.
_HIDING = 2
_DRAWN = 4


def pretrain(
    model: MaskedSViT,
    train: TokenSet,
    run: RunFolder,
    *,
    recipe: Recipe | None = None,
    epochs: int = 100,
    batch_size: int = 64,
    lr: float = 1e-3,
    weight_decay: float = 0.05,
    warmup: float = 0.1,
    clip_norm: float = 1.0,
    seed: int = 0,
    workers: int = 0,
    device: torch.device | str = "cpu",
    precision: str = "no",
    settings: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Pretrain an encoder on tokens without labels, by hiding most of them: AdamW, warm-up and cosine, gradient clipping.

    After each epoch the run's folder is brought up to date: ``last.safetensors`` to go on from, ``metrics.jsonl``,
    ``reconstructions.png`` (the same tokens hidden each time) and ``encoder.safetensors``, for :func:`load_encoder`. A run
    that is resumed ends as if it had never stopped: on the CPU, bit for bit. Every step draws from a stream of its own.

    It runs on Hugging Face Accelerate, as :func:`fit` does; several processes share each batch. Needs the extra ``train``.

    Args:
        model: The encoder and its decoder.
        train: What to train on; the classes are not used.
        run: The run's folder, opened with ``resume=True`` to go on.
        recipe: How to augment; None does not. It has no ``batch``.
        epochs: How many epochs the whole run has. A resumed run may have another number than before; the cosine then
            ends there.
        batch_size: Images per step.
        lr: Highest learning rate.
        weight_decay: Decay of the matrices.
        warmup: Share of all steps over which the rate rises.
        clip_norm: Longest gradient; a longer one is shortened to it.
        seed: Decides the order and all draws of the training; the model's weights are the caller's.
        workers: Processes that make and augment batches; 0 does it in this one.
        device: Where the model runs.
        precision: ``"no"``, or mixed precision in ``"bf16"``.
        settings: What else decides the run, as JSON can hold it; a tuple is a list there, a key a string. A run that is
            resumed must have the same.
        progress: Whether to show a bar on stderr.

    Returns:
        ``train_loss`` (of the last epoch), ``epochs``, ``images_per_second``, ``mean_tokens`` (per image), ``run``, and
        ``encoder``, the path of ``encoder.safetensors``.

    Raises:
        TypeError: If an argument is of the wrong type, or JSON cannot hold ``settings``.
        ValueError: If an argument is out of range, or the resumed run has other settings, other data, another recipe or is
            of another model (of recipe and model what their ``repr`` tells). The message names what differs.
        FloatingPointError: If the loss or its gradient is no longer finite. The weights are as before that step.
        MemoryError: If there is not enough memory. The message says what to lower.
    """
    if not isinstance(model, MaskedSViT):
        raise TypeError(f"model must be a MaskedSViT, got {type(model).__name__}")
    settings = plain_settings(settings)
    check_choice("precision", precision, ("no", "bf16"))
    given: dict[str, Any] = {
        "epochs": epochs,
        "batch_size": batch_size,
        "lr": lr,
        "weight_decay": weight_decay,
        "warmup": warmup,
        "clip_norm": clip_norm,
        "seed": seed,
        "precision": precision,
    }
    checked = TrainingOptions(**given)
    check_int("workers", workers, minimum=0)
    recipe = Recipe() if recipe is None else recipe
    if recipe.batch is not None:
        raise ValueError(f"recipe must have no batch, as there are no targets to mix, got {describe(recipe.batch)}")
    options = {
        **{name: getattr(checked, name) for name in given},
        "mask_ratio": model.mask_ratio,
        "normalize": model.normalize,
    }
    # What gets no gradient: processes would wait for it.
    learned = {f"encoder.{name}" for name in model.pretrained}
    frozen = [
        parameter
        for name, parameter in model.named_parameters()
        if name.startswith("encoder.") and name not in learned and parameter.requires_grad
    ]
    with open_accelerator(check_device(device, precision), precision) as accelerator:
        for parameter in frozen:
            parameter.requires_grad_(False)
        try:
            with memory_advice("lower batch_size or max_segments"):
                return _Pretraining(accelerator, model, train, run, recipe, options, settings, workers, progress).run()
        finally:
            for parameter in frozen:
                parameter.requires_grad_(True)


class _Pretraining:
    """A pretraining of one process."""

    def __init__(
        self,
        accelerator: Any,
        model: MaskedSViT,
        train: TokenSet,
        run: RunFolder,
        recipe: Recipe,
        options: Mapping[str, Any],
        settings: Mapping[str, Any],
        workers: int,
        progress: bool,
    ) -> None:
        self._accelerator, self._model, self._train, self._run = accelerator, model, train, run
        self._options, self._progress = options, progress and accelerator.is_main_process
        whole = {
            **settings,
            **options,
            "model_structure": structure(model),
            "recipe_structure": recipe_structure(recipe),
            "images": len(train),
            "fingerprint": train.fingerprint,
        }
        self._settings = plain_settings(whole)
        seed, processes = options["seed"], accelerator.num_processes
        model.to(accelerator.device)
        self._optimizer = make_optimizer(model, lr=options["lr"], weight_decay=options["weight_decay"])
        if run.resumed is not None:
            compare(run, self._settings, model, may_change=("epochs",))
            load_model(model, run.resumed)
            load_optimizer(self._optimizer, model, run.resumed)
        self._history = run.history
        on_gpu = accelerator.device.type == "cuda"
        # Where there is a GPU the batched kernels run there.
        self._transform = recipe.tokens if on_gpu else None
        in_loader = None if on_gpu else recipe.tokens
        self._order = BatchOrder(
            train.lengths,
            options["batch_size"],
            seed=seed,
            groups=processes,
            share=(accelerator.process_index, processes),
        )
        few = next(iter(BatchOrder(train.lengths, options["batch_size"], seed=seed)))
        self._shown = BatchedTokens(train)[few._replace(indices=few.indices[:_DRAWN])][0]
        batches = BatchedTokens(train, image=recipe.image, transform=in_loader, seed=seed, workers=workers)
        is_quick = train.in_memory and recipe.image is None and in_loader is None
        self._loader = BatchLoader(batches, self._order, workers=0 if is_quick else workers, pin_memory=on_gpu)
        self._prepared = accelerator.prepare_model(Forward(model))
        self._prepared_optimizer = accelerator.prepare_optimizer(self._optimizer, device_placement=False)
        if accelerator.is_main_process:
            run.clean()

    def run(self) -> dict[str, Any]:
        """Train to the end."""
        for epoch in range(len(self._history), self._options["epochs"]):
            self._history.append(self._epoch(epoch))
            if self._accelerator.is_main_process:
                self._save()
        seconds = sum(line["seconds"] for line in self._history)
        return {
            "train_loss": self._history[-1]["train_loss"],
            "epochs": len(self._history),
            "images_per_second": round(len(self._train) * len(self._history) / max(seconds, 1e-9), 1),
            "mean_tokens": round(self._train.mean_tokens, 1),
            "run": str(self._run.folder),
            "encoder": str(self._run.folder / "encoder.safetensors"),
        }

    def _epoch(self, epoch: int) -> dict[str, Any]:
        options, order = self._options, self._order
        order.epoch = epoch
        steps, start = options["epochs"] * order.steps, time.perf_counter()
        title = f"epoch {epoch + 1}/{options['epochs']}"
        total, count, norms = 0.0, 0, 0.0
        self._prepared.train()
        bar = progress_bar(self._loader, title, "batch", shown=self._progress)
        for batch, tokens, _ in bar:
            rate = learning_rate(
                epoch * order.steps + batch.step, steps, lr=options["lr"], warmup=round(options["warmup"] * steps)
            )
            for group in self._optimizer.param_groups:
                group["lr"] = rate
            with seeded_stream(options["seed"], _HIDING, epoch, batch.step, batch.group):
                loss, hidden, norm = self._step(tokens, f"epoch {epoch + 1}, step {batch.step + 1}")
            total, count, norms = total + loss * hidden, count + hidden, norms + norm
            bar.set_postfix({"loss": f"{total / max(1, count):.3f}"}, refresh=False)
        seconds = time.perf_counter() - start
        line = {
            "epoch": epoch + 1,
            "train_loss": total / max(1, count),
            "lr": rate,
            "grad_norm": norms / order.steps,
            "hidden_tokens": count,
            "images_per_second": round(len(self._train) / max(seconds, 1e-9), 2),
            "seconds": round(seconds, 3),
        }
        if self._progress:
            require("tqdm", extra="train").tqdm.write(
                f"{title}: loss {line['train_loss']:.4f}; {line['images_per_second']:.0f} images/s"
            )
        return line

    def _step(self, tokens: Any, where: str) -> tuple[float, int, float]:
        """Do one step: the batch's loss, its number of hidden tokens, and the gradient's norm."""
        accelerator = self._accelerator
        tokens = tokens.to(accelerator.device, non_blocking=True)
        if self._transform is not None:
            tokens = self._transform(tokens)
        self._prepared_optimizer.zero_grad(set_to_none=True)
        loss, _, hidden = self._prepared(tokens)
        sums = torch.stack([loss.detach().double() * hidden.sum(), hidden.sum().double()])
        if accelerator.num_processes > 1:
            sums = accelerator.reduce(sums, reduction="sum")
        summed, count = sums.tolist()
        # The gradient is that of the mean over all processes' hidden tokens; DDP takes the processes' mean.
        accelerator.backward(loss * (float(hidden.sum()) * accelerator.num_processes / max(1.0, count)))
        norm = float(accelerator.clip_grad_norm_(self._prepared.parameters(), self._options["clip_norm"]))
        mean = summed / max(1.0, count)
        if not (math.isfinite(mean) and math.isfinite(norm)):
            raise FloatingPointError(
                f"the loss is {mean:.4g} in {where}, its gradient's norm {norm:.4g}: lower lr (it is {self._options['lr']})"
            )
        self._prepared_optimizer.step()
        return mean, int(count), norm

    def _save(self) -> None:
        run, model = self._run, self._model
        meta = {"settings": self._settings, "history": self._history}
        encoder = {**meta, "pretrained": model.pretrained}
        save_checkpoint(run.folder / "encoder.safetensors", model.encoder, meta=encoder)
        run.write_metrics(self._history)
        model.eval()
        tokens = self._shown.to(self._accelerator.device)
        with seeded_stream(self._options["seed"], _HIDING):
            predicted, hidden = model.reconstruct(tokens)
        run.write("reconstructions.png", draw_reconstructions(tokens.to("cpu"), predicted.to("cpu"), hidden.cpu()))
        # Last: a run killed before it does the epoch again, and writes the same.
        save_checkpoint(run.last, model, self._optimizer, meta=meta)
