import pytest
import torch
from torchvision.transforms import v2

from segaug import Felzenszwalb, Grid, SegmentMap, Tokenize
from segaug.data import (
    BadImageError,
    Batch,
    BatchedTokens,
    ImageFolder,
    SceneImages,
    Scenes,
    StoreCounts,
    TokenDataset,
    TokenStore,
    load_tokens,
)
from segaug.data._tokens import STORE_VERSION, _narrow
from segaug.structures import concatenate
from segaug.transforms import PerSegment

pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")

FIELDS = ("patches", "alpha", "boxes", "areas", "labels")


def assert_same(one, other):
    for name in FIELDS:
        assert torch.equal(getattr(one, name), getattr(other, name)), name


@pytest.fixture
def images(make_folder):
    return ImageFolder(make_folder() / "train", size=24)


@pytest.fixture
def store(tmp_path):
    return TokenStore(tmp_path / "store")


class Counting(Grid):
    """A segmenter that counts how often it is asked."""

    def __init__(self, rows, cols):
        super().__init__(rows, cols)
        self.calls = 0

    def segment(self, image):
        self.calls += 1
        return super().segment(image)


def test_tokens_from_the_store_equal_those_made(images, store):
    plain = TokenDataset(images, Grid(2, 3), Tokenize(8))
    stored = TokenDataset(images, Grid(2, 3), Tokenize(8), store)
    for _ in range(2):
        for i in range(len(images)):
            assert_same(stored[i][0], plain[i][0])
            assert stored[i][1] == plain[i][1] == images.targets[i]
    assert store.counts.damaged == 0


def test_an_image_is_segmented_once_also_over_runs_and_for_other_tokens(images, store):
    segmenter = Counting(2, 2)
    for tokenize in (Tokenize(8), Tokenize(8), Tokenize(4), Tokenize(8, max_segments=2), Tokenize(8, background=False)):
        tokens, _ = TokenDataset(images, segmenter, tokenize, TokenStore(store.folder))[0]
        assert tokens.patches.shape[-1] == tokenize.size
        dataset = TokenDataset(images, segmenter, tokenize, TokenStore(store.folder))
        assert_same(dataset[0][0], tokenize(dataset.segmented(0)[0]))
    assert segmenter.calls == 1


def test_another_segmenter_size_file_or_version_is_made_anew(images, store, monkeypatch):
    def made(dataset):
        tokens, _ = dataset[0]
        assert_same(tokens, TokenDataset(dataset.images, dataset.segmenter, dataset.tokenize)[0][0])
        return store.take_counts().made

    assert made(TokenDataset(images, Grid(2, 2), Tokenize(8), store)) == 2
    assert made(TokenDataset(images, Grid(2, 2), Tokenize(8), store)) == 0
    assert made(TokenDataset(images, Grid(2, 3), Tokenize(8), store)) == 2
    assert made(TokenDataset(images, Felzenszwalb(), Tokenize(8), store)) == 2
    assert made(TokenDataset(images, Felzenszwalb(scale=9), Tokenize(8), store)) == 2
    assert made(TokenDataset(ImageFolder(images.folder, size=25), Grid(2, 2), Tokenize(8), store)) == 2
    images.paths[0].write_bytes(images.paths[1].read_bytes())
    assert made(TokenDataset(images, Grid(2, 2), Tokenize(8), store)) == 2
    monkeypatch.setattr("segaug.data._tokens.STORE_VERSION", STORE_VERSION + 1)
    assert made(TokenDataset(images, Grid(2, 2), Tokenize(8), store)) == 2


def test_tokens_that_another_tokeniser_made_are_made_anew(images, store, monkeypatch):
    before, _ = TokenDataset(images, Grid(2, 2), Tokenize(8), store)[0]
    transform = Tokenize.transform

    def darker(self, inpt, params):
        tokens = transform(self, inpt, params)
        tokens.patches.sub_(tokens.patches // 50)
        return tokens

    monkeypatch.setattr(Tokenize, "transform", darker)
    store.take_counts()
    after, _ = TokenDataset(images, Grid(2, 2), Tokenize(8), store)[0]
    assert not torch.equal(before.patches, after.patches)
    assert store.take_counts() == StoreCounts(found=1, made=1), "the map is still good"


def test_what_was_stored_before_there_were_more_options_is_still_good(images, store):
    dataset = TokenDataset(images, Grid(2, 2), Tokenize(8), store)
    options = {"size": 8, "max_segments": 196, "background": True, "sample": dataset._sample}
    key = {
        "version": STORE_VERSION,
        "image": images.key(0),
        "segmenter": Grid(2, 2).fingerprint,
        "kind": "tokens",
        "tokenize": options,
    }
    tokens, _ = TokenDataset(images, Grid(3, 3), Tokenize(8))[0]
    store.save(key, {name: getattr(tokens, name) for name in FIELDS})
    assert_same(dataset[0][0], tokens)


def test_options_are_made_anew(images, store):
    for options in ({}, {"aspect": "keep"}, {"edges": "hard"}, {"edges": "box"}, {"aspect": "keep", "edges": "hard"}):
        store.take_counts()
        # Wide cells and stripes, in which the options differ.
        stripes = Felzenszwalb(scale=1, min_size=4)
        dataset = TokenDataset(images, stripes, Tokenize(8, **options), store)
        assert_same(dataset[0][0], TokenDataset(images, stripes, Tokenize(8, **options))[0][0])
        assert store.take_counts().made == (1 if options else 2)
        assert_same(dataset[0][0], TokenDataset(images, stripes, Tokenize(8, **options))[0][0])
        assert store.take_counts() == StoreCounts(found=1)


class TestSeveralSegmenters:
    def test_tokens_of_each_are_joined(self, images):
        alone = [TokenDataset(images, Grid(n, n), Tokenize(8))[1][0] for n in (3, 2)]
        tokens, target = TokenDataset(images, [Grid(3, 3), Grid(2, 2)], Tokenize(8))[1]
        assert_same(tokens, concatenate(alone))
        assert tokens.labels.tolist() == [*range(1, 14), 0]
        assert target == images.targets[1]

    def test_the_budget_is_that_of_each(self, images):
        tokens, _ = TokenDataset(images, (Grid(3, 3), Grid(2, 2)), Tokenize(8, max_segments=5))[0]
        assert tokens.labels.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]
        assert tokens.areas[-1].item() == pytest.approx(4 / 9)

    def test_the_store_is_shared_with_each_alone(self, images, store):
        tokenize = Tokenize(8)
        TokenDataset(images, Grid(3, 3), tokenize, store)[0]
        assert store.take_counts().made == 2
        dataset = TokenDataset(images, (Grid(3, 3), Grid(2, 2)), tokenize, store)
        expected = TokenDataset(images, (Grid(3, 3), Grid(2, 2)), tokenize)[0][0]
        assert_same(dataset[0][0], expected)
        assert store.take_counts() == StoreCounts(found=1, made=2)
        assert_same(dataset[0][0], expected)
        assert store.take_counts() == StoreCounts(found=2)
        assert_same(load_tokens(dataset)[0][0], expected)

    def test_with_the_items_own_map(self):
        images = SceneImages(Scenes("count", n=1, size=64))
        own, grid = (TokenDataset(images, one, Tokenize(8))[0][0] for one in (None, Grid(2, 2)))
        assert_same(TokenDataset(images, (None, Grid(2, 2)), Tokenize(8))[0][0], concatenate([own, grid]))

    def test_one_in_a_list_is_one(self, images):
        dataset = TokenDataset(images, [Grid(2, 2)], Tokenize(8))
        assert dataset.segmented(0)[0].segments.num_segments == 4

    def test_whole_images_need_a_single_one(self, images):
        dataset = TokenDataset(images, (Grid(2, 2), Grid(1, 1)), Tokenize(8))
        with pytest.raises(ValueError, match=r"segmenter must be a single one where .*, got 2: augment tokens"):
            dataset.segmented(0)

    def test_bad_ones(self, images, store):
        with pytest.raises(ValueError, match="segmenter must be one or several, got none"):
            TokenDataset(images, [], Tokenize(8))
        with pytest.raises(TypeError, match="segmenter must be callable, a list of callables or None, got 'grid'"):
            TokenDataset(images, "grid", Tokenize(8))
        with pytest.raises(TypeError, match="segmenter must be callable, a list of callables or None, got 5"):
            TokenDataset(images, [Grid(2, 2), 5], Tokenize(8))
        with pytest.raises(TypeError, match="segmenter must have a fingerprint to be used with a store"):
            TokenDataset(images, [Grid(2, 2), lambda image: image[0].long() + 1], Tokenize(8), store)


def test_a_damaged_entry_is_made_anew(images, store):
    dataset = TokenDataset(images, Grid(2, 2), Tokenize(8), store)
    expected, _ = dataset[0]
    for path in store.folder.glob("??/*"):
        path.write_bytes(path.read_bytes()[:-1])
    store.take_counts()
    assert_same(dataset[0][0], expected)
    assert store.take_counts() == StoreCounts(made=2, damaged=2)
    assert_same(dataset[0][0], expected)
    assert store.take_counts() == StoreCounts(found=1)


def test_scenes_keep_their_own_map_unless_there_is_a_segmenter():
    scenes = Scenes("count", n=3, size=64)
    images = SceneImages(scenes)
    image, target = TokenDataset(images, None, Tokenize(8)).segmented(1)
    assert torch.equal(image.segments, scenes[1][0].segments)
    assert target == scenes[1][1] == images.targets[1]
    image, _ = TokenDataset(images, Grid(2, 2), Tokenize(8)).segmented(1)
    assert image.segments.num_segments == 4


def test_scenes_are_stored_by_task_size_seed_and_number(store):
    def made(images):
        dataset = TokenDataset(images, None, Tokenize(8), store)
        for i in range(len(images)):
            assert_same(dataset[i][0], TokenDataset(images, None, Tokenize(8))[i][0])
        return store.take_counts().made

    assert made(SceneImages(Scenes("count", n=2, size=64))) == 2
    assert made(SceneImages(Scenes("count", n=3, size=64))) == 1
    assert made(SceneImages(Scenes("count", n=2, size=72))) == 2
    assert made(SceneImages(Scenes("count", n=2, size=64, seed=1))) == 2
    assert made(SceneImages(Scenes("relation", n=2, size=64))) == 2


def test_labels_are_stored_small():
    for largest, dtype in (
        (0, torch.uint8),
        (255, torch.uint8),
        (256, torch.int16),
        (2**15, torch.int32),
        (2**31, torch.int64),
    ):
        labels = SegmentMap(torch.tensor([[0, largest]]))
        assert _narrow(labels).dtype == dtype
        assert torch.equal(SegmentMap(_narrow(labels)), labels)


@pytest.mark.parametrize("workers", [0, 2])
def test_loading_all(images, store, workers):
    dataset = TokenDataset(images, Counting(2, 2), Tokenize(8), store)
    tokens = load_tokens(dataset, workers=workers)
    assert (len(tokens), tokens.in_memory, tokens.lengths, tokens.mean_tokens) == (6, True, [5] * 6, 5.0)
    assert tokens.counts == StoreCounts(made=12)
    assert "6 images, 5.0 tokens each; 0 entries found in" in tokens.report
    again = load_tokens(dataset, workers=workers, memory_limit=100)
    assert again.counts == StoreCounts(found=6)
    assert not again.in_memory
    for i in range(6):
        assert_same(tokens[i][0], TokenDataset(images, Grid(2, 2), Tokenize(8))[i][0])
        assert_same(again[i][0], tokens[i][0])
        assert again[i][1] == tokens[i][1] == images.targets[i]


def test_images_of_different_numbers_of_tokens_are_held_apart(images):
    tokens = load_tokens(TokenDataset(images, Felzenszwalb(scale=1, min_size=4), Tokenize(8)))
    assert len(set(tokens.lengths)) > 1
    for i in range(6):
        assert_same(tokens[i][0], tokens.source[i][0])


@pytest.mark.parametrize("workers", [0, 1])
def test_bad_images_are_named_or_skipped_and_counted(images, workers):
    images.paths[1].write_text("no image")
    images.paths[4].write_bytes(images.paths[4].read_bytes()[:60])
    dataset = TokenDataset(images, Grid(2, 2), Tokenize(8))
    with pytest.raises(BadImageError, match=r"^cannot read .*cat/1\.png as an image: [^\n]*$"):
        load_tokens(dataset, workers=workers)
    tokens = load_tokens(dataset, workers=workers, skip_bad=True)
    assert (len(tokens), tokens.targets) == (4, [0, 0, 1, 1])
    assert [message.split("/")[-2] for message in tokens.skipped] == ["cat", "dog"]
    assert "2 images skipped (cannot read" in tokens.report
    assert_same(tokens[1][0], dataset[2][0])


def test_only_bad_images(images):
    for path in images.paths:
        path.write_text("no image")
    with pytest.raises(ValueError, match="there is no image that can be read; the first: cannot read"):
        load_tokens(TokenDataset(images, Grid(2, 2), Tokenize(8)), skip_bad=True)


def test_an_image_that_the_segmenter_refuses_is_no_bad_image(images):
    with pytest.raises(ValueError, match=r"^cannot segment .*\.png: image must be at least 30 x 2 pixels"):
        load_tokens(TokenDataset(images, Grid(30, 2), Tokenize(8)), workers=1, skip_bad=True)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_full_disk_is_reported_once(images, store, monkeypatch, workers):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("segaug.data._store.write_atomically", full)
    tokens = load_tokens(TokenDataset(images, Grid(2, 2), Tokenize(8), store), workers=workers)
    assert tokens.counts.unsaved == 12
    assert tokens.report.count("12 not stored (OSError: [Errno 28] No space left on device)") == 1
    assert_same(tokens[3][0], TokenDataset(images, Grid(2, 2), Tokenize(8))[3][0])
    assert load_tokens(TokenDataset(images, Grid(2, 3), Tokenize(8), store)).report.endswith("; 12 not stored")


class TestBatches:
    BATCH = Batch(epoch=3, step=2, indices=(4, 0, 5))

    @pytest.fixture
    def tokens(self, images):
        return load_tokens(TokenDataset(images, Grid(2, 2), Tokenize(8)))

    def test_without_augmentation(self, tokens):
        batch, targets = BatchedTokens(tokens)[self.BATCH]
        assert targets.tolist() == [1, 0, 1]
        assert_same(batch[1], tokens[0][0])

    def test_tokens_are_augmented_by_seed_epoch_and_step(self, tokens):
        batches = BatchedTokens(tokens, transform=PerSegment(v2.RandomHorizontalFlip()), seed=7)
        first, _ = batches[self.BATCH]
        torch.rand(3)
        assert_same(batches[self.BATCH][0], first)
        for other, seed in ((self.BATCH._replace(epoch=4), 7), (self.BATCH._replace(step=1), 7), (self.BATCH, 8)):
            changed, _ = BatchedTokens(tokens, transform=PerSegment(v2.RandomHorizontalFlip()), seed=seed)[other]
            assert not torch.equal(changed.patches, first.patches)

    def test_images_are_augmented_by_seed_epoch_and_index(self, tokens):
        batches = BatchedTokens(tokens, image=v2.ColorJitter(0.9), seed=7)
        first, _ = batches[self.BATCH]
        other, _ = batches[Batch(epoch=3, step=9, indices=(0, 1))]
        assert_same(other[0], first[1])
        assert not torch.equal(first[1].patches, tokens[0][0].patches)
        assert not torch.equal(batches[self.BATCH._replace(epoch=4)][0].patches, first.patches)

    def test_the_image_and_its_map_move_together(self, images):
        tokens = load_tokens(TokenDataset(images, Felzenszwalb(scale=1, min_size=4), Tokenize(8)))
        batch, _ = BatchedTokens(tokens, image=v2.RandomHorizontalFlip(1.0))[self.BATCH]
        for row, index in enumerate(self.BATCH.indices):
            image, _ = tokens.source.segmented(index)
            moved = batch[row][~batch[row].is_padding]
            assert_same(moved, tokens.source.tokenize(v2.RandomHorizontalFlip(1.0)(image)))

    def test_bad_seed(self, tokens):
        with pytest.raises(ValueError, match="seed must be at least 0, got -1"):
            BatchedTokens(tokens, seed=-1)


def test_bad_arguments(images, store):
    with pytest.raises(TypeError, match="segmenter must have a fingerprint to be used with a store"):
        TokenDataset(images, lambda image: image[0].long() + 1, Tokenize(8), store)
    with pytest.raises(TypeError, match="images must give SegmentedImages if there is no segmenter"):
        TokenDataset(images, None, Tokenize(8))[0]
    with pytest.raises(ValueError, match="workers must be at least 0, got -1"):
        load_tokens(TokenDataset(images, Grid(2, 2), Tokenize(8)), workers=-1)
