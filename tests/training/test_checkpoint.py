import json
import os

import pytest
import torch
from torch import nn

from segaug._files import write_atomically
from segaug.training import RunFolder, load_checkpoint, load_model, load_optimizer, make_optimizer, save_checkpoint
from segaug.training._encoder_options import encoder_options


def trained(model, steps=2):
    optimizer = make_optimizer(model, lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        sum(parameter.square().sum() for parameter in model.parameters()).backward()
        optimizer.step()
    return optimizer


def test_model_and_optimizer_come_back(tmp_path, make_model):
    model = make_model(pool="mean", position="mlp")
    optimizer = trained(model)
    save_checkpoint(tmp_path / "a.safetensors", model, optimizer, meta={"epoch": 3, "text": "é"})
    checkpoint = load_checkpoint(tmp_path / "a.safetensors")
    assert checkpoint.meta == {"epoch": 3, "text": "é", "encoder": encoder_options(model)}
    other = make_model(pool="mean", position="mlp")
    other_optimizer = make_optimizer(other, lr=0.01)
    load_model(other, checkpoint)
    load_optimizer(other_optimizer, other, checkpoint)
    for group, other_group in zip(optimizer.param_groups, other_optimizer.param_groups, strict=True):
        for parameter, other_parameter in zip(group["params"], other_group["params"], strict=True):
            assert torch.equal(parameter, other_parameter)
            state, other_state = optimizer.state[parameter], other_optimizer.state[other_parameter]
            assert state.keys() == other_state.keys() == {"step", "exp_avg", "exp_avg_sq"}
            assert all(torch.equal(state[key], other_state[key]) for key in state)


def test_a_parameter_without_a_gradient_has_no_state(tmp_path):
    model = nn.ModuleDict({"used": nn.Linear(2, 1), "unused": nn.Linear(2, 1)})
    optimizer = make_optimizer(model)
    model["used"].weight.square().sum().backward()
    optimizer.step()
    save_checkpoint(tmp_path / "a.safetensors", model, optimizer)
    checkpoint = load_checkpoint(tmp_path / "a.safetensors")
    assert checkpoint.optimizer.keys() == {"used.weight"}
    fresh = make_optimizer(model)
    load_optimizer(fresh, model, checkpoint)
    assert set(fresh.state) == {model["used"].weight}


def test_tensors_that_share_memory_and_numbers_are_saved(tmp_path):
    model = nn.Linear(3, 3)
    model.register_buffer("same", model.weight.data.t())
    model.register_buffer("number", torch.tensor(5))
    save_checkpoint(tmp_path / "a.safetensors", model)
    checkpoint = load_checkpoint(tmp_path / "a.safetensors")
    assert torch.equal(checkpoint.model["same"], model.weight.t())
    assert checkpoint.model["number"] == 5
    with pytest.raises(ValueError, match=r"a\.safetensors holds no state of an optimizer, only a model"):
        load_optimizer(make_optimizer(model), model, checkpoint)


def test_the_old_file_stays_if_writing_fails(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, nn.Linear(2, 1), meta={"epoch": 1})

    def full(self, target):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.replace", full)
        with pytest.raises(OSError, match=r"No space left on device: .*a\.safetensors"):
            save_checkpoint(path, nn.Linear(2, 1), meta={"epoch": 2})
    assert load_checkpoint(path).meta == {"epoch": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_the_new_file_is_on_the_disk_before_the_old_one_is_gone(tmp_path, monkeypatch):
    path, done = tmp_path / "a.safetensors", []
    replace, sync = type(path).replace, os.fsync

    def replacing(self, target):
        done.append("rename")
        return replace(self, target)

    def syncing(number):
        sync(number)
        done.append(os.fstat(number).st_size)

    monkeypatch.setattr("os.fsync", syncing)
    monkeypatch.setattr("pathlib.Path.replace", replacing)
    save_checkpoint(path, nn.Linear(2, 1))
    assert done == [path.stat().st_size, "rename"]
    # What can be made again does not wait for the disk.
    write_atomically(tmp_path / "b", b"text")
    assert done[2:] == ["rename"]


def test_an_optimizer_without_a_step_is_one(tmp_path):
    model = nn.Linear(2, 1)
    save_checkpoint(tmp_path / "a.safetensors", model, make_optimizer(model))
    checkpoint = load_checkpoint(tmp_path / "a.safetensors")
    assert checkpoint.has_optimizer
    assert checkpoint.optimizer == {}
    optimizer = trained(model)
    load_optimizer(optimizer, model, checkpoint)
    assert not optimizer.state


def test_there_is_no_code_in_it(tmp_path):
    save_checkpoint(tmp_path / "a.safetensors", nn.Linear(2, 1), meta={"epoch": 1})
    data = (tmp_path / "a.safetensors").read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert header.keys() == {"__metadata__", "model/weight", "model/bias"}


def test_damaged_or_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no checkpoint at .*none\.safetensors"):
        load_checkpoint(tmp_path / "none.safetensors")
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, nn.Linear(2, 1))
    data = path.read_bytes()
    for content in (b"", b"text", data[:20], data[:-1], data.replace(b'\\"format\\"', b'\\"fromat\\"')):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.safetensors is damaged, or no checkpoint of segaug"):
            load_checkpoint(path)


def test_another_version_is_named(tmp_path):
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, nn.Linear(2, 1))
    data = path.read_bytes()
    path.write_bytes(data.replace(b'\\"format\\": 3', b'\\"format\\": 1'))
    with pytest.raises(
        ValueError, match=r"a\.safetensors is a checkpoint of version 1, and this segaug reads version 3"
    ):
        load_checkpoint(path)


def test_a_mean_of_weights_is_the_model_and_the_raw_ones_are_beside_it(tmp_path, make_model):
    model, mean = make_model(), make_model(drop_rate=0.1)
    optimizer = trained(model)
    save_checkpoint(tmp_path / "a.safetensors", model, optimizer, mean=mean)
    checkpoint = load_checkpoint(tmp_path / "a.safetensors")
    for raw, expected in ((False, mean), (True, model)):
        other = make_model()
        load_model(other, checkpoint, raw=raw)
        assert all(torch.equal(a, b) for a, b in zip(other.parameters(), expected.parameters(), strict=True))


def test_a_compiled_model_is_saved_as_what_it_is_of(tmp_path, make_model):
    model, mean, plain = make_model(), make_model(), make_model()
    with torch.no_grad():
        mean.head.weight.fill_(2.0)
    compiled = torch.compile(model, backend="eager")
    optimizer = trained(compiled)
    save_checkpoint(tmp_path / "a.safetensors", compiled, optimizer, mean=torch.compile(mean, backend="eager"))
    checkpoint = load_checkpoint(tmp_path / "a.safetensors")
    assert not any("_orig_mod" in name for name in (*checkpoint.model, *checkpoint.raw, *checkpoint.optimizer))
    load_model(plain, checkpoint)
    assert (plain.head.weight == 2.0).all()
    load_model(torch.compile(plain, backend="eager"), checkpoint, raw=True)
    assert torch.equal(plain.head.weight, model.head.weight)
    load_optimizer(torch.optim.AdamW(compiled.parameters()), compiled, checkpoint)


def test_a_module_with_a_length_of_none_is_saved(tmp_path):
    class Empty(torch.nn.Linear):
        def __len__(self):
            return 0

    model, mean = Empty(2, 1), Empty(2, 1)
    save_checkpoint(tmp_path / "a.safetensors", model, mean=mean)
    assert torch.equal(load_checkpoint(tmp_path / "a.safetensors").model["weight"], mean.weight)


def test_another_model_is_refused_by_name(tmp_path, make_model):
    save_checkpoint(tmp_path / "a.safetensors", make_model())
    checkpoint = load_checkpoint(tmp_path / "a.safetensors")
    with pytest.raises(
        ValueError,
        match=r"a\.safetensors is of another model: fc_norm\.weight is missing there and 16 here; .* and 2 more",
    ):
        load_model(make_model(pool="mean"), checkpoint)
    with pytest.raises(ValueError, match=r"cls_token is 1x1x16 there and 1x1x32 here; .* and \d+ more"):
        load_model(make_model(embed_dim=32), checkpoint)


def test_state_that_is_no_tensor_is_refused(tmp_path):
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    optimizer.state[model.weight]["name"] = "text"
    with pytest.raises(TypeError, match="optimizer must keep tensors only to be saved, got str 'name'"):
        save_checkpoint(tmp_path / "a.safetensors", model, optimizer)


def test_a_checkpoint_of_no_run_cannot_be_resumed(tmp_path, make_model):
    save_checkpoint(tmp_path / "last.safetensors", make_model())
    with pytest.raises(ValueError, match="no checkpoint of a run"):
        RunFolder(tmp_path, resume=True)
