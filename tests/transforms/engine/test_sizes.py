"""Steps that change sizes or dtypes, and what comes after them."""

import pickle

import kornia.augmentation
import pytest
import torch
from torchvision.transforms import InterpolationMode, v2

from segaug import PerSegment, SegmentedImage

FLIP = v2.RandomHorizontalFlip()
# Looped; it gives one size, or one for each segment.
SMALLER = v2.RandomResizedCrop(8, interpolation=InterpolationMode.BICUBIC)
OWN_SIZE = v2.RandomResize(5, 12)


def plain(tensor):
    return tensor.as_subclass(torch.Tensor)


@pytest.fixture
def tokens(make_tokens):
    return make_tokens(40, size=16, full=True, background=False)


@pytest.mark.parametrize(
    "steps",
    [
        [SMALLER, v2.RandomCrop(4)],
        [SMALLER, v2.RandomResizedCrop(6)],
        [SMALLER, v2.ElasticTransform(5.0, 1.0)],
        [SMALLER, v2.Compose([v2.RandomAffine(10, (0.1, 0.1)), v2.RandomPerspective()]), v2.RandAugment()],
        [OWN_SIZE, v2.Resize((8, 8))],
        [v2.RandomZoomOut(p=0.5), v2.Resize((8, 8)), v2.ColorJitter(0.3)],
        [v2.ScaleJitter((16, 16)), v2.RandomCrop(16, pad_if_needed=True)],
        [v2.RandomRotation(45, expand=True), v2.Resize((8, 8))],
        [v2.RandomApply([v2.RandomCrop(12)], p=0.5), v2.Resize((8, 8))],
        [v2.RandomChoice([v2.RandomCrop(12), v2.CenterCrop(8)]), v2.Resize((8, 8))],
        [v2.RandomOrder([SMALLER, FLIP])],
        [v2.Lambda(torch.clone), v2.RandomCrop(4)],
    ],
)
def test_what_follows_is_drawn_for_the_size_that_is_there(tokens, steps):
    per_segment = PerSegment(v2.Compose(steps))
    torch.manual_seed(0)
    params = per_segment.make_params([tokens])
    first = per_segment.transform(tokens, params)
    again = per_segment.transform(tokens, pickle.loads(pickle.dumps(params)))
    looped = PerSegment(v2.Compose(steps), vectorized=False)(tokens)
    assert first.patches.shape == looped.patches.shape
    assert torch.equal(plain(first.patches), plain(again.patches))
    assert len({patch.numpy().tobytes() for patch in plain(first.patches)}) == 40


def test_an_erased_share_is_that_of_the_size_that_is_there(tokens):
    erase = v2.RandomErasing(1.0, scale=(0.25, 0.25), ratio=(1.0, 1.0))
    white = type(tokens)(*(torch.full_like(plain(leaf), 255) for leaf in (tokens.patches, tokens.alpha)),
                         tokens.boxes, tokens.areas, tokens.labels)  # fmt: skip
    out = plain(PerSegment(v2.Compose([SMALLER, erase]))(white).patches)
    assert set((out == 0).flatten(1).double().mean(1).tolist()) == {0.25}


class Unknown(v2.Transform):
    """A class of the user's: what it does to the size is not known."""

    def transform(self, inpt, params):
        return inpt


def test_no_segments_get_the_size_and_dtype_that_some_would(tokens):
    for steps in ([v2.Resize((8, 8))], [v2.ToDtype(torch.float32, scale=True), FLIP]):
        per_segment = PerSegment(v2.Compose([Unknown(), *steps]))
        some, none = per_segment(tokens), per_segment(tokens[:0])
        assert none.patches.shape[1:] == some.patches.shape[1:]
        assert none.patches.dtype == some.patches.dtype


@pytest.mark.parametrize(
    "first", [v2.RandomApply([v2.Resize((8, 8))], p=0.5), v2.RandomChoice([v2.Resize((8, 8)), v2.Identity()])]
)
def test_sizes_that_stay_different_are_an_error_whatever_is_drawn(tokens, first):
    for seed in range(8):
        torch.manual_seed(seed)
        with pytest.raises(ValueError, match="same size and channels"):
            PerSegment(v2.Compose([first, FLIP]))(tokens[:2])
    assert PerSegment(v2.Compose([first, v2.Resize((4, 4))]))(tokens[:2]).patches.shape[-2:] == (4, 4)


def test_a_dtype_that_is_there_already_is_no_change(tokens):
    same = v2.RandomApply([v2.ToDtype(torch.uint8), FLIP], p=0.5)
    assert PerSegment(same)(tokens).patches.dtype == torch.uint8
    other = v2.RandomChoice([v2.ToDtype(torch.float32, scale=True), FLIP])
    floats = PerSegment(v2.ToDtype(torch.float32, scale=True))(tokens)
    assert PerSegment(other)(floats).patches.dtype == torch.float32


def test_in_a_picture_sizes_become_known_on_the_way(photo, make_map):
    sample = SegmentedImage(photo, make_map(72, 96, 6))
    steps = [
        OWN_SIZE,
        v2.RandomInvert(0.5),
        v2.RandomCrop(10, pad_if_needed=True),
        v2.GaussianBlur(3),
        v2.RandomErasing(),
    ]
    per_segment = PerSegment(v2.Compose(steps))
    for seed in range(5):
        torch.manual_seed(seed)
        params = per_segment.make_params([sample])
        first = per_segment.transform(sample, params)
        again = per_segment.transform(sample, pickle.loads(pickle.dumps(params)))
        assert torch.equal(plain(first.image), plain(again.image))


def test_it_is_said(tokens, caplog):
    rest = PerSegment(v2.Compose([FLIP, OWN_SIZE, v2.Resize((8, 8)), FLIP]))
    assert [how.partition(":")[0] for _, how in rest.lowered] == ["batched", "looped", "looped", "looped"]
    assert "sizes that differ" in rest.lowered[2][1]
    sometimes = PerSegment(v2.Compose([v2.RandomApply([v2.RandomResizedCrop(16)]), v2.Resize((8, 8))]))
    assert {how for _, how in sometimes.lowered} == {"batched"}
    caplog.clear()
    sometimes(tokens)
    assert not caplog.text
    # Of another size they are no longer alike.
    small = PerSegment(v2.CenterCrop(12))(tokens)
    sometimes(small), sometimes(small)
    assert caplog.text.count("one segment at a time from here on") == 1


@pytest.mark.parametrize("p", [0.0, 0.5])
def test_a_dtype_for_some_segments_only_is_an_error_whatever_is_drawn(tokens, p):
    to_float = v2.ToDtype(torch.float32, scale=True)
    for seed in range(5):
        torch.manual_seed(seed)
        one = tokens[:2]
        if p:
            for transform in (v2.RandomApply([to_float], p=p), v2.RandomChoice([to_float, FLIP])):
                with pytest.raises(ValueError, match="same dtype"):
                    PerSegment(transform)(one)
            with pytest.raises(ValueError, match="same dtype"):
                PerSegment(to_float, p=p)(one)
        else:
            assert PerSegment(to_float, p=p)(one).patches.dtype == torch.uint8


def test_in_the_loop_too(tokens):
    mixed = v2.RandomChoice([v2.ToDtype(torch.float32, scale=True), v2.Identity()])
    torch.manual_seed(0)
    with pytest.raises(ValueError, match="same size, channels and dtype"):
        PerSegment(mixed, vectorized=False)(tokens)


def test_an_order_with_a_new_dtype_is_looped(tokens):
    out = PerSegment(v2.RandomOrder([v2.ToDtype(torch.float32, scale=True), FLIP]))
    assert "changes the dtype" in out.lowered[0][1]
    assert out(tokens).patches.dtype == torch.float32


def test_branches_that_are_never_taken_do_not_matter(tokens):
    never = v2.RandomChoice([v2.RandomHorizontalFlip(1.0), v2.RandomCrop(99)], p=[1.0, 0.0])
    assert torch.equal(plain(PerSegment(never)(tokens).patches), plain(tokens.patches).flip(-1))
    closed = v2.RandomApply([v2.RandomCrop(99)], p=0.0)
    assert torch.equal(plain(PerSegment(closed)(tokens).patches), plain(tokens.patches))
    assert PerSegment(v2.CenterCrop(4), p=0.0)(tokens).patches.shape == tokens.patches.shape


def test_what_takes_the_unit_range_comes_before_what_leaves_it(make_tokens):
    normalize, jitter = v2.Normalize([0.5] * 3, [0.25] * 3), v2.ColorJitter(0.3)
    floats = make_tokens(3, size=8, dtype=torch.float32, full=True, background=False)
    for vectorized in (True, False):
        for steps in (
            [normalize, jitter],
            [v2.RandomApply([normalize]), v2.Resize((4, 4))],
            [v2.RandomOrder([jitter, normalize])],
            [kornia.augmentation.Normalize(0.5, 0.25), jitter],
        ):
            with pytest.raises(ValueError, match="must come before Normalize and its like"):
                PerSegment(v2.Compose(steps), vectorized=vectorized)
        # These copy values, whatever they are.
        after = [v2.RandomHorizontalFlip(1.0), v2.RandomErasing(0.0), v2.RandomCrop(8), v2.ToPureTensor()]
        out = PerSegment(v2.Compose([jitter, normalize, *after]), vectorized=vectorized)(floats)
        assert out.patches.min() < -1
        both = v2.RandomChoice([normalize, v2.Compose([v2.RandomHorizontalFlip(1.0), normalize])])
        PerSegment(v2.Compose([both, v2.RandomOrder([v2.RandomVerticalFlip(), normalize])]), vectorized=vectorized)(
            floats
        )


@pytest.mark.parametrize(
    "transform",
    [
        v2.RandomRotation(10, interpolation=InterpolationMode.BICUBIC),
        v2.RandomAffine(10, interpolation=3),
        v2.RandAugment(interpolation="bicubic"),
        v2.RandomPerspective(interpolation=3),
    ],
)
def test_interpolations_that_torchvision_lacks_are_refused_at_once(transform):
    with pytest.raises(ValueError, match="must be nearest or bilinear"):
        PerSegment(v2.Compose([FLIP, transform]))


def test_per_segment_inside_per_segment_is_refused_at_once():
    with pytest.raises(TypeError, match="PerSegment, which acts on segments"):
        PerSegment(v2.Compose([FLIP, v2.RandomApply([PerSegment(FLIP)])]))


@pytest.mark.parametrize("value", [5.0, -0.5, float("nan")])
@pytest.mark.parametrize("geometry", [True, False])
def test_a_callable_that_leaves_the_range_is_an_error(make_tokens, value, geometry):
    floats = make_tokens(3, dtype=torch.float32)
    with pytest.raises(ValueError, match=r"keep floats in \[0, 1\]") as caught:
        PerSegment(lambda pixels: torch.full_like(pixels, value), geometry=geometry)(floats)
    assert "label 1" in caught.value.__notes__[0]
    out = PerSegment(lambda pixels: pixels + 1e-6)(floats)
    assert float(out.patches.max()) <= 1.0


def test_errors_of_batched_kernels_name_the_transform(make_tokens):
    with pytest.raises(RuntimeError, match="Padding size") as caught:
        PerSegment(v2.Compose([FLIP, v2.Pad(20, padding_mode="reflect")]))(make_tokens(3, background=False))
    assert caught.value.__notes__ == ["raised by Pad, run for 3 segments at once"]
