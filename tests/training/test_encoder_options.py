import pytest
import torch
from torch import nn

from segaug.models import MaskedSViT
from segaug.training import load_checkpoint, load_model, save_checkpoint
from segaug.training._encoder_options import encoder_options


def test_the_svit_is_found_in_what_is_around_it(make_model):
    model = make_model(pixel_mean=(0.5, 0.4, 0.3), alpha_channel=True)
    expected = {
        "alpha_channel": True,
        "num_heads": 2,
        "pixel_mean": [0.5, 0.4, 0.3],
        "pixel_std": [0.225],
        "position": "fourier",
    }
    around = [model, MaskedSViT(model), nn.Sequential(model), torch.compile(model, backend="eager")]
    assert [encoder_options(module) for module in around] == [expected] * 4
    assert encoder_options(nn.Linear(2, 1)) == {}


def test_weights_do_not_go_into_a_model_that_reads_pixels_otherwise(tmp_path, make_model):
    save_checkpoint(tmp_path / "a.safetensors", make_model())
    checkpoint = load_checkpoint(tmp_path / "a.safetensors")
    load_model(make_model(pixel_mean=(0.45, 0.45, 0.45)), checkpoint)
    with pytest.raises(ValueError, match=r"is of another model: pixel_mean is \[0\.45\] there and \[0\.9\] here"):
        load_model(make_model(pixel_mean=0.9), checkpoint)
