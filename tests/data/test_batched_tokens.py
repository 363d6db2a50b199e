import pytest
import torch
from torchvision.transforms import v2

from segaug import Felzenszwalb, Grid, PositionJitter, SegmentedImage, SegmentMix, Tokenize, collate
from segaug.data import (
    BadImageError,
    Batch,
    BatchedTokens,
    ImageFolder,
    SceneImages,
    Scenes,
    TokenDataset,
    load_tokens,
    seeded_stream,
)

FIELDS = ("patches", "alpha", "boxes", "areas", "labels")
FLIP_AND_CROP = v2.Compose([v2.RandomHorizontalFlip(), v2.RandomResizedCrop(64, scale=(0.3, 0.6))])


@pytest.fixture(scope="module")
def scenes():
    return SceneImages(Scenes("count", 6, size=64))


def make(images, segmenter):
    return load_tokens(TokenDataset(images, segmenter, Tokenize(size=8)))


def assert_same(one, other):
    assert torch.equal(one[1], other[1])
    assert all(torch.equal(getattr(one[0], name), getattr(other[0], name)) for name in FIELDS)


def test_a_grid_is_laid_on_the_changed_image(scenes):
    tokens = make(scenes, Grid(4, 4))
    changed, _ = BatchedTokens(tokens, image=FLIP_AND_CROP)[Batch(2, 0, (3,))]
    image, _ = tokens.source.segmented(3)
    # Per image: (seed, 0 for "per image", epoch, index).
    with seeded_stream(0, 0, 2, 3):
        after = FLIP_AND_CROP(image)
    expected = Tokenize(size=8)(SegmentedImage(after.image, Grid(4, 4)(after.image)))
    assert_same((changed, torch.tensor(0)), (collate([expected]), torch.tensor(0)))
    assert changed.boxes[0, 0].tolist() == [0.0, 0.0, 0.25, 0.25]
    assert not torch.equal(after.segments, Grid(4, 4)(after.image))


@pytest.mark.parametrize("segmenter", [None, Felzenszwalb(scale=100)])
def test_other_maps_are_changed_with_the_image(scenes, segmenter):
    tokens = make(scenes, segmenter)
    changed, _ = BatchedTokens(tokens, image=FLIP_AND_CROP)[Batch(2, 0, (3,))]
    with seeded_stream(0, 0, 2, 3):
        expected = Tokenize(size=8)(FLIP_AND_CROP(tokens.source.segmented(3)[0]))
    assert_same((changed, torch.tensor(0)), (collate([expected]), torch.tensor(0)))


@pytest.mark.parametrize("workers", [0, 2])
def test_held_images_give_the_same_and_are_read_once(make_folder, workers):
    folder = make_folder() / "train"
    tokens = make(ImageFolder(folder, size=24), Grid(3, 3))
    batch = Batch(1, 0, (5, 0, 2))
    read = BatchedTokens(tokens, image=v2.RandomHorizontalFlip(), memory_limit=0)
    held = BatchedTokens(tokens, image=v2.RandomHorizontalFlip(), workers=workers)
    expected = read[batch]
    for path in folder.rglob("*.png"):
        path.unlink()
    assert_same(held[batch], expected)
    # What a transform does to an image in place stays with that image.
    assert_same(held[batch], expected)
    with pytest.raises(BadImageError, match=r"cannot read .*png"):
        read[batch]
    with pytest.raises(BadImageError, match=r"^cannot read .*0\.png: "):
        BatchedTokens(tokens, image=v2.RandomHorizontalFlip(), workers=workers)


def test_images_that_take_too_much_memory_are_not_held(make_folder):
    folder = make_folder() / "train"
    tokens = make(ImageFolder(folder, size=24), Grid(3, 3))
    # Six images of three bytes a pixel, and a byte a pixel for the map.
    for limit, is_held in ((6 * 24 * 24 * 4, True), (6 * 24 * 24 * 4 - 1, False)):
        batched = BatchedTokens(tokens, image=v2.RandomHorizontalFlip(), memory_limit=limit)
        assert (batched._held is not None) is is_held


def test_groups_draw_from_streams_of_their_own(scenes):
    tokens = make(scenes, None)
    batched = BatchedTokens(tokens, transform=PositionJitter(0.1, 0.1))
    first, again, second = (batched[Batch(0, 0, (1, 2), group)] for group in (0, 0, 1))
    assert_same(first, again)
    assert not torch.equal(first[0].boxes, second[0].boxes)


def test_mixing_makes_soft_targets(scenes):
    tokens = make(scenes, None)
    batch = Batch(0, 3, (0, 1, 2, 3))
    mixed, targets = BatchedTokens(tokens, batch=SegmentMix(num_classes=5))[batch]
    plain, _ = BatchedTokens(tokens)[batch]
    assert targets.shape == (4, 5)
    torch.testing.assert_close(targets.sum(-1), torch.ones(4))
    assert (mixed.labels >= 0).sum() == (plain.labels >= 0).sum()
    assert not torch.equal(mixed.areas.sum(-1), plain.areas.sum(-1))


def test_the_fingerprint_is_of_tokens_and_targets(scenes):
    held = make(scenes, Grid(2, 2))
    on_disk = load_tokens(TokenDataset(scenes, Grid(2, 2), Tokenize(size=8)), memory_limit=0)
    assert held.fingerprint == on_disk.fingerprint
    other = [make(SceneImages(Scenes("count", 6, size=64, seed=1)), Grid(2, 2)), make(scenes, Grid(2, 3))]
    relabelled = SceneImages(Scenes("count", 6, size=64))
    relabelled.targets[0] = (relabelled.targets[0] + 1) % 5
    other.append(make(relabelled, Grid(2, 2)))
    assert len({held.fingerprint, *(tokens.fingerprint for tokens in other)}) == 4
    by_hand = type(held)(held.source, held.indices, held.lengths, None)
    assert by_hand.fingerprint == held.fingerprint


def test_bad_arguments(scenes):
    tokens = make(scenes, None)
    with pytest.raises(ValueError, match="memory_limit must be at least 0, got -1"):
        BatchedTokens(tokens, memory_limit=-1)
    with pytest.raises(ValueError, match="workers must be at least 0, got -1"):
        BatchedTokens(tokens, workers=-1)
