import pytest
import timm.models.deit
import torch
import torchvision
from timm.layers import resample_abs_pos_embed, resample_patch_embed
from timm.models.vision_transformer import VisionTransformer
from torch.testing import assert_close

from segaug.models import load_vit_weights
from segaug.structures import SegmentTokens

SMALL = {"img_size": 16, "patch_size": 4, "embed_dim": 32, "depth": 2, "num_heads": 4, "num_classes": 5}


def make_timm(cls=VisionTransformer, **options):
    return randomized(cls(**{**SMALL, **options}))


def make_torchvision(**options):
    sizes = {"image_size": 16, "patch_size": 4, "num_layers": 2, "num_heads": 4, "hidden_dim": 32, "mlp_dim": 128}
    return randomized(torchvision.models.VisionTransformer(**sizes, num_classes=5, **options))


def randomized(vit):
    """With large weights, and fixed ones."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in vit.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return vit.eval()


def make_grid_tokens(images, size=4):
    """What Grid and Tokenize(background=False) make of images whose sides are multiples of the patches'."""
    patches = images.unfold(2, size, size).unfold(3, size, size).permute(0, 2, 3, 1, 4, 5).flatten(1, 2)
    count, n = patches.shape[:2]
    alpha, boxes, areas = torch.ones(count, n, size, size), torch.rand(count, n, 4), torch.rand(count, n)
    return SegmentTokens(patches, alpha, boxes, areas, torch.arange(1, n + 1).expand(count, n))


def check_accounting(found, model, state):
    """Every parameter once; every key in what was loaded, left out, or named in how something was adapted."""
    parts = [found.loaded, found.adapted, found.kept]
    names = [name for part in parts for name in part]
    assert sorted(names) == sorted(name for name, _ in model.named_parameters())
    mentioned = " ".join([*found.adapted, *found.adapted.values()])
    used = {*found.loaded.values(), *found.left_out}
    for key in state:
        assert key in used or key in mentioned or key.replace("encoder.pos_embedding", "pos_embed") in mentioned, key


def check_same_logits(vit, model, images):
    tokens = make_grid_tokens(images)
    with torch.no_grad():
        # What a ViT's transforms do beforehand, S-ViT does itself.
        expected, logits = vit((images - 0.45) / 0.225), model(tokens)
        assert expected.std() > 0.1
        assert_close(logits, expected, atol=1e-4, rtol=0)


VITS = {
    "timm": (make_timm, {}),
    "timm's mean": (lambda: make_timm(class_token=False, global_pool="avg"), {"pool": "mean"}),
    "registers": (lambda: make_timm(reg_tokens=3, no_embed_class=True), {"num_registers": 3}),
    "registers with rows": (lambda: make_timm(reg_tokens=3), {"num_registers": 3}),
    "layer scale": (lambda: make_timm(init_values=0.1), {"init_values": 1e-5}),
    "layer scale into the layers": (lambda: make_timm(init_values=0.1), {}),
    "no layer scale": (make_timm, {"init_values": 1e-5}),
    "no bias": (lambda: make_timm(qkv_bias=False), {}),
    "distilled": (lambda: make_timm(timm.models.deit.VisionTransformerDistilled), {"distillation": True}),
    "torchvision": (make_torchvision, {}),
}


@pytest.mark.parametrize("kind", VITS)
def test_grid_and_table_give_the_vits_logits_and_nothing_is_left_over(make_model, kind):
    make_vit, options = VITS[kind]
    vit, model = make_vit(), make_model(position="table", num_positions=16, **options)
    state = vit.state_dict()
    found = load_vit_weights(model, state)
    assert not found.left_out
    assert not found.kept
    check_accounting(found, model, state)
    check_same_logits(vit, model, torch.rand(2, 3, 16, 16))
    if kind in ("timm", "timm's mean", "distilled", "layer scale", "torchvision"):
        assert not found.adapted
        assert str(found) == f"{len(state)} loaded"


@pytest.mark.parametrize("kind", ["timm", "torchvision"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"model": state},
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {f"module.{name}": value for name, value in state.items()},
        lambda state: {"model": {f"module.{name}": value.double() for name, value in state.items()}},
    ],
)
def test_wrapped_state_dicts(make_model, kind, wrap):
    vit, model = VITS[kind][0](), make_model(position="table")
    load_vit_weights(model, wrap(vit.state_dict()))
    check_same_logits(vit, model, torch.rand(1, 3, 16, 16))
    assert model.head.weight.dtype == torch.float32


def test_torchvisions_old_names(make_model):
    vit, model = make_torchvision(), make_model(position="table")
    old = {
        n.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): v for n, v in vit.state_dict().items()
    }
    load_vit_weights(model, old)
    check_same_logits(vit, model, torch.rand(1, 3, 16, 16))


@pytest.mark.parametrize("grid", [(8, 8), (3, 3), (2, 5)])
@pytest.mark.parametrize("kind", ["timm", "registers", "distilled"])
def test_another_grid_is_resampled_as_timm_does_it(make_model, kind, grid):
    make_vit, options = VITS[kind]
    vit, model = make_vit(), make_model(position="table", num_positions=grid[0] * grid[1], **options)
    found = load_vit_weights(model, vit.state_dict(), grid=grid)
    prefix = {"timm": 1, "registers": 0, "distilled": 2}[kind]
    expected = resample_abs_pos_embed(vit.pos_embed, list(grid), num_prefix_tokens=prefix)
    assert_close(model.pos_embed[:, -grid[0] * grid[1] :], expected[:, prefix:], atol=1e-5, rtol=0)
    assert found.adapted["pos_embed"].startswith(f"4x4 resampled to {grid[0]}x{grid[1]}")


def test_a_square_number_of_places_in_another_grid_is_resampled(make_model):
    model = make_model(position="table", num_positions=16)
    found = load_vit_weights(model, make_timm().state_dict(), grid=(2, 8))
    assert found.adapted == {"pos_embed": "4x4 resampled to 2x8"}


def test_a_table_that_is_no_square(make_model):
    vit, model = make_timm(img_size=(8, 24)), make_model(position="table", num_positions=12)
    load_vit_weights(model, vit.state_dict(), grid=(2, 6))
    check_same_logits(vit, model, torch.rand(1, 3, 8, 24))


@pytest.mark.parametrize("size", [2, 3, 6])
def test_another_patch_size_is_resampled_as_timm_does_it(make_model, size):
    vit, model = make_timm(), make_model(patch_size=size)
    found = load_vit_weights(model, vit.state_dict())
    expected = resample_patch_embed(vit.patch_embed.proj.weight.detach(), [size, size])
    assert_close(model.patch_embed.proj.weight.detach(), expected, atol=1e-4, rtol=1e-4)
    assert found.adapted["patch_embed.proj.weight"] == f"patches of 4x4 resampled to {size}x{size}"


def test_larger_patches_give_what_the_small_ones_gave(make_model):
    vit, model = make_timm(), make_model(patch_size=8)
    load_vit_weights(model, vit.state_dict())
    patches = torch.rand(7, 3, 4, 4)
    larger = torch.nn.functional.interpolate(patches, size=(8, 8), mode="bicubic", antialias=True)
    with torch.no_grad():
        assert_close(model.patch_embed(larger), vit.patch_embed.proj(patches).flatten(1), atol=1e-4, rtol=0)


def test_alpha_gets_zeros(make_model):
    vit, model = make_timm(), make_model(position="table", alpha_channel=True)
    found = load_vit_weights(model, vit.state_dict())
    assert found.adapted == {"patch_embed.proj.weight": "zeros for alpha"}
    check_same_logits(vit, model, torch.rand(2, 3, 16, 16))


@pytest.mark.parametrize("classes", [3, 5])
def test_a_head_for_other_classes_stays(make_model, classes):
    vit, model = make_timm(), make_model(classes, position="table")
    before = model.head.weight.detach().clone()
    found = load_vit_weights(model, vit.state_dict())
    assert torch.equal(model.head.weight, before) == (classes == 3)
    if classes == 3:
        assert set(found.left_out) == set(found.kept) == {"head.weight", "head.bias"}
        assert found.left_out["head.bias"] == "5 classes, the model has 3"
    check_accounting(found, model, vit.state_dict())


@pytest.mark.parametrize(
    ("kind", "options", "left_out", "kept"),
    [
        ("timm", {"position": "fourier"}, {"pos_embed"}, {"position_embed.mlp.fc1.weight"}),
        ("torchvision", {"position": "mlp"}, {"encoder.pos_embedding"}, {"position_embed.mlp.fc2.bias"}),
        ("registers with rows", {"num_registers": 3}, {"pos_embed"}, {"position_embed.mlp.fc1.weight"}),
        ("timm", {"pool": "mean", "position": "table"}, {"cls_token"}, set()),
        ("torchvision", {"pool": "mean", "position": "table"}, {"class_token"}, set()),
        ("timm", {"pool": "class_attention"}, {"cls_token"}, {"cls_token", "blocks_token_only.0.attn.q.weight"}),
        ("timm", {"num_registers": 2, "color_embed": True}, set(), {"reg_token", "color_embed.fc1.weight"}),
        ("timm", {"stem": "conv"}, {"patch_embed.proj.weight", "patch_embed.proj.bias"}, {"patch_embed.conv1.weight"}),
        ("timm's mean", {"position": "table"}, set(), {"cls_token"}),
        ("timm", {"distillation": True, "position": "table"}, set(), {"dist_token", "head_dist.weight"}),
        ("distilled", {"position": "table"}, {"dist_token", "head_dist.weight", "head_dist.bias"}, set()),
        ("registers with rows", {"position": "table"}, {"reg_token"}, set()),
    ],
)
def test_what_the_model_has_no_use_for_or_the_vit_has_not(make_model, kind, options, left_out, kept):
    vit, model = VITS[kind][0](), make_model(**options)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    found = load_vit_weights(model, vit.state_dict())
    assert left_out <= set(found.left_out)
    assert kept <= set(found.kept)
    check_accounting(found, model, vit.state_dict())
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]) == (name in found.kept), name
    assert all(name in str(found) for name in left_out | kept if "blocks_token_only" not in name)


def test_the_final_norm_goes_where_the_models_is(make_model):
    vit, model = make_timm(), make_model(pool="mean")
    found = load_vit_weights(model, vit.state_dict())
    assert torch.equal(model.fc_norm.weight, vit.norm.weight)
    assert found.adapted["fc_norm.weight"] == "from norm.weight: the model's norm is there"
    vit, model = make_timm(class_token=False, global_pool="avg"), make_model()
    load_vit_weights(model, vit.state_dict())
    assert torch.equal(model.norm.bias, vit.fc_norm.bias)


def test_what_it_says(make_model):
    found = load_vit_weights(make_model(3, alpha_channel=True), make_timm(init_values=0.1).state_dict())
    assert str(found).splitlines() == [
        "20 loaded",
        "adapted: patch_embed.proj.weight (zeros for alpha)",
        "adapted: blocks.0.attn.proj.weight, blocks.0.attn.proj.bias (times blocks.0.ls1.gamma)",
        "adapted: blocks.0.mlp.fc2.weight, blocks.0.mlp.fc2.bias (times blocks.0.ls2.gamma)",
        "adapted: blocks.1.attn.proj.weight, blocks.1.attn.proj.bias (times blocks.1.ls1.gamma)",
        "adapted: blocks.1.mlp.fc2.weight, blocks.1.mlp.fc2.bias (times blocks.1.ls2.gamma)",
        "left out: pos_embed (the model has position='fourier')",
        "left out: head.weight, head.bias (5 classes, the model has 3)",
        "kept: position_embed.mlp.fc1.weight, position_embed.mlp.fc1.bias, position_embed.mlp.fc2.weight, "
        "position_embed.mlp.fc2.bias (no ViT has this)",
        "kept: head.weight, head.bias (a head for 3 classes)",
    ]


# -- bad input --------------------------------------------------------------------------------------------------------


def with_key(name, value):
    return lambda state: state | {name: value}


def without_key(name):
    return lambda state: {key: value for key, value in state.items() if key != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_key("norm_pre.weight", torch.ones(32)), "keys that have a place in the model, got norm_pre.weight"),
        (with_key("blocks.2.norm1.bias", torch.ones(32)), r"got blocks\.2\.norm1\.bias"),
        (with_key("blocks.0.attn.q_norm.weight", torch.ones(8)), r"got blocks\.0\.attn\.q_norm\.weight"),
        (without_key("blocks.1.mlp.fc1.weight"), r"it lacks blocks\.1\.mlp\.fc1\.weight"),
        (without_key("norm.bias"), r"it lacks norm\.bias"),
        (without_key("head.bias"), r"it lacks head\.bias"),
        (with_key("blocks.0.norm1.bias", torch.ones(8)), r"blocks\.0\.norm1\.bias must have shape \(32,\).*got \(8,\)"),
        (with_key("pos_embed", torch.ones(1, 15, 32)), "pos_embed must have one row for each place .* got 15 rows"),
        (with_key("pos_embed", torch.ones(1, 17, 8)), r"pos_embed must have shape \(1, rows, 32\), got \(1, 17, 8\)"),
        (with_key("cls_token", torch.ones(32)), r"cls_token must have shape \(1, tokens, width\), got \(32,\)"),
        (
            with_key("patch_embed.proj.weight", torch.ones(32, 1, 4, 4)),
            r"patch_embed\.proj\.weight must have shape .*3",
        ),
        (with_key("patch_embed.proj.weight", torch.ones(8, 3, 2, 2)), r"patch_embed\.proj\.weight must have shape"),
        (with_key("class_token", torch.ones(1, 1, 32)), "a weight once, got cls_token and class_token"),
        (with_key("blocks.0.ls1.gamma", torch.ones(8)), r"blocks\.0\.ls1\.gamma must have shape \(32,\)"),
        (with_key("head.weight", torch.tensor(1.0)), r"head\.weight must have shape \(5, 32\)"),
        (lambda _: {}, "must hold weights, got an empty one"),
        (lambda _: {"model": {}}, "must hold weights, got an empty one"),
    ],
)
def test_bad_state_dicts_change_nothing(make_model, change, message):
    model = make_model(position="table", num_positions=9)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        load_vit_weights(model, change(make_timm().state_dict()))
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_table_that_could_be_two(make_model):
    # 9 rows: a 3x3 grid and no rows for the five tokens, or a 2x2 grid and five.
    state = make_timm(img_size=8, reg_tokens=4).state_dict()
    with pytest.raises(ValueError, match="the 5 other tokens or none of them, got 9 rows, which fits both"):
        load_vit_weights(make_model(position="table", num_registers=4), state)


@pytest.mark.parametrize("position", ["table", "fourier"])
@pytest.mark.parametrize(("no_embed", "side"), [(False, 4), (True, 5)])
def test_a_grid_decides_what_a_table_is(make_model, position, no_embed, side):
    # 25 rows: a 4x4 grid with rows for 9 other tokens, or a 5x5 grid without.
    vit = make_timm(img_size=4 * side, reg_tokens=8, no_embed_class=no_embed)
    assert vit.pos_embed.shape[1] == 25
    places = {"num_positions": side**2} if position == "table" else {}
    model = make_model(position=position, num_registers=8, **places)
    with pytest.raises(ValueError, match="which fits both"):
        load_vit_weights(model, vit.state_dict())
    found = load_vit_weights(model, vit.state_dict(), grid=(side, side))
    check_accounting(found, model, vit.state_dict())
    assert_close(model.reg_token, vit.reg_token + (0 if no_embed else vit.pos_embed[:, 1:9]), atol=0, rtol=0)
    if position == "table":
        check_same_logits(vit, model, torch.rand(1, 3, 4 * side, 4 * side))


def test_a_grid_that_is_not_the_tables(make_model):
    state = make_timm(reg_tokens=3).state_dict()
    with pytest.raises(ValueError, match=r"grid must have as many places as pos_embed, 16, got \(3, 3\)"):
        load_vit_weights(make_model(num_registers=3), state, grid=(3, 3))


@pytest.mark.parametrize(
    ("options", "grid", "message"),
    [
        ({"position": "table", "num_positions": 12}, None, "grid must be given: the model has 12 positions"),
        ({"position": "table", "num_positions": 12}, (3, 5), r"as many places as the model, 12, got \(3, 5\)"),
        ({"position": "mlp"}, (3, 4), r"grid must be None for a model with position='mlp', got \(3, 4\)"),
        ({"position": "table", "num_positions": 12}, (0, 12), "grid must be at least 1, got 0"),
    ],
)
def test_bad_grids(make_model, options, grid, message):
    with pytest.raises(ValueError, match=message):
        load_vit_weights(make_model(**options), make_timm().state_dict(), grid=grid)


def test_bad_types(make_model):
    state = make_timm().state_dict()
    with pytest.raises(TypeError, match="model must be an SViT, got"):
        load_vit_weights(make_timm(), state)
    with pytest.raises(TypeError, match="state_dict must be a mapping of names to tensors, got"):
        load_vit_weights(make_model(), list(state.values()))
    with pytest.raises(TypeError, match="mapping of names to tensors, got 3 for 'epoch'"):
        load_vit_weights(make_model(), state | {"epoch": 3})
    with pytest.raises(TypeError, match=r"grid must be \(rows, columns\) or None, got 4"):
        load_vit_weights(make_model(position="table"), state, grid=4)
