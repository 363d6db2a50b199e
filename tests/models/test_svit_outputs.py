import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from segaug.structures import collate

FEW = settings(derandomize=True, deadline=None, max_examples=6)
POOLS = ["cls", "mean", "class_attention"]
VARIANTS = {
    "mean": {"pool": "mean", "num_registers": 1},
    "cls": {"num_registers": 2, "distillation": True},
    "class_attention": {"pool": "class_attention", "class_depth": 2, "init_values": 0.3},
}
LENGTHS = st.lists(st.integers(1, 6), min_size=1, max_size=3)


@pytest.mark.parametrize("variant", VARIANTS)
@FEW
@given(lengths=LENGTHS)
def test_attention_maps_sum_to_one_are_zero_at_padding_and_reproduce_the_blocks(
    make_model, make_tokens, variant, lengths
):
    model, tokens = make_model(**VARIANTS[variant]), collate([make_tokens(n, n) for n in lengths])
    with torch.no_grad():
        maps = model.attention_maps(tokens)
        prefix, length = model.num_prefix_tokens, model.num_prefix_tokens + max(lengths)
        assert maps.shape == (len(lengths), 2, 4, length, length)
        assert_close(maps.sum(-1), torch.ones(maps.shape[:-1]))
        padding = F.pad(tokens.is_padding, (prefix, 0), value=False)
        assert torch.all(maps.movedim(-1, 1)[padding] == 0)
        # Attention with its own v gives what the block adds.
        x, block = model.embed(tokens), model.blocks[0]
        normed = block.norm1(x)
        v = block.attn.qkv(normed).unflatten(-1, (3, 4, 8))[..., 2, :, :].transpose(1, 2)
        attended = block.attn.proj((maps[:, 0] @ v).transpose(1, 2).flatten(2))
        after = x + block.ls1(attended)
        after = after + block.ls2(block.mlp(block.norm2(after)))
        expected = model.forward_intermediates(tokens, [0])[0]
        assert_close(after[:, prefix:].masked_fill(tokens.is_padding[..., None], 0.0), expected, atol=1e-4, rtol=1e-4)
        assert_close(model.attention_maps(tokens[0]), maps[0], atol=1e-6, rtol=0)


@FEW
@given(lengths=LENGTHS)
def test_class_attention_maps_reproduce_the_class_token(make_model, make_tokens, lengths):
    model = make_model(pool="class_attention", class_depth=1, num_registers=1)
    tokens = collate([make_tokens(n, n) for n in lengths])
    with torch.no_grad():
        maps = model.class_attention_maps(tokens)
        assert maps.shape == (len(lengths), 1, 4, 2 + max(lengths))
        assert_close(maps.sum(-1), torch.ones(maps.shape[:-1]))
        assert torch.all(maps.movedim(-1, 1)[F.pad(tokens.is_padding, (2, 0), value=False)] == 0)
        features = model.forward_features(tokens)
        x = model.embed(tokens)
        mask = model._key_mask(tokens.is_padding)
        for block in model.blocks:
            x = block(x, mask)
        block, cls = model.blocks_token_only[0], model.cls_token.expand(len(lengths), 1, -1)
        v = block.attn.v(block.norm1(torch.cat([cls, x], dim=1))).unflatten(-1, (4, 8)).transpose(1, 2)
        cls = cls + block.attn.proj((maps[:, 0, :, None] @ v).transpose(1, 2).flatten(2))
        cls = cls + block.mlp(block.norm2(cls))
        assert_close(model.norm(cls)[:, 0], features[:, 0], atol=1e-4, rtol=1e-4)
        assert_close(model.class_attention_maps(tokens[0]), maps[0], atol=1e-6, rtol=0)


def test_attention_maps_of_an_image_without_tokens(make_model, make_tokens):
    model = make_model(pool="class_attention")
    maps = model.attention_maps(collate([make_tokens(0), make_tokens(2)]))
    assert torch.all(maps[0] == 0)
    assert_close(maps[1].sum(-1), torch.ones(2, 4, 2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_maps_are_float32(make_model, make_tokens, dtype):
    model = make_model(pool="class_attention").to(dtype)
    assert model.attention_maps(make_tokens(3)).dtype == torch.float32
    assert model.class_attention_maps(make_tokens(3)).dtype == torch.float32


@pytest.mark.parametrize("variant", VARIANTS)
def test_forward_tokens_are_the_segments_features(make_model, make_tokens, variant):
    model, images = make_model(**VARIANTS[variant]), [make_tokens(n, n) for n in (4, 2)]
    batch = collate(images)
    with torch.no_grad():
        tokens, features = model.forward_tokens(batch), model.forward_features(batch)
        assert tokens.shape == (2, 4, 32)
        assert torch.all(tokens[1, 2:] == 0)
        assert_close(tokens[0], features[0, -4:], atol=0, rtol=0)
        assert_close(model.forward_tokens(images[1]), tokens[1, :2], atol=1e-5, rtol=0)


@pytest.mark.parametrize("variant", VARIANTS)
def test_forward_intermediates(make_model, make_tokens, variant):
    model, images = make_model(depth=3, **VARIANTS[variant]), [make_tokens(n, n) for n in (4, 2)]
    batch = collate(images)
    with torch.no_grad():
        every = model.forward_intermediates(batch)
        assert [tuple(x.shape) for x in every] == [(2, 4, 32)] * 3
        assert torch.all(every[1][1, 2:] == 0)
        last, first = model.forward_intermediates(batch, [-1, 0])
        assert torch.equal(last, every[2])
        assert torch.equal(first, every[0])
        alone = model.forward_intermediates(images[1], (1,))
        assert_close(alone[0], every[1][1, :2], atol=1e-5, rtol=0)
        final = model.norm(every[2]).masked_fill(batch.is_padding[..., None], 0.0)  # pool="mean" has no norm there
        assert_close(final, model.forward_tokens(batch), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("blocks", "error", "message"),
    [
        ([2], ValueError, r"blocks must be in \[-2, 1\], got 2"),
        ([0, -3], ValueError, r"blocks must be in \[-2, 1\], got -3"),
        ([True], TypeError, "blocks must hold ints, got True"),
        ([0.0], TypeError, r"blocks must hold ints, got 0\.0"),
        (1, TypeError, "blocks must be a sequence of ints or None, got 1"),
    ],
)
def test_blocks_that_are_none(make_model, make_tokens, blocks, error, message):
    with pytest.raises(error, match=message):
        make_model().forward_intermediates(make_tokens(2), blocks)


@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_class_attention_maps_need_class_attention(make_model, make_tokens, pool):
    with pytest.raises(ValueError, match=f"pool must be 'class_attention' for class_attention_maps, got '{pool}'"):
        make_model(pool=pool).class_attention_maps(make_tokens(2))


@pytest.mark.parametrize("pool", POOLS)
def test_the_number_of_prefix_tokens(make_model, make_tokens, pool):
    model = make_model(pool=pool, num_registers=3)
    assert model.num_prefix_tokens == 3 + (pool == "cls")
    assert model.embed(make_tokens(2)).shape == (model.num_prefix_tokens + 2, 32)


def test_distillation_gives_both_logits_in_training_and_their_mean_otherwise(make_model, make_tokens):
    model, batch = make_model(distillation=True), collate([make_tokens(2), make_tokens(3)])
    with torch.no_grad():
        mean = model(batch)
        cls, distilled = model.train()(batch)
    assert cls.shape == distilled.shape == (2, 5)
    assert not torch.allclose(cls, distilled, atol=1e-2)
    assert_close((cls + distilled) / 2, mean, atol=1e-6, rtol=0)
