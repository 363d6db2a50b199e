import json
import math
import runpy
import sys
from pathlib import Path

import PIL.Image
import pytest
import torch

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "train_detector.py"


@pytest.fixture
def example(tmp_path, monkeypatch, capsys):
    """``example(*arguments)``: run the example as a program; gives its exit code, its lines and what it said."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", [str(EXAMPLE), "--steps", "2", "--device", "cpu", *map(str, arguments)])
        code = 0
        with torch.random.fork_rng():
            try:
                runpy.run_path(str(EXAMPLE), run_name="__main__")
            except SystemExit as error:
                code = error.code
        printed = capsys.readouterr()
        return code, printed.out.splitlines(), printed.err

    return run


@pytest.fixture
def photos(tmp_path):
    """Two photos in COCO's panoptic format: two things, a crowd and stuff in the first, stuff alone in the second."""
    root = tmp_path / "data" / "instances"
    (root / "images" / "train").mkdir(parents=True)
    (root / "panoptic" / "train").mkdir(parents=True)
    annotations = []
    for number, infos in enumerate(([(5, 1, 0), (9, 3, 0), (11, 1, 1), (7, 99, 0)], [(7, 99, 0)])):
        labels = torch.full((60, 80), 7)
        for place, (label, _, _) in enumerate(infos[:-1]):
            labels[5 : 45 - place, 25 * place : 25 * place + 20] = label
        panoptic = torch.stack([labels, torch.zeros_like(labels), torch.zeros_like(labels)], -1).to(torch.uint8)
        PIL.Image.fromarray(panoptic.numpy()).save(root / "panoptic" / "train" / f"{number}.png")
        PIL.Image.fromarray((panoptic * 20).numpy()).save(root / "images" / "train" / f"{number}.jpg")
        segments = [{"id": label, "category_id": kind, "iscrowd": crowd} for label, kind, crowd in infos]
        annotations.append({"file_name": f"{number}.png", "image_id": number, "segments_info": segments})
    categories = [{"id": 1, "isthing": 1}, {"id": 3, "isthing": 1}, {"id": 99, "isthing": 0}]
    listed = {"annotations": annotations, "categories": categories}
    (root / "panoptic_train.json").write_text(json.dumps(listed), encoding="utf-8")
    return root.parent


def check(code, lines):
    assert code == 0
    result = json.loads(lines[-1])
    assert result["steps"] == 2
    assert math.isfinite(result["first_loss"])
    assert math.isfinite(result["last_loss"])
    assert [line.split(":")[0] for line in lines[1:-1]] == ["step 1", "step 2"]
    return lines[0]


def test_with_scenes(example):
    code, lines, _ = example()
    assert check(code, lines) == "1000 images, 1 classes"


def test_with_photos(example, photos):
    code, lines, _ = example("--data", photos, "--fill", "keep")
    assert check(code, lines) == "2 images, 2 classes"


def test_with_the_folder_of_photos_itself(example, photos):
    code, lines, _ = example("--data", photos / "instances", "--fill", "keep")
    assert check(code, lines) == "2 images, 2 classes"


@pytest.mark.shared_data
def test_with_real_photos(example, shared_data):
    code, lines, _ = example("--data", shared_data("instances"), "--split", "val", "--batch-size", 1)
    assert check(code, lines) == "27 images, 80 classes"


@pytest.mark.parametrize(
    ("arguments", "message"), [(("--steps", 0), "steps must be at least 1, got 0"), (("--data", "nowhere"), "nowhere")]
)
def test_errors_are_one_line(example, arguments, message):
    code, _, said = example(*arguments)
    assert code == 2
    assert said.startswith("train_detector.py: error: ")
    assert message in said
    assert said.count("\n") == 1


def test_an_interrupt_is_one_line(example, monkeypatch):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("segaug.data.Scenes", interrupted)
    assert example() == (130, [], "interrupted\n")
