"""Containers of drawn transforms: they run, are nested once at most, and shrink to one plain transform."""

import pytest
import torch
from hypothesis import find, given, settings
from hypothesis import strategies as st
from torchvision import tv_tensors
from torchvision.transforms import v2

from segaug.testing.strategies import pipelines, torchvision_transforms

quick = settings(derandomize=True, deadline=None, database=None, max_examples=60)
CONTAINERS = (v2.Compose, v2.RandomApply, v2.RandomChoice, v2.RandomOrder)


def inside(transform):
    """The transform and all that is in it."""
    yield transform
    for child in transform.transforms if isinstance(transform, CONTAINERS) else ():
        yield from inside(child)


def depth(transform):
    if not isinstance(transform, CONTAINERS):
        return 0
    return 1 + max(depth(child) for child in transform.transforms)


@quick
@given(pipelines(), st.sampled_from((torch.uint8, torch.float32)), st.integers(8, 14))
def test_runs_on_any_small_picture(pipeline, dtype, side):
    picture = torch.randint(0, 256, (3, side, 12), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    out = pipeline(tv_tensors.Image(picture if dtype == torch.uint8 else picture / 255))
    assert isinstance(out, tv_tensors.Image)
    assert out.dtype == dtype
    assert len(out) == 3
    assert min(out.shape[-2:]) >= 8


@quick
@given(pipelines(min_size=2, max_size=4))
def test_sizes_and_depth(pipeline):
    assert isinstance(pipeline, CONTAINERS)
    assert 1 <= depth(pipeline) <= 2
    for container in inside(pipeline):
        if isinstance(container, CONTAINERS):
            assert 2 <= len(container.transforms) <= 4


@quick
@given(pipelines(containers=["RandomOrder"], transforms=torchvision_transforms(names=["Identity"])))
def test_containers_and_transforms_are_those_given(pipeline):
    assert all(isinstance(module, v2.RandomOrder | v2.Identity) for module in inside(pipeline))


def test_all_that_there_is_comes_soon():
    seen = set()

    @settings(quick, max_examples=100)
    @given(pipelines())
    def run(pipeline):
        seen.update((type(pipeline), depth(pipeline), len(pipeline.transforms)))
        seen.update("sized" for step in inside(pipeline) if isinstance(step, v2.Resize | v2.CenterCrop))
        if isinstance(pipeline, v2.RandomChoice) and len(set(pipeline.p)) > 1:
            seen.add("weights")

    run()
    assert seen == {*CONTAINERS, 1, 2, 3, "sized", "weights"}


class TestShrinking:
    def test_to_a_compose_of_one_plain_transform(self):
        found = find(pipelines(), lambda pipeline: True)
        assert type(found) is v2.Compose
        assert [repr(child) for child in found.transforms] == ["RandomHorizontalFlip(p=1.0)"]

    def test_drops_what_does_not_matter(self):
        def inverts(pipeline):
            return any(isinstance(module, v2.RandomInvert) for module in inside(pipeline))

        found = find(pipelines(), inverts, settings=settings(database=None, max_examples=1000))
        assert type(found) is v2.Compose
        assert [repr(child) for child in found.transforms] == ["RandomInvert(p=1.0)"]


def test_is_shown_by_its_name():
    assert repr(pipelines()) == "pipelines()"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"transforms": v2.Identity()}, TypeError, "transforms must be a strategy of hypothesis or None"),
        ({"min_size": 0}, ValueError, "min_size must be at least 1, got 0"),
        ({"max_size": 1.5}, TypeError, "max_size must be an int"),
        ({"min_size": 4}, ValueError, "min_size must be at most max_size, got 4 and 3"),
        ({"containers": ()}, ValueError, "containers must hold at least one name"),
        ({"containers": "Compose"}, TypeError, "containers must be a list, tuple or set of names"),
        ({"containers": ["Sequential"]}, ValueError, "containers must be one of 'Compose'.* got 'Sequential'"),
    ],
)
def test_bad_input_is_refused_at_the_call(arguments, error, message):
    with pytest.raises(error, match=message):
        pipelines(**arguments)
