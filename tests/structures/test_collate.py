import copy
from collections import OrderedDict, namedtuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader
from torchvision import tv_tensors

from segaug import SegmentedImage, SegmentMap, SegmentTokens, collate

FIELDS = ("patches", "alpha", "boxes", "areas", "labels")
Pair = namedtuple("Pair", ["tokens", "target"])


def plain(tensor):
    return tensor.as_subclass(torch.Tensor)


def assert_holds(batch, samples):
    """Each image is in the batch as it was, and behind it there is padding."""
    assert type(batch) is SegmentTokens
    most = max(sample.num_tokens for sample in samples)
    assert batch.labels.shape == (len(samples), most)
    for i, sample in enumerate(samples):
        count = sample.num_tokens
        assert batch.is_padding[i].tolist() == [False] * count + [True] * (most - count)
        for name in FIELDS:
            field, expected = getattr(batch, name), getattr(sample, name)
            assert type(field) is type(expected)
            assert field.dtype == expected.dtype
            assert torch.equal(plain(field)[i, :count], plain(expected))
            assert (plain(field)[i, count:] == (-1 if name == "labels" else 0)).all()


class TestTokens:
    @settings(max_examples=20, deadline=None, derandomize=True)
    @given(
        st.lists(st.integers(0, 6), min_size=1, max_size=5),
        st.booleans(),
        st.sampled_from([torch.uint8, torch.float16, torch.float32, torch.float64]),
    )
    def test_pads_to_the_longest(self, make_tokens, counts, background, dtype):
        samples = [make_tokens(n, background=background, dtype=dtype, seed=i) for i, n in enumerate(counts)]
        before = copy.deepcopy(samples)
        batch = collate(samples)
        assert_holds(batch, before)
        assert_holds(batch, samples)

    def test_images_come_back_out(self, make_tokens):
        samples = [make_tokens(n, seed=n) for n in (2, 5, 1)]
        batch = collate(samples)
        for image, sample in zip(batch, samples, strict=True):
            assert torch.equal(plain(image[~image.is_padding].patches), plain(sample.patches))

    def test_the_batch_is_a_copy(self, make_tokens):
        sample = make_tokens(2)
        collate([sample]).patches.zero_()
        assert sample.patches.any()

    def test_padding_in_a_sample_stays_padding(self, make_tokens):
        batch = collate([make_tokens(2, padding=1), make_tokens(6)])
        assert batch.is_padding.tolist() == [[False] * 3 + [True] * 4, [False] * 7]

    @pytest.mark.parametrize(
        "options", [{"size": 5}, {"channels": 1}, {"dtype": torch.float32}], ids=["size", "channels", "dtype"]
    )
    def test_patches_that_differ(self, make_tokens, options):
        with pytest.raises(ValueError, match="patches must agree in channels, size and dtype, got SegmentTokens"):
            collate([make_tokens(2), make_tokens(2, **options)])

    def test_batches(self, make_tokens):
        with pytest.raises(ValueError, match=r"samples must be single images with labels \(N,\), got labels \(2, 3\)"):
            collate([make_tokens(2, batch=(2,))])


class TestStructure:
    @pytest.fixture
    def samples(self, make_tokens):
        return [make_tokens(n, seed=n) for n in (3, 1)]

    def test_tuples_and_lists(self, samples):
        batch = collate([(tokens, i) for i, tokens in enumerate(samples)])
        assert type(batch) is tuple
        assert_holds(batch[0], samples)
        assert batch[1].tolist() == [0, 1]
        batch = collate([[tokens, [float(i), "name"]] for i, tokens in enumerate(samples)])
        assert type(batch) is list
        assert batch[1][0].tolist() == [0.0, 1.0]
        assert batch[1][1] == ["name", "name"]

    def test_dicts_in_any_order_of_keys(self, samples):
        batch = collate([{"x": samples[0], "y": 1}, OrderedDict(y=2, x=samples[1])])
        assert_holds(batch["x"], samples)
        assert batch["y"].tolist() == [1, 2]

    def test_named_tuples(self, samples):
        batch = collate([Pair(tokens, torch.tensor([i, i])) for i, tokens in enumerate(samples)])
        assert type(batch) is Pair
        assert_holds(batch.tokens, samples)
        assert batch.target.tolist() == [[0, 0], [1, 1]]

    def test_nested(self, samples):
        batch = collate([{"a": (tokens, {"b": [tokens, i]})} for i, tokens in enumerate(samples)])
        assert_holds(batch["a"][0], samples)
        assert_holds(batch["a"][1]["b"][0], samples)

    def test_tv_tensors_keep_their_type(self):
        samples = [
            (
                tv_tensors.Image(torch.full((3, 2, 2), float(i))),
                SegmentMap([[i, 2**31]]),
                tv_tensors.Mask(torch.ones(1, 2)),
            )
            for i in range(3)
        ]
        image, segments, mask = collate(samples)
        assert (type(image), image.shape) == (tv_tensors.Image, (3, 3, 2, 2))
        assert (type(segments), segments.shape, segments.dtype) == (SegmentMap, (3, 1, 2), torch.int64)
        assert (type(mask), mask.shape) == (tv_tensors.Mask, (3, 1, 2))

    @pytest.mark.parametrize("counts", [(1, 1), (0, 2)])
    def test_boxes_and_key_points_become_a_list(self, counts):
        boxes = [tv_tensors.BoundingBoxes(torch.zeros(n, 4), format="XYXY", canvas_size=(4, 5)) for n in counts]
        points = [tv_tensors.KeyPoints(torch.zeros(n, 2), canvas_size=(4, 5)) for n in counts]
        batch = collate([{"boxes": box, "points": point} for box, point in zip(boxes, points, strict=True)])
        assert type(batch["boxes"]) is type(batch["points"]) is list
        assert all(left is right for left, right in zip(batch["boxes"] + batch["points"], boxes + points, strict=True))

    def test_plain_tensors_as_the_default(self):
        assert torch.equal(collate([torch.ones(2), torch.zeros(2)]), torch.tensor([[1.0, 1.0], [0.0, 0.0]]))

    def test_parts_without_content(self, samples):
        assert collate([(tokens, ()) for tokens in samples])[1] == ()

    @pytest.mark.parametrize("samples", [[], ()])
    def test_none(self, samples):
        with pytest.raises(ValueError, match="samples must hold at least one sample, got none"):
            collate(samples)

    def test_structures_that_differ(self, samples):
        tokens = samples[0]
        for mixed in ([{"x": 1}, {"y": 1}], [{"x": 1}, {"x": 1, "y": 2}], [{"x": 1}, (1,)]):
            with pytest.raises(TypeError, match=r"samples must be dicts with the same keys, the first has \['x'\]"):
                collate(mixed)
        for mixed in ([(tokens, 1), (tokens,)], [(tokens, 1), {"x": 1}], [(tokens, 1), 5]):
            with pytest.raises(TypeError, match="samples must be sequences of the same length, the first has 2 parts"):
                collate(mixed)
        for mixed in ([tokens, 3], [3, tokens], [torch.ones(2), tokens], [(tokens, 1), tokens]):
            with pytest.raises(TypeError, match="samples must all be SegmentTokens, got"):
                collate(mixed)

    def test_tv_tensors_that_differ(self):
        image = tv_tensors.Image(torch.zeros(3, 2, 2))
        with pytest.raises(
            ValueError, match=r"samples must have one shape to be stacked, got .*\(3, 2, 2\).*\(3, 2, 3\)"
        ):
            collate([image, tv_tensors.Image(torch.zeros(3, 2, 3))])
        for other in (3, torch.zeros(3, 2, 2), tv_tensors.Mask(torch.zeros(3, 2, 2))):
            with pytest.raises(TypeError, match="samples must all be Image, got"):
                collate([image, other])

    def test_segmented_images_have_no_batch(self):
        sample = SegmentedImage(torch.zeros(3, 2, 2), torch.ones(2, 2, dtype=torch.int64))
        with pytest.raises(TypeError, match="SegmentedImage"):
            collate([sample, sample])


@pytest.mark.filterwarnings("ignore:.*is multi-threaded, use of fork:DeprecationWarning")
def test_through_the_workers_of_a_loader(make_tokens):
    # The list is the dataset, so that workers need nothing but segaug.
    samples = [(make_tokens(n % 4, seed=n), n) for n in range(6)]
    loader = DataLoader(samples, batch_size=4, num_workers=2, collate_fn=collate)
    batches = list(loader)
    assert [targets.tolist() for _, targets in batches] == [[0, 1, 2, 3], [4, 5]]
    assert_holds(batches[0][0], [tokens for tokens, _ in samples[:4]])
    assert_holds(batches[1][0], [tokens for tokens, _ in samples[4:]])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_loader_pins(make_tokens):
    loader = DataLoader([(make_tokens(2), 1)] * 2, batch_size=2, collate_fn=collate, pin_memory=True)
    tokens, _ = next(iter(loader))
    assert type(tokens) is SegmentTokens
    assert all(getattr(tokens, name).is_pinned() for name in FIELDS)
