"""The same samples from any number of workers."""

import pickle
import random

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from segaug import Grid, PerSegment, PositionJitter, Segment, SegmentDrop, SegmentTokens, Tokenize, TwoViews, collate
from segaug.data import seeded


class Tokens(torch.utils.data.Dataset):
    """Six images of tokens; a class of this module, so that spawned workers find it."""

    def __init__(self, photo):
        self.items = [Tokenize(8)(Segment(Grid(3, 3 + i))(photo)) for i in range(6)]

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        if not 0 <= index < 6:
            raise IndexError(index)
        return self.items[index], index


def augment():
    return v2.Compose(
        [
            SegmentDrop(0.2),
            PerSegment(
                v2.Compose([v2.RandomHorizontalFlip(), v2.RandomResizedCrop(8), v2.ColorJitter(0.4, 0.4, 0.4, 0.1)])
            ),
            PerSegment(v2.RandomZoomOut(side_range=(1.0, 1.0), p=0.5)),
            PositionJitter(0.05, 0.1),
        ]
    )


def equal(a: SegmentTokens, b: SegmentTokens) -> bool:
    return all(
        torch.equal(getattr(a, name).as_subclass(torch.Tensor), getattr(b, name).as_subclass(torch.Tensor))
        for name in ("patches", "alpha", "boxes", "areas", "labels")
    )


@pytest.fixture(scope="module")
def data(photo):
    return seeded(Tokens(photo), augment(), seed=3)


@pytest.fixture(scope="module")
def reference(data):
    epochs = []
    for epoch in (0, 1):
        data.set_epoch(epoch)
        epochs.append([data[i][0] for i in range(len(data))])
    return epochs


# A machine may have fewer cores than workers.
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize(
    ("workers", "context"),
    [(0, None), (1, "fork"), (4, "fork"), (1, "spawn"), (4, "spawn")],
)
def test_the_same_tokens_bit_for_bit_from_any_workers(data, reference, workers, context):
    torch.manual_seed(workers)
    loader = DataLoader(
        data, batch_size=2, num_workers=workers, multiprocessing_context=context, collate_fn=collate,
        persistent_workers=workers == 4,
    )  # fmt: skip
    # Persistent workers live from one epoch to the next.
    for epoch in (0, 1) if workers in (0, 4) else (1,):
        data.set_epoch(epoch)
        made = [tokens for tokens, _ in loader]
        for i, expected in enumerate(reference[epoch]):
            image = made[i // 2][i % 2]
            assert equal(image[: expected.num_tokens], expected)
            assert bool((image.labels[expected.num_tokens :] == -1).all())


def test_epochs_and_samples_differ(reference):
    flat = [plain.boxes.numpy().tobytes() for epoch in reference for plain in epoch]
    assert len(set(flat)) == len(flat)


def test_the_callers_streams_stay(data):
    torch.manual_seed(0), random.seed(0), np.random.seed(0)  # noqa: NPY002
    expected = torch.rand(2), random.random(), np.random.rand()  # noqa: NPY002
    torch.manual_seed(0), random.seed(0), np.random.seed(0)  # noqa: NPY002
    data[2]
    got = torch.rand(2), random.random(), np.random.rand()  # noqa: NPY002
    assert torch.equal(got[0], expected[0])
    assert got[1:] == expected[1:]


def test_callables_that_draw_from_python_or_numpy_are_covered():
    data = seeded([0, 1], lambda item: (random.random(), float(np.random.rand())), seed=1)  # noqa: NPY002
    assert data[0] == data[0] != data[1]
    assert data[-1] == data[1]


def test_can_be_pickled(data):
    copy = pickle.loads(pickle.dumps(data))
    assert equal(copy[1][0], data[1][0])


def test_bad_arguments(data):
    with pytest.raises(TypeError, match="dataset must have a length"):
        seeded(iter([]), lambda item: item, 0)
    with pytest.raises(TypeError, match="transform must be callable, got 3"):
        seeded([], 3, 0)
    with pytest.raises(ValueError, match="seed must be at least 0, got -1"):
        seeded([], lambda item: item, -1)
    with pytest.raises(ValueError, match="epoch must be at least 0"):
        data.set_epoch(-1)
    own = v2.Compose([TwoViews(PositionJitter(0.1, 0.1, generator=torch.Generator()))])
    with pytest.raises(ValueError, match=r"no generator of its own.*PositionJitter"):
        seeded([], own, 0)
