import pytest
import torch

from segaug.training import Meter


def test_means_are_over_images_and_not_over_batches():
    meter = Meter()
    meter.add(torch.tensor(1.0), torch.tensor([[0.0, 1.0]]), torch.tensor([1]))
    meter.add(torch.tensor(4.0), torch.tensor([[0.0, 1.0]] * 3), torch.tensor([0, 0, 1]))
    assert meter.images == 4
    assert meter.loss == pytest.approx(13 / 4)
    assert meter.accuracy == 0.5
    assert meter.images_per_second > 0


def test_nothing_seen():
    meter = Meter()
    assert (meter.images, meter.loss, meter.accuracy) == (0, 0.0, 0.0)
