import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segaug.evaluation import hierarchical_scores, load_class_tree, parse_class_tree

NESTED = {"thing": {"animal": {"pet": {"cat": {}, "dog": None}, "cow": {}}, "car": {}}}
FLAT = {"cat": "pet", "dog": "pet", "pet": "animal", "cow": "animal", "animal": "thing", "car": "thing"}
CLASSES = ["cat", "dog", "cow", "car"]


def test_both_forms_are_one():
    assert parse_class_tree(NESTED) == parse_class_tree(FLAT) == {**FLAT, "thing": None}


@pytest.mark.parametrize(
    ("called", "target", "precision", "recall"),
    [
        # Sets without the root: cat {cat, pet, animal}, cow {cow, animal}, car {car}.
        ("cat", "cat", 1, 1),
        ("cat", "dog", 2 / 3, 2 / 3),
        ("cat", "cow", 1 / 3, 1 / 2),
        ("cow", "cat", 1 / 2, 1 / 3),
        ("car", "cat", 0, 0),
    ],
)
def test_of_one_image(called, target, precision, recall):
    places = [torch.tensor([CLASSES.index(name)]) for name in (called, target)]
    scores = hierarchical_scores(*places, CLASSES, parse_class_tree(NESTED))
    assert (scores.precision, scores.recall) == pytest.approx((precision, recall))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=20))
@settings(derandomize=True, deadline=None, max_examples=30)
def test_between_accuracy_and_one(pairs):
    called, targets = torch.tensor(pairs).unbind(-1)
    accuracy = (called == targets).double().mean().item()
    flat = hierarchical_scores(called, targets, CLASSES, dict.fromkeys([*CLASSES, "other"]))
    # Without levels between, nothing is forgiven.
    assert (flat.precision, flat.recall, flat.f1) == pytest.approx((accuracy,) * 3)
    deep = hierarchical_scores(called, targets, CLASSES, parse_class_tree(NESTED))
    assert 0 <= min(deep.precision, deep.recall) <= deep.f1 + 1e-12
    assert deep.f1 <= max(deep.precision, deep.recall) + 1e-12
    assert (deep.f1 == 1) == (accuracy == 1)


def test_root():
    zero = torch.zeros(1, dtype=torch.int64)
    # One name on top is the root; of two none is.
    one_top = parse_class_tree({"thing": {"cat": {}, "car": {}}})
    assert hierarchical_scores(zero, zero + 1, ["cat", "car"], one_top).f1 == 0
    two_tops = parse_class_tree({"thing": {"cat": {}, "car": {}}, "place": {}})
    assert hierarchical_scores(zero, zero + 1, ["cat", "car"], two_tops).f1 == 0.5
    with pytest.raises(ValueError, match="'thing' is the root"):
        hierarchical_scores(zero, zero, ["thing"], one_top)


@pytest.mark.parametrize(
    ("tree", "error", "message"),
    [
        ([], TypeError, r"tree must be \{child: parent, ...\} or nested dicts, got \[\]"),
        ({}, TypeError, "tree must be"),
        ({"a": {"b": "c"}}, TypeError, "got 'c' below 'b'"),
        ({"a": ["b"], "c": "d"}, TypeError, "below 'a'"),
        ({"a": {"x": {}}, "b": {"x": {}}}, ValueError, "tree must give every name one parent, got 'x' twice"),
        ({"a": {"b": {"a": {}}}}, ValueError, "tree must have no cycle, got a > b > a"),
        ({"a": "b", "b": "c", "c": "a"}, ValueError, "tree must have no cycle, got a < b < c < a"),
        ({"a": "a"}, ValueError, "tree must have no cycle, got a < a"),
    ],
)
def test_bad_trees(tree, error, message):
    with pytest.raises(error, match=message):
        parse_class_tree(tree)


def test_class_missing():
    zero = torch.zeros(1, dtype=torch.int64)
    message = "tree must hold every class, missing: 'cats', 'bus'; did the tree mean 'cats' by 'cat'?"
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        hierarchical_scores(zero, zero, ["cats", "bus", "car"], parse_class_tree(NESTED))


def test_file(tmp_path):
    path = tmp_path / "tree.json"
    with pytest.raises(FileNotFoundError, match="there is no class tree at"):
        load_class_tree(path)
    path.write_text(json.dumps(NESTED))
    assert load_class_tree(path) == parse_class_tree(FLAT)
    path.write_text('{"cat": "pet", "cat": "wild"}')
    with pytest.raises(ValueError, match="tree must give every name one parent, got 'cat' twice"):
        load_class_tree(path)
    path.write_text("cat: pet")
    with pytest.raises(ValueError, match="must hold JSON"):
        load_class_tree(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="must hold JSON in UTF-8"):
        load_class_tree(path)
