"""Whole images mirrored, each by its own draw."""

import pytest
import torch

from segaug import Grid, RandomMirror, Segment, Tokenize, collate

FIELDS = ("patches", "alpha", "boxes", "areas", "labels")


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (8, 3, 32, 48), dtype=torch.uint8, generator=generator)
    return collate([Tokenize(8)(Segment(Grid(2 + i % 2, 3))(image)) for i, image in enumerate(images)])


def test_each_image_draws(batch):
    torch.manual_seed(3)
    after = RandomMirror()(batch)
    mirrored = [not torch.equal(after[i].patches, batch[i].patches) for i in range(8)]
    assert 0 < sum(mirrored) < 8
    everything = RandomMirror(1.0)(batch)
    for i, is_mirrored in enumerate(mirrored):
        for name in FIELDS:
            assert torch.equal(getattr(after[i], name), getattr((everything if is_mirrored else batch)[i], name))


def test_mirroring_twice_is_nothing_and_background_and_padding_stay(batch):
    everything = RandomMirror(1.0)(batch)
    twice = RandomMirror(1.0)(everything)
    assert torch.equal(twice.patches, batch.patches)
    assert torch.allclose(twice.boxes, batch.boxes, atol=1e-6)
    for kept in (batch.is_background, batch.is_padding):
        assert torch.equal(everything.boxes[kept], batch.boxes[kept])


def test_one_image(batch):
    one = batch[1]
    assert torch.equal(RandomMirror(1.0)(one).patches, one.patches.flip(-1))
    assert torch.equal(RandomMirror(0.0)(one).patches, one.patches)


def test_parameters_can_be_applied_again_and_a_generator_is_the_only_source(batch):
    mirror = RandomMirror(generator=torch.Generator().manual_seed(1))
    state = torch.get_rng_state()
    params = mirror.make_params([batch])
    assert torch.equal(mirror.transform(batch, params).patches, mirror.transform(batch, params).patches)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(
        RandomMirror(generator=torch.Generator().manual_seed(1)).make_params([batch])["mirror"], params["mirror"]
    )


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"p must be in \[0\.0, 1\.0\], got 2"):
        RandomMirror(2)
    with pytest.raises(TypeError, match="RandomMirror takes SegmentTokens"):
        RandomMirror()(torch.zeros(3, 4, 4))
