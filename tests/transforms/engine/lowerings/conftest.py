"""What the tests of batched kernels share: the loop with given parameters, and a test of two samples."""

import numpy as np
import pytest
import torch
from scipy import stats
from torchvision import tv_tensors
from torchvision.transforms import v2

from segaug import PerSegment, SegmentedImage, SegmentMap
from segaug.transforms._engine._interface import Interface
from segaug.transforms._engine._loop import apply_to_segment

CASES = 200


def row_of(params, i):
    """The parameters of segment ``i``, as torchvision has them: numbers, or tensors for one image."""
    picked = {}
    for key, value in params.items():
        if isinstance(value, torch.Tensor):
            picked[key] = value[i] if value[i].ndim else value[i].item()
        else:
            picked[key] = value
    return picked


def replay_plain(transform, patch, row):
    """Run torchvision's own transform with a row of parameters, drawing nothing."""
    own = dict(row)
    if not own.pop("gate", True):
        return patch
    return transform.transform(patch, own or transform.make_params([patch]))


def given(transform, row, replay):
    """A transform of torchvision's class, whose parameters are given."""

    class Given(type(transform)):
        def forward(self, patch):
            return replay(transform, patch, row)

    # By this the loop knows torchvision's own.
    Given.__module__ = type(transform).__module__
    fixed = Given.__new__(Given)
    fixed.__dict__.update(transform.__dict__)
    return fixed


@pytest.fixture(scope="session")
def check_equals_loop(make_tokens):
    """``check_equals_loop(transform)``: 200 segments, batched, against one call each with the same parameters.

    Half of the masks are full, so there the plain transform is met as well. ``replay(transform, patch, row)`` runs the plain
    transform where its ``transform`` method does not take the parameters as they are.
    """

    def check(
        transform,
        *,
        dtype=torch.uint8,
        channels=3,
        size=9,
        atol=None,
        replay=replay_plain,
        cases=CASES,
        seed=0,
        most_off=0.0,
    ):
        atol = (1 if dtype == torch.uint8 else 1e-5) if atol is None else atol
        for full in (False, True):
            tokens = make_tokens(
                cases // 2, size=size, channels=channels, dtype=dtype, full=full, background=False, seed=seed + full
            )
            per_segment = PerSegment(transform)
            assert per_segment.lowered == [(type(transform).__name__, "batched")]
            torch.manual_seed(seed)
            params = per_segment.make_params([tokens])
            out = per_segment.transform(tokens, params)
            patches, alpha = (leaf.as_subclass(torch.Tensor) for leaf in (tokens.patches, tokens.alpha))
            off = []
            for i in range(tokens.num_tokens):
                one = given(transform, row_of(params["child"], i), replay)
                patch, coverage = apply_to_segment(one, patches[i].clone(), alpha[i].clone(), Interface())
                for looped, batched in ((patch, out.patches[i]), (coverage, out.alpha[i])):
                    assert looped.shape == batched.shape
                    assert looped.dtype == batched.dtype
                    difference = (looped.double() - batched.as_subclass(torch.Tensor).double()).abs()
                    off.append(float((difference > atol).double().mean()))
            # ``most_off``: share of pixels that may differ by more, where nearest neighbours tie. 0 unless said.
            assert np.mean(off) <= most_off, (np.mean(off), max(off))

    return check


@pytest.fixture(scope="session")
def check_in_picture(load_photo, make_map):
    """``check_in_picture(transform)``: each segment comes out as the plain transform of its own pixels.

    The statistics of a picture count whole pixels, so there the plain transform sees them as an image one pixel high.
    """

    def check(transform, *, dtype=torch.uint8, channels=3, replay=replay_plain, atol=None):
        image = load_photo("coffee", 48, 64)[:channels]
        image = image if dtype == torch.uint8 else image.to(dtype) / 255
        labels = make_map(48, 64, 12) * 5
        sample = SegmentedImage(tv_tensors.Image(image), SegmentMap(labels))
        per_segment = PerSegment(transform, background=False)
        torch.manual_seed(0)
        params = per_segment.make_params([sample])
        out = per_segment.transform(sample, params)
        changed = out.image.as_subclass(torch.Tensor)
        assert torch.equal(out.segments.as_subclass(torch.Tensor), labels)
        assert torch.equal(changed[:, labels == 0], image[:, labels == 0])
        for row, label in enumerate(labels.unique().tolist()):
            own = labels == label
            if label:
                pixels = tv_tensors.Image(image[:, own][:, None])
                expected = replay(transform, pixels, row_of(params["runs"][0], row)).as_subclass(torch.Tensor)[:, 0]
                difference = (expected.double() - changed[:, own].double()).abs().max()
                assert difference <= ((1 if dtype == torch.uint8 else 1e-5) if atol is None else atol), label

    return check


@pytest.fixture(scope="session")
def check_same_distribution():
    """``check_same_distribution(ours, theirs)``: Kolmogorov-Smirnov for many values, chi-squared for few."""

    def check(ours, theirs, level=0.01):
        ours, theirs = np.asarray(ours, dtype=np.float64).ravel(), np.asarray(theirs, dtype=np.float64).ravel()
        values = np.union1d(ours, theirs)
        if len(values) > 50:
            assert stats.ks_2samp(ours, theirs).pvalue > level
            return
        table = np.array([[(side == value).sum() for value in values] for side in (ours, theirs)])
        # Rare values together, as the chi-squared approximation wants.
        rare = table.sum(0) < 20
        table = np.hstack([table[:, ~rare], table[:, rare].sum(1, keepdims=True)]) if rare.any() else table
        table = table[:, table.sum(0) > 0]
        assert table.shape[1] == 1 or stats.chi2_contingency(table).pvalue > level

    return check


@pytest.fixture(scope="session")
def draw_ours(make_tokens):
    """``draw_ours(transform, count, size, channels)``: the parameters of ``count`` segments."""

    def draw(transform, count=5000, size=16, channels=3, seed=0):
        tokens = make_tokens(count, size=size, channels=channels, background=False, full=True)
        torch.manual_seed(seed)
        return PerSegment(transform).make_params([tokens])["child"]

    return draw


@pytest.fixture(scope="session")
def draw_theirs():
    """``draw_theirs(transform, count, size, channels)``: what torchvision's ``make_params`` draws, one dict per call."""

    def draw(transform: v2.Transform, count=5000, size=16, channels=3, seed=1):
        image = torch.zeros(channels, size, size, dtype=torch.uint8)
        torch.manual_seed(seed)
        return [transform.make_params([image]) for _ in range(count)]

    return draw
