"""Loader workers and epochs draw by themselves."""

import itertools
import multiprocessing
import warnings
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from segaug._checks import check_int
from segaug.testing._augmentation import Augmentation
from segaug.testing._errors import NotApplicable, PropertyFailed, TransformFailed
from segaug.testing._outcomes import FEWEST_CALLS, Outcome, check_pair, fresh_stream, outcome, varying
from segaug.testing._property import declare

__all__ = ["workers_and_epochs_are_independent"]

_WORKERS = 2
_EPOCHS = 2
# As few messages between processes as can be, and yet some.
_BATCHES_PER_WORKER = 2
_TIMEOUT_S = 60.0


class _Repeated(Dataset[Outcome | str]):
    """One sample, transformed anew for every index."""

    def __init__(self, augmentation: Augmentation, sample: Any, length: int) -> None:
        self.augmentation = augmentation
        self.sample = sample
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Outcome | str:
        try:
            return outcome(self.augmentation(self.sample))
        except TransformFailed as error:
            # As a value: the loader would raise another error, with the worker's traceback as its message.
            return str(error)


@declare("image", "segmented_image", "segment_tokens", "annotated_image", statistical=True)
def workers_and_epochs_are_independent(transform: Any, sample: Any, *, seed: int = 0, calls: int = 100) -> None:
    """P(T_w,e(x) in A, T_w',e'(x) in B) = P(T(x) in A) P(T(x) in B) for workers w, w' and epochs e, e' of a DataLoader.

    A dataset applies T to one sample; a ``DataLoader`` with two forked workers goes through it twice. The same place in the
    order of two workers, and in two epochs, must not hold results that depend on each other. Not applicable where processes
    cannot be forked, and to a transform that draws nothing.

    Args:
        transform: The transform, or an ``Augmentation``.
        sample: A sample.
        seed: Seeds torch's default stream in the main process.
        calls: How often each worker calls it in an epoch.

    Raises:
        PropertyFailed: If workers or epochs depend on each other; those of a right transform do so once in 1e9 times.
        NotApplicable: As said above.

    Example:
        >>> from torchvision.transforms import v2
        >>> workers_and_epochs_are_independent(v2.RandomHorizontalFlip(), torch.rand(3, 2, 2))
    """
    augmentation = Augmentation.of(transform)
    check_int("calls", calls, minimum=FEWEST_CALLS)
    if "fork" not in multiprocessing.get_all_start_methods():
        raise NotApplicable("processes cannot be forked here")
    runs: dict[str, list[Outcome]] = {}
    with fresh_stream(seed):
        copied = augmentation.fresh()
        for epoch in range(_EPOCHS):
            for worker, outcomes in enumerate(_run_epoch(copied, sample, calls)):
                runs[f"worker {worker} in epoch {epoch}"] = outcomes
    if not varying(list(runs.values())):
        raise NotApplicable("its result is the same at every call")
    pairs = list(itertools.combinations(runs, 2))
    for first, second in pairs:
        check_pair(runs[first], runs[second], names=(first, second), tests=len(pairs))


def _run_epoch(augmentation: Augmentation, sample: Any, calls: int) -> list[list[Outcome]]:
    """The outcomes of each worker, in their order."""
    size = -(-calls // _BATCHES_PER_WORKER)
    batches = _WORKERS * _BATCHES_PER_WORKER
    dataset = _Repeated(augmentation, sample, size * batches)
    # Batches go round the workers in turn.
    found: list[list[Outcome]] = [[] for _ in range(_WORKERS)]
    with warnings.catch_warnings():
        # The number of cores, and the threads that a fork leaves behind, are no concern of two short-lived workers.
        warnings.filterwarnings("ignore", message="This DataLoader will create", category=UserWarning)
        warnings.filterwarnings("ignore", message="This process .* is multi-threaded", category=DeprecationWarning)
        loader = DataLoader(
            dataset,
            batch_size=size,
            num_workers=_WORKERS,
            collate_fn=list,
            multiprocessing_context="fork",
            timeout=_TIMEOUT_S,
            worker_init_fn=_use_one_thread,
        )
        try:
            for number, batch in enumerate(loader):
                for result in batch:
                    if isinstance(result, str):
                        raise TransformFailed(result)
                    found[number % _WORKERS].append(result)
        except RuntimeError as error:
            raise PropertyFailed(
                f"expected it to run in a loader's workers, got {' '.join(str(error).split())}"
            ) from error
    return found


def _use_one_thread(worker: int) -> None:
    # Threads of the parent do not live on in a fork.
    torch.set_num_threads(1)
