import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from segaug.models import MaskedSViT, SViT
from segaug.structures import SegmentTokens, collate

FEW = settings(derandomize=True, deadline=None, max_examples=10)
ENCODERS = [
    {"pool": "mean", "alpha_channel": True},
    {"pool": "cls", "distillation": True, "num_registers": 2, "color_embed": True},
    {"pool": "class_attention", "position": "table", "num_positions": 20},
]


def make_model(options=None, **masked):
    torch.manual_seed(0)
    small = {"patch_size": 4, "embed_dim": 16, "depth": 2, "num_heads": 2}
    model = MaskedSViT(SViT(5, **{**small, **(options or ENCODERS[0])}), decoder_dim=16, **masked)
    # Weights much larger than the initial ones, so that a leak through attention would show.
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
    return model.eval()


def make_tokens(n, seed=0, dtype=torch.uint8, background=True):
    generator = torch.Generator().manual_seed(seed)
    alpha = torch.randint(0, 256, (n, 4, 4), dtype=torch.uint8, generator=generator)
    patches = torch.randint(0, 256, (n, 3, 4, 4), dtype=torch.uint8, generator=generator)
    patches = (patches * (alpha[:, None] / 255)).to(torch.uint8)
    boxes = torch.rand(n, 2, 2, generator=generator).sort(1).values.flatten(1)
    labels = torch.arange(1, n + 1)
    if background:
        labels[-1], boxes[-1] = 0, -1.0
    if dtype.is_floating_point:
        patches, alpha = patches.to(dtype) / 255, alpha.to(dtype) / 255
    return SegmentTokens(patches, alpha, boxes, torch.rand(n, generator=generator), labels)


def change_patches(tokens, chosen, value):
    chosen = chosen[..., None, None, None]
    return dataclasses.replace(tokens, patches=torch.where(chosen, value, tokens.patches[...]))


@pytest.mark.parametrize("options", ENCODERS, ids=lambda options: options["pool"])
class TestEachEncoder:
    def test_hidden_pixels_reach_nothing(self, options):
        background = options["pool"] != "class_attention"
        model = make_model(options)
        tokens = collate([make_tokens(9, background=background), make_tokens(5, 1, background=background)])
        hidden = model.draw_hidden(tokens)
        _, prediction, _ = model(tokens, hidden)
        changed = change_patches(tokens, hidden, 7)
        loss, other, _ = model(changed, hidden)
        assert torch.equal(other, prediction)
        # The visible ones' do.
        one = torch.zeros_like(hidden)
        one[0, (~hidden[0]).nonzero()[0]] = True
        _, other, _ = model(change_patches(tokens, one, 7), hidden)
        assert not torch.allclose(other[0], prediction[0])
        assert torch.equal(other[1], prediction[1])
        assert loss.isfinite()

    def test_padding_and_order_change_nothing(self, options):
        background = options["pool"] != "class_attention"
        model = make_model(options)
        images = [make_tokens(n, n, background=background) for n in (7, 3, 11)]
        masks = [model.draw_hidden(image) for image in images]
        batch = collate([*images, make_tokens(15, background=background)])[:3]
        hidden = torch.nn.utils.rnn.pad_sequence([*masks, torch.zeros(15).bool()], batch_first=True)[:3]
        loss, prediction, _ = model(batch, hidden)
        singles = [model(image, mask) for image, mask in zip(images, masks, strict=True)]
        counts = [int(mask.sum()) for mask in masks]
        mean = sum(single[0] * count for single, count in zip(singles, counts, strict=True)) / sum(counts)
        assert_close(loss, mean)
        for image, single in zip(prediction, singles, strict=True):
            assert_close(image[: len(single[1])], single[1], rtol=1e-4, atol=1e-5)
            assert not image[len(single[1]) :].any()
        order = torch.randperm(7, generator=torch.Generator().manual_seed(3))
        shuffled = model(images[0][order], masks[0][order])
        assert_close(shuffled[0], singles[0][0])
        assert_close(shuffled[1], singles[0][1][order], rtol=1e-4, atol=1e-5)

    def test_what_is_pretrained_gets_gradients(self, options):
        model = make_model(options)
        model(collate([make_tokens(9, background=options["pool"] != "class_attention")]))[0].backward()
        learns = {name for name, parameter in model.encoder.named_parameters() if parameter.grad is not None}
        assert learns == set(model.pretrained)
        assert all(parameter.grad is not None for name, parameter in model.named_parameters() if name[:7] == "decoder")
        assert model.mask_token.grad.any()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_garbage_in_padding_does_no_harm(dtype):
    model = make_model()
    batch = collate([make_tokens(4, dtype=dtype), make_tokens(8, 1, dtype=dtype)])
    hidden = model.draw_hidden(batch)
    loss, prediction, _ = model(batch, hidden)
    garbage = 200 if dtype == torch.uint8 else float("nan")
    padding = batch.is_padding
    spoilt = SegmentTokens(
        batch.patches[...].masked_fill(padding[..., None, None, None], garbage),
        batch.alpha[...].masked_fill(padding[..., None, None], garbage),
        batch.boxes[...].masked_fill(padding[..., None], float("nan")),
        batch.areas.masked_fill(padding, float("nan")),
        batch.labels,
    )
    model.zero_grad()
    again, same, _ = model(spoilt, hidden)
    again.backward()
    assert torch.equal(again, loss)
    assert torch.equal(same, prediction)
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


@FEW
@given(normalize=st.booleans(), seed=st.integers(0, 99), n=st.integers(2, 9))
def test_loss_is_the_weighted_error_of_straight_colours(normalize, seed, n):
    model, tokens = make_model(normalize=normalize), make_tokens(n, seed, torch.float64)
    with torch.no_grad():
        loss, prediction, hidden = model(tokens)
    errors = []
    for i in hidden.nonzero().flatten().tolist():
        alpha = tokens.alpha[i].expand(3, -1, -1)
        target = (tokens.patches[i] / alpha.clamp_min(1e-12)).clamp_max(1.0)
        if normalize:
            mean = (target * alpha).sum() / alpha.sum()
            target = (target - mean) / (((target - mean) ** 2 * alpha).sum() / alpha.sum() + 1e-4).sqrt()
        errors.append(((prediction[i] - target) ** 2 * alpha).sum() / alpha.sum())
    assert_close(float(loss), float(sum(errors) / len(errors)), rtol=1e-4, atol=1e-6)
    assert not prediction[~hidden].any()


def test_dtypes_agree_and_lengths_of_one_and_none():
    model = make_model()
    tokens = make_tokens(6)
    hidden = model.draw_hidden(tokens)
    assert int(hidden.sum()) == 4
    # Straight colours of bytes are rounded to whole levels.
    assert_close(model(tokens, hidden)[0], model(make_tokens(6, dtype=torch.float32), hidden)[0], rtol=2e-3, atol=0)
    loss, prediction, hidden = model(make_tokens(1))
    assert (loss.item(), prediction.any(), hidden.any()) == (0.0, False, False)
    uncovered = dataclasses.replace(tokens, patches=tokens.patches * 0, alpha=tokens.alpha * 0)
    assert model(uncovered)[0].item() == 0.0
    # A model with a class token sees images without any.
    loss, prediction, _ = make_model({"pool": "cls"})(make_tokens(3)[:0])
    assert (loss.item(), len(prediction)) == (0.0, 0)


def test_draws():
    model = make_model()
    batch = collate([make_tokens(4), make_tokens(9)])
    torch.manual_seed(3)
    drawn = model.draw_hidden(batch)
    torch.manual_seed(3)
    longer = collate([make_tokens(4), make_tokens(9), make_tokens(12)])[:2]
    # Padding takes no numbers.
    assert torch.equal(model.draw_hidden(longer)[:, :9], drawn)
    torch.manual_seed(3)
    noise = torch.zeros(2, 9)
    noise[~batch.is_padding] = torch.rand(13)
    assert torch.equal(model.draw_hidden(batch, noise), drawn)
    torch.manual_seed(3)
    assert torch.equal(model(batch)[2], drawn)
    assert drawn.sum(-1).tolist() == [3, 7]


def test_encoder_sees_a_quarter_of_the_tokens(monkeypatch):
    model = make_model()
    seen = []
    run = model.encoder.forward_intermediates
    monkeypatch.setattr(model.encoder, "forward_intermediates", lambda x, *rest: seen.append(x) or run(x, *rest))
    tokens = make_tokens(40)
    hidden = model(tokens)[2]
    assert seen[0].num_tokens == 10
    assert seen[0].labels[0].tolist() == tokens.labels[~hidden].tolist()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("normalize", [False, True])
def test_reconstruct(dtype, normalize):
    model, tokens = make_model(normalize=normalize), collate([make_tokens(4, dtype=dtype), make_tokens(9, dtype=dtype)])
    hidden = model.draw_hidden(tokens)
    with torch.no_grad():
        prediction = model(tokens, hidden)[1]
    filled, same = model.reconstruct(tokens, hidden)
    assert torch.equal(same, hidden)
    assert filled.patches.dtype == dtype
    assert torch.equal(filled.patches[~hidden], tokens.patches[~hidden])
    assert (filled.patches <= tokens.alpha.unsqueeze(-3)).all()
    if not normalize:
        alpha = tokens.alpha.unsqueeze(-3) / (255 if dtype == torch.uint8 else 1)
        drawn = filled.patches / (255 if dtype == torch.uint8 else 1)
        assert_close(drawn[hidden], (prediction.clamp(0, 1) * alpha)[hidden], rtol=0, atol=1 / 255)
    assert not model.reconstruct(tokens[0])[0].patches.requires_grad


def test_perfect_prediction_restores_the_tokens():
    # The statistics that normalisation takes away are what reconstruct puts back.
    model, tokens = make_model(normalize=True), make_tokens(5)
    hidden = model.draw_hidden(tokens)
    alpha = tokens.alpha[...].float().unsqueeze(-3)
    straight = (tokens.patches[...] * (255 / alpha)).nan_to_num(0, 0, 0).round().clamp(0, 255) / 255
    total = alpha.expand_as(straight).sum((-3, -2, -1), keepdim=True)
    mean = (straight * alpha).sum((-3, -2, -1), keepdim=True) / total
    spread = (((straight - mean) ** 2 * alpha).sum((-3, -2, -1), keepdim=True) / total + 1e-4).sqrt()
    target = ((straight - mean) / spread)[hidden]
    model._predict = lambda *_: target
    assert model(tokens, hidden)[0].item() < 1e-8
    filled, _ = model.reconstruct(tokens, hidden)
    assert torch.equal(filled.patches, tokens.patches)


def test_bfloat16_autocast():
    model, tokens = make_model(), collate([make_tokens(9), make_tokens(5)])
    hidden, seen = model.draw_hidden(tokens), []
    for block in (*model.encoder.blocks, *model.decoder_blocks):
        block.register_forward_hook(lambda _, args, output: seen.append(output.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        loss, prediction, _ = model(tokens, hidden)
    loss.backward()
    assert set(seen) == {torch.float32}
    assert loss.dtype == prediction.dtype == torch.float32
    assert_close(loss, model(tokens, hidden)[0], rtol=0.05, atol=0.05)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"mask_ratio": 0.0}, ValueError, "mask_ratio must be above 0 and below 1, got 0.0"),
        ({"mask_ratio": 1}, ValueError, "mask_ratio must be above 0 and below 1, got 1"),
        ({"mask_ratio": "most"}, TypeError, "mask_ratio must be a number"),
        ({"decoder_dim": 10, "decoder_heads": 4}, ValueError, "decoder_dim must be a multiple of decoder_heads"),
        ({"decoder_depth": 0}, ValueError, "decoder_depth must be at least 1"),
        ({"normalize": 1}, TypeError, "normalize must be True or False"),
    ],
)
def test_bad_options(options, error, message):
    with pytest.raises(error, match=message):
        MaskedSViT(make_model().encoder, **options)


def test_bad_input():
    model, tokens = make_model(), collate([make_tokens(4), make_tokens(6)])
    with pytest.raises(TypeError, match="encoder must be an SViT"):
        MaskedSViT(torch.nn.Linear(2, 2))
    with pytest.raises(TypeError, match="tokens must be SegmentTokens"):
        model(torch.rand(2, 3))
    with pytest.raises(ValueError, match="tokens must be one image"):
        model(tokens[None])
    with pytest.raises(TypeError, match="hidden must be a bool tensor"):
        model(tokens, torch.zeros(2, 6))
    with pytest.raises(ValueError, match="hidden must have the shape of the labels"):
        model(tokens, torch.zeros(6).bool())
    with pytest.raises(ValueError, match="hidden must be False at padding"):
        model(tokens, torch.eye(6).bool()[[5, 5]])
    with pytest.raises(ValueError, match="hidden must leave a token visible"):
        model(tokens, ~tokens.is_padding)
    with pytest.raises(ValueError, match="labels and noise must have one shape"):
        model.draw_hidden(tokens, torch.rand(6))
    with pytest.raises(ValueError, match=r"patches must hold floats in \[0, 1\]"):
        model(dataclasses.replace(tokens, patches=tokens.patches.float(), alpha=tokens.alpha.float()))
