import copy
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segaug import SegmentedImage, SegmentTokens, TokenBudget, collate

FIELDS = ("patches", "alpha", "boxes", "areas", "labels")


def plain(tensor):
    return tensor.as_subclass(torch.Tensor)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    num=st.integers(0, 8),
    padding=st.integers(0, 2),
    background=st.booleans(),
    batch=st.sampled_from([(), (1,), (4,), (2, 3), (0,)]),
    most=st.integers(1, 9),
    by=st.sampled_from(["area", "random"]),
    seed=st.integers(0, 100),
)
def test_what_is_left_is_as_it_was(make_tokens, num, padding, background, batch, most, by, seed):
    tokens = make_tokens(num, batch=batch, background=background, padding=padding, seed=seed)
    before = copy.deepcopy(tokens)
    out = TokenBudget(most, by=by, generator=torch.Generator().manual_seed(seed))(tokens)
    for name in FIELDS:
        assert torch.equal(plain(getattr(tokens, name)), plain(getattr(before, name)))
        assert type(getattr(out, name)) is type(getattr(tokens, name))
        assert getattr(out, name).dtype == getattr(tokens, name).dtype
    SegmentTokens(*(getattr(out, name) for name in FIELDS))
    images = torch.Size(batch).numel()
    kept = min(num, most) + background
    assert out.labels.shape == (*batch, kept if images else 0)
    flat_in, flat_out = (
        [plain(getattr(whole, name)).flatten(0, len(batch) - 1) if batch else plain(getattr(whole, name))[None]
         for name in FIELDS]
        for whole in (tokens, out)
    )  # fmt: skip
    for i in range(images):
        own = flat_in[4][i].tolist()
        rows = [own.index(label) for label in flat_out[4][i].tolist()]
        assert rows == sorted(rows)
        for field, taken in zip(flat_in, flat_out, strict=True):
            assert torch.equal(taken[i], field[i][rows])
        assert (0 in flat_out[4][i]) == background
        if by == "area":
            ranked = sorted(range(num), key=lambda j, i=i: (-flat_in[3][i, j].item(), j))[:most]
            assert rows[: min(num, most)] == sorted(ranked)


def test_a_batch_is_cut_to_its_longest_image(make_tokens):
    batch = collate([make_tokens(2), make_tokens(9, seed=1), make_tokens(0, background=False)])
    assert batch.num_tokens == 10
    out = TokenBudget(4)(batch)
    assert (~out.is_padding).sum(-1).tolist() == [3, 5, 0]
    assert out.num_tokens == 5
    assert not out.patches[out.is_padding].any()


def test_nothing_to_leave_out(make_tokens):
    tokens = make_tokens(4, batch=(2,))
    assert TokenBudget(4)(tokens) is tokens
    assert TokenBudget(9, by="random")(tokens) is tokens


def test_one_budget_for_a_batch_all_equally_likely(make_tokens):
    tokens = make_tokens(6, batch=(3,), size=1)
    budget = TokenBudget(5, 2, generator=torch.Generator().manual_seed(0))
    counts = torch.zeros(7)
    for _ in range(2000):
        foreground = (budget(tokens).labels > 0).sum(-1)
        assert foreground.unique().numel() == 1
        counts[foreground[0]] += 1
    assert counts[[0, 1, 6]].tolist() == [0, 0, 0]
    # Four deviations of the binomial distribution.
    assert (counts[2:6] - 500).abs().max() < 4 * (2000 * 0.25 * 0.75) ** 0.5


def test_at_random_each_token_is_as_likely_and_each_image_by_its_own_draw(make_tokens):
    tokens = make_tokens(4, batch=(4000,), size=1)
    out = TokenBudget(2, by="random", generator=torch.Generator().manual_seed(0))(tokens)
    shown = torch.stack([(out.labels == label).any(-1) for label in (1, 2, 3, 4)], -1).double()
    assert (shown.sum(-1) == 2).all()
    assert (shown.mean(0) - 0.5).abs().max() < 0.03
    # Two of four: each pair of tokens a sixth of the time.
    pairs = (shown.T @ shown / 4000)[torch.triu_indices(4, 4, 1).unbind()]
    assert (pairs - 1 / 6).abs().max() < 0.03
    assert torch.corrcoef(torch.stack([shown[:-1, 0], shown[1:, 0]]))[0, 1].abs() < 0.05


def test_draws_from_the_given_generator_or_the_default_one(make_tokens):
    tokens = make_tokens(30)
    torch.manual_seed(1)
    first, second = (TokenBudget(20, 5, by="random")(tokens) for _ in range(2))
    torch.manual_seed(1)
    assert torch.equal(first.labels, TokenBudget(20, 5, by="random")(tokens).labels)
    assert not torch.equal(first.labels, second.labels)
    state = torch.get_rng_state()
    drawn = TokenBudget(20, 5, by="random", generator=torch.Generator().manual_seed(1))(tokens)
    assert torch.equal(drawn.labels, first.labels)
    # By area, and without a range, nothing is drawn.
    TokenBudget(20)(tokens)
    assert torch.equal(torch.get_rng_state(), state)


def test_pickles():
    budget = pickle.loads(pickle.dumps(TokenBudget(9, 4, by="random")))
    assert (budget.most, budget.least, budget.by) == (9, 4, "random")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_the_gpu_as_on_the_cpu(make_tokens):
    tokens = make_tokens(8, batch=(3,))
    for by in ("area", "random"):
        one, other = (
            TokenBudget(6, 2, by=by, generator=torch.Generator().manual_seed(3))(tokens.to(device))
            for device in ("cpu", "cuda")
        )
        assert torch.equal(one.labels, other.labels.cpu())
        assert torch.equal(plain(one.patches), plain(other.patches).cpu())


class TestBadInput:
    @pytest.mark.parametrize("name", ["most", "least"])
    def test_numbers(self, name):
        with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
            TokenBudget(**({"most": 3} | {name: 0}))
        with pytest.raises(TypeError, match=rf"{name} must be an int, got 2\.5"):
            TokenBudget(**({"most": 3} | {name: 2.5}))

    def test_least_above_most(self):
        with pytest.raises(ValueError, match=r"least must be at most most \(3\), got 4"):
            TokenBudget(3, 4)

    def test_by_and_generator(self):
        with pytest.raises(ValueError, match="by must be one of 'area', 'random', got 'size'"):
            TokenBudget(3, by="size")
        with pytest.raises(TypeError, match=r"generator must be a torch.Generator or None, got 5"):
            TokenBudget(3, generator=5)

    def test_no_tokens(self, photo, make_map):
        with pytest.raises(TypeError, match="TokenBudget takes SegmentTokens, got SegmentedImage"):
            TokenBudget(3)(SegmentedImage(photo, make_map(72, 96, 3)))
