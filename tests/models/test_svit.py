import dataclasses
import math

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from timm.models.vision_transformer import VisionTransformer
from torch.nn.utils.rnn import pad_sequence
from torch.testing import assert_close
from torchvision.transforms import v2

from segaug.models import SViT, svit_base, svit_small, svit_tiny
from segaug.structures import SegmentTokens, collate

POOLS = ["cls", "mean", "class_attention"]
OPTIONS = {
    "class attention": {"pool": "class_attention", "num_registers": 2, "init_values": 0.3, "stem": "conv"},
    "distillation": {"distillation": True, "position": "table", "num_registers": 1},
    "histogram": {"position": "histogram", "color_embed": True, "alpha_channel": True},
    "registers": {"pool": "mean", "num_registers": 3, "init_values": 0.3, "color_embed": True},
    "packed": {"packed": True, "num_registers": 1, "stem": "conv", "alpha_channel": True},
}
POSITIONS = ["fourier", "histogram", "mlp", "table"]
SMALL = {"patch_size": 4, "embed_dim": 32, "depth": 2, "num_heads": 4}
FIELDS = ("patches", "alpha", "boxes", "areas", "labels")


def make_model(pool="cls", position="fourier", num_classes=5, seed=0, **options):
    torch.manual_seed(seed)
    if position == "table":
        options = {"num_positions": 16, **options}
    model = SViT(num_classes, **{**SMALL, "pool": pool, "position": position, **options})
    # Weights much larger than the initial ones, so that a leak through attention would show in the logits.
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
    return model.eval()


def make_tokens(n, seed=0, *, background=True, size=4, dtype=torch.uint8, channels=3):
    """One image of ``n`` tokens, the last of them the background."""
    generator = torch.Generator().manual_seed(seed)
    alpha = torch.randint(0, 256, (n, size, size), dtype=torch.uint8, generator=generator)
    patches = torch.randint(0, 256, (n, channels, size, size), dtype=torch.uint8, generator=generator)
    corners = torch.rand(n, 2, 2, generator=generator).sort(1).values
    boxes, areas = corners.flatten(1), torch.rand(n, generator=generator)
    labels = torch.arange(1, n + 1)
    if background and n:
        labels[-1], boxes[-1] = 0, -1.0
    if dtype.is_floating_point:
        patches, alpha = patches.to(dtype) / 255, alpha.to(dtype) / 255
    return SegmentTokens(patches, alpha, boxes, areas, labels)


def pad(images, extra, garbage):
    """Batch images as collate does, with ``extra`` more slots, and fill every padded slot with ``garbage``."""
    fills = dict.fromkeys(FIELDS, garbage) | {"labels": -1}
    slot = make_tokens(max(len(image.labels) for image in images) + extra)
    stacked = {}
    for name in FIELDS:
        rows = [getattr(image, name).as_subclass(torch.Tensor) for image in images]
        fill = fills[name]
        if rows[0].dtype == torch.uint8 and not math.isfinite(fill):
            fill = 255
        longest = getattr(slot, name).as_subclass(torch.Tensor).to(rows[0].dtype)
        stacked[name] = pad_sequence([*rows, longest], batch_first=True, padding_value=fill)[:-1]
    return SegmentTokens(**stacked)


def fields_of(tokens):
    return {name: getattr(tokens, name) for name in FIELDS}


# -- what logits depend on --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha_channel", [False, True])
@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("pool", POOLS)
@settings(max_examples=3, deadline=None, derandomize=True)
@given(n=st.integers(1, 9), other=st.integers(1, 9), extra=st.integers(0, 4), seed=st.integers(0, 99))
def test_logits_do_not_depend_on_batch_padding_or_order(pool, position, alpha_channel, n, other, extra, seed):
    model = make_model(pool, position, alpha_channel=alpha_channel)
    background = position != "table"
    image = make_tokens(n, seed, background=background)
    neighbour = make_tokens(other, seed + 1, background=background)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        alone = model(collate([image]))
        assert_close(model(collate([image, neighbour]))[:1], alone, atol=1e-5, rtol=0)
        assert_close(model(pad([neighbour, image], extra, 77.0))[1:], alone, atol=1e-5, rtol=0)
        assert_close(model(collate([image[order]])), alone, atol=1e-5, rtol=0)
        assert_close(model(image), alone[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("options", OPTIONS)
@settings(max_examples=6, deadline=None, derandomize=True)
@given(n=st.integers(1, 9), other=st.integers(1, 9), extra=st.integers(0, 4), seed=st.integers(0, 99))
def test_no_option_makes_logits_depend_on_batch_padding_or_order(options, n, other, extra, seed):
    model = make_model(**OPTIONS[options])
    image, neighbour = (make_tokens(k, seed + k, background=False) for k in (n, other))
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        alone = model(collate([image]))
        assert_close(model(collate([image, neighbour]))[:1], alone, atol=2e-5, rtol=1e-5)
        assert_close(model(pad([neighbour, image], extra, 77.0))[1:], alone, atol=2e-5, rtol=1e-5)
        assert_close(model(collate([image[order]])), alone, atol=2e-5, rtol=1e-5)
        assert_close(model(image), alone[0], atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("garbage", [math.inf, math.nan])
@pytest.mark.parametrize("options", OPTIONS)
def test_with_no_option_do_contents_of_padding_reach_anything(options, garbage):
    images = [make_tokens(n, n, background=False, dtype=torch.float32) for n in (2, 5)]
    results = []
    for fill in (0.0, garbage):
        model = make_model(**OPTIONS[options])
        logits = model(pad(images, 3, fill))
        logits.square().sum().backward()
        results.append((logits.detach(), [parameter.grad for parameter in model.parameters()]))
    assert_close(results[0], results[1], atol=0, rtol=0)


@pytest.mark.parametrize("options", OPTIONS)
def test_gradients_reach_every_parameter_of_every_option(options):
    model = make_model(**OPTIONS[options], **({"num_positions": 4} if options == "distillation" else {})).train()
    logits = model(collate([make_tokens(n, n, background=False) for n in (4, 2)]))
    logits = torch.cat(logits) if isinstance(logits, tuple) else logits
    torch.nn.functional.cross_entropy(logits, torch.arange(len(logits))).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("options", OPTIONS)
def test_every_option_runs_in_bfloat16_and_under_autocast(options):
    model, tokens = make_model(**OPTIONS[options]), collate([make_tokens(n, background=False) for n in (3, 5)])
    with torch.no_grad():
        exact = model(tokens)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert_close(model(tokens).float(), exact, atol=0.4, rtol=0.1)
        half = model.to(torch.bfloat16)(tokens)
    assert half.dtype == torch.bfloat16
    assert_close(half.float(), exact, atol=0.4, rtol=0.1)


@pytest.mark.parametrize("pool", ["cls", "mean", "class_attention"])
@pytest.mark.parametrize(
    ("weights", "autocast", "stream"),
    [
        (torch.float32, True, torch.float32),
        (torch.bfloat16, False, torch.bfloat16),
        (torch.bfloat16, True, torch.bfloat16),
    ],
)
def test_what_the_blocks_add_to_has_the_precision_of_the_weights(pool, weights, autocast, stream):
    model, seen = make_model(pool=pool).to(weights), []
    for block in (*model.blocks, *model.blocks_token_only):
        block.register_forward_hook(lambda _, args, output: seen.extend([args[0].dtype, output.dtype]))
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        model(collate([make_tokens(3), make_tokens(5)]))
    assert set(seen) == {stream}


def test_printed_models_differ_where_shapes_do_not():
    options = [{}, {"num_heads": 2}, {"packed": True}, {"pool": "class_attention"}, {"drop_path_rate": 0.1}]
    # The same widths: sines and cosines of 3, or 6 bins.
    options += [{"num_frequencies": 3}, {"position": "histogram", "num_bins": 6}]
    options += [{"in_chans": 4}, {"alpha_channel": True}]
    printed = [repr(make_model(**some)) for some in options]
    assert len(set(printed)) == len(printed)
    assert "num_heads=2" in printed[1]
    class_attention = [repr(make_model(pool="class_attention", num_heads=heads).blocks_token_only) for heads in (2, 4)]
    assert class_attention[0] != class_attention[1]
    assert repr(make_model(seed=1)) == printed[0]


def test_color_embed_takes_the_mean_of_the_segments_own_pixels():
    model = make_model(color_embed=True)
    tokens = make_tokens(1, background=False, dtype=torch.float32)
    color = torch.tensor([0.2, 0.5, 0.8])
    fields = fields_of(tokens) | {"patches": tokens.alpha.as_subclass(torch.Tensor)[:, None] * color[:, None, None]}
    plain = make_model(color_embed=True)
    plain.color_embed = None
    tokens = SegmentTokens(**fields)
    color = (color - 0.45) / 0.225
    assert_close(model.embed(tokens)[1] - plain.embed(tokens)[1], model.color_embed(color), atol=1e-5, rtol=0)


def test_every_embedding_takes_no_token_at_all():
    for options in ({"stem": "conv"}, {"color_embed": True}, {"position": "histogram"}):
        model, empty = make_model(**options), make_tokens(0)
        assert_close(model(collate([empty, make_tokens(2)]))[0], model(empty), atol=1e-5, rtol=0)


@pytest.mark.parametrize("garbage", [1e30, math.inf, math.nan])
@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("pool", POOLS)
def test_contents_of_padding_reach_neither_logits_nor_gradients(pool, position, garbage):
    images = [make_tokens(n, n, background=False, dtype=torch.float32) for n in (2, 5)]
    results = []
    for fill in (0.0, garbage):
        model = make_model(pool, position, alpha_channel=True)
        logits = model(pad(images, 3, fill))
        logits.square().sum().backward()
        results.append((logits.detach(), [parameter.grad for parameter in model.parameters()]))
    assert_close(results[0], results[1], atol=0, rtol=0)


@pytest.mark.parametrize("pool", POOLS)
def test_no_mask_gives_what_a_mask_of_nothing_gives(pool, monkeypatch):
    model, tokens = make_model(pool), collate([make_tokens(6, seed) for seed in range(2)])
    with torch.no_grad():
        without = model(tokens)
        length = 6 + model.num_prefix_tokens
        monkeypatch.setattr(model, "_key_mask", lambda padding: torch.ones(2, 1, 1, length, dtype=torch.bool))
        assert_close(model(tokens), without, atol=1e-6, rtol=0)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("name", ["patches", "boxes", "areas"])
def test_patches_boxes_and_areas_are_used(name, pool):
    model, tokens = make_model(pool), make_tokens(4, dtype=torch.float32)
    changed = dataclasses.replace(tokens, **{name: getattr(tokens, name) * 0.5})
    assert not torch.allclose(model(changed), model(tokens), atol=1e-3)


def test_where_nothing_is_normalised_alpha_is_used_only_as_a_channel():
    tokens = make_tokens(4)
    changed = dataclasses.replace(tokens, alpha=255 - tokens.alpha)
    as_they_are = {"pixel_mean": 0.0, "pixel_std": 1.0}
    without, with_alpha = make_model(**as_they_are), make_model(alpha_channel=True, **as_they_are)
    assert_close(without(changed), without(tokens), atol=0, rtol=0)
    assert not torch.allclose(with_alpha(changed), with_alpha(tokens), atol=1e-3)
    assert without.patch_embed.proj.weight.shape == (32, 3, 4, 4)
    assert with_alpha.patch_embed.proj.weight.shape == (32, 4, 4, 4)


def test_background_is_told_from_a_segment_that_covers_everything():
    # cos(pi 2^k x) is the same at -1 and 1, and the sine is 0 at both.
    model, tokens = make_model(), make_tokens(1)
    full = dataclasses.replace(tokens, boxes=-tokens.boxes)
    assert not torch.allclose(model(full), model(tokens), atol=1e-3)


def test_table_depends_on_labels_and_not_on_boxes():
    model, tokens = make_model(position="table"), make_tokens(4, background=False)
    moved = dataclasses.replace(tokens, boxes=tokens.boxes * 0.5, areas=tokens.areas * 0.5)
    assert_close(model(moved), model(tokens), atol=0, rtol=0)
    relabelled = dataclasses.replace(tokens, labels=tokens.labels + 3)
    assert not torch.allclose(model(relabelled), model(tokens), atol=1e-3)


# -- pixels -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha_channel", [False, True])
def test_uint8_equals_floats_in_the_unit_range(alpha_channel):
    model = make_model(alpha_channel=alpha_channel)
    tokens = make_tokens(5)
    floats = v2.ToDtype(torch.float32, scale=True)(tokens)
    assert floats.patches.dtype == torch.float32
    assert_close(model(tokens), model(floats), atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
def test_pixels_are_normalised_and_stay_0_outside_the_segment(dtype):
    mean, std = (0.5, 0.4, 0.3), (0.25, 0.2, 0.1)
    model, tokens = make_model(pixel_mean=mean, pixel_std=std), make_tokens(5, dtype=dtype)
    pixels, alpha = (field.as_subclass(torch.Tensor) for field in (tokens.patches, tokens.alpha))
    if dtype == torch.uint8:
        pixels, alpha = pixels / 255, alpha / 255
    mean, std = (torch.tensor(value)[:, None, None] for value in (mean, std))
    covered = alpha[:, None] > 0
    straight = torch.where(covered, pixels / alpha[:, None].clamp_min(1e-6), 0)
    expected = torch.where(covered, (straight - mean) / std, 0) * alpha[:, None]
    with torch.no_grad():
        conv = model.patch_embed.proj(expected).flatten(1)
        embedded = model.embed(tokens)[1:] - model.position_embed(tokens.positions)
    assert_close(embedded, conv, atol=1e-4, rtol=0)


def test_normalized_floats_are_taken_as_they_are_where_the_model_does_not_normalise():
    model = make_model(pixel_mean=0.0, pixel_std=1.0)
    normalize = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.25] * 3)])
    tokens = make_tokens(5)
    pixels = (tokens.patches.as_subclass(torch.Tensor) / 255 - 0.5) / 0.25
    with torch.no_grad():
        conv = model.patch_embed.proj(pixels).flatten(1)
        embedded = model.embed(normalize(tokens))[1:] - model.position_embed(tokens.positions)
    assert_close(embedded, conv, atol=1e-4, rtol=0)
    with pytest.raises(
        ValueError,
        match=r"patches must be uint8 or hold floats in \[0, 1\], got values from -2 to .*leave Normalize out",
    ):
        make_model()(normalize(tokens))


def test_a_wholly_covered_patch_is_the_same_with_and_without_alpha():
    model, plain = make_model(alpha_channel=True), make_model()
    tokens = dataclasses.replace(make_tokens(4), alpha=torch.full_like(make_tokens(4).alpha, 255))
    with torch.no_grad():
        plain.load_state_dict(
            {
                name: value[:, :3] if name == "patch_embed.proj.weight" else value
                for name, value in model.state_dict().items()
            }
        )
    assert_close(model(tokens), plain(tokens), atol=1e-5, rtol=0)


def test_inputs_are_left_alone():
    for tokens in (make_tokens(3), make_tokens(3, dtype=torch.float32)):
        batch = collate([tokens, make_tokens(5, dtype=tokens.patches.dtype)])
        before = {name: value.clone() for name, value in fields_of(batch).items()}
        make_model(alpha_channel=True)(batch)
        for name, value in fields_of(batch).items():
            assert torch.equal(value, before[name])


@pytest.mark.parametrize("channels", [1, 3])
def test_in_chans(channels):
    assert make_model(in_chans=channels)(make_tokens(3, channels=channels)).shape == (5,)


def test_runs_in_bfloat16_and_under_autocast():
    model, tokens = make_model(), collate([make_tokens(3), make_tokens(5)])
    with torch.no_grad():
        exact = model(tokens)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert_close(model(tokens).float(), exact, atol=0.3, rtol=0.1)
        half = make_model().to(torch.bfloat16)(tokens)
    assert half.dtype == torch.bfloat16
    assert_close(half.float(), exact, atol=0.3, rtol=0.1)


# -- shapes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pool", POOLS)
def test_shapes(pool):
    embedded, length = 5 + (pool == "cls"), 5 + (pool != "mean")
    model, batch = make_model(pool), collate([make_tokens(5), make_tokens(2)])
    assert model(batch).shape == (2, 5)
    assert model.embed(batch).shape == (2, embedded, 32)
    assert model.forward_features(batch).shape == (2, length, 32)
    assert model(batch[0]).shape == (5,)
    assert model.embed(batch[0]).shape == (embedded, 32)
    assert model.forward_features(batch[0]).shape == (length, 32)


@pytest.mark.parametrize("pool", POOLS)
def test_head_on_features_gives_the_logits(pool):
    model, tokens = make_model(pool), make_tokens(5)
    features = model.forward_features(tokens)
    pooled = model.fc_norm(features.mean(0)) if pool == "mean" else features[0]
    assert_close(model.head(pooled), model(tokens), atol=1e-5, rtol=0)


def test_an_image_without_tokens():
    empty = make_tokens(0)
    batch = collate([empty, make_tokens(2)])
    for pool in ("cls", "class_attention"):
        model = make_model(pool)
        assert_close(model(batch)[0], model(empty), atol=1e-5, rtol=0)
        model(batch).sum().backward()
        assert not any(p.grad.isnan().any() for p in model.parameters() if p.grad is not None)
    for tokens in (batch, empty):
        with pytest.raises(ValueError, match="at least one per image with pool='mean'"):
            make_model("mean")(tokens)


# -- timm -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_grid_and_table_equal_a_timm_vit(pool):
    torch.manual_seed(0)
    kind = {} if pool == "cls" else {"class_token": False, "global_pool": "avg"}
    timm_model = VisionTransformer(
        img_size=64, patch_size=16, embed_dim=64, depth=2, num_heads=4, num_classes=7, **kind
    ).eval()
    with torch.no_grad():
        for parameter in timm_model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    model = SViT(7, embed_dim=64, depth=2, num_heads=4, pool=pool, position="table", num_positions=16).eval()
    model.load_state_dict(timm_model.state_dict(), strict=True)

    images = torch.rand(3, 3, 64, 64)
    patches = images.unfold(2, 16, 16).unfold(3, 16, 16).permute(0, 2, 3, 1, 4, 5).flatten(1, 2)  # (3, 16, 3, 16, 16)
    tokens = SegmentTokens(
        patches=patches,
        alpha=torch.ones(3, 16, 16, 16),
        boxes=torch.rand(3, 16, 4),
        areas=torch.rand(3, 16),
        labels=torch.arange(1, 17).expand(3, 16),
    )
    order = torch.randperm(16)
    with torch.no_grad():
        images = v2.functional.normalize(images, [0.45] * 3, [0.225] * 3)
        expected = timm_model(images)
        assert expected.std() > 0.1
        assert_close(model(tokens), expected, atol=1e-4, rtol=0)
        assert_close(model(tokens[:, order]), expected, atol=1e-4, rtol=0)
        assert_close(model.forward_features(tokens), timm_model.forward_features(images), atol=1e-4, rtol=0)


@pytest.mark.parametrize("position", ["fourier", "mlp"])
def test_timm_weights_load_into_the_other_positions_but_for_the_position(position):
    timm_model = VisionTransformer(img_size=16, patch_size=4, embed_dim=32, depth=2, num_heads=4, num_classes=5)
    missing, unexpected = make_model(position=position).load_state_dict(timm_model.state_dict(), strict=False)
    assert unexpected == ["pos_embed"]
    assert missing == [f"position_embed.mlp.{name}" for name in ("fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias")]


@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_initial_weights_are_spread_as_timms(pool):
    torch.manual_seed(0)
    kind = {} if pool == "cls" else {"class_token": False, "global_pool": "avg"}
    sizes = {"embed_dim": 64, "depth": 1, "num_heads": 4, "num_classes": 50}
    expected = VisionTransformer(img_size=64, patch_size=16, **sizes, **kind).state_dict()
    state = SViT(pool=pool, position="table", num_positions=16, **sizes).state_dict()
    assert list(state) == list(expected)
    for name, value in state.items():
        assert_close(value.std(), expected[name].std(), atol=1e-6, rtol=0.25, msg=name)
        if value.std() == 0:
            assert torch.equal(value, expected[name])


# -- training ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("pool", POOLS)
def test_gradients_reach_every_parameter(pool, position):
    model = make_model(pool, position, alpha_channel=True, num_positions=4 if position == "table" else None).train()
    background = position != "table"
    batch = collate([make_tokens(n, n, background=background) for n in (4, 2)])
    torch.nn.functional.cross_entropy(model(batch), torch.tensor([0, 3])).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_overfits_a_few_images():
    torch.manual_seed(0)
    model = SViT(4, **SMALL)
    batch, targets = collate([make_tokens(n, n) for n in (3, 4, 5, 6)]), torch.arange(4)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(batch), targets)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1


@pytest.mark.parametrize("rate", ["drop_path_rate", "drop_rate"])
def test_dropping_happens_only_while_training(rate):
    model, tokens = make_model(**{rate: 0.5}), collate([make_tokens(4)])
    with torch.no_grad():
        assert_close(model(tokens), make_model()(tokens), atol=0, rtol=0)
        assert_close(model(tokens), model(tokens), atol=0, rtol=0)
        model.train()
        outputs = torch.cat([model(tokens) for _ in range(8)])
    assert outputs.unique(dim=0).shape[0] > 1


def test_drop_path_rates_grow_linearly():
    model = make_model(depth=5, drop_path_rate=0.2)
    assert [block.drop_path.rate for block in model.blocks] == pytest.approx([0.0, 0.05, 0.1, 0.15, 0.2])
    assert [block.drop_path.rate for block in make_model(depth=1, drop_path_rate=0.2).blocks] == [0.0]


def test_drop_path_drops_whole_images_and_keeps_the_mean():
    torch.manual_seed(0)
    drop = make_model(drop_path_rate=0.25).blocks[-1].drop_path.train()
    out = drop(torch.ones(4000, 3, 2), None)
    per_image = out.flatten(1)
    assert torch.equal(per_image, per_image[:, :1].expand_as(per_image))
    assert_close(per_image.unique(), torch.tensor([0.0, 1 / 0.75]))
    assert per_image.mean().item() == pytest.approx(1.0, abs=0.03)


def test_drops_do_not_depend_on_padding():
    model = make_model(drop_path_rate=0.5, drop_rate=0.2).train()
    images = [make_tokens(n, n) for n in (2, 5)]
    outputs = []
    for extra in (0, 4):
        torch.manual_seed(0)
        outputs.append(model(pad(images, extra, 0.0)))
    assert_close(outputs[0], outputs[1], atol=1e-5, rtol=0)


def test_the_seed_decides_the_weights():
    states = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        states.append(SViT(5, **SMALL).state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert not torch.equal(states[0]["head.weight"], states[2]["head.weight"])


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("pool", POOLS)
def test_safetensors_keep_the_logits(pool, position, tmp_path):
    path = tmp_path / "model.safetensors"
    model, other = make_model(pool, position, seed=0), make_model(pool, position, seed=1)
    tokens = make_tokens(4, background=False)
    assert not torch.equal(other(tokens), model(tokens))
    safetensors.torch.save_file(model.state_dict(), path)
    other.load_state_dict(safetensors.torch.load_file(path))
    assert torch.equal(other(tokens), model(tokens))


# -- sizes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("factory", "embed_dim", "num_heads"), [(svit_tiny, 192, 3), (svit_small, 384, 6), (svit_base, 768, 12)]
)
def test_factories(factory, embed_dim, num_heads):
    with torch.device("meta"):
        model = factory(10, pool="mean")
        smaller = factory(10, depth=2, embed_dim=48, num_heads=2)
    assert (model.embed_dim, model.blocks[0].attn.num_heads, len(model.blocks)) == (embed_dim, num_heads, 12)
    assert model.pool == "mean"
    assert (smaller.embed_dim, smaller.blocks[0].attn.num_heads, len(smaller.blocks)) == (48, 2, 2)


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 0}, "num_classes must be at least 1, got 0"),
        ({"embed_dim": 30}, "embed_dim must be a multiple of num_heads, got 30 and 4"),
        ({"num_heads": 0}, "num_heads must be at least 1, got 0"),
        ({"depth": 0}, "depth must be at least 1, got 0"),
        ({"patch_size": 0}, "patch_size must be at least 1, got 0"),
        ({"in_chans": 0}, "in_chans must be at least 1, got 0"),
        ({"mlp_ratio": 0.0}, "mlp_ratio must .*, got 0.0"),
        ({"mlp_ratio": math.nan}, "mlp_ratio must .*, got nan"),
        ({"mlp_ratio": math.inf}, "mlp_ratio must .*, got inf"),
        ({"pool": "max"}, "pool must be one of 'cls', 'mean', 'class_attention', got 'max'"),
        ({"position": "sine"}, "position must be one of 'fourier', 'histogram', 'mlp', 'table', got 'sine'"),
        ({"position": "table"}, "num_positions must be given with position='table'"),
        ({"position": "table", "num_positions": 0}, "num_positions must be at least 1, got 0"),
        ({"position": "mlp", "num_positions": 4}, "num_positions must be None with position='mlp', got 4"),
        ({"num_frequencies": 0}, "num_frequencies must be at least 1, got 0"),
        ({"drop_path_rate": 1.0}, r"drop_path_rate must be in \[0, 1\), got 1.0"),
        ({"drop_path_rate": -0.1}, r"drop_path_rate must be in \[0, 1\), got -0.1"),
        ({"drop_rate": math.nan}, r"drop_rate must be in \[0, 1\), got nan"),
        ({"stem": "mlp"}, "stem must be one of 'conv', 'linear', got 'mlp'"),
        ({"num_bins": 1}, "num_bins must be at least 2, got 1"),
        ({"num_registers": -1}, "num_registers must be at least 0, got -1"),
        ({"class_depth": 0}, "class_depth must be at least 1, got 0"),
        ({"init_values": math.nan}, "init_values must be at least 0.0, got nan"),
        ({"init_values": math.inf}, "init_values must be at least 0.0, got inf"),
        ({"distillation": True, "pool": "mean"}, "distillation must be False with pool='mean'"),
        ({"pixel_mean": (0.5, 0.5)}, "pixel_mean must be one number, or one for each of 3 channels, got "),
        ({"pixel_mean": math.nan}, "pixel_mean must be finite, got nan"),
        ({"pixel_std": (0.2, 0.0, 0.2)}, "pixel_std must be above 0, got"),
    ],
)
def test_bad_values(options, message):
    with pytest.raises(ValueError, match=message):
        SViT(**{"num_classes": 5, **SMALL, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 2.0}, "num_classes must be an int, got 2.0"),
        ({"embed_dim": "32"}, "embed_dim must be an int, got '32'"),
        ({"pixel_mean": "0.5"}, "pixel_mean must be a number, or one for each channel, got '0.5'"),
        ({"alpha_channel": 1}, "alpha_channel must be True or False, got 1"),
        ({"mlp_ratio": "4"}, "mlp_ratio must be a number, got '4'"),
        ({"drop_rate": None}, "drop_rate must be a number, got None"),
        ({"distillation": 1}, "distillation must be True or False, got 1"),
        ({"color_embed": "yes"}, "color_embed must be True or False, got 'yes'"),
        ({"packed": None}, "packed must be True or False, got None"),
        ({"init_values": "1"}, "init_values must be a number, got '1'"),
    ],
)
def test_bad_types(options, message):
    with pytest.raises(TypeError, match=message):
        SViT(**{"num_classes": 5, **SMALL, **options})


def test_what_is_no_tokens():
    with pytest.raises(TypeError, match=r"tokens must be SegmentTokens, got Tensor of shape \(1, 3, 4, 4\)"):
        make_model()(torch.rand(1, 3, 4, 4))


@pytest.mark.parametrize("different", [{"size": 8}, {"channels": 1}])
def test_patches_that_do_not_fit(different):
    tokens = make_tokens(2, **different)
    with pytest.raises(ValueError, match=r"patches must have shape \(\.\.\., N, 3, 4, 4\) .* got \(2, "):
        make_model()(tokens)


@pytest.mark.parametrize("position", ["fourier", "mlp"])
def test_integer_pixels_other_than_uint8(position):
    tokens = v2.ToDtype(torch.int32)(make_tokens(2))
    with pytest.raises(TypeError, match=r"patches must be uint8 or float, got torch\.int32"):
        make_model(position=position)(tokens)


def test_labels_that_the_table_does_not_have():
    model = make_model(position="table", num_positions=4)
    assert model(make_tokens(4, background=False)).shape == (5,)
    with pytest.raises(ValueError, match=r"labels must be in \[1, 4\] \(num_positions\), got 0; .*background=False"):
        model(make_tokens(4))
    with pytest.raises(ValueError, match=r"labels must be in \[1, 4\] \(num_positions\), got 5$"):
        model(make_tokens(5, background=False))
