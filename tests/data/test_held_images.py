import torch

from segaug import SegmentedImage, SegmentMap
from segaug.data._held_images import HeldImages


class Tokens:
    """Stands for a set of any size; an image's label is what ``label`` says."""

    def __init__(self, length, label=lambda index: 1):
        self.source, self.indices, self._label = self, range(length), label

    def __len__(self):
        return len(self.indices)

    def segmented(self, index):
        segments = torch.full((8, 8), self._label(index), dtype=torch.int64)
        return SegmentedImage(torch.zeros(3, 8, 8, dtype=torch.uint8), SegmentMap(segments)), 0


def test_what_does_not_fit_is_never_allocated():
    # Petabytes, which no machine could allocate.
    assert HeldImages.load(Tokens(2**44), memory_limit=2**20) is None


def test_labels_that_grow_count_too():
    wide = Tokens(4, label=lambda index: 1 if index < 3 else 1000)
    pixels, narrow = 4 * 3 * 64, 4 * 64
    assert HeldImages.load(wide, memory_limit=pixels + narrow) is None
    held = HeldImages.load(wide, memory_limit=pixels + 4 * narrow)
    assert [int(held[index].segments.max()) for index in range(4)] == [1, 1, 1, 1000]


def test_the_callers_random_state_is_left_alone():
    before = torch.get_rng_state()
    HeldImages.load(Tokens(3), memory_limit=2**20)
    assert torch.equal(torch.get_rng_state(), before)
