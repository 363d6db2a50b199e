import copy
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torchvision.transforms import v2

from segaug import Grid, Segment, SegmentMix, SegmentTokens, Tokenize, collate
from segaug.models import svit_micro
from segaug.transforms._random import beta

IMAGES = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=5)


def marks_of(tokens):
    return sorted(
        16 * i + j for i, row in enumerate(tokens.labels.tolist()) for j, label in enumerate(row) if label >= 0
    )


def fields_of(tokens):
    return [
        getattr(tokens, name).as_subclass(torch.Tensor) for name in ("patches", "alpha", "boxes", "areas", "labels")
    ]


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    images=IMAGES,
    padding=st.integers(0, 2),
    alpha=st.sampled_from([0.2, 1.0, 5.0]),
    p=st.sampled_from([0.0, 0.5, 1.0]),
    background=st.booleans(),
    soft=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_tokens_are_conserved_and_labels_are_their_areas(
    make_marked, check_packed, images, padding, alpha, p, background, soft, seed
):
    tokens = make_marked(images, padding=padding, seed=seed)
    before = copy.deepcopy(tokens)
    batch = len(images)
    generator = torch.Generator().manual_seed(seed)
    classes = torch.randint(0, 3, (batch,), generator=generator)
    targets = torch.rand((batch, 3), generator=generator).softmax(-1) if soft else classes
    mix = SegmentMix(num_classes=3, alpha=alpha, p=p, background=background, generator=generator)
    out, mixed = mix(tokens, targets)
    assert all(torch.equal(*pair) for pair in zip(fields_of(tokens), fields_of(before), strict=True))

    marks = check_packed(out, tokens)
    # Each token is in one place, so all areas of the batch are there.
    assert sorted(marks[marks >= 0].tolist()) == marks_of(tokens)
    assert out.num_tokens == int((~out.is_padding).sum(-1).max())
    # Backgrounds: none where there was none, and at home unless they may leave.
    assert torch.equal(out.is_background.any(-1), tokens.is_background.any(-1))
    if not background:
        assert all(mark // 16 == i for i in range(batch) for mark in marks[i][out.labels[i] == 0].tolist())

    one_hot = targets if soft else torch.eye(3)[classes]
    assert mixed.shape == (batch, 3)
    assert mixed.dtype == torch.float32
    assert (mixed.sum(-1) - 1).abs().max() < 1e-6
    for i in range(batch):
        area = {}
        for mark in marks[i][marks[i] >= 0].tolist():
            area[mark // 16] = area.get(mark // 16, 0.0) + tokens.areas[mark // 16, mark % 16].item()
        expected = one_hot[i]
        if area:
            expected = sum(one_hot[k] * part for k, part in area.items()) / sum(area.values())
        assert (mixed[i] - expected).abs().max() < 1e-6
        # What had tokens still has one.
        assert bool((tokens.labels[i] >= 0).any()) <= bool(area)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(images=IMAGES, seed=st.integers(0, 1000))
def test_what_leaves_goes_to_the_next_that_takes_part(make_marked, check_packed, images, seed):
    tokens = make_marked(images, seed=seed)
    mix = SegmentMix(p=0.7, labels_getter=None, generator=torch.Generator().manual_seed(seed))
    params = mix.make_params([tokens])
    out, _ = mix.transform((tokens, None), params)
    marks = check_packed(out, tokens)
    ring = params["takes_part"].nonzero().flatten().tolist()
    for i in range(len(images)):
        largest = int(tokens.labels[i].max()) if tokens.num_tokens else 0
        for mark, label in zip(marks[i].tolist(), out.labels[i].tolist(), strict=True):
            if label <= 0:
                continue
            home, slot = mark // 16, mark % 16
            had = int(tokens.labels[home, slot])
            if home == i:
                assert label == had
            else:
                assert i in ring
                assert home == ring[ring.index(i) - 1]
                assert bool(params["leaves"][home, slot])
                assert label == had + max(largest, 0)


def test_an_image_of_which_nothing_would_stay_keeps_its_largest(make_marked, check_packed):
    tokens = make_marked([(4, False), (3, True), (0, True)])
    params = {
        "takes_part": torch.ones(3).bool(),
        "lam": torch.zeros(3),
        "leaves": torch.ones(tokens.labels.shape).bool(),
    }
    out, targets = SegmentMix(num_classes=3).transform((tokens, torch.arange(3)), params)
    marks = check_packed(out, tokens)
    largest = int(tokens.areas[0].argmax())
    assert [sorted(row[row >= 0].tolist()) for row in marks] == [
        [largest],
        sorted([19, *({0, 1, 2, 3} - {largest})]),
        [16, 17, 18, 32],
    ]
    assert targets[0].tolist() == [1.0, 0.0, 0.0]


def test_backgrounds_go_around_among_those_that_leave(make_marked, check_packed):
    tokens = make_marked([(1, True), (2, False), (2, True), (1, True)])
    leaves = tokens.is_background.clone()
    params = {"takes_part": torch.ones(4).bool(), "lam": torch.zeros(4), "leaves": leaves}
    mix = SegmentMix(num_classes=4, background=True)
    marks = check_packed(mix.transform((tokens, torch.arange(4)), params)[0], tokens)
    assert marks.tolist() == [[0, 49, -1], [16, 17, -1], [32, 33, 1], [48, 34, -1]]
    leaves[0] = leaves[2] = False
    marks = check_packed(mix.transform((tokens, torch.arange(4)), params)[0], tokens)
    assert marks[3].tolist() == [48, 49, -1]


def test_distributions():
    generator = torch.Generator().manual_seed(0)
    for alpha in (0.1, 0.4, 1.0, 3.0, 200.0):
        draws = beta(alpha, (5000,), generator).numpy()
        assert stats.kstest(draws, stats.beta(alpha, alpha).cdf).pvalue > 0.01, alpha
    # Where floats end, the two ends are left, and no NaN.
    ends = beta(1e-320, (2000,), generator)
    assert set(ends.tolist()) == {0.0, 1.0}
    assert abs(float(ends.mean()) - 0.5) < 0.05


@pytest.mark.parametrize("alpha", [0.5, 1.0, 4.0])
def test_the_number_that_leaves_is_beta_binomial(make_marked, alpha):
    tokens = make_marked([(5, True)] * 5000)
    generator = torch.Generator().manual_seed(1)
    params = SegmentMix(num_classes=2, alpha=alpha, generator=generator).make_params([tokens])
    counts = torch.bincount(params["leaves"][:, :5].sum(-1), minlength=6)
    expected = stats.betabinom(5, alpha, alpha).pmf(range(6)) * 5000
    assert stats.chisquare(counts.numpy(), expected).pvalue > 0.01
    # Draws of neighbours in the batch have nothing to do with each other.
    share = params["leaves"][:, :5].double().mean(-1)
    assert abs(stats.pearsonr(share[:-1], share[1:]).statistic) < 0.05


def test_share_of_images_that_take_part(make_marked):
    tokens = make_marked([(2, True)] * 5000)
    generator = torch.Generator().manual_seed(2)
    takes_part = SegmentMix(num_classes=2, p=0.3, generator=generator).make_params([tokens])["takes_part"]
    assert stats.binomtest(int(takes_part.sum()), 5000, 0.3).pvalue > 0.01


def test_kept_draws_are_applied_again(make_marked):
    tokens, targets = make_marked([(3, True), (5, False), (4, True)]), torch.tensor([2, 0, 1])
    mix = SegmentMix(num_classes=3, background=True, generator=torch.Generator().manual_seed(3))
    params = mix.make_params([tokens])
    kept = pickle.loads(pickle.dumps(params))
    first, first_targets = mix.transform((tokens, targets), params)
    again, again_targets = SegmentMix(num_classes=3, background=True).transform((tokens, targets), kept)
    assert torch.equal(first_targets, again_targets)
    assert all(torch.equal(*pair) for pair in zip(fields_of(first), fields_of(again), strict=True))


def test_draws_do_not_depend_on_what_is_there(make_marked):
    tokens = make_marked([(3, True), (5, False)])
    others = make_marked([(0, False), (4, True)], seed=4)
    params, other = (SegmentMix(generator=torch.Generator().manual_seed(1)).make_params([t]) for t in (tokens, others))
    assert all(torch.equal(params[key], other[key]) for key in ("takes_part", "lam", "leaves"))


def test_draws_from_the_given_generator_or_the_default_one(make_marked):
    tokens, targets = make_marked([(4, True)] * 6), torch.arange(6)
    torch.manual_seed(5)
    first, second = (SegmentMix(num_classes=6)(tokens, targets)[1] for _ in range(2))
    torch.manual_seed(5)
    assert torch.equal(SegmentMix(num_classes=6)(tokens, targets)[1], first)
    assert not torch.equal(first, second)
    state = torch.get_rng_state()
    mix = SegmentMix(num_classes=6, generator=torch.Generator().manual_seed(5))
    assert torch.equal(mix(tokens, targets)[1], first)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("images", [[(3, True)], [(0, False)], [(0, False)] * 3, []])
def test_nothing_to_mix_with(make_marked, check_packed, images):
    tokens = make_marked(images, padding=2)
    targets = torch.arange(len(images))
    out, mixed = SegmentMix(num_classes=3)(tokens, targets)
    marks = check_packed(out, tokens)
    assert marks[marks >= 0].tolist() == marks_of(tokens)
    assert torch.equal(out.labels, tokens.labels[:, : out.num_tokens])
    assert torch.equal(mixed, torch.eye(3)[targets])


def test_an_image_that_was_all_padding_takes_the_label_of_what_comes(make_marked, check_packed):
    tokens = make_marked([(3, True), (0, False)])
    params = {"takes_part": torch.ones(2).bool(), "lam": torch.zeros(2), "leaves": torch.ones(2, 4).bool()}
    out, mixed = SegmentMix(num_classes=2).transform((tokens, torch.arange(2)), params)
    assert check_packed(out, tokens).tolist() == [[3, -1, -1], [0, 1, 2]]
    assert mixed.tolist() == [[1.0, 0.0], [1.0, 0.0]]


def test_on_a_real_photo_through_a_model(photo):
    tokens = [Tokenize(size=8)(Segment(Grid(rows, 4))(photo)) for rows in (2, 3, 4, 2)]
    batch = v2.Compose([SegmentMix(num_classes=5, generator=torch.Generator().manual_seed(0))])(
        collate([{"tokens": one, "label": i, "index": i} for i, one in enumerate(tokens)])
    )
    assert batch["index"].tolist() == [0, 1, 2, 3]
    assert isinstance(batch["tokens"], SegmentTokens)
    torch.manual_seed(0)
    logits = svit_micro(5, patch_size=8)(batch["tokens"])
    loss = torch.nn.functional.cross_entropy(logits, batch["label"])
    loss.backward()
    assert loss.isfinite()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64])
def test_class_labels_that_are_soft_already(make_marked, dtype):
    targets = torch.eye(3, dtype=dtype)
    _, mixed = SegmentMix()(make_marked([(3, True)] * 3), targets)
    assert mixed.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert torch.equal(targets, torch.eye(3, dtype=dtype))


def test_pickles():
    mix = pickle.loads(pickle.dumps(SegmentMix(num_classes=7, alpha=0.4, p=0.5, background=True)))
    assert (mix.num_classes, mix.alpha, mix.p, mix.background) == (7, 0.4, 0.5, True)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu(make_marked):
    tokens, targets = make_marked([(4, True), (5, False), (3, True)]), torch.arange(3)
    mix = SegmentMix(num_classes=3, background=True)
    params = mix.make_params([tokens])
    here, here_targets = mix.transform((tokens, targets), params)
    there, there_targets = mix.transform((tokens.to("cuda"), targets.to("cuda")), params)
    assert there.device.type == there_targets.device.type == "cuda"
    assert torch.equal(there_targets.cpu(), here_targets)
    assert all(torch.equal(*pair) for pair in zip(fields_of(there.to("cpu")), fields_of(here), strict=True))


class TestBadInput:
    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"alpha": 0}, ValueError, "alpha must be above 0, got 0"),
            ({"alpha": -1.0}, ValueError, "alpha must be at least 0.0, got -1.0"),
            ({"alpha": float("inf")}, ValueError, "alpha must be at least 0.0, got inf"),
            ({"alpha": "1"}, TypeError, "alpha must be a number, got '1'"),
            ({"p": 1.5}, ValueError, r"p must be in \[0.0, 1.0\], got 1.5"),
            ({"background": 1}, TypeError, "background must be True or False, got 1"),
            ({"num_classes": 0}, ValueError, "num_classes must be at least 1, got 0"),
            ({"num_classes": 2.0}, TypeError, "num_classes must be an int, got 2.0"),
            ({"generator": 5}, TypeError, "generator must be a torch.Generator or None, got 5"),
            (
                {"labels_getter": "labels"},
                TypeError,
                "labels_getter must be 'default', a callable or None, got 'labels'",
            ),
        ],
    )
    def test_arguments(self, options, error, message):
        with pytest.raises(error, match=message):
            SegmentMix(**options)


def test_an_image_keeps_something_of_its_own_when_backgrounds_go_too(make_tokens):
    one = make_tokens(2, batch=(2,))
    kept = []
    for seed in range(300):
        mix = SegmentMix(num_classes=2, alpha=0.3, background=True, generator=torch.Generator().manual_seed(seed))
        _, targets = mix((one, torch.tensor([0, 1])))
        kept.append(targets.diagonal())
    assert bool((torch.stack(kept) > 0).all())
