import io
import json

import PIL.Image
import pytest
import torch

from segaug import RandomMirror
from segaug.data import seeded_stream
from segaug.models import MaskedSViT
from segaug.training import (
    Recipe,
    RunFolder,
    draw_reconstructions,
    load_checkpoint,
    make_recipe,
    pretrain,
)

pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


@pytest.fixture
def real_pictures():
    """Asks for the pictures of a run, which most tests can do without."""


@pytest.fixture(autouse=True)
def _quick(request, monkeypatch):
    if "real_pictures" not in request.fixturenames:
        drawn = "segaug.training._pretrain.draw_reconstructions"
        monkeypatch.setattr(drawn, lambda _, predicted, hidden: str(predicted.patches.sum().item()).encode())


FILES = {"encoder.safetensors", "last.safetensors", "metrics.jsonl", "reconstructions.png"}


def make_masked(make_model, **options):
    with seeded_stream(1):
        return MaskedSViT(make_model(**options), decoder_dim=16, decoder_depth=1)


def run(folder, model, tokens, *, resume=False, **options):
    options = {"epochs": 2, "batch_size": 8, "lr": 0.003, "progress": False, **options}
    return pretrain(model, tokens, RunFolder(folder, resume=resume), **options)


def losses(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(line["epoch"], line["train_loss"], line["grad_norm"], line["lr"]) for line in lines]


def weights(folder, name="last"):
    return load_checkpoint(folder / f"{name}.safetensors").model


def assert_same_weights(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.usefixtures("real_pictures")
def test_what_a_run_leaves_and_returns(tmp_path, make_model, token_sets):
    folder, model = tmp_path / "run", make_masked(make_model)
    before = {name: tensor.clone() for name, tensor in model.encoder.state_dict().items()}
    result = run(folder, model, token_sets[0], recipe=Recipe(tokens=RandomMirror()))
    assert result.keys() == {"train_loss", "epochs", "images_per_second", "mean_tokens", "run", "encoder"}
    assert (result["epochs"], result["run"]) == (2, str(folder))
    assert {path.name for path in folder.iterdir()} == FILES
    assert [epoch for epoch, *_ in losses(folder)] == [1, 2]
    picture = PIL.Image.open(io.BytesIO((folder / "reconstructions.png").read_bytes()))
    assert picture.width > 3 * 144
    saved = weights(folder, "encoder")
    assert_same_weights(saved, model.encoder.state_dict())
    # All that is pretrained moved, and nothing else did.
    moved = {name for name in before if not torch.equal(before[name], saved[name])}
    assert moved == set(model.pretrained)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_loss_falls(tmp_path, make_model, token_sets):
    model = make_masked(make_model)
    run(tmp_path, model, token_sets[0], epochs=12, lr=0.02)
    first, *_, last = [loss for _, loss, *_ in losses(tmp_path)]
    assert last < 0.9 * first


def test_same_seed_same_run(tmp_path, make_model, token_sets):
    recipe = make_recipe("segment")
    for name, seed, workers in (("a", 0, 0), ("b", 0, 1), ("c", 1, 0)):
        # Whatever the caller's stream is.
        torch.rand(3)
        run(
            tmp_path / name, make_masked(make_model), token_sets[0], epochs=1, recipe=recipe, seed=seed, workers=workers
        )
    assert losses(tmp_path / "a") == losses(tmp_path / "b") != losses(tmp_path / "c")
    assert_same_weights(weights(tmp_path / "a"), weights(tmp_path / "b"))


@pytest.mark.parametrize("file", ["encoder.safetensors", "last.safetensors", "metrics.jsonl", "reconstructions.png"])
def test_resumed_run_equals_an_unbroken_one(tmp_path, make_model, token_sets, monkeypatch, file):
    class KilledError(Exception):
        pass

    options = {"epochs": 2, "recipe": Recipe(tokens=RandomMirror()), "settings": {"data": "scenes:majority"}}
    run(tmp_path / "unbroken", make_masked(make_model, drop_path_rate=0.3), token_sets[0], **options)
    writes = []

    def killing(path, data, **rest):
        writes.append(path.name)
        if writes.count(file) == 2 and path.name == file:
            raise KilledError
        return write(path, data, **rest)

    from segaug._files import write_atomically as write

    with monkeypatch.context() as patched:
        for module in ("_checkpoint", "_run_folder"):
            patched.setattr(f"segaug.training.{module}.write_atomically", killing)
        with pytest.raises(KilledError):
            run(tmp_path / "killed", make_masked(make_model, drop_path_rate=0.3), token_sets[0], **options)
    # Another first weights: those of the checkpoint count.
    model = MaskedSViT(make_model(drop_path_rate=0.3), decoder_dim=16, decoder_depth=1)
    run(tmp_path / "killed", model, token_sets[0], resume=True, **options)
    assert losses(tmp_path / "killed") == losses(tmp_path / "unbroken")
    for name in ("last", "encoder"):
        assert_same_weights(weights(tmp_path / "killed", name), weights(tmp_path / "unbroken", name))
    one, other = ((tmp_path / name / "reconstructions.png").read_bytes() for name in ("killed", "unbroken"))
    assert one == other


def test_finished_run_is_left_alone(tmp_path, make_model, token_sets):
    run(tmp_path, make_masked(make_model), token_sets[0])
    files = {path: path.read_bytes() for path in tmp_path.iterdir()}
    result = run(tmp_path, make_masked(make_model), token_sets[0], resume=True)
    assert result["epochs"] == 2
    assert files == {path: path.read_bytes() for path in tmp_path.iterdir()}


def test_bfloat16(tmp_path, make_model, token_sets):
    run(tmp_path / "a", make_masked(make_model), token_sets[0], epochs=1)
    run(tmp_path / "b", make_masked(make_model), token_sets[0], epochs=1, precision="bf16")
    (_, full, *_), (_, half, *_) = losses(tmp_path / "a")[0], losses(tmp_path / "b")[0]
    assert full != half
    assert abs(full - half) < 0.05 * full
    assert {tensor.dtype for tensor in weights(tmp_path / "b").values()} == {torch.float32}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"epochs": 0}, ValueError, "epochs must be at least 1"),
        ({"batch_size": 1.5}, TypeError, "batch_size must be an int"),
        ({"clip_norm": 0.0}, ValueError, "clip_norm must be above 0"),
        ({"warmup": 2}, ValueError, "warmup must be in"),
        ({"precision": "fp16"}, ValueError, "precision must be one of 'no', 'bf16', got 'fp16'"),
        ({"device": "nowhere"}, ValueError, "device must name a device"),
        ({"recipe": Recipe(batch=lambda *batch: batch)}, ValueError, "recipe must have no batch"),
    ],
)
def test_bad_options(tmp_path, make_model, token_sets, options, error, message):
    with pytest.raises(error, match=message):
        run(tmp_path / "run", make_masked(make_model), token_sets[0], **options)
    assert not (tmp_path / "run").exists()


def test_bad_model_and_numbers(tmp_path, make_model, token_sets):
    with pytest.raises(TypeError, match="model must be a MaskedSViT, got SViT"):
        run(tmp_path / "run", make_model(), token_sets[0])
    model = make_masked(make_model)
    with torch.no_grad():
        model.decoder_head.bias[0] = torch.nan
    with pytest.raises(FloatingPointError, match=r"the loss is nan in epoch 1, step 1, .* lower lr \(it is 0.003\)"):
        run(tmp_path / "run", model, token_sets[0])
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_resuming_checks_what_it_resumes(tmp_path, make_model, token_sets):
    run(tmp_path, make_masked(make_model), token_sets[0], settings={"size": 64})
    for options, message in (
        ({"lr": 0.1}, "cannot be resumed with other settings: lr was 0.003 and is 0.1; size was 64 and is None"),
        ({"epochs": 1, "settings": {"size": 64}}, "epochs must be at least 2"),
    ):
        with pytest.raises(ValueError, match=message):
            run(tmp_path, make_masked(make_model), token_sets[0], resume=True, **options)
    with pytest.raises(ValueError, match="the data changed; images was 20 and is 12"):
        run(tmp_path, make_masked(make_model), token_sets[1], resume=True, settings={"size": 64})
    with pytest.raises(ValueError, match="is of another model: encoder"):
        run(tmp_path, make_masked(make_model, depth=1), token_sets[0], resume=True, settings={"size": 64})


def test_picture_shows_what_is_hidden(token_sets):
    tokens, _ = token_sets[0][0]
    batch = tokens[None]
    hidden = torch.zeros(batch.labels.shape, dtype=torch.bool)
    hidden[0, 0] = True
    picture = PIL.Image.open(io.BytesIO(draw_reconstructions(batch, batch, hidden, side=40)))
    left, middle, right = (picture.crop((16 + 48 * i, 40, 56 + 48 * i, 80)).tobytes() for i in range(3))
    assert left == right != middle
    with pytest.raises(ValueError, match="side must be at least 1"):
        draw_reconstructions(batch, batch, hidden, side=0)
