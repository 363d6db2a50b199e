"""What tests of transforms share: batches whose tokens can be told apart."""

import pytest
import torch

from segaug import SegmentTokens


@pytest.fixture(scope="session")
def make_marked():
    """``make_marked(((2, True), (0, False)))``: a batch of images with so many segments, with or without background.

    Token t of image i is filled with the float ``(16 * i + t + 1) / 1024``; labels have gaps, and areas are random.
    """

    def make(images, *, padding: int = 0, seed: int = 0) -> SegmentTokens:
        generator = torch.Generator().manual_seed(seed)
        counts = [num + background for num, background in images]
        shape = (len(counts), max(counts, default=0) + padding)
        present = torch.arange(shape[1]) < torch.tensor(counts, dtype=torch.int64)[:, None]
        marks = (16 * torch.arange(shape[0])[:, None] + torch.arange(1, shape[1] + 1)) / 1024
        steps = torch.randint(1, 4, shape, generator=generator)
        labels = torch.where(present, steps.cumsum(-1), -1)
        for i, (num, background) in enumerate(images):
            if background:
                labels[i, num] = 0
        corners = torch.rand((*shape, 2, 2), generator=generator).sort(-2).values
        boxes = torch.where((labels == 0)[..., None], -1.0, corners.flatten(-2)) * present[..., None]
        areas = (torch.rand(shape, generator=generator) * 0.3 + 0.01) * present
        pixels = (marks * present)[..., None, None].expand(*shape, 2, 2)
        return SegmentTokens(pixels[:, :, None].clone(), pixels.clone(), boxes, areas, labels)

    return make


@pytest.fixture(scope="session")
def check_packed():
    """``check_packed(out, tokens)``: each token is whole and one of ``tokens``; returns which, (B, M), -1 for padding."""

    def check(out: SegmentTokens, tokens: SegmentTokens) -> torch.Tensor:
        marks = (out.alpha.as_subclass(torch.Tensor)[..., 0, 0] * 1024).round().long() - 1
        assert torch.equal(marks < 0, out.is_padding)
        image, slot = marks // 16, marks % 16
        for name in ("patches", "alpha", "boxes", "areas"):
            field, before = (getattr(part, name).as_subclass(torch.Tensor) for part in (out, tokens))
            assert type(getattr(out, name)) is type(getattr(tokens, name))
            assert torch.equal(field[marks >= 0], before[image[marks >= 0], slot[marks >= 0]])
            assert not field[marks < 0].any()
        for row in out.labels.tolist():
            present = [label for label in row if label >= 0]
            assert len(set(present)) == len(present)
            assert row == sorted(present, key=lambda label: (label == 0, label)) + [-1] * (len(row) - len(present))
        assert torch.equal(out.labels[marks >= 0] == 0, tokens.labels[image[marks >= 0], slot[marks >= 0]] == 0)
        return torch.where(marks < 0, -1, 16 * image + slot)

    return check
