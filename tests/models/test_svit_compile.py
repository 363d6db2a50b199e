import warnings

import pytest
import torch
from torch.export import Dim, export
from torch.testing import assert_close

from segaug.structures import collate

VARIANTS = {
    "plain": {"pool": "mean", "position": "mlp"},
    "more": {
        "packed": True,
        "pool": "class_attention",
        "class_depth": 1,
        "position": "histogram",
        "color_embed": True,
        "num_registers": 1,
        "init_values": 0.3,
        "stem": "conv",
    },
    "table": {"distillation": True, "position": "table"},
}


def fields_of(tokens):
    fields = (tokens.patches, tokens.alpha, tokens.boxes, tokens.areas, tokens.labels)
    return tuple(field.as_subclass(torch.Tensor) for field in fields)


def make_batches(make_tokens):
    return [collate([make_tokens(n, n) for n in lengths]) for lengths in ((3, 5), (2, 7, 4), (6, 6))]


def test_inductor_compiles_the_smallest(make_model, make_tokens):
    torch.compiler.reset()
    model = make_model(depth=1, embed_dim=16, num_heads=1, **VARIANTS["plain"])
    # No pool of compiling processes: starting it takes longer than what it would save.
    alone, fixed = torch._inductor.config.patch(compile_threads=1), torch._dynamo.config.patch(error_on_recompile=True)
    with warnings.catch_warnings(), alone, fixed, torch.no_grad():
        warnings.simplefilter("ignore")  # of torch's own, about its compiler
        compiled = torch.compile(model, fullgraph=True, dynamic=True)
        for batch in make_batches(make_tokens):
            assert_close(compiled(batch), model(batch), atol=1e-4, rtol=1e-4)


# Without fullgraph=True, which lets operations into a graph that would break it otherwise.
def test_one_graph_for_all_sizes_with_most_options(make_model, make_tokens):
    torch.compiler.reset()
    model = make_model(depth=1, **VARIANTS["more"])
    graphs = []

    def keep(graph, inputs):
        graphs.append(graph)
        return graph

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        compiled = torch.compile(model, dynamic=True, backend=keep)
        for batch in make_batches(make_tokens):
            assert_close(compiled(batch), model(batch), atol=1e-4, rtol=1e-4)
    assert len(graphs) == 1


@pytest.mark.parametrize("variant", VARIANTS)
def test_exports_with_any_number_of_images_and_tokens(make_model, make_tokens, variant):
    model = make_model(depth=1, **VARIANTS[variant])
    first, *others = make_batches(make_tokens)
    images, tokens = Dim("images", max=64), Dim("tokens", max=64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = export(model.plain(), fields_of(first), dynamic_shapes=({0: images, 1: tokens},) * 5)
    for batch in (first, *others, collate([make_tokens(1)])):
        assert_close(program.module()(*fields_of(batch)), model(batch), atol=1e-4, rtol=1e-4)


def test_plain_shares_parameters_and_gives_the_same(make_model, make_tokens):
    model, batch = make_model(), collate([make_tokens(2), make_tokens(4)])
    plain = model.plain()
    assert {id(p) for p in plain.parameters()} == {id(p) for p in model.parameters()}
    assert torch.equal(plain(*fields_of(batch)), model(batch))
