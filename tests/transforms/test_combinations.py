"""Every outcome of a finite transform, once."""

import itertools

import pytest
import torch
from torchvision.transforms import v2

from segaug import Grid, PerSegment, Segment, SegmentTokens, Tokenize, collate, combinations, count_combinations

FLIP = v2.RandomHorizontalFlip()


def key(tokens):
    return (
        tokens.patches.as_subclass(torch.Tensor).numpy().tobytes()
        + tokens.alpha.as_subclass(torch.Tensor).numpy().tobytes()
    )


@pytest.mark.parametrize("n", range(13))
def test_one_flip_and_n_segments_give_two_to_the_n(make_tokens, n):
    tokens = make_tokens(n, size=3, background=False)
    keys = [key(picture) for picture in combinations(FLIP, tokens)]
    assert len(keys) == len(set(keys)) == 2**n == count_combinations(FLIP, tokens)
    assert keys[0] == key(tokens)


@pytest.mark.parametrize("n", range(1, 8))
@pytest.mark.parametrize("vectorized", [True, False])
def test_the_random_transform_reaches_each_and_nothing_else(make_tokens, n, vectorized):
    tokens = make_tokens(n, size=3, background=False)
    every = {key(picture) for picture in combinations(FLIP, tokens)}
    draws = 14 * 2**n
    if not vectorized:
        n, draws = min(n, 3), 14 * 2 ** min(n, 3)
        tokens = tokens[:n]
        every = {key(picture) for picture in combinations(FLIP, tokens)}
    per_segment, seen = PerSegment(FLIP, vectorized=vectorized), set()
    torch.manual_seed(n)
    if vectorized:
        batch = per_segment(collate([tokens] * draws))
        seen = {key(batch[i]) for i in range(draws)}
    else:
        seen = {key(per_segment(tokens)) for _ in range(draws)}
    assert seen == every


@pytest.mark.parametrize(
    ("transform", "per_segment"),
    [
        (v2.RandomHorizontalFlip(), 2),
        (v2.RandomHorizontalFlip(1.0), 1),
        (v2.RandomHorizontalFlip(0.0), 1),
        (v2.Compose([FLIP, v2.RandomVerticalFlip()]), 4),
        (v2.Compose([FLIP, FLIP]), 2),
        (v2.RandomGrayscale(0.5), 2),
        (v2.Compose([FLIP, v2.RandomGrayscale(0.5), v2.RandomInvert(0.5)]), 8),
        (v2.RandomApply([v2.RandomVerticalFlip(1.0)], p=0.2), 2),
        (v2.RandomApply([FLIP], p=1.0), 2),
        (v2.RandomChoice([FLIP, v2.RandomVerticalFlip(), v2.RandomInvert(1.0)]), 4),
        (v2.RandomOrder([FLIP, v2.RandomInvert(0.5)]), 4),
        (v2.Identity(), 1),
        (v2.Compose([v2.RandomInvert(0.5), v2.RandomInvert(0.5)]), 2),
        (v2.RandomChannelPermutation(), 6),
        (v2.Compose([v2.CenterCrop(4), FLIP]), 2),
        (PerSegment(FLIP, p=0.3), 2),
        (PerSegment(v2.RandomHorizontalFlip(1.0), p=0.3), 2),
    ],
)
def test_containers_are_counted_by_what_differs(make_tokens, transform, per_segment):
    tokens = make_tokens(2, background=False)
    keys = {key(picture) for picture in combinations(transform, tokens)}
    assert len(keys) == per_segment**2 == count_combinations(transform, tokens)


def test_grey_tokens_have_no_greyscale_version(make_tokens):
    grey = make_tokens(3, channels=1)
    assert count_combinations(v2.RandomGrayscale(0.5), grey) == 1
    assert count_combinations(v2.RandomChannelPermutation(), grey) == 1
    assert count_combinations(v2.Compose([v2.Grayscale(1), v2.RandomChannelPermutation()]), make_tokens(1)) == 1


def test_outcomes_that_differ_at_one_level_only_are_told_apart():
    tokens = SegmentTokens(
        torch.full((1, 3, 4, 4), 255, dtype=torch.uint8),
        torch.full((1, 4, 4), 255, dtype=torch.uint8),
        torch.tensor([[0.0, 0.0, 1.0, 1.0]]),
        torch.ones(1),
        torch.ones(1, dtype=torch.int64),
    )
    # Only white is inverted by the one, and all but black by the other.
    white = combinations(v2.RandomSolarize(255, p=0.5), tokens)
    assert [int(picture.patches.max()) for picture in white] == [255, 0]
    assert count_combinations(v2.RandomOrder([v2.RandomSolarize(1, p=1.0), v2.RandomInvert(1.0)]), tokens) == 2


def test_branches_that_are_never_taken_do_not_count(make_tokens):
    tokens, jitter = make_tokens(2, background=False), v2.ColorJitter(0.5)
    assert count_combinations(v2.RandomChoice([FLIP, jitter], p=[1.0, 0.0]), tokens) == 4
    assert count_combinations(v2.RandomApply([jitter], p=0.0), tokens) == 1
    assert count_combinations(PerSegment(jitter, p=0.0), tokens) == 1


def test_padding_and_the_background_count_only_if_they_are_changed(make_tokens):
    tokens = make_tokens(3, padding=2)
    assert count_combinations(FLIP, tokens) == 16
    assert count_combinations(PerSegment(FLIP, background=False), tokens) == 8
    for picture in combinations(FLIP, tokens):
        assert torch.equal(picture.labels, tokens.labels)
        assert bool((picture.patches[4:] == 0).all())


def test_the_order_is_that_of_binary_numbers(make_tokens):
    tokens = make_tokens(3, background=False)
    flipped = [
        (picture.patches != tokens.patches).flatten(1).any(1).int().tolist() for picture in combinations(FLIP, tokens)
    ]
    assert flipped == [list(bits) for bits in itertools.product([0, 1], repeat=3)]


def test_pictures_are_made_lazily_and_the_count_is_exact(photo):
    tokens = Tokenize(4, background=False)(Segment(Grid(14, 14))(photo))
    first, second = itertools.islice(combinations(FLIP, tokens), 2)
    assert key(first) == key(tokens) != key(second)
    assert count_combinations(FLIP, tokens) == 2**196


def test_neither_the_input_nor_the_stream_is_touched(make_tokens):
    tokens = make_tokens(3)
    before, state = key(tokens), torch.get_rng_state()
    list(combinations(v2.Compose([FLIP, v2.RandomInvert(0.5)]), tokens))
    assert key(tokens) == before
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("call", [combinations, count_combinations])
def test_infinitely_many_are_an_error_that_names_the_part(make_tokens, call):
    with pytest.raises(ValueError, match=r"finitely many outcomes, ColorJitter\(.*continuous range"):
        call(v2.Compose([FLIP, v2.ColorJitter(0.3)]), make_tokens(2))
    with pytest.raises(ValueError, match=r"finitely many outcomes that are known, Lambda is called once per segment"):
        call(v2.Lambda(lambda image: image), make_tokens(2))


def test_outcomes_of_several_sizes_are_an_error(make_tokens):
    with pytest.raises(ValueError, match="same size"):
        count_combinations(v2.RandomChoice([v2.Resize((3, 3)), v2.Identity()]), make_tokens(3))


def test_rounding_of_floats_makes_no_outcome(make_tokens):
    twice = v2.Compose([v2.RandomInvert(0.5), v2.RandomInvert(0.5)])
    assert count_combinations(twice, make_tokens(2, dtype=torch.float32, background=False)) == 4


def test_bad_tokens(make_tokens):
    with pytest.raises(TypeError, match="tokens must be SegmentTokens, got 3"):
        combinations(FLIP, 3)
    with pytest.raises(ValueError, match="tokens must be of one image"):
        count_combinations(FLIP, make_tokens(2, batch=(2,)))
