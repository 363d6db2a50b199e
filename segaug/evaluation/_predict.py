"""What a run's model says about images."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.utils.data import DataLoader, Dataset

from segaug._checks import check_flag, check_int
from segaug._progress import progress_bar
from segaug.data import BadImageError, Images, TokenDataset, TokenStore
from segaug.evaluation._run import TrainedRun
from segaug.structures import SegmentTokens, collate

__all__ = ["Predictions", "predict"]


@dataclass(frozen=True)
class Predictions:
    """Logits for images, in their order.

    Args:
        logits: (images, classes) float32 on the CPU.
        targets: (images,) int64, the true classes.
        mean_tokens: Tokens per image on average, the background's included.
        skipped: Messages of images left out, which name them.
    """

    logits: torch.Tensor
    targets: torch.Tensor
    mean_tokens: float
    skipped: tuple[str, ...] = ()


def predict(
    run: TrainedRun,
    images: Images,
    *,
    batch_size: int = 64,
    workers: int = 0,
    device: torch.device | str = "cpu",
    store: TokenStore | None = None,
    skip_bad: bool = False,
    progress: str | None = None,
) -> Predictions:
    """Segment and tokenise images as in the run, and ask its model.

    Args:
        run: The run; its model is moved to ``device``.
        images: What to look at; targets index the run's classes.
        batch_size: Images per batch.
        workers: Processes that segment and tokenise; 0 does it in this one.
        device: Where the model runs.
        store: Where maps and tokens are kept between calls; None keeps nothing.
        skip_bad: Leave out images that cannot be read, instead of raising.
        progress: Title of a progress bar, or None for no bar.

    Returns:
        The logits and the true classes.

    Raises:
        BadImageError: If an image cannot be read and ``skip_bad`` is not set. The message names the file.
        ValueError: If there is no image that can be read, or an argument is out of range.
    """
    check_int("batch_size", batch_size, minimum=1)
    check_int("workers", workers, minimum=0)
    check_flag("skip_bad", skip_bad)
    dataset = _Items(TokenDataset(images, run.segmenter, run.tokenize, store))
    loader = DataLoader(
        dataset,
        batch_size=batch_size,
        num_workers=workers,
        collate_fn=_gather,
        # The loader draws a seed for its workers; not from the caller's generator.
        generator=torch.Generator().manual_seed(0),
    )
    model = run.model.to(device).eval()
    logits, targets, skipped, count = [], [], [], 0
    with torch.inference_mode():
        for batch in progress_bar(loader, progress or "", "batch", shown=progress is not None):
            for error in batch.errors:
                if not (skip_bad and isinstance(error, BadImageError)):
                    raise error
                skipped.append(str(error))
            if batch.tokens is not None:
                logits.append(model(batch.tokens.to(torch.device(device))).float().cpu())
                targets.append(batch.targets)
                count += int((~batch.tokens.is_padding).sum())
    if not logits:
        raise ValueError(f"there is no image that can be read; the first: {skipped[0] if skipped else 'none at all'}")
    # Cloned out of inference mode, so that callers may do with them as they like.
    joined = torch.cat(logits).clone()
    return Predictions(joined, torch.cat(targets), count / len(joined), tuple(skipped))


_Item = tuple[SegmentTokens, int] | Exception


@dataclass
class _Batch:
    tokens: SegmentTokens | None
    targets: torch.Tensor
    errors: list[Exception]


class _Items(Dataset[_Item]):
    """Errors are returned, not raised: from a worker they would arrive with its traceback in their message."""

    def __init__(self, dataset: TokenDataset) -> None:
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> _Item:
        try:
            return self._dataset[index]
        except (TypeError, ValueError) as error:
            return error


def _gather(items: Sequence[_Item]) -> _Batch:
    good = [item for item in items if not isinstance(item, Exception)]
    errors = [item for item in items if isinstance(item, Exception)]
    if not good:
        return _Batch(None, torch.empty(0, dtype=torch.int64), errors)
    tokens, targets = collate(good)
    return _Batch(tokens, targets, errors)
