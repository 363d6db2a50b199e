import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from segaug.models._packing import Packing
from segaug.structures import collate

FEW = settings(derandomize=True, deadline=None, max_examples=8)
VARIANTS = {
    "mean": {"pool": "mean", "alpha_channel": True},
    "cls": {"num_registers": 2, "init_values": 0.3},
    "class_attention": {"pool": "class_attention", "color_embed": True, "stem": "conv"},
    "distillation": {"distillation": True, "position": "table"},
}
LENGTHS = st.lists(st.integers(1, 9), min_size=2, max_size=5)


@FEW
@given(lengths=st.lists(st.integers(0, 5), min_size=1, max_size=4))
def test_what_is_packed_comes_back_with_zeros_at_padding(lengths):
    real = torch.arange(5) < torch.tensor(lengths)[:, None]
    x = torch.randn(len(lengths), 5, 3)
    packing = Packing.of(real)
    assert packing.pack(x).shape == (sum(lengths), 3)
    assert torch.equal(packing.lengths, torch.tensor(lengths))
    assert torch.equal(packing.unpack(packing.pack(x)), x * real[..., None])


def tokens_in_first_block(model):
    """A list to which each run adds the shape that the first block sees."""
    shapes = []
    model.blocks[0].register_forward_pre_hook(lambda _, inputs: shapes.append(tuple(inputs[0].shape)))
    return shapes


@pytest.mark.parametrize("variant", VARIANTS)
@FEW
@given(lengths=LENGTHS, seed=st.integers(0, 99))
def test_packed_equals_padded_in_logits_and_tokens(make_model, make_tokens, variant, lengths, seed):
    tokens = collate([make_tokens(n, seed + i) for i, n in enumerate(lengths)])
    padded, packed = (make_model(packed=packed, **VARIANTS[variant]) for packed in (False, True))
    shapes = tokens_in_first_block(packed)
    with torch.no_grad():
        assert_close(packed(tokens), padded(tokens), atol=2e-5, rtol=1e-5)
        assert_close(packed.forward_tokens(tokens), padded.forward_tokens(tokens), atol=2e-5, rtol=1e-5)
    total = sum(lengths) + len(lengths) * packed.num_prefix_tokens
    if min(lengths) < max(lengths):
        assert shapes == [(total, 32)] * 2
    else:
        assert shapes == [(len(lengths), total // len(lengths), 32)] * 2


@pytest.mark.parametrize("variant", VARIANTS)
@settings(FEW, max_examples=4)
@given(lengths=LENGTHS, seed=st.integers(0, 99))
def test_packed_equals_padded_in_training(make_model, make_tokens, variant, lengths, seed):
    tokens = collate([make_tokens(n, seed + i) for i, n in enumerate([*lengths, max(lengths) + 1])])
    results = []
    for packed in (False, True):
        model = make_model(packed=packed, drop_path_rate=0.5, drop_rate=0.2, **VARIANTS[variant]).train()
        shapes = tokens_in_first_block(model)
        torch.manual_seed(seed)  # the same draws of stochastic depth and dropout
        out = model(tokens)
        loss = torch.cat(out if isinstance(out, tuple) else (out,)).square().sum()
        loss.backward()
        # The stream has moved on alike, too.
        results.append((loss.detach(), {n: p.grad for n, p in model.named_parameters()}, torch.rand(1)))
        assert len(shapes[0]) == (2 if packed else 3)
    (loss, gradients, draw), (packed_loss, packed_gradients, packed_draw) = results
    assert_close(packed_loss, loss, atol=1e-4, rtol=1e-4)
    scale = max(gradient.abs().max() for gradient in gradients.values())
    for name, gradient in gradients.items():
        difference = (packed_gradients[name] - gradient).abs().max()
        assert difference <= 1e-5 * scale, name
    assert torch.equal(draw, packed_draw)


def test_one_image_and_bfloat16(make_model, make_tokens):
    packed, padded = make_model(packed=True), make_model()
    assert_close(packed(make_tokens(4)), padded(make_tokens(4)), atol=0, rtol=0)
    tokens = collate([make_tokens(2), make_tokens(5)])
    with torch.no_grad():
        half = packed.to(torch.bfloat16)(tokens)
        assert_close(half, padded.to(torch.bfloat16)(tokens), atol=0.1, rtol=0.05)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("variant", VARIANTS)
def test_packed_equals_padded_on_cuda_in_half_precision(make_model, make_tokens, variant):
    tokens = collate([make_tokens(n, n) for n in (3, 9, 1)]).to("cuda")
    padded, packed = (
        make_model(packed=packed, **VARIANTS[variant]).to("cuda", torch.bfloat16) for packed in (False, True)
    )
    results = []
    for model in (padded, packed):
        logits = model(tokens)
        logits.square().sum().backward()
        results.append((logits.detach(), [parameter.grad for parameter in model.parameters()]))
    assert_close(results[0], results[1], atol=0.1, rtol=0.1)
