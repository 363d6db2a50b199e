import pytest
import torch

from segaug import SegmentedImage, SegmentTokens, collate
from segaug.data import seeded_stream
from segaug.training import RECIPES, make_recipe


@pytest.fixture
def batch(token_sets):
    train, _ = token_sets
    return collate([train[i][0] for i in range(8)])


def test_none_does_nothing():
    recipe = make_recipe("none")
    assert (recipe.image, recipe.tokens) == (None, None)


def test_segment_changes_every_segment_and_no_padding(batch):
    recipe = make_recipe("segment")
    with seeded_stream(0):
        after = recipe.tokens(batch)
    assert isinstance(after, SegmentTokens)
    assert after.patches.shape[2:] == batch.patches.shape[2:]
    assert after.labels.shape[0] == 8
    padding = after.is_padding
    assert not after.patches[padding].any()
    assert not after.boxes[padding].any()
    for i in range(8):
        left = set(after.labels[i][~padding[i]].tolist())
        assert 0 in left
        assert left <= set(batch.labels[i].tolist())
    with seeded_stream(0):
        again = recipe.tokens(batch)
    assert torch.equal(after.patches, again.patches)


def test_image_changes_image_and_map_alike(token_sets):
    train, _ = token_sets
    recipe = make_recipe("image", image_size=64)
    before, _ = train.source.segmented(0)
    with seeded_stream(0):
        after = recipe.image(before)
    assert after.image.shape == before.image.shape
    assert after.segments.shape == before.segments.shape
    assert set(after.segments.unique().tolist()) <= set(before.segments.unique().tolist())
    assert not torch.equal(after.image, before.image)


def test_both_changes_the_picture_and_then_every_segment(token_sets, batch):
    train, _ = token_sets
    recipe = make_recipe("both", image_size=64)
    assert repr(recipe.tokens) == repr(make_recipe("segment").tokens)
    before, _ = train.source.segmented(0)
    with seeded_stream(0):
        after = recipe.image(before)
        tokens = recipe.tokens(batch)
    assert after.image.shape == before.image.shape
    assert not torch.equal(after.image, before.image)
    assert not torch.equal(tokens.boxes, batch.boxes)


def test_pictures_need_not_be_square():
    picture = SegmentedImage(torch.rand(3, 40, 64), torch.ones(40, 64, dtype=torch.int64))
    assert make_recipe("image", image_size=(40, 64)).image(picture).image.shape == (3, 40, 64)


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"image_size must be an int or \(height, width\), got \(4, 5, 6\)"):
        make_recipe("image", image_size=(4, 5, 6))
    with pytest.raises(ValueError, match="image_size must be at least 1, got 0"):
        make_recipe("image", image_size=(4, 0))
    assert RECIPES == ("none", "image", "segment", "both")
    with pytest.raises(ValueError, match=r"name must be one of .*'segments'"):
        make_recipe("segments")
