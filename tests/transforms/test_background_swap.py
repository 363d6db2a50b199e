import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from segaug import BackgroundSwap


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    images=st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=5),
    padding=st.integers(0, 2),
    p=st.sampled_from([0.0, 0.5, 1.0]),
    seed=st.integers(0, 1000),
)
def test_backgrounds_go_around(make_marked, check_packed, images, padding, p, seed):
    tokens = make_marked(images, padding=padding, seed=seed)
    swap = BackgroundSwap(p, generator=torch.Generator().manual_seed(seed))
    params = swap.make_params([tokens])
    out = swap.transform(tokens, params)
    marks = check_packed(out, tokens)
    assert torch.equal(out.labels, tokens.labels)
    ring = [i for i, (_, background) in enumerate(images) if background and params["takes_part"][i]]
    for i, (num, background) in enumerate(images):
        assert marks[i, :num].tolist() == [16 * i + j for j in range(num)]
        if background:
            other = ring[ring.index(i) - 1] if i in ring else i
            assert int(marks[i, num]) == 16 * other + images[other][0]


def test_class_labels_and_the_rest_of_the_sample_stay(make_marked):
    sample = (make_marked([(2, True), (1, True)]), torch.tensor([4, 2]), {"name": ["a", "b"]})
    tokens, labels, rest = BackgroundSwap()(sample)
    assert labels is sample[1]
    assert rest == sample[2]
    assert torch.equal(tokens.areas[tokens.is_background], sample[0].areas[sample[0].is_background].flip(0))


def test_share_of_images_that_take_part(make_marked, check_packed):
    tokens = make_marked([(1, True)] * 5000)
    takes_part = BackgroundSwap(0.3, generator=torch.Generator().manual_seed(0)).make_params([tokens])["takes_part"]
    assert stats.binomtest(int(takes_part.sum()), 5000, 0.3).pvalue > 0.01


def test_kept_draws_and_generators(make_marked):
    tokens = make_marked([(1, True)] * 8)
    swap = BackgroundSwap(0.5, generator=torch.Generator().manual_seed(2))
    params = swap.make_params([tokens])
    kept = pickle.loads(pickle.dumps(params))
    assert torch.equal(BackgroundSwap().transform(tokens, kept).patches, swap.transform(tokens, params).patches)
    state = torch.get_rng_state()
    again = BackgroundSwap(0.5, generator=torch.Generator().manual_seed(2))(tokens)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(again.patches, swap.transform(tokens, params).patches)
    torch.manual_seed(2)
    assert torch.equal(BackgroundSwap(0.5)(tokens).patches, again.patches)


def test_pickles():
    assert pickle.loads(pickle.dumps(BackgroundSwap(0.25))).p == 0.25


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"p must be in \[0.0, 1.0\], got 2"):
        BackgroundSwap(2)
    with pytest.raises(TypeError, match=r"generator must be a torch.Generator or None, got 5"):
        BackgroundSwap(generator=5)
