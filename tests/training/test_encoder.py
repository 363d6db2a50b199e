import pytest
import torch

from segaug.models import MaskedSViT, SViT
from segaug.training import RunFolder, fit, load_checkpoint, load_encoder, pretrain, save_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
POOLS = ("cls", "mean", "class_attention", "distilled")


def randomized(model):
    """With no two weights equal, of this model or another."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.rand_like(parameter))
    return model


def pretrain_once(folder, encoder, tokens):
    model = MaskedSViT(encoder, decoder_dim=8, decoder_depth=1)
    pretrain(model, tokens, RunFolder(folder), epochs=1, progress=False)
    return model


def assert_same_weights(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_loads_what_was_pretrained_and_says_what_it_left(tmp_path, make_model, token_sets):
    model = pretrain_once(tmp_path, make_model(pool="mean"), token_sets[0])
    path = tmp_path / "encoder.safetensors"
    for options, left in (
        ({"pool": "mean"}, {"fc_norm.weight", "fc_norm.bias"}),
        ({"pool": "cls"}, {"cls_token", "norm.weight", "norm.bias"}),
    ):
        fresh = SViT(7, patch_size=8, embed_dim=16, depth=2, num_heads=2, **options)
        before = {name: tensor.clone() for name, tensor in fresh.state_dict().items()}
        assert set(load_encoder(fresh, path)) == left | {"head.weight", "head.bias"}
        for name, tensor in fresh.state_dict().items():
            stays = name in left or name.startswith("head.")
            assert torch.equal(tensor, before[name] if stays else model.encoder.state_dict()[name])


def test_takes_a_trained_classifier(tmp_path, make_model):
    trained = make_model()
    save_checkpoint(tmp_path / "best.safetensors", trained)
    fresh = SViT(9, patch_size=8, embed_dim=16, depth=2, num_heads=2)
    assert load_encoder(fresh, tmp_path / "best.safetensors") == ["head.weight", "head.bias"]
    assert torch.equal(fresh.norm.weight, trained.norm.weight)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 3}, "is of another encoder: blocks.2.norm1.weight is missing there and 16 here; .* and 9 more"),
        ({"depth": 1}, "blocks.1.attn.proj.bias is 16 there and missing here; .* and 9 more"),
        ({"embed_dim": 8}, "cls_token is 1x1x16 there and 1x1x8 here"),
        ({"position": "mlp"}, "position_embed.mlp.fc1.weight is 16x65 there and 16x5 here"),
        ({"num_registers": 2}, "reg_token is missing there and 1x2x16 here"),
    ],
)
def test_refuses_another_encoder_and_changes_nothing(tmp_path, make_model, options, message):
    save_checkpoint(tmp_path / "a.safetensors", make_model())
    other = make_model(**options)
    before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        load_encoder(other, tmp_path / "a.safetensors")
    assert_same_weights(before, other.state_dict())


@pytest.mark.parametrize("kind", ["encoder", "best"])
@pytest.mark.parametrize("there", POOLS)
@pytest.mark.parametrize("here", POOLS)
def test_other_pools(tmp_path, make_model, kind, there, here):
    options = [{"pool": pool} for pool in (there, here)]
    for some in options:
        if some["pool"] == "distilled":
            some |= {"pool": "cls", "distillation": True}
    trained = randomized(make_model(**options[0]))
    meta = {"pretrained": MaskedSViT(trained).pretrained} if kind == "encoder" else {}
    save_checkpoint(tmp_path / "a.safetensors", trained, meta=meta)
    model = make_model(**options[1])
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    left = load_encoder(model, tmp_path / "a.safetensors")
    weights = trained.state_dict()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name] if name in left else weights[name]), name
    assert not any(name.startswith(("blocks.", "patch_embed.", "position_embed.")) for name in left)
    late = kind == "encoder" and here == "class_attention"
    if "cls_token" in before:
        assert ("cls_token" in left) == (trained.pool != model.pool or late)
    if here == there and kind == "best":
        assert all(name.startswith("head") for name in left)


@pytest.mark.parametrize("there", POOLS)
@pytest.mark.parametrize("here", POOLS)
def test_rows_of_a_table(tmp_path, make_model, there, here):
    def make(pool, places):
        options = {"pool": "cls", "distillation": True} if pool == "distilled" else {"pool": pool}
        return randomized(make_model(position="table", num_positions=places, **options))

    trained, model = make(there, 9), make(here, 9)
    own = model.pos_embed.detach().clone()
    save_checkpoint(tmp_path / "a.safetensors", trained)
    load_encoder(model, tmp_path / "a.safetensors")
    assert torch.equal(model.pos_embed[:, -9:], trained.pos_embed[:, -9:])
    rows = {"cls": 1, "distilled": 2}
    shared = min(rows.get(there, 0), rows.get(here, 0))
    assert torch.equal(model.pos_embed[:, :shared], trained.pos_embed[:, :shared])
    assert torch.equal(model.pos_embed[:, shared:-9], own[:, shared:-9])
    # As many rows as the other has, but not the same ones.
    other = make(here, 9 + rows.get(there, 0) - rows.get(here, 0))
    if here != there and shared != max(rows.get(there, 0), rows.get(here, 0)):
        with pytest.raises(ValueError, match="num_positions is 9 there and"):
            load_encoder(other, tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    ("there", "here", "message"),
    [
        ({}, {"num_heads": 4}, "num_heads is 2 there and 4 here"),
        (
            {"num_frequencies": 3},
            {"position": "histogram", "num_bins": 6},
            "position is 'fourier' there and 'histogram' here",
        ),
        ({"alpha_channel": True}, {"in_chans": 4}, "alpha_channel is True there and False here"),
        ({"pixel_mean": 0.5}, {}, r"pixel_mean is \[0.5\] there and \[0.45\] here"),
        ({}, {"pixel_std": (0.2, 0.2, 0.3)}, r"pixel_std is \[0.225\] there and \[0.2, 0.2, 0.3\] here"),
    ],
)
def test_refuses_other_options_of_equal_shapes(tmp_path, make_model, there, here, message):
    trained = make_model(**there)
    save_checkpoint(tmp_path / "a.safetensors", trained)
    with pytest.raises(ValueError, match=message):
        load_encoder(make_model(**here), tmp_path / "a.safetensors")
    left = load_encoder(make_model(pool="mean", packed=True, **there), tmp_path / "a.safetensors")
    assert left == ["fc_norm.weight", "fc_norm.bias", "head.weight", "head.bias"]


@pytest.mark.parametrize("name", ["encoder", "best", "last"])
def test_both_loops_say_which_options(tmp_path, make_model, token_sets, name):
    if name == "encoder":
        pretrain_once(tmp_path, make_model(), token_sets[0])
    else:
        fit(make_model(), token_sets[0], token_sets[0], RunFolder(tmp_path), epochs=1, progress=False)
    path = tmp_path / f"{name}.safetensors"
    assert load_checkpoint(path).meta["encoder"] == {
        "alpha_channel": False,
        "num_heads": 2,
        "pixel_mean": [0.45],
        "pixel_std": [0.225],
        "position": "fourier",
    }
    with pytest.raises(ValueError, match="num_heads is 2 there and 4 here"):
        load_encoder(make_model(num_heads=4), path)


def test_a_file_that_is_none(tmp_path, make_model):
    with pytest.raises(FileNotFoundError, match="there is no checkpoint at"):
        load_encoder(make_model(), tmp_path / "encoder.safetensors")
    (tmp_path / "encoder.safetensors").write_bytes(b"no weights")
    with pytest.raises(ValueError, match="is damaged, or no checkpoint"):
        load_encoder(make_model(), tmp_path / "encoder.safetensors")
