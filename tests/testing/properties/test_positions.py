import dataclasses

import pytest
import torch
from torchvision.transforms import v2

from segaug import PerSegment, PositionJitter, RandomMirror
from segaug.testing import _probes
from segaug.testing._errors import NotApplicable, PropertyFailed
from segaug.testing.properties import positions_follow_pixels

TOKENS = _probes.make_probe("segment_tokens", 4, torch.float32, 3, 2)


@pytest.mark.parametrize(
    "transform",
    [
        RandomMirror(p=1),
        v2.RandomHorizontalFlip(1),
        v2.RandomVerticalFlip(1),
        v2.Compose([RandomMirror(p=1), v2.RandomVerticalFlip(1)]),
    ],
)
def test_mirrors_hold(transform):
    positions_follow_pixels(transform, TOKENS)


def test_boxes_mirrored_along_the_other_axis_are_found():
    def wrong(tokens):
        flipped = v2.RandomHorizontalFlip(1)(tokens)
        return dataclasses.replace(flipped, boxes=v2.RandomVerticalFlip(1)(tokens).boxes)

    with pytest.raises(PropertyFailed, match=r"mirrored along x, and boxes\[0\] \(0, 0, 0\.25, 0\.25\) has come to"):
        positions_follow_pixels(wrong, TOKENS)


@pytest.mark.parametrize(
    ("transform", "reason"),
    [
        (RandomMirror(p=0), "does not mirror all patches"),
        (PositionJitter(), "does not mirror all patches"),
        (PerSegment(v2.RandomHorizontalFlip(1)), "leaves boxes where they are"),
        (v2.Compose([PerSegment(v2.RandomHorizontalFlip(1)), PositionJitter()]), "by draws of their own"),
    ],
)
def test_what_is_no_mirror_of_the_picture_says_nothing(transform, reason):
    with pytest.raises(NotApplicable, match=reason):
        positions_follow_pixels(transform, TOKENS)
