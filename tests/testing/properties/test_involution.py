import dataclasses

import pytest
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from segaug import PositionJitter, RandomMirror, SegmentedImage
from segaug.testing import _probes
from segaug.testing._errors import NotApplicable, PropertyFailed
from segaug.testing._property import KINDS
from segaug.testing.properties import twice_is_identity

FLIPS = [v2.RandomHorizontalFlip(1), v2.RandomVerticalFlip(1)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("transform", FLIPS, ids=repr)
def test_flips_undo_themselves(kind, transform):
    twice_is_identity(transform, _probes.make_probe(kind, 5, torch.float32, 3, 2))


def test_inversion_undoes_itself():
    twice_is_identity(
        v2.RandomInvert(1), _probes.make_probe("annotated_image", 5, torch.uint8, 3, 2), is_involution=True
    )


def widen(sample):
    out = v2.functional.horizontal_flip
    flipped = {name: value if name == "labels" else out(value) for name, value in sample.items()}
    boxes = flipped["boxes"] + torch.tensor([-1.0, 0, 0, 0])
    return {**flipped, "boxes": tv_tensors.wrap(boxes, like=flipped["boxes"])}


def test_a_part_that_does_not_return_is_found():
    with pytest.raises(PropertyFailed, match=r"applied twice: boxes\[0, 0\] is -1"):
        twice_is_identity(widen, _probes.make_probe("annotated_image", 5, torch.uint8, 3, 1))

    def shift_map(pair):
        return SegmentedImage(pair.image.flip(-1), pair.segments.roll(1, -1))

    with pytest.raises(PropertyFailed, match=r"applied twice: segments\[0, 0\]"):
        twice_is_identity(shift_map, SegmentedImage(torch.zeros(1, 1, 3), torch.tensor([[1, 2, 3]])))


@pytest.mark.parametrize(
    ("transform", "reason"),
    [
        (v2.RandomHorizontalFlip(0), "leaves the picture as it is"),
        (v2.RandomRotation((90, 90)), "does not bring the picture back"),
        (v2.RandomCrop(2), "does not bring the picture back"),
    ],
)
def test_what_does_not_undo_itself_says_nothing(transform, reason):
    sample = _probes.make_probe("annotated_image", 4, torch.uint8, 3, 1)
    with pytest.raises(NotApplicable, match=reason):
        twice_is_identity(transform, sample)


def test_a_picture_with_a_symmetry_says_no_more():
    # Black under a quarter turn is black, but the turn is no involution.
    sample = SegmentedImage(torch.zeros(1, 2, 2), torch.tensor([[1, 2], [0, 0]]))
    with pytest.raises(NotApplicable, match="does not bring the picture back"):
        twice_is_identity(v2.RandomRotation((90, 90)), sample)


def test_it_must_return_if_told_so():
    with pytest.raises(PropertyFailed, match="applied twice: image"):
        twice_is_identity(v2.RandomRotation((90, 90)), torch.rand(1, 3, 3), is_involution=True)


def test_positions_that_move_by_their_own_draws_are_passed_over():
    tokens = _probes.make_probe("segment_tokens", 4, torch.float32, 3, 2)
    twice_is_identity(v2.Compose([RandomMirror(p=1), PositionJitter()]), tokens)

    def drift(tokens):
        return dataclasses.replace(RandomMirror(p=1)(tokens), boxes=torch.zeros_like(torch.Tensor(tokens.boxes)))

    with pytest.raises(PropertyFailed, match="applied twice: boxes"):
        twice_is_identity(drift, tokens)
