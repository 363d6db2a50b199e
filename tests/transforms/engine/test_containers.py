"""RandomChoice and RandomOrder, drawn for each segment by itself."""

import pytest
import torch
from scipy import stats
from torchvision.transforms import v2

from segaug import PerSegment, SegmentedImage

LEFT, UP, NEGATIVE = v2.RandomHorizontalFlip(1.0), v2.RandomVerticalFlip(1.0), v2.RandomInvert(1.0)
DARK, CLEAR = v2.RandomPosterize(2, p=1.0), v2.RandomSolarize(100, p=1.0)


def plain(tensor):
    return tensor.as_subclass(torch.Tensor)


def run(transform, tokens, seed=0):
    torch.manual_seed(seed)
    return plain(PerSegment(transform)(tokens).patches)


def test_each_segment_takes_one_choice(make_tokens, check_pieces):
    tokens = make_tokens(300, full=True, background=False)
    out = run(v2.RandomChoice([LEFT, UP, NEGATIVE], p=[0.2, 0.3, 0.5]), tokens)
    counts = check_pieces(out, [run(one, tokens) for one in (LEFT, UP, NEGATIVE)])
    assert stats.chisquare(counts, [60, 90, 150]).pvalue > 0.01


def test_each_segment_takes_all_in_its_own_order(make_tokens, check_pieces):
    tokens = make_tokens(300, full=True, background=False)
    out = run(v2.RandomOrder([DARK, CLEAR]), tokens)
    counts = check_pieces(out, [run(v2.Compose(order), tokens) for order in ([DARK, CLEAR], [CLEAR, DARK])])
    assert stats.chisquare(counts).pvalue > 0.01


@pytest.fixture
def check_pieces():
    """``check_pieces(out, ways)``: each segment came out as one of the ways; how many as each."""

    def check(out, ways):
        same = torch.stack([(out == way).flatten(1).all(1) for way in ways])
        assert bool(same.any(0).all())
        return same.sum(1).tolist()

    return check


def test_a_choice_of_sizes_is_an_error_before_anything_is_drawn(make_tokens):
    with pytest.raises(ValueError, match="same size"):
        run(v2.RandomChoice([v2.Resize((3, 3)), v2.Identity()]), make_tokens(3))
    assert run(v2.RandomChoice([v2.Resize((3, 3)), v2.CenterCrop(3)]), make_tokens(3)).shape[-2:] == (3, 3)


def test_an_order_with_a_new_size_is_looped(make_tokens):
    transform = v2.RandomOrder([v2.Resize((3, 3)), LEFT])
    assert PerSegment(transform).lowered == [("RandomOrder", "looped: one of its transforms changes the size")]
    assert run(transform, make_tokens(3)).shape[-2:] == (3, 3)


@pytest.mark.parametrize(
    ("container", "ways"),
    [
        (v2.RandomChoice([NEGATIVE, DARK, CLEAR]), [NEGATIVE, DARK, CLEAR]),
        (v2.RandomOrder([DARK, CLEAR]), [v2.Compose([DARK, CLEAR]), v2.Compose([CLEAR, DARK])]),
    ],
)
def test_colours_in_the_picture(photo, make_map, container, ways):
    labels = make_map(72, 96, 40)
    sample = SegmentedImage(photo, labels)
    torch.manual_seed(4)
    out = plain(PerSegment(container)(sample).image)
    made = [plain(PerSegment(way)(sample).image) for way in ways]
    taken = set()
    for label in range(41):
        own = labels == label
        same = [torch.equal(out[:, own], way[:, own]) for way in made]
        assert any(same)
        taken.add(same.index(True))
    assert taken == set(range(len(ways)))


def test_nested_containers(make_tokens):
    nested = v2.RandomChoice([v2.Compose([LEFT, v2.RandomApply([NEGATIVE], p=0.5)]), v2.RandomOrder([UP, NEGATIVE])])
    tokens = make_tokens(40)
    params = PerSegment(nested).make_params([tokens])
    first, second = (PerSegment(nested).transform(tokens, params) for _ in range(2))
    assert torch.equal(plain(first.patches), plain(second.patches))


def test_no_tokens(make_tokens):
    for container in (v2.RandomChoice, v2.RandomOrder):
        assert run(container([LEFT, UP]), make_tokens(2)[:0]).shape[0] == 0
