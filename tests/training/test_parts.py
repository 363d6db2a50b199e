import pytest
import torch
import torch.nn.functional as F

from segaug import collate
from segaug.training import split_by_length


@pytest.fixture
def batch(make_tokens):
    lengths = [4, 30, 11, 5, 17, 2, 23, 9, 10]
    return collate([(make_tokens(n, seed=n, size=8), i) for i, n in enumerate(lengths)])


def test_every_image_is_in_one_part_without_needless_padding(batch):
    tokens, targets = batch
    parts = split_by_length(tokens, targets, least_tokens=1)
    assert len(parts) == 4
    assert sorted(i for _, part in parts for i in part.tolist()) == list(range(9))
    for part, indices in parts:
        assert part.num_tokens == max((~part.is_padding).sum(-1))
        for row, index in enumerate(indices.tolist()):
            for name in ("patches", "alpha", "boxes", "areas", "labels"):
                field = getattr(part[row], name)
                assert torch.equal(field, getattr(tokens[index], name)[: len(field)])
            assert (tokens[index].labels[part.num_tokens :] == -1).all()


@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_the_gradient_is_that_of_the_whole(batch, make_model, pool):
    tokens, targets = batch
    targets = targets % 4

    def gradient(parts):
        model = make_model(pool=pool).double()
        for part, answers in parts:
            (F.cross_entropy(model(part), answers) * (len(answers) / len(targets))).backward()
        return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])

    parts = split_by_length(tokens, targets, least_tokens=1)
    torch.testing.assert_close(gradient(parts), gradient([(tokens, targets)]), rtol=1e-5, atol=1e-6)


def test_small_batches_stay_whole(batch):
    tokens, targets = batch
    assert split_by_length(tokens, targets)[0][0] is tokens
    assert len(split_by_length(tokens, targets, least_tokens=100)) == 2
    assert len(split_by_length(tokens[:1], targets[:1], least_tokens=1)) == 1
    assert len(split_by_length(tokens[:2], targets[:2], least_tokens=1)) == 2


def test_more_parts_than_save_padding_where_memory_is_short(batch):
    tokens, targets = batch
    for least in (1, 3, 6, 9, 20):
        parts = split_by_length(tokens, targets, least_parts=least)
        assert len(parts) == min(9, least)
        assert sorted(i for _, part in parts for i in part.tolist()) == list(range(9))
    with pytest.raises(ValueError, match="least_parts must be at least 1, got 0"):
        split_by_length(tokens, targets, least_parts=0)


def test_images_without_tokens_keep_a_slot(batch):
    tokens, targets = batch
    tokens.labels[:4] = -1
    parts = split_by_length(tokens, targets, least_tokens=1)
    assert parts[0][0].num_tokens == 1
    assert sum(len(part) for _, part in parts) == 9


def test_bad_arguments(batch):
    with pytest.raises(ValueError, match="most_parts must be at least 1, got 0"):
        split_by_length(*batch, most_parts=0)
    with pytest.raises(ValueError, match="least_tokens must be at least 1, got 0"):
        split_by_length(*batch, least_tokens=0)
