import importlib
import itertools
import json
import warnings
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segaug.structures._coco import annotations_to_masks, panoptic_to_labels


def panoptic(height=5, width=7, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def expected_ids(array):
    return [[int(r) + 256 * int(g) + 65536 * int(b) for r, g, b in row] for row in array]


class TestPanoptic:
    def test_array_tensor_pil_and_path_agree(self, tmp_path):
        array = panoptic()
        path = tmp_path / "ids.png"
        PIL.Image.fromarray(array).save(path)
        tensor = torch.from_numpy(array).permute(2, 0, 1)
        for png in (array, tensor, PIL.Image.fromarray(array), path, str(path)):
            labels = panoptic_to_labels(png)
            assert type(labels) is torch.Tensor
            assert labels.dtype == torch.int64
            assert labels.tolist() == expected_ids(array)

    def test_extremes(self):
        assert panoptic_to_labels(np.full((1, 1, 3), 255, np.uint8)).item() == 2**24 - 1
        assert panoptic_to_labels(np.zeros((1, 1, 3), np.uint8)).item() == 0

    def test_read_only_and_strided_inputs_stay_as_they_are(self):
        array = panoptic(8, 9)[::-2, ::-1]
        array.flags.writeable = False
        before = array.copy()
        assert panoptic_to_labels(array).tolist() == expected_ids(before)
        assert np.array_equal(array, before)

    @pytest.mark.parametrize(
        "png",
        [
            np.zeros((4, 5), np.uint8),
            np.zeros((3, 4, 5), np.uint8),
            np.zeros((4, 5, 4), np.uint8),
            np.zeros((1, 4, 5, 3), np.uint8),
            torch.zeros(4, 5, 3, dtype=torch.uint8),
            torch.zeros(4, 5, dtype=torch.uint8),
            torch.zeros(1, 4, 5, dtype=torch.uint8),
        ],
    )
    def test_other_shapes(self, png):
        with pytest.raises(ValueError, match=r"png must be .*of shape"):
            panoptic_to_labels(png)

    @pytest.mark.parametrize("png", [None, 3, [[1, 2, 3]], np.zeros((4, 5, 3)), torch.zeros(3, 4, 5)])
    def test_other_types(self, png):
        with pytest.raises(TypeError, match="png must be"):
            panoptic_to_labels(png)

    @pytest.mark.parametrize("mode", ["L", "P", "RGBA", "I", "1", "CMYK"])
    def test_other_modes(self, mode):
        with pytest.raises(ValueError, match=f"mode RGB, got mode {mode}"):
            panoptic_to_labels(PIL.Image.new(mode, (4, 5)))

    def test_files_that_are_no_panoptic_png(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"png must be .*absent\.png"):
            panoptic_to_labels(tmp_path / "absent.png")
        text = tmp_path / "text.png"
        text.write_text("not a picture")
        with pytest.raises(ValueError, match=r"text\.png"):
            panoptic_to_labels(text)
        whole = tmp_path / "whole.png"
        PIL.Image.fromarray(panoptic(40, 40)).save(whole)
        cut = tmp_path / "cut.png"
        cut.write_bytes(whole.read_bytes()[:1000])
        with pytest.raises(ValueError, match=r"cut\.png"):
            panoptic_to_labels(cut)
        jpeg = tmp_path / "lossy.jpg"
        PIL.Image.fromarray(panoptic(40, 40)).save(jpeg)
        with pytest.raises(ValueError, match="JPEG"):
            panoptic_to_labels(jpeg)


def codec():
    return importlib.import_module("pycocotools.mask")


def encode(mask):
    return codec().encode(np.asfortranarray(mask.astype(np.uint8)))


def run_lengths(mask):
    """Uncompressed COCO counts, the slow and obvious way."""
    counts, current = [], 0
    runs = [(value, len(list(group))) for value, group in itertools.groupby(mask.T.ravel().tolist())]
    for value, length in runs:
        if bool(value) != bool(current):
            counts.append(0)
        counts.append(length)
        current = not value
    return counts


masks_strategy = st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1), st.floats(0, 1)).map(
    lambda a: np.random.default_rng(a[2]).random((a[0], a[1])) < a[3]
)


class TestAnnotations:
    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(masks_strategy)
    def test_rle_in_every_form_gives_the_mask_back(self, mask):
        size = list(mask.shape)
        compressed = encode(mask)
        forms = [
            {"size": size, "counts": run_lengths(mask)},
            {"size": size, "counts": compressed["counts"]},
            {"size": tuple(size), "counts": compressed["counts"].decode()},
        ]
        masks = annotations_to_masks([{"segmentation": form} for form in forms], *size)
        assert masks.dtype == torch.bool
        assert masks.shape == (3, *size)
        for result in masks:
            assert np.array_equal(result.numpy(), mask)

    def test_large_rle(self):
        mask = np.zeros((700, 900), bool)
        mask[3:650, 10:880] = True
        mask[100:200, 50:60] = False
        result = annotations_to_masks([{"segmentation": encode(mask)}], 700, 900)
        assert np.array_equal(result[0].numpy(), mask)

    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(
        st.lists(
            st.lists(st.floats(-5, 25, width=32), min_size=6, max_size=12).filter(lambda p: len(p) % 2 == 0),
            min_size=1,
            max_size=3,
        )
    )
    def test_polygons_are_the_pixels_of_pycocotools(self, polygons):
        height, width = 17, 20
        mask = annotations_to_masks([{"segmentation": polygons}], height, width)[0]
        rle = codec().merge(codec().frPyObjects(polygons, height, width))
        with warnings.catch_warnings():
            # pycocotools 2.0.11 does not know the copy argument of NumPy's newest releases.
            warnings.simplefilter("ignore", DeprecationWarning)
            expected = codec().decode(rle)
        assert np.array_equal(mask.numpy(), expected.astype(bool))

    def test_polygon_of_a_box_covers_its_pixels(self):
        mask = annotations_to_masks([{"segmentation": [[2, 1, 6, 1, 6, 4, 2, 4]]}], 8, 9)[0]
        expected = torch.zeros(8, 9, dtype=torch.bool)
        expected[1:4, 2:6] = True
        assert torch.equal(mask, expected)

    def test_order_parts_and_crowds(self):
        annotations = [
            {"segmentation": [[0, 0, 2, 0, 2, 2, 0, 2], [4, 4, 6, 4, 6, 6, 4, 6]], "iscrowd": 0},
            {"segmentation": {"size": [6, 6], "counts": [6, 12, 18]}, "iscrowd": 1},
        ]
        masks = annotations_to_masks(annotations, 6, 6)
        assert masks.sum((1, 2)).tolist() == [8, 12]
        assert masks[1, :, 1:3].all()

    def test_no_annotations(self):
        masks = annotations_to_masks([], 4, 5)
        assert masks.shape == (0, 4, 5)
        assert masks.dtype == torch.bool

    @pytest.mark.parametrize("size", [[5, 4], [4, 6], [4], "45", None])
    @pytest.mark.parametrize("counts", [[20], "d0"])
    def test_rle_of_another_size(self, size, counts):
        with pytest.raises(ValueError, match=r'annotations\[1\]\["segmentation"\] must be of size \[4, 5\]'):
            annotations_to_masks(
                [
                    {"segmentation": {"size": [4, 5], "counts": [20]}},
                    {"segmentation": {"size": size, "counts": counts}},
                ],
                4,
                5,
            )

    @pytest.mark.parametrize(
        "counts",
        [
            [19],
            [21],
            [-1, 21],
            [10.0, 10.0],
            [True, 19],
            None,
            20,
            "",
            "1",
            "dP",
            "d\x00",
            "ä",
            b"d\xff",
            "d0d0",
            "o" * 9999,
            [],
        ],
    )
    def test_broken_counts(self, counts):
        with pytest.raises(ValueError, match="must have counts"):
            annotations_to_masks([{"segmentation": {"size": [4, 5], "counts": counts}}], 4, 5)

    @settings(max_examples=200, deadline=None, derandomize=True)
    @given(st.binary(max_size=12) | st.text(max_size=12))
    def test_any_compressed_string_is_a_mask_or_a_clear_error(self, counts):
        try:
            masks = annotations_to_masks([{"segmentation": {"size": [4, 5], "counts": counts}}], 4, 5)
        except ValueError as error:
            message = str(error)
        else:
            message = "annotations[0]"
            assert masks.shape == (1, 4, 5)
        assert "annotations[0]" in message

    @pytest.mark.parametrize(
        "segmentation",
        [
            [],
            [[]],
            [[0, 0, 1, 1]],
            [[0, 0, 1, 0, 1, 1, 0]],
            [[0, 0, 1, 0, 1, float("nan")]],
            [[0, 0, 1, 0, 1, 1e9]],
            [[0, 0, 1, 0, 1, "1"]],
            [0, 0, 1, 0, 1, 1],
            None,
            "polygon",
            {"counts": [20]},
            {"size": [4, 5]},
        ],
    )
    def test_broken_segmentations(self, segmentation):
        with pytest.raises(ValueError, match=r'annotations\[0\]\["segmentation"\]'):
            annotations_to_masks([{"segmentation": segmentation}], 4, 5)

    def test_missing_segmentation_and_wrong_types(self):
        with pytest.raises(ValueError, match=r'annotations\[0\] must have a "segmentation"'):
            annotations_to_masks([{"bbox": [0, 0, 1, 1]}], 4, 5)
        with pytest.raises(TypeError, match=r"annotations\[0\] must be a dict"):
            annotations_to_masks([3], 4, 5)
        for annotations in (None, {"segmentation": []}, "x"):
            with pytest.raises(TypeError, match="annotations must be a list"):
                annotations_to_masks(annotations, 4, 5)

    @pytest.mark.parametrize(("height", "width", "name"), [(0, 5, "height"), (4, 0, "width"), (4, -1, "width")])
    def test_canvas_without_pixels(self, height, width, name):
        with pytest.raises(ValueError, match=f"{name} must be at least 1"):
            annotations_to_masks([], height, width)


@pytest.mark.shared_data
def test_areas_of_real_panoptic_pictures(shared_data):
    root = Path(shared_data("instances")) / "instances"
    pictures = 0
    for split in ("train", "val"):
        records = json.loads((root / f"panoptic_{split}.json").read_text())["annotations"]
        for record in records:
            labels = panoptic_to_labels(root / "panoptic" / split / record["file_name"])
            ids, areas = labels.unique(return_counts=True)
            found = {i: a for i, a in zip(ids.tolist(), areas.tolist(), strict=True) if i}
            assert found == {info["id"]: info["area"] for info in record["segments_info"]}
            pictures += 1
    assert pictures == 53
