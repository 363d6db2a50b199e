import itertools
import math

import pytest
import torch

from segaug.models import SViT
from segaug.training import learning_rate, make_optimizer


def test_only_matrices_decay():
    model = SViT(3, patch_size=4, embed_dim=8, depth=1, num_heads=1, position="table", num_positions=5)
    optimizer = make_optimizer(model, lr=0.1, weight_decay=0.5)
    names = {parameter: name for name, parameter in model.named_parameters()}
    decayed, others = ({names[p] for p in group["params"]} for group in optimizer.param_groups)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.5, 0.0]
    assert decayed == {
        "patch_embed.proj.weight",
        "blocks.0.attn.qkv.weight",
        "blocks.0.attn.proj.weight",
        "blocks.0.mlp.fc1.weight",
        "blocks.0.mlp.fc2.weight",
        "head.weight",
    }
    assert {"cls_token", "pos_embed", "norm.weight", "head.bias"} < others
    assert decayed | others == set(names.values())


def test_layers_near_the_input_learn_more_slowly():
    model = SViT(3, patch_size=4, embed_dim=8, depth=2, num_heads=1, pool="cls")
    optimizer = make_optimizer(model, lr=0.1, weight_decay=0.5, layer_decay=0.5)
    rates = {}
    for group in optimizer.param_groups:
        assert group["lr"] == pytest.approx(0.1 * group["lr_scale"])
        rates.update({id(parameter): group["lr_scale"] for parameter in group["params"]})
    # n = 2 blocks: embeddings 0.5^3, block i 0.5^(2 - i), the rest 1 (BEiT, arXiv 2106.08254).
    for name, parameter in model.named_parameters():
        start = name.split(".")[0]
        depth = int(name.split(".")[1]) + 1 if start == "blocks" else {"norm": 3, "head": 3}.get(start, 0)
        assert rates[id(parameter)] == 0.5 ** (3 - depth), name
    decays = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    same = {id(p): g["weight_decay"] for g in make_optimizer(model, weight_decay=0.5).param_groups for p in g["params"]}
    assert decays == same


def test_the_class_token_of_class_attention_learns_as_what_is_behind_the_blocks():
    model = SViT(3, patch_size=4, embed_dim=8, depth=2, num_heads=1, pool="class_attention", num_registers=1)
    optimizer = make_optimizer(model, lr=1.0, layer_decay=0.5)
    rates = {id(parameter): group["lr"] for group in optimizer.param_groups for parameter in group["params"]}
    assert rates[id(model.cls_token)] == 1.0
    assert rates[id(model.reg_token)] == 0.125


def test_layer_decay_of_a_wrapped_model_and_of_one_without_blocks():
    inner = SViT(3, patch_size=4, embed_dim=8, depth=1, num_heads=1)
    scales = {g["lr_scale"] for g in make_optimizer(torch.nn.ModuleDict({"m": inner}), layer_decay=0.1).param_groups}
    assert sorted(scales) == pytest.approx([0.01, 0.1, 1.0])
    with pytest.raises(ValueError, match=r"layer_decay must be 1 for a model without `blocks`, got 0\.5 and a Linear"):
        make_optimizer(torch.nn.Linear(2, 3), layer_decay=0.5)
    for wrong in (0, 1.5):
        with pytest.raises(ValueError, match=r"layer_decay must be"):
            make_optimizer(inner, layer_decay=wrong)


def test_frozen_parameters_are_left_out():
    model = torch.nn.Linear(2, 3)
    model.weight.requires_grad_(False)
    assert [len(group["params"]) for group in make_optimizer(model).param_groups] == [0, 1]
    model.requires_grad_(False)
    with pytest.raises(ValueError, match=r"model must have a parameter that learns, all of this Linear are frozen"):
        make_optimizer(model)


def test_warmup_and_cosine():
    rates = [learning_rate(step, 100, lr=2.0, warmup=10) for step in range(100)]
    assert rates[:3] == pytest.approx([0.2, 0.4, 0.6])
    assert rates[9] == rates[10] == max(rates) == 2.0
    assert rates[55] == pytest.approx(1.0)
    assert all(a >= b for a, b in itertools.pairwise(rates[9:]))
    assert 0 < rates[99] < 0.01
    assert learning_rate(0, 1, lr=2.0, warmup=0) == 2.0
    assert learning_rate(2, 3, lr=3.0, warmup=3) == 3.0
    assert learning_rate(1, 4, lr=1.0, warmup=0) == pytest.approx(0.5 * (1 + math.cos(math.pi / 4)))


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"lr must be at least 0\.0, got -1"):
        make_optimizer(torch.nn.Linear(1, 1), lr=-1)
    with pytest.raises(ValueError, match="steps must be at least 4, got 3"):
        learning_rate(3, 3, lr=1.0, warmup=0)
