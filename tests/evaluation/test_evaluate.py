import csv
import json
from dataclasses import replace

import pytest

from segaug.data import TokenStore
from segaug.evaluation import (
    evaluate_run,
    format_evaluation,
    load_run,
    open_images,
    parse_class_tree,
    write_evaluation,
)

TREE = parse_class_tree({"color": {"warm": {"red": {}}, "cold": {"blue": {}, "green": {}}}})


@pytest.fixture(scope="module")
def evaluation(run_folder):
    run = load_run(run_folder)
    return evaluate_run(
        run, open_images(run), data="photos", tree=TREE, corruptions=["gaussian_noise", "jpeg"], severities=[1, 5]
    )


def test_what_is_measured(evaluation):
    assert [(line.corruption, line.severity) for line in evaluation.corruptions] == [
        ("gaussian_noise", 1),
        ("gaussian_noise", 5),
        ("jpeg", 1),
        ("jpeg", 5),
    ]
    assert len({line.negative_log_likelihood for line in evaluation.corruptions}) == 4
    mean = sum(line.accuracy for line in evaluation.corruptions) / 4
    assert evaluation.mean_corruption_accuracy == pytest.approx(mean)
    assert evaluation.hierarchy.f1 >= evaluation.scores.accuracy - 1e-9
    assert evaluation.mean_tokens == 5


def test_with_a_store_the_same(run_folder, evaluation, tmp_path):
    run = load_run(run_folder)
    for _ in range(2):
        store = TokenStore(tmp_path)
        again = evaluate_run(run, open_images(run), corruptions=["gaussian_noise"], severities=[5], store=store)
        assert again.scores == evaluation.scores
        assert again.corruptions == evaluation.corruptions[1:2]
    assert store.take_counts().made == 0


def test_text(evaluation):
    lines = format_evaluation(evaluation).splitlines()
    assert max(len(line) for line in lines[2:]) <= 100
    assert lines[1] == "data   photos: 12 images, 5.0 tokens each"
    for start in ("accuracy  ", "mAP", "macro", "micro", "hierarchical", "red", "jpeg", "mean"):
        assert any(line.startswith(start) for line in lines), start


def test_files(evaluation, tmp_path):
    paths = write_evaluation(evaluation, tmp_path / "out")
    names = ["confusion.png", "corruptions.csv", "metrics.json", "per_class.csv", "reliability.png"]
    assert sorted(path.name for path in paths) == sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics == json.loads(json.dumps(evaluation.to_dict()))
    assert metrics["scores"]["accuracy"] == evaluation.scores.accuracy
    rows = list(csv.DictReader((tmp_path / "out" / "per_class.csv").read_text().splitlines()))
    assert [row["class"] for row in rows] == ["blue", "green", "red"]
    assert float(rows[0]["recall"]) == evaluation.scores.per_class[0].recall
    assert len((tmp_path / "out" / "corruptions.csv").read_text().splitlines()) == 5
    # Of an evaluation without corruptions, none is left behind.
    again = write_evaluation(replace(evaluation, corruptions=[]), tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(path.name for path in again)
    assert "corruptions.csv" not in [path.name for path in again]
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="out must be a folder, there is a file at"):
        write_evaluation(evaluation, tmp_path / "file")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"corruptions": ["fog"]}, ValueError, "corruptions must be one of 'gaussian_noise'.*got 'fog'"),
        ({"corruptions": "jpeg"}, TypeError, "corruptions must be a list, got 'jpeg'"),
        ({"corruptions": ["jpeg", "jpeg"]}, ValueError, "corruptions must differ"),
        ({"severities": [0]}, ValueError, "severities must be one of 1, 2, 3, 4, 5, got 0"),
        ({"tree": {"red": None}}, ValueError, "tree must hold every class, missing: 'blue', 'green'"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
        ({"workers": -1}, ValueError, "workers must be at least 0, got -1"),
        ({"seed": -1}, ValueError, "seed must be at least 0, got -1"),
    ],
)
def test_bad_input(run_folder, options, error, message):
    run = load_run(run_folder)
    with pytest.raises(error, match=message):
        evaluate_run(run, open_images(run, limit_per_class=1), **options)
