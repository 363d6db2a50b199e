"""Compose, RandomApply, RandomChoice and RandomOrder, drawn for each segment by itself."""

import pytest
import torch
from scipy import stats
from torchvision.transforms import v2

from segaug import PerSegment, SegmentedImage
from segaug.transforms._engine._loop import apply_to_segment

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


def unroll(transform, params, i):
    """The steps that segment ``i`` takes, in order, each with the parameters that were drawn for it."""
    if isinstance(transform, v2.Compose | v2.RandomApply | v2.RandomChoice | v2.RandomOrder):
        steps = range(len(transform.transforms))
        if isinstance(transform, v2.RandomApply):
            if not params["gate"][i]:
                return []
            params = params["child"]
        if isinstance(transform, v2.RandomChoice):
            steps = [int(params["choice"][i])]
        if isinstance(transform, v2.RandomOrder):
            steps = params["order"][i].tolist()
        return [part for k in steps for part in unroll(transform.transforms[k], params["children"][k], i)]
    # As torchvision has them: numbers and lists.
    numbers = {key: value[i].tolist() if torch.is_tensor(value) else value for key, value in params.items()}
    return [(transform, numbers)] if numbers.pop("gate", True) else []


class Given(v2.Transform):
    """Steps with their parameters, run by torchvision itself."""

    def __init__(self, steps):
        super().__init__()
        self.steps = steps

    def forward(self, patch):
        for transform, params in self.steps:
            patch = transform.transform(patch, params or transform.make_params([patch]))
        return patch


# By this the loop knows torchvision's own.
Given.__module__ = "torchvision.transforms.v2"


@pytest.mark.parametrize(
    "container",
    [
        v2.Compose([v2.RandomHorizontalFlip(), v2.RandomResizedCrop(5), v2.RandomAffine(20, interpolation=2)]),
        v2.RandomApply([v2.RandomRotation(30), v2.RandomInvert(0.5)], p=0.6),
        v2.RandomChoice([v2.RandomVerticalFlip(), v2.GaussianBlur(3), v2.RandomPosterize(3)], p=[0.2, 0.5, 0.3]),
        v2.RandomOrder([v2.RandomHorizontalFlip(), v2.RandomRotation(30), v2.RandomSolarize(0.4), v2.RandomInvert()]),
        v2.RandomChoice([v2.RandomOrder([LEFT, v2.RandomInvert()]), v2.RandomApply([v2.Compose([UP, LEFT])])]),
    ],
)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32], ids=["uint8", "float32"])
def test_containers_equal_the_loop_with_the_same_parameters(make_tokens, container, dtype):
    container = v2.Compose([container])
    if dtype != torch.uint8 and any(
        isinstance(part, v2.RandomPosterize) for part in container.transforms[0].transforms
    ):
        container = v2.Compose([v2.RandomChoice([v2.RandomVerticalFlip(), v2.GaussianBlur(3)])])
    tokens = make_tokens(200, size=6, dtype=dtype, background=False)
    per_segment = PerSegment(container)
    assert {how for _, how in per_segment.lowered} <= {"batched"}
    torch.manual_seed(2)
    params = per_segment.make_params([tokens])
    out = per_segment.transform(tokens, params)
    atol = 1 if dtype == torch.uint8 else 1e-5
    for i in range(200):
        steps = Given(unroll(container, params["child"], i))
        patch, alpha = apply_to_segment(steps, plain(tokens.patches)[i].clone(), plain(tokens.alpha)[i].clone())
        assert (patch.double() - plain(out.patches)[i].double()).abs().max() <= atol
        assert (alpha.double() - plain(out.alpha)[i].double()).abs().max() <= atol


def test_no_tokens(make_tokens):
    for container in (v2.RandomChoice, v2.RandomOrder):
        assert run(container([LEFT, UP]), make_tokens(2)[:0]).shape[0] == 0
