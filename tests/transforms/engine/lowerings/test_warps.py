"""Rotations, affine maps, perspectives and elastic displacements."""

import math
import re

import pytest
import torch
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as F

from segaug import PerSegment
from segaug.transforms._engine._lowering import Draw, find_lowering
from segaug.transforms._engine._lowerings._warps import _blur_matrix

BILINEAR = InterpolationMode.BILINEAR
WARPS = [
    v2.RandomRotation(180),
    v2.RandomRotation((20, 30), interpolation=BILINEAR),
    v2.RandomRotation(90, interpolation="bilinear", fill=None, center=[2.0, 0.5]),
    v2.RandomRotation(90, center=[0, 0], fill=(9,)),
    v2.RandomAffine(0),
    v2.RandomAffine(45, translate=(0.5, 0.1)),
    v2.RandomAffine(10, translate=(0.2, 0.3), scale=(0.5, 1.5), shear=20, interpolation=BILINEAR),
    v2.RandomAffine(10, scale=(0.5, 1.5), shear=[0, 10, -20, 20], interpolation=2, fill=None),
    v2.RandomAffine(30, shear=(5, 50), interpolation="bilinear", fill={"others": None}, center=[9, 3]),
    v2.RandomAffine(30, interpolation="bilinear", fill={tv_tensors.Image: 9, "others": 7}),
    v2.RandomPerspective(0.6, p=0.7),
    v2.RandomPerspective(1.0, p=1.0, interpolation=InterpolationMode.NEAREST),
    v2.RandomPerspective(0.3, p=0.5, fill=None),
    v2.ElasticTransform(alpha=20.0, sigma=1.0),
    v2.ElasticTransform(alpha=[10.0, 30.0], sigma=[0.5, 1.0], interpolation="nearest"),
    v2.ElasticTransform(alpha=5.0, sigma=0.0, fill=None),
]


def replay(transform, patch, row):
    row = dict(row)
    if not row.pop("gate", True):
        return patch
    for key in ("translate", "shear", "coefficients"):
        if key in row:
            row[key] = row[key].tolist()
    if "displacement" in row:
        row["displacement"] = row["displacement"][None]
    return transform.transform(patch, row)


@pytest.mark.parametrize("transform", WARPS, ids=repr)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32], ids=["uint8", "float32"])
@pytest.mark.parametrize("channels", [1, 3])
def test_equals_the_loop(check_equals_loop, transform, dtype, channels):
    check_equals_loop(transform, dtype=dtype, channels=channels, replay=replay)


@pytest.mark.parametrize("transform", WARPS, ids=repr)
def test_floats_stay_in_their_range(make_tokens, transform):
    tokens = make_tokens(50, size=9, dtype=torch.float32, full=True)
    out = PerSegment(transform)(tokens)
    assert float(out.alpha.max()) <= 1.0
    assert bool((out.patches <= out.alpha.unsqueeze(-3)).all())


@pytest.mark.parametrize("transform", WARPS, ids=repr)
def test_uncounted_outcomes(transform):
    assert find_lowering(transform).outcomes(transform, 3) is None


@pytest.mark.parametrize(
    ("transform", "reason"),
    [
        (v2.RandomRotation(10, expand=True), "expand=True, which gives each its own size"),
        (v2.ElasticTransform(sigma=[1.0, 0.0]), r"sigma=\[1.0, 0.0\] \(batched: both above 0, or none\)"),
    ],
)
def test_looped(transform, reason):
    assert re.search(rf"^looped: {reason}", PerSegment(transform).lowered[0][1])


class TestDraws:
    @pytest.mark.parametrize("degrees", [30, (5, 200), (0, 0)])
    def test_rotation(self, draw_ours, draw_theirs, check_same_distribution, degrees):
        transform = v2.RandomRotation(degrees)
        check_same_distribution(draw_ours(transform)["angle"], [one["angle"] for one in draw_theirs(transform)])

    @pytest.mark.parametrize(
        "transform",
        [
            v2.RandomAffine(20),
            v2.RandomAffine((5, 20), translate=(0.4, 0.1), scale=(0.5, 1.5), shear=10),
            v2.RandomAffine(0, translate=(0.0, 0.9), shear=(1, 2)),
            v2.RandomAffine(1, shear=(0, 3, -7, -5)),
        ],
        ids=repr,
    )
    def test_affine(self, draw_ours, draw_theirs, check_same_distribution, transform):
        ours, theirs = draw_ours(transform), draw_theirs(transform)
        assert ours["translate"].dtype == torch.int64
        for name in ("angle", "scale"):
            check_same_distribution(ours[name], [one[name] for one in theirs])
        for name in ("translate", "shear"):
            for axis in (0, 1):
                check_same_distribution(ours[name][:, axis], [one[name][axis] for one in theirs])

    @pytest.mark.parametrize("scale", [0.5, 0.9])
    def test_perspective(self, draw_ours, draw_theirs, check_same_distribution, scale):
        transform = v2.RandomPerspective(scale, p=0.3)
        ours, theirs = draw_ours(transform), draw_theirs(transform)
        torch.manual_seed(2)
        check_same_distribution(ours["gate"], torch.rand(5000) < 0.3)
        for k in range(8):
            # Rounded, as the last digits depend on how the equations are solved, and whole corners give ties.
            own = (ours["coefficients"][:, k] * 1e4).round()
            check_same_distribution(own, [round(one["coefficients"][k] * 1e4) for one in theirs])

    @pytest.mark.parametrize(
        "transform", [v2.ElasticTransform([20.0, 50.0], [1.0, 0.6]), v2.ElasticTransform(9.0, 0.0)]
    )
    def test_elastic(self, draw_ours, draw_theirs, check_same_distribution, transform):
        ours = draw_ours(transform, size=9)["displacement"]
        theirs = torch.cat([one["displacement"] for one in draw_theirs(transform, size=9)])
        assert ours.shape == theirs.shape
        for axis in (0, 1):
            for y, x in ((4, 4), (0, 8), (8, 3)):
                check_same_distribution(ours[:, y, x, axis], theirs[:, y, x, axis])
            # How neighbours go together, along both axes.
            check_same_distribution(
                ours[:, 4, 4, axis] - ours[:, 4, 5, axis], theirs[:, 4, 4, axis] - theirs[:, 4, 5, axis]
            )
            check_same_distribution(
                ours[:, 4, 4, axis] - ours[:, 5, 4, axis], theirs[:, 4, 4, axis] - theirs[:, 5, 4, axis]
            )

    @pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (9, 1), (2, 2), (9, 9)])
    @pytest.mark.parametrize("scale", [0.5, 1.0])
    def test_perspective_of_any_patch(self, height, width, scale):
        # torchvision fails where corners fall on one line.
        transform = v2.RandomPerspective(scale, p=1.0)
        draw = Draw(2000, 3, height, width, torch.Generator().manual_seed(0))
        lowering = find_lowering(transform)
        params = lowering.make_params(transform, draw)
        assert bool(params["coefficients"].isfinite().all())
        patches = torch.rand(2000, 3, height, width)
        out, alpha = lowering.apply(transform, patches, torch.ones(2000, height, width), params)
        assert bool(out.isfinite().all() and alpha.isfinite().all())

    @pytest.mark.parametrize("size", [1, 2, 6, 16])
    def test_elastic_of_any_patch(self, make_tokens, size):
        # torchvision fails where its blur is wider than the patch, as its default is for 16 pixels.
        tokens = make_tokens(20, size=size)
        out = PerSegment(v2.ElasticTransform())(tokens)
        assert out.patches.shape == tokens.patches.shape
        if size > 2:
            assert not torch.equal(out.patches, tokens.patches)


@pytest.mark.parametrize("sigma", [[1.0, 1.0], [0.4, 2.0]])
def test_blur_as_torchvision(sigma):
    noise = torch.rand(13, 17, generator=torch.Generator().manual_seed(0))
    for radius in (3, 7):
        along_y, along_x = _blur_matrix(13, radius, sigma[1]), _blur_matrix(17, radius, sigma[0])
        expected = F.gaussian_blur_image(noise[None], [2 * radius + 1] * 2, sigma)[0]
        torch.testing.assert_close(along_y @ noise @ along_x.T, expected)


def test_one_gate_for_all_or_none(make_tokens):
    tokens = make_tokens(5, size=9)
    out = PerSegment(v2.RandomPerspective(0.9, p=0.0))(tokens)
    assert torch.equal(out.patches, tokens.patches)
    assert torch.equal(out.alpha, tokens.alpha)


class TestReach:
    @pytest.mark.parametrize(
        "transform",
        [
            v2.RandomRotation(180, interpolation=BILINEAR, fill=None),
            v2.RandomRotation((10, 20), interpolation=BILINEAR, fill=None),
            v2.RandomRotation((-100, -80), interpolation=BILINEAR, fill=None),
            v2.RandomRotation((400, 450)),
            v2.RandomAffine(0, translate=(0.5, 0.2)),
            v2.RandomAffine(0, scale=(0.5, 1.7), interpolation=BILINEAR, fill=None),
            v2.RandomAffine(0, shear=(-40, 10, 0, 30), interpolation=BILINEAR, fill=None),
            v2.RandomAffine(70, (0.3, 0.6), (0.5, 1.2), (-20, 20, -30, 30), interpolation=BILINEAR, fill=None),
        ],
        ids=repr,
    )
    @pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 5), (3, 14), (20, 4)])
    def test_nothing_is_cut(self, transform, height, width):
        lowering = find_lowering(transform)
        rows, columns = lowering.reach(transform, height, width)
        params = lowering.make_params(transform, Draw(300, 1, height, width, torch.Generator().manual_seed(0)))
        covered = []
        for more in (0, 12):
            above, beside = rows + more, columns + more
            alpha = torch.nn.functional.pad(torch.ones(300, height, width), [beside, beside, above, above])
            out = lowering.apply(transform, alpha[:, None], alpha, params)[1]
            covered.append(out.sum((1, 2)))
        torch.testing.assert_close(covered[0], covered[1], atol=1e-3, rtol=0)

    def test_no_more_than_it_takes(self):
        def reach(transform, height=10, width=30):
            return find_lowering(transform).reach(transform, height, width)

        assert reach(v2.RandomRotation((0, 0))) == (0, 0)
        assert reach(v2.RandomRotation((90, 90))) == (10, 0)
        assert reach(v2.RandomRotation((180, 180))) == (0, 0)
        diagonal = math.hypot(11, 31) / 2
        assert reach(v2.RandomRotation(180)) == (math.ceil(diagonal - 5.5), math.ceil(diagonal - 15.5))
        assert reach(v2.RandomAffine(0, translate=(0.1, 0.5))) == (5, 3)
        assert reach(v2.RandomAffine(0, scale=(0.2, 0.5))) == (0, 0)
        # A shear by a right angle has no end.
        assert max(reach(v2.RandomAffine(0, shear=100))) <= 200
        assert reach(v2.RandomPerspective()) == (0, 0)
        assert reach(v2.ElasticTransform()) == (0, 0)
