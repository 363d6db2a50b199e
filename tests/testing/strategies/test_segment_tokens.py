import random

import pytest
import torch
from hypothesis import Phase, find, given, settings

from segaug import SegmentTokens
from segaug.testing.strategies import segment_tokens

FEW = settings(derandomize=True, deadline=None, max_examples=40, database=None)
FIND = settings(database=None, deadline=None, max_examples=1000, phases=[Phase.generate, Phase.shrink])


def smallest(strategy, condition):
    return find(strategy, condition, settings=FIND, random=random.Random(0))


def check_image(tokens):
    """What Tokenize promises of the tokens of one image."""
    labels, boxes = tokens.labels, tokens.boxes.as_subclass(torch.Tensor)
    patches, alpha = tokens.patches.as_subclass(torch.Tensor), tokens.alpha.as_subclass(torch.Tensor)
    front, background, padding = labels > 0, tokens.is_background, tokens.is_padding
    count = int(front.sum())
    assert front[:count].all()
    assert (labels[:count].diff() > 0).all()
    assert int(background.sum()) <= 1
    assert not background[:count].any()
    assert padding[count + int(background.sum()) :].all()
    x0, y0, x1, y1 = boxes[front].T
    assert (boxes[front] >= 0).all()
    assert (boxes[front] <= 1).all()
    assert (x0 < x1).all()
    assert (y0 < y1).all()
    assert (tokens.areas[front] > 0).all()
    assert (tokens.areas[front] <= (x1 - x0) * (y1 - y0) + 1e-6).all()
    assert (alpha[front].flatten(1).amax(1) > 0).all()
    assert (boxes[background] == -1).all()
    assert (tokens.areas >= 0).all()
    assert (tokens.areas <= 1).all()
    for leaf in (patches, alpha, boxes, tokens.areas):
        assert not leaf[padding].any()
    assert (patches <= alpha[:, None]).all()
    assert alpha.min() >= 0 if alpha.numel() else True
    assert not patches.is_floating_point() or not alpha.numel() or alpha.max() <= 1


@FEW
@given(segment_tokens(min_segments=1, max_segments=3, patch_size=(2, 4), padding=(0, 2)))
def test_single_images(tokens):
    check_image(tokens)
    assert tokens.labels.ndim == 1
    assert 1 <= (tokens.labels > 0).sum() <= 3
    assert 2 <= tokens.patches.shape[-1] <= 4
    assert tokens.is_padding.sum() <= 2


@FEW
@given(segment_tokens(batch=(1, 3), dtypes=(torch.uint8, torch.float16)))
def test_batches(tokens):
    assert 1 <= len(tokens.labels) <= 3
    for image in tokens:
        check_image(image)
    # Padding fills up the shorter images, so the longest has none.
    assert (~tokens.is_padding).sum(-1).max() == tokens.num_tokens


def test_everything_occurs():
    seen = set()

    @settings(FEW, max_examples=200)
    @given(segment_tokens(patch_size=4))
    def draw(tokens):
        assert isinstance(tokens, SegmentTokens)
        labels = tokens.labels[tokens.labels > 0]
        seen.update([tokens.patches.dtype, tokens.patches.shape[1]])
        seen.add("background" if tokens.is_background.any() else "no background")
        seen.add("padding" if tokens.is_padding.any() else "no padding")
        seen.add("no token" if not tokens.num_tokens else "tokens")
        if len(labels) and labels[-1] > len(labels):
            seen.add("gaps")
        for token in range(tokens.num_tokens):
            alpha = tokens.alpha[token] / (255 if tokens.alpha.dtype == torch.uint8 else 1)
            shown = int((alpha > 0).sum())
            if not tokens.is_padding[token]:
                soft = ((alpha > 0) & (alpha < 1)).any()
                seen.add("soft" if soft else {0: "nothing left", 1: "pixel", 8: "half", 12: "disc", 16: "full"}[shown])

    draw()
    assert seen == {
        torch.uint8, torch.float32, 1, 3, "background", "no background", "padding", "no padding", "no token", "tokens",
        "gaps", "soft", "nothing left", "pixel", "half", "disc", "full",
    }  # fmt: skip


def test_shrinks_to_no_token():
    tokens = smallest(segment_tokens(), lambda tokens: True)
    assert tokens.patches.shape == (0, 1, 1, 1)
    assert tokens.patches.dtype == torch.uint8


def test_shrinks_to_a_plain_token():
    tokens = smallest(segment_tokens(patch_size=3, padding=2), lambda tokens: (tokens.labels > 0).any())
    assert tokens.labels.tolist() == [1, -1, -1]
    assert tokens.patches.max() == 0
    assert (tokens.alpha[0] == 255).all()
    assert tokens.boxes[0].tolist() == [0, 0, 1, 1]
    assert tokens.areas.tolist() == [1, 0, 0]


def test_shrinks_to_few_images():
    tokens = smallest(segment_tokens(batch=(1, 4)), lambda tokens: tokens.is_padding.any())
    assert sorted(tokens.labels.flatten().tolist()) == [-1, 1]


def test_background():
    assert smallest(segment_tokens(background=True, padding=0), lambda tokens: True).labels.tolist() == [0]

    @settings(FEW, max_examples=20)
    @given(segment_tokens(background=False))
    def draw(tokens):
        assert not tokens.is_background.any()

    draw()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"patch_size": 0}, ValueError, "patch_size must be at least 1, got 0"),
        ({"patch_size": (3, 2)}, ValueError, "patch_size must be .min, max. with min at most max"),
        ({"min_segments": 7}, ValueError, r"max_segments must be at least min_segments \(7\), got 6"),
        ({"channels": 4}, ValueError, "channels must be one or more of 1 or 3, got 4"),
        ({"padding": -1}, ValueError, "padding must be at least 0, got -1"),
        ({"batch": 0}, ValueError, "batch must be at least 1, got 0"),
        ({"background": 1}, TypeError, "background must be True or False, got 1"),
        ({"dtypes": torch.int64}, ValueError, "dtypes must be one or more of"),
    ],
)
def test_impossible_bounds(arguments, error, message):
    with pytest.raises(error, match=message):
        segment_tokens(**arguments)
