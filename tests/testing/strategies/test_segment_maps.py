import random

import pytest
import torch
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from segaug import SegmentMap
from segaug.testing.strategies import SEGMENT_MAP_KINDS, segment_maps

FEW = settings(derandomize=True, deadline=None, max_examples=40, database=None)
FIND = settings(database=None, deadline=None, max_examples=1000, phases=[Phase.generate, Phase.shrink])


def smallest(strategy, condition):
    return find(strategy, condition, settings=FIND, random=random.Random(0))


@FEW
@given(st.data(), st.integers(0, 12), st.integers(0, 30), st.integers(1, 6), st.integers(0, 6))
def test_bounds(data, least, more, min_side, more_side):
    max_side = max(min_side + more_side, 4)
    drawn = data.draw(segment_maps(min_segments=least, max_segments=least + more, min_side=min_side, max_side=max_side))
    assert type(drawn) is SegmentMap
    assert drawn.dtype == torch.int64
    assert all(min_side <= side <= max_side for side in drawn.shape)
    assert least <= drawn.num_segments <= least + more
    SegmentMap(drawn)


@pytest.mark.parametrize("kind", [kind for kind in SEGMENT_MAP_KINDS if kind not in ("empty", "per_pixel")])
@pytest.mark.parametrize("size", [(1, 5), (5, 1), (3, 3), (2, 4)])
def test_every_kind_gives_every_number(kind, size):
    pixels = size[0] * size[1]
    for count in range(pixels + 1):
        strategy = segment_maps(kinds=kind, size=size, min_segments=count, max_segments=count)
        for seed in range(2):
            found = find(
                strategy,
                lambda drawn: True,
                settings=settings(database=None, max_examples=1, phases=[Phase.generate]),
                random=random.Random(seed),
            )
            assert found.num_segments == count


def looks(drawn):
    """Which properties a map has."""
    labels = drawn.as_subclass(torch.Tensor)
    present = labels.unique()
    present = present[present > 0]
    areas = torch.tensor([int((labels == label).sum()) for label in present])
    border = torch.cat([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    return {
        "with zero": bool((labels == 0).any()),
        "without zero": bool((labels > 0).all()),
        "empty": not len(present),
        "per pixel": len(present) == labels.numel() > 1,
        "single pixels": len(present) > 1 and bool((areas == 1).all()) and len(present) < labels.numel(),
        "gaps": len(present) > 1 and int(present[-1]) > len(present),
        "large labels": len(present) > 0 and int(present[-1]) > 60_000,
        "equal in float32": len(present.float().unique()) < len(present),
        "one inside": any(int(label) not in border for label in present),
        "one within another": len(present) > 1 and bool((areas.sort().values.diff() > 0).any()),
        "all touch": len(present) > 1 and all(int(label) in border for label in present),
    }


def test_everything_occurs():
    seen = dict.fromkeys(looks(SegmentMap([[0]])), False)

    @settings(FEW, max_examples=300)
    @given(segment_maps(max_side=16))
    def draw(drawn):
        for name, holds in looks(drawn).items():
            seen[name] |= holds

    draw()
    assert [name for name, holds in seen.items() if not holds] == []


def test_shrinks_to_one_pixel_without_segment():
    assert smallest(segment_maps(), lambda drawn: True).tolist() == [[0]]
    assert smallest(segment_maps(min_segments=1), lambda drawn: True).tolist() == [[1]]


@pytest.mark.parametrize("count", [2, 3, 5])
def test_shrinks_to_as_many_pixels_as_segments(count):
    drawn = smallest(segment_maps(), lambda drawn: drawn.num_segments >= count)
    assert drawn.tolist() == [list(range(1, count + 1))]


def test_shrinks_within_a_size():
    drawn = smallest(segment_maps(size=(2, 3)), lambda drawn: drawn.num_segments >= 2)
    assert drawn.tolist() == [[1, 1, 1], [2, 2, 2]]


def test_only_sizes_that_fit():
    drawn = smallest(segment_maps(min_segments=30, max_segments=30, max_side=6), lambda drawn: True)
    assert drawn.shape == (5, 6)


def test_kinds_that_do_not_fit_are_left_out():
    strategy = segment_maps(kinds=("empty", "per_pixel", "grid"), min_segments=3, max_segments=5, min_side=4)
    assert smallest(strategy, lambda drawn: True).shape == (4, 4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"min_segments": 17, "max_segments": 20, "max_side": 4},
            "min_segments must be at most.*4 . 4.*max_side, got 17",
        ),
        ({"min_segments": 7, "size": (2, 3)}, "min_segments must be at most.*2 . 3 by size, got 7"),
        ({"min_segments": 3, "max_segments": 2}, r"max_segments must be at least min_segments \(3\), got 2"),
        ({"min_segments": -1}, "min_segments must be at least 0, got -1"),
        ({"size": (3, 0)}, r"size\[1\] must be at least 1, got 0"),
        ({"min_side": 0}, "min_side must be at least 1, got 0"),
        ({"min_side": 9, "max_side": 8}, r"max_side must be at least min_side \(9\), got 8"),
        ({"kinds": "hexagons"}, "kinds must be one or more of 'runs'.*got 'hexagons'"),
        ({"kinds": ()}, "kinds must hold at least one"),
        ({"kinds": "empty", "min_segments": 1}, "kinds must hold one that is possible with min_segments=1"),
        ({"kinds": "per_pixel", "min_side": 4}, "kinds must hold one that is possible with .*max_segments=8"),
        ({"kinds": "per_pixel", "max_segments": 0}, "kinds must hold one that is possible with .*max_segments=0"),
    ],
)
def test_impossible_bounds(arguments, message):
    with pytest.raises(ValueError, match=message):
        segment_maps(**arguments)


def test_bounds_of_another_type():
    with pytest.raises(TypeError, match=r"max_segments must be an int, got 2\.5"):
        segment_maps(max_segments=2.5)
