"""PerSegment on tokens: the batched path against the plain transform, the loop against both."""

import itertools
import pickle
import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch.utils import _pytree as pytree
from torchvision import transforms as v1
from torchvision import tv_tensors
from torchvision.transforms import v2

from segaug import (
    Grid,
    PerSegment,
    PositionJitter,
    Segment,
    SegmentedImage,
    SegmentMap,
    SegmentTokens,
    Tokenize,
    collate,
)
from segaug.transforms import ColorLowering, Lowering, register_lowering

JITTER = v2.ColorJitter(0.6, 0.6, 0.6, 0.4)
# The transforms that the batched path knows, by name.
BATCHED = {
    "horizontal_flip": v2.RandomHorizontalFlip(0.5),
    "vertical_flip": v2.RandomVerticalFlip(0.5),
    "resized_crop": v2.RandomResizedCrop(8),
    "resized_crop_up": v2.RandomResizedCrop((12, 5), scale=(0.2, 0.7), ratio=(0.5, 2.0)),
    "color_jitter": JITTER,
    "brightness": v2.ColorJitter(brightness=(0.2, 3.0)),
    "contrast": v2.ColorJitter(contrast=(0.2, 3.0)),
    "saturation": v2.ColorJitter(saturation=(0.2, 3.0)),
    "hue": v2.ColorJitter(hue=0.5),
    "grayscale": v2.RandomGrayscale(0.5),
    "compose": v2.Compose([v2.RandomHorizontalFlip(), v2.RandomResizedCrop(8), JITTER, v2.RandomGrayscale(0.3)]),
    "random_apply": v2.RandomApply([JITTER, v2.RandomVerticalFlip()], p=0.5),
}


def make_tokens(
    n: int = 6, size: int = 8, channels: int = 3, dtype: torch.dtype = torch.uint8, full: bool = True, seed: int = 0
):
    generator = torch.Generator().manual_seed(seed)
    patches = torch.randint(0, 256, (n, channels, size, size), dtype=torch.uint8, generator=generator)
    alpha = torch.full((n, size, size), 255, dtype=torch.uint8)
    if not full:
        alpha = torch.randint(0, 256, (n, size, size), dtype=torch.uint8, generator=generator)
        alpha[torch.rand(alpha.shape, generator=generator) < 0.4] = 0
        patches = (patches.float() * (alpha[:, None] / 255.0)).round().to(torch.uint8)
    if dtype != torch.uint8:
        patches, alpha = patches.to(dtype) / 255, alpha.to(dtype) / 255
    boxes = torch.tensor([0.1, 0.2, 0.5, 0.7]).repeat(n, 1)
    return SegmentTokens(patches, alpha, boxes, torch.full((n,), 0.1), torch.arange(1, n + 1))


def plain(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.as_subclass(torch.Tensor)


def row(params, i):
    """The parameters of segment ``i``, as the plain transform would have drawn them."""
    picked = {}
    for key, value in params.items():
        if isinstance(value, torch.Tensor):
            picked[key] = value[i] if value[i].ndim else value[i].item()
        else:
            picked[key] = value
    return picked


def apply_plain(transform, image, params, i):
    """The plain transform with the parameters that PerSegment drew for segment ``i``."""
    if isinstance(transform, v2.Compose):
        for child, own in zip(transform.transforms, params["children"], strict=True):
            image = apply_plain(child, image, own, i)
        return image
    if isinstance(transform, v2.RandomApply):
        if not params["gate"][i]:
            return image
        return apply_plain(v2.Compose(transform.transforms), image, params["child"], i)
    own = row(params, i)
    if "gate" in own:
        if not own.pop("gate"):
            return image
        own = own or transform.make_params([image])
    return transform.transform(image, own)


@pytest.mark.parametrize("name", BATCHED)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32], ids=["uint8", "float32"])
@pytest.mark.parametrize("channels", [1, 3])
def test_batched_equals_the_plain_transform_with_the_same_parameters(name, dtype, channels):
    transform, tokens = BATCHED[name], make_tokens(40, channels=channels, dtype=dtype)
    per_segment = PerSegment(transform)
    assert all(how == "batched" for _, how in per_segment.lowered)
    torch.manual_seed(7)
    params = per_segment.make_params([tokens])
    out = per_segment.transform(tokens, params)
    bound = 1 if dtype == torch.uint8 else 1e-5
    for i in range(tokens.num_tokens):
        expected = apply_plain(transform, tv_tensors.Image(tokens.patches[i]), params["child"], i)
        difference = (plain(expected).double() - out.patches[i].double()).abs().max()
        assert difference <= bound
    assert bool((out.alpha == (255 if dtype == torch.uint8 else 1)).all())


def test_colour_is_bit_for_bit_torchvisions():
    tokens = make_tokens(300)
    per_segment = PerSegment(JITTER)
    torch.manual_seed(0)
    params = per_segment.make_params([tokens])
    out = per_segment.transform(tokens, params)
    for i in range(300):
        expected = JITTER.transform(tv_tensors.Image(tokens.patches[i]), row(params["child"], i))
        assert torch.equal(plain(expected), plain(out.patches)[i])


LOOPED = {
    **BATCHED,
    "gaussian_blur": v2.GaussianBlur(3),
    "rotation": v2.RandomRotation(40),
    "erasing": v2.RandomErasing(1.0),
    "posterize": v2.RandomPosterize(3, p=0.5),
    "equalize": v2.RandomEqualize(1.0),
    "autocontrast": v2.RandomAutocontrast(1.0),
    "sharpness": v2.RandomAdjustSharpness(2.0, p=1.0),
    "affine": v2.RandomAffine(20, (0.1, 0.1), (0.5, 1.5)),
    "crop": v2.RandomCrop(5, padding=1),
    "channels": v2.RandomChannelPermutation(),
    "distort": v2.RandomPhotometricDistort(),
    "trivial": v2.TrivialAugmentWide(),
    "choice": v2.RandomChoice([v2.RandomInvert(1.0), v2.Lambda(lambda image: 255 - image)]),
    "order": v2.RandomOrder([v2.RandomHorizontalFlip(), v2.ColorJitter(0.5)]),
    "lambda": v2.Lambda(lambda image: image // 2),
}


@pytest.mark.parametrize("name", LOOPED)
def test_loop_equals_the_plain_transform_bit_for_bit_under_the_same_seed(name):
    tokens = make_tokens(4)
    for i, seed in itertools.product(range(4), range(5)):
        torch.manual_seed(seed)
        expected, after = LOOPED[name](tv_tensors.Image(tokens.patches[i])), torch.rand(3)
        torch.manual_seed(seed)
        out, after_loop = PerSegment(LOOPED[name], vectorized=False)(tokens[i : i + 1]), torch.rand(3)
        assert torch.equal(plain(expected), plain(out.patches)[0])
        # The stream goes on where the plain transform would have left it.
        assert torch.equal(after, after_loop)


@pytest.mark.parametrize(
    "name", ["horizontal_flip", "resized_crop", "brightness", "saturation", "hue", "contrast", "grayscale"]
)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32], ids=["uint8", "float32"])
def test_batched_equals_the_loop_on_partial_masks(name, dtype):
    """The same parameters through both, by a transform whose draws are fixed."""
    tokens = make_tokens(12, dtype=dtype, full=False)
    per_segment = PerSegment(BATCHED[name])
    torch.manual_seed(3)
    params = per_segment.make_params([tokens])
    out = per_segment.transform(tokens, params)
    for i in range(tokens.num_tokens):

        class Fixed(type(BATCHED[name])):
            def forward(self, image, i=i):
                return apply_plain(BATCHED[name], image, params["child"], i)

        Fixed.__module__ = type(BATCHED[name]).__module__
        fixed = Fixed.__new__(Fixed)
        fixed.__dict__.update(BATCHED[name].__dict__)
        looped = PerSegment(fixed, vectorized=False)(tokens[i : i + 1])
        bound = 1 if dtype == torch.uint8 else 1e-5
        assert (looped.patches.double() - out.patches[i].double()).abs().max() <= bound
        assert (looped.alpha.double() - out.alpha[i].double()).abs().max() <= bound


def flips(out: SegmentTokens, tokens: SegmentTokens) -> list[bool]:
    return [not torch.equal(a, b) for a, b in zip(plain(out.patches), plain(tokens.patches), strict=True)]


@pytest.mark.parametrize("vectorized", [True, False])
def test_four_segments_reach_each_of_the_sixteen_patterns_equally_often(vectorized):
    tokens = make_tokens(4, size=2)
    flip = PerSegment(v2.RandomHorizontalFlip(0.5), vectorized=vectorized)
    torch.manual_seed(0)
    draws = 4096 if vectorized else 640
    counts = np.zeros(16)
    for _ in range(draws):
        counts[int("".join("01"[f] for f in flips(flip(tokens), tokens)), 2)] += 1
    assert (counts > 0).all()
    assert stats.chisquare(counts).pvalue > 0.01


@pytest.mark.parametrize("n", range(1, 11))
def test_every_one_of_the_two_to_the_n_patterns_is_reached(n):
    tokens = make_tokens(n, size=2)
    flip = PerSegment(v2.RandomHorizontalFlip(0.5))
    # A batch of many copies of the image: each draws for itself.
    batch = collate([tokens] * (16 * 2**n))
    torch.manual_seed(n)
    flipped = (plain(flip(batch).patches) != plain(batch.patches)).any(-1).any(-1).any(-1)
    patterns = {tuple(pattern) for pattern in flipped.tolist()}
    assert patterns == set(itertools.product([False, True], repeat=n))


def torchvision_draws(transform, n, size):
    image = torch.zeros(3, size, size, dtype=torch.uint8)
    return [transform.make_params([image]) for _ in range(n)]


@pytest.mark.parametrize("key", ["brightness_factor", "contrast_factor", "saturation_factor", "hue_factor"])
def test_color_jitter_draws_from_torchvisions_distributions(key):
    torch.manual_seed(0)
    ours = PerSegment(JITTER).make_params([make_tokens(4000, size=1)])["child"][key]
    theirs = [params[key] for params in torchvision_draws(JITTER, 4000, 8)]
    assert stats.ks_2samp(ours.numpy(), np.array(theirs)).pvalue > 0.01


def test_color_jitter_draws_every_order_equally_often():
    torch.manual_seed(0)
    order = PerSegment(JITTER).make_params([make_tokens(4800, size=1)])["child"]["fn_idx"]
    _, counts = np.unique(order.numpy(), axis=0, return_counts=True)
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > 0.01


@pytest.mark.parametrize("key", ["top", "left", "height", "width"])
@pytest.mark.parametrize(
    "transform",
    [v2.RandomResizedCrop(8), v2.RandomResizedCrop(8, scale=(0.5, 2.0), ratio=(2.0, 4.0))],
    ids=["default", "fallback"],
)
def test_resized_crop_draws_from_torchvisions_distributions(key, transform):
    torch.manual_seed(0)
    ours = PerSegment(transform).make_params([make_tokens(4000, size=16)])["child"][key].numpy()
    theirs = np.array([params[key] for params in torchvision_draws(transform, 4000, 16)])
    values = np.union1d(ours, theirs)
    table = np.array([[(side == value).sum() for value in values] for side in (ours, theirs)])
    # Rare values together, as the chi-squared approximation wants.
    rare = table.sum(0) < 20
    table = np.hstack([table[:, ~rare], table[:, rare].sum(1, keepdims=True)]) if rare.any() else table
    table = table[:, table.sum(0) > 0]
    assert table.shape[1] == 1 or stats.chi2_contingency(table).pvalue > 0.01


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_gates_open_with_probability_p(p):
    tokens = make_tokens(4000, size=1)
    torch.manual_seed(1)
    draws = {
        "flip": PerSegment(v2.RandomHorizontalFlip(p)).make_params([tokens])["child"]["gate"],
        "gray": PerSegment(v2.RandomGrayscale(p)).make_params([tokens])["child"]["gate"],
    }
    gate = PerSegment(v2.RandomApply([v2.RandomInvert(1.0)], p=p), vectorized=True).make_params([tokens])["child"][
        "gate"
    ]
    draws["apply"] = torch.ones(4000, dtype=torch.bool) if gate is None else gate
    own = PerSegment(v2.RandomHorizontalFlip(1.0), p=p).make_params([tokens])["gate"]
    draws["own"] = torch.ones(4000, dtype=torch.bool) if own is None else own
    for drawn in draws.values():
        if p in (0.0, 1.0):
            assert bool((drawn == bool(p)).all())
        else:
            assert stats.binomtest(int(drawn.sum()), 4000, p).pvalue > 0.01


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(sorted(LOOPED)),
    dtype=st.sampled_from([torch.uint8, torch.float32]),
    vectorized=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_outside_stays_black_and_nothing_but_patches_and_alpha_changes(name, dtype, vectorized, seed):
    if dtype != torch.uint8 and name in ("posterize", "choice", "lambda"):
        return  # uint8 only
    tokens = make_tokens(5, dtype=dtype, full=False, seed=seed)
    before = [plain(leaf).clone() for leaf in (tokens.patches, tokens.alpha, tokens.boxes, tokens.areas, tokens.labels)]
    torch.manual_seed(seed)
    out = PerSegment(LOOPED[name], vectorized=vectorized)(tokens)
    outside = plain(out.alpha)[:, None].expand(out.patches.shape) == 0
    assert bool((plain(out.patches)[outside] == 0).all())
    for field in ("boxes", "areas", "labels"):
        assert torch.equal(plain(getattr(out, field)), plain(getattr(tokens, field)))
    for leaf, copy in zip(
        (tokens.patches, tokens.alpha, tokens.boxes, tokens.areas, tokens.labels), before, strict=True
    ):
        assert torch.equal(plain(leaf), copy)


@pytest.mark.parametrize(
    "name", ["color_jitter", "grayscale", "brightness", "distort", "autocontrast", "gaussian_blur"]
)
def test_colour_leaves_alpha_alone(name):
    tokens = make_tokens(5, full=False)
    assert torch.equal(plain(PerSegment(LOOPED[name])(tokens).alpha), plain(tokens.alpha))


def test_padding_is_never_touched_and_the_background_only_if_asked():
    image = torch.randint(0, 255, (3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    labels = torch.zeros(32, 32, dtype=torch.int64)
    labels[:16, :16] = 3
    one = Tokenize()(SegmentedImage(image, labels))
    four = Tokenize()(Segment(Grid(2, 2))(image))
    batch = collate([one, four])
    flip = v2.RandomHorizontalFlip(1.0)
    for background, changed in ((True, [True, True, False, False, False]), (False, [True, False, False, False, False])):
        for vectorized in (True, False):
            out = PerSegment(flip, background=background, vectorized=vectorized)(batch)
            assert flips(out[0], batch[0]) == changed
            assert bool((out.patches[0, 2:] == 0).all())


def test_a_new_size_reaches_padding_too():
    tokens = make_tokens(5, size=8)
    batch = collate([tokens, tokens[:2]])
    out = PerSegment(v2.RandomResizedCrop(4))(batch)
    assert out.patches.shape == (2, 5, 3, 4, 4)
    assert bool((out.patches[1, 2:] == 0).all())


def test_a_new_size_for_some_segments_only_is_an_error():
    tokens = make_tokens(5, size=8)
    torch.manual_seed(0)
    with pytest.raises(ValueError, match="same size"):
        PerSegment(v2.RandomResizedCrop(4), p=0.5)(tokens)
    with pytest.raises(ValueError, match="same size"):
        PerSegment(v2.RandomApply([v2.RandomResizedCrop(4)], p=0.9))(tokens)
    background = SegmentTokens(tokens.patches, tokens.alpha, tokens.boxes, tokens.areas, torch.tensor([1, 2, 3, 4, 0]))
    with pytest.raises(ValueError, match="same size"):
        PerSegment(v2.RandomResizedCrop(4), background=False)(background)
    with pytest.raises(ValueError, match="same size"):
        PerSegment(v2.RandomResize(4, 12), vectorized=False)(tokens)


def test_a_batch_draws_for_each_image():
    tokens = make_tokens(8)
    batch = collate([tokens, tokens])
    torch.manual_seed(0)
    out = PerSegment(v2.RandomHorizontalFlip(0.5))(batch)
    assert flips(out[0], tokens) != flips(out[1], tokens)


@pytest.mark.parametrize("vectorized", [True, False])
@pytest.mark.parametrize("name", ["compose", "random_apply", "distort"])
def test_parameters_can_be_kept_pickled_and_applied_again(name, vectorized):
    tokens = make_tokens(6, full=False)
    per_segment = PerSegment(LOOPED[name], vectorized=vectorized, p=0.7)
    torch.manual_seed(5)
    params = per_segment.make_params([tokens])
    first = per_segment.transform(tokens, params)
    torch.rand(3)
    again = per_segment.transform(tokens, pickle.loads(pickle.dumps(params)))
    assert torch.equal(plain(first.patches), plain(again.patches))


@pytest.mark.parametrize("vectorized", [True, False])
@pytest.mark.parametrize("name", ["compose", "distort", "gaussian_blur"])
def test_a_generator_is_the_only_source_and_leaves_the_global_state(name, vectorized):
    tokens = make_tokens(6)
    outs = []
    for noise in (1, 2):
        torch.manual_seed(noise)
        state = torch.get_rng_state()
        per_segment = PerSegment(LOOPED[name], vectorized=vectorized, generator=torch.Generator().manual_seed(9))
        outs.append(per_segment(tokens))
        assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(plain(outs[0].patches), plain(outs[1].patches))


def test_a_generator_decides_what_callables_draw_from_python_and_numpy():
    def noisy(image):
        return image // (1 + int(random.random() * 9) + int(np.random.rand() * 9))  # noqa: NPY002

    tokens, outs = make_tokens(6), []
    for seed in (1, 2):
        random.seed(seed), np.random.seed(seed)  # noqa: NPY002
        before = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
        outs.append(plain(PerSegment(noisy, generator=torch.Generator().manual_seed(9))(tokens).patches))
        assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # noqa: NPY002
    assert torch.equal(*outs)


def test_the_global_seed_gives_the_same_result():
    tokens = make_tokens(6)
    per_segment = PerSegment(BATCHED["compose"])
    torch.manual_seed(3)
    first = per_segment(tokens)
    second = per_segment(tokens)
    torch.manual_seed(3)
    again = per_segment(tokens)
    assert torch.equal(plain(first.patches), plain(again.patches))
    assert not torch.equal(plain(first.patches), plain(second.patches))


def test_draws_do_not_depend_on_the_pixels():
    per_segment = PerSegment(v2.Compose([v2.RandomResizedCrop(8), JITTER]))
    drawn = []
    for seed in (1, 2):
        torch.manual_seed(0)
        drawn.append(pytree.tree_leaves(per_segment.make_params([make_tokens(6, full=seed == 1, seed=seed)])))
    assert all(a is b is None or torch.equal(a, b) for a, b in zip(*drawn, strict=True))


def test_an_unknown_part_is_looped_and_said(caplog):
    per_segment = PerSegment(v2.Compose([v2.RandomHorizontalFlip(), v2.Lambda(lambda image: 255 - image), JITTER]))
    assert [how.split(":")[0] for _, how in per_segment.lowered] == ["batched", "looped", "batched"]
    assert "Lambda once per segment" in caplog.text
    tokens = make_tokens(6)
    torch.manual_seed(0)
    first = per_segment(tokens)
    torch.manual_seed(0)
    assert torch.equal(plain(first.patches), plain(per_segment(tokens).patches))
    assert "interpolation" in dict(PerSegment(v2.RandomResizedCrop(8, interpolation=3)).lowered)["RandomResizedCrop"]


def test_a_looped_part_does_not_repeat_the_draws_of_its_neighbours():
    """Parts of a Compose that are looped draw from a stream of their own."""
    looped = v2.RandomChoice([v2.RandomVerticalFlip(0.0), v2.RandomVerticalFlip(1.0)])
    per_segment = PerSegment(v2.Compose([looped, v2.RandomHorizontalFlip(0.5), looped]))
    tokens = make_tokens(2000, size=2)
    torch.manual_seed(0)
    out = plain(per_segment(tokens).patches)
    source = plain(tokens.patches)
    left_right = (out[:, :, 0] == source[:, :, 0].flip(-1)).flatten(1).all(-1) | (
        out[:, :, 0] == source[:, :, 1].flip(-1)
    ).flatten(1).all(-1)
    up_down = (out == source.flip(-2)).flatten(1).all(-1) | (out == source.flip(-1, -2)).flatten(1).all(-1)
    for pattern in (left_right, up_down):
        assert stats.binomtest(int(pattern.sum()), 2000, 0.5).pvalue > 0.001
    assert abs(np.corrcoef(left_right.numpy(), up_down.numpy())[0, 1]) < 0.08


def test_the_first_api_of_torchvision_is_taken_as_its_v2_equal():
    tokens = make_tokens(8, full=False)
    old = v1.Compose([v1.RandomHorizontalFlip(1.0), v1.ColorJitter(0.5, 0.5, 0.5, 0.1), v1.RandomResizedCrop(8)])
    new = v2.Compose([v2.RandomHorizontalFlip(1.0), v2.ColorJitter(0.5, 0.5, 0.5, 0.1), v2.RandomResizedCrop(8)])
    outs = []
    for transform in (old, new):
        torch.manual_seed(0)
        outs.append(PerSegment(transform)(tokens))
    assert torch.equal(plain(outs[0].patches), plain(outs[1].patches))
    assert torch.equal(plain(outs[0].alpha), plain(outs[1].alpha))
    flipped = PerSegment(v1.RandomHorizontalFlip(1.0))(tokens)
    assert torch.equal(plain(flipped.alpha), plain(tokens.alpha).flip(-1))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda flip: v2.Compose([flip]),
        lambda flip: torch.nn.Sequential(flip),
        lambda flip: v2.RandomApply([flip], p=1.0),
        lambda flip: v2.RandomChoice([flip]),
        lambda flip: v2.RandomOrder([v2.Compose([flip])]),
        lambda flip: v1.Compose([v2.Compose([flip])]),
    ],
)
@pytest.mark.parametrize("vectorized", [True, False])
def test_the_first_api_inside_any_container(wrap, vectorized):
    tokens = make_tokens(3, full=False)
    container = wrap(v1.RandomHorizontalFlip(1.0))
    out = PerSegment(container, vectorized=vectorized)(tokens)
    assert torch.equal(plain(out.patches), plain(tokens.patches).flip(-1))
    assert torch.equal(plain(out.alpha), plain(tokens.alpha).flip(-1))
    children = container if isinstance(container, torch.nn.Sequential) else container.transforms
    assert type(children[0]) in (v1.RandomHorizontalFlip, v2.Compose)


def test_a_callable_sees_the_mean_colour_outside_and_leaves_alpha():
    tokens = make_tokens(3, full=False)
    seen = []

    def invert(image):
        seen.append(image.clone())
        return 255 - image

    out = PerSegment(invert)(tokens)
    assert all(image.shape == (3, 8, 8) and image.dtype == torch.uint8 for image in seen)
    outside = plain(tokens.alpha)[0] == 0
    assert len(seen[0][:, outside].unique(dim=1).T) == 1
    assert torch.equal(plain(out.alpha), plain(tokens.alpha))


def test_a_callable_that_moves_pixels_is_declared():
    tokens = make_tokens(3, full=False)
    out = PerSegment(lambda pixels: pixels.flip(-1), geometry=True)(tokens)
    assert torch.equal(plain(out.patches), plain(tokens.patches).flip(-1))
    assert torch.equal(plain(out.alpha), plain(tokens.alpha).flip(-1))
    with pytest.raises(ValueError, match="geometry=True"):
        PerSegment(lambda pixels: pixels[..., :4, :4])(tokens)


class UsersTransform(v2.Transform):
    """As torchvision's tutorial writes them: a flip of images and masks alike."""

    def transform(self, inpt, params):
        return v2.functional.horizontal_flip(inpt)


def test_a_users_v2_transform_moves_colour_and_coverage_together():
    tokens = make_tokens(3, full=False)
    out = PerSegment(UsersTransform())(tokens)
    assert torch.equal(plain(out.alpha), plain(tokens.alpha).flip(-1))
    assert (plain(out.patches).int() - plain(tokens.patches).flip(-1).int()).abs().max() <= 1


def test_users_can_add_a_lowering():
    class Darken(v2.Transform):
        def transform(self, inpt, params):
            return inpt // 2

    @register_lowering(Darken)
    class _Darken(Lowering):
        def apply(self, transform, patches, alpha, params):
            return patches // 2, alpha

    tokens = make_tokens(3)
    assert PerSegment(Darken()).lowered == [("Darken", "batched")]
    assert torch.equal(plain(PerSegment(Darken())(tokens).patches), plain(tokens.patches) // 2)
    with pytest.raises(ValueError, match="has a lowering already"):
        register_lowering(Darken)(_Darken)


def test_stands_in_a_compose_with_targets():
    pipeline = v2.Compose(
        [
            Segment(Grid(4, 4)),
            v2.RandomResizedCrop(64),
            Tokenize(8),
            PerSegment(BATCHED["compose"]),
            PositionJitter(0.05, 0.1),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.5] * 3, [0.5] * 3),
        ]
    )
    tokens, target = pipeline(tv_tensors.Image(torch.zeros(3, 80, 80, dtype=torch.uint8)), 7)
    assert isinstance(tokens, SegmentTokens)
    assert target == 7


def test_users_can_add_a_colour_for_tokens_and_pictures():
    class Negative(v2.Transform):
        def transform(self, inpt, params):
            return v2.functional.invert(inpt)

    @register_lowering(Negative)
    class _Negative(ColorLowering):
        def recolor(self, transform, colors, params):
            colors.values = (255 if colors.levels else 1) - colors.values

    tokens, sample = make_tokens(3), picture()
    assert torch.equal(plain(PerSegment(Negative())(tokens).patches), 255 - plain(tokens.patches))
    assert torch.equal(plain(PerSegment(Negative())(sample).image), 255 - plain(sample.image))


def test_a_loop_draws_anew_for_every_make_params():
    darken = v2.Lambda(lambda image: image // torch.randint(1, 200, image.shape, dtype=torch.uint8))
    tokens, per_segment = make_tokens(3), PerSegment(darken)
    outs = [per_segment.transform(tokens, per_segment.make_params([tokens])) for _ in range(3)]
    assert len({plain(out.patches).numpy().tobytes() for out in outs}) == 3


class Draws(torch.utils.data.Dataset):
    def __init__(self):
        self.tokens = make_tokens(4)
        self.transform = PositionJitter(0.1, 0.0, generator=torch.Generator().manual_seed(1))

    def __len__(self):
        return 6

    def __getitem__(self, index):
        return plain(self.transform(self.tokens).boxes)


def test_a_generator_draws_otherwise_in_each_worker_and_epoch():
    torch.manual_seed(0)
    loader = torch.utils.data.DataLoader(Draws(), batch_size=None, num_workers=2)
    drawn = [boxes.numpy().tobytes() for _ in range(2) for boxes in loader]
    assert len(set(drawn)) == 12
    torch.manual_seed(0)
    assert [boxes.numpy().tobytes() for _ in range(2) for boxes in loader] == drawn


# In the picture


def picture(dtype=torch.uint8, size=24):
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (3, size, size), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, 4, (6, 6), generator=generator).repeat_interleave(4, 0).repeat_interleave(4, 1) * 5
    return SegmentedImage(image if dtype == torch.uint8 else image.to(dtype) / 255, SegmentMap(labels))


@pytest.mark.parametrize("name", ["color_jitter", "brightness", "contrast", "saturation", "hue", "grayscale"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32], ids=["uint8", "float32"])
def test_in_the_picture_each_segment_is_the_plain_transform_of_its_pixels(name, dtype):
    sample = picture(dtype)
    per_segment = PerSegment(BATCHED[name])
    torch.manual_seed(2)
    params = per_segment.make_params([sample])
    out = per_segment.transform(sample, params)
    image, labels = plain(sample.image), plain(sample.segments)
    for i, label in enumerate([0, 5, 10, 15]):
        own = labels == label
        expected = apply_plain(BATCHED[name], tv_tensors.Image(image[:, own][:, None]), params["runs"][0], i)
        difference = (plain(expected)[:, 0].double() - plain(out.image)[:, own].double()).abs().max()
        assert difference <= (1 if dtype == torch.uint8 else 1e-5)
    assert torch.equal(plain(out.segments), labels)


def test_in_the_picture_other_pixels_stay_bit_for_bit():
    sample = picture()
    torch.manual_seed(0)
    out = PerSegment(v2.Compose([JITTER, v2.RandomApply([v2.RandomGrayscale(1.0)], p=0.5)]), background=False)(sample)
    background = plain(sample.segments) == 0
    assert torch.equal(plain(out.image)[:, background], plain(sample.image)[:, background])
    assert not torch.equal(plain(out.image), plain(sample.image))


def test_an_image_and_a_map_side_by_side_are_taken_too():
    sample = picture()
    torch.manual_seed(0)
    together = PerSegment(JITTER)(sample)
    torch.manual_seed(0)
    image, target, segments = PerSegment(JITTER)(sample.image, 3, sample.segments)
    assert torch.equal(plain(image), plain(together.image))
    assert target == 3
    assert isinstance(segments, SegmentMap)


# Bad input


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"p": 1.5}, ValueError, r"p must be in \[0.0, 1.0\], got 1.5"),
        ({"p": -0.1}, ValueError, "p must be"),
        ({"p": float("nan")}, ValueError, "p must be"),
        ({"p": "half"}, TypeError, "p must be a number, got 'half'"),
        ({"background": 1}, TypeError, "background must be True or False, got 1"),
        ({"vectorized": None}, TypeError, "vectorized must be"),
        ({"generator": 3}, TypeError, "generator must be"),
    ],
)
def test_wrong_options(options, error, message):
    with pytest.raises(error, match=message):
        PerSegment(v2.RandomHorizontalFlip(), **options)


def test_wrong_transforms():
    with pytest.raises(TypeError, match="callable, got 3"):
        PerSegment(3)
    with pytest.raises(TypeError, match="instance, got the class"):
        PerSegment(v2.RandomHorizontalFlip)
    with pytest.raises(TypeError, match="one picture per segment, got FiveCrop: it returns several"):
        PerSegment(v2.Compose([v2.FiveCrop(4)]))
    with pytest.raises(TypeError, match="acts on segments"):
        PerSegment(PerSegment(v2.RandomHorizontalFlip()))


@pytest.mark.parametrize(
    ("transform", "error", "message"),
    [
        (lambda image: image.float(), TypeError, "keep the dtype"),
        (lambda image: image[:1], ValueError, "must return shape"),
        (lambda image: None, TypeError, "one tensor per segment"),
        (v2.ToDtype(torch.float32), ValueError, "scale must be True"),
    ],
)
def test_wrong_results(transform, error, message):
    with pytest.raises(error, match=message):
        PerSegment(transform, vectorized=False)(make_tokens(2))


def test_an_error_inside_names_the_segment_and_leaves_the_input():
    tokens = make_tokens(3)
    before, calls = plain(tokens.patches).clone(), []

    def fail_second(image):
        calls.append(1)
        image.zero_()
        if len(calls) == 2:
            raise RuntimeError("broken")
        return image

    with pytest.raises(RuntimeError, match="broken") as caught:
        PerSegment(fail_second)(tokens)
    assert "label 2" in caught.value.__notes__[0]
    assert torch.equal(plain(tokens.patches), before)


@pytest.mark.parametrize("value", [float("nan"), -0.5, 1.5])
def test_floats_outside_the_range_are_refused(value):
    tokens = make_tokens(2, dtype=torch.float32)
    tokens.patches[0, 0, 0, 0] = value
    with pytest.raises(ValueError, match=r"patches must hold floats in \[0, 1\]"):
        PerSegment(JITTER)(tokens)


def test_samples_without_segments_are_refused():
    image, segments = picture().image, picture().segments
    for sample in ((image, 3), (image, image, segments), (image, segments, segments), (3,)):
        with pytest.raises(ValueError, match="exactly one image and one SegmentMap or Mask"):
            PerSegment(JITTER)(*sample)


@pytest.mark.parametrize("vectorized", [True, False])
def test_no_tokens_at_all(vectorized):
    tokens = make_tokens(2)[:0]
    assert PerSegment(BATCHED["color_jitter"], vectorized=vectorized)(tokens).num_tokens == 0


@pytest.mark.parametrize("size", [1, 2, 3])
def test_tiny_patches(size):
    tokens = make_tokens(4, size=size, full=False)
    assert PerSegment(BATCHED["compose"])(tokens).patches.shape == (4, 3, 8, 8)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_gpu_gives_what_the_cpu_gives():
    tokens = make_tokens(20, full=False)
    per_segment = PerSegment(BATCHED["compose"])
    params = per_segment.make_params([tokens])
    there = per_segment.transform(tokens.to("cuda"), params)
    assert there.patches.device.type == "cuda"
    here = per_segment.transform(tokens, params)
    assert (there.to("cpu").patches.int() - here.patches.int()).abs().max() <= 2
