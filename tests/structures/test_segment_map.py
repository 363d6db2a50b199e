import copy
import io
import pickle

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from segaug import SegmentMap

NEAREST = v2.InterpolationMode.NEAREST
# Each moves an image by the nearest pixel, as it moves maps, so both must show the same.
GEOMETRY = {
    "resized_crop": v2.RandomResizedCrop((20, 26), interpolation=NEAREST),
    "rotation": v2.RandomRotation(170, interpolation=NEAREST, fill=127),
    "rotation_expand": v2.RandomRotation(60, interpolation=NEAREST, fill=127, expand=True),
    "affine": v2.RandomAffine(40, (0.3, 0.3), (0.5, 1.5), 20, interpolation=NEAREST, fill=127),
    "perspective": v2.RandomPerspective(0.7, p=1.0, interpolation=NEAREST, fill=127),
    "elastic": v2.ElasticTransform(300.0, 3.0, interpolation=NEAREST, fill=127),
    "resize": v2.Resize((45, 31), interpolation=NEAREST),
    "crop_padded": v2.RandomCrop((28, 36), padding=9, fill=127),
    "crop_edge": v2.RandomCrop((28, 36), padding=9, padding_mode="edge"),
    "crop_reflect": v2.RandomCrop((28, 36), padding=9, padding_mode="reflect"),
    "crop_symmetric": v2.RandomCrop((28, 36), padding=9, padding_mode="symmetric"),
    "center_crop": v2.CenterCrop((12, 16)),
    "zoom_out": v2.RandomZoomOut(fill=127, p=1.0),
    "horizontal_flip": v2.RandomHorizontalFlip(1.0),
    "vertical_flip": v2.RandomVerticalFlip(1.0),
    "compose": v2.Compose(
        [v2.RandomRotation(90, interpolation=NEAREST, fill=127), v2.Pad(3, fill=127), v2.RandomVerticalFlip()]
    ),
}


def plain(tensor):
    return tensor.as_subclass(torch.Tensor)


class TestConstruction:
    @pytest.mark.parametrize(
        "dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64, ">i4"]
    )
    def test_any_integer_array(self, dtype):
        array = np.array([[0, 1, 100], [7, 7, 0]], dtype=dtype)
        labels = SegmentMap(array)
        assert type(labels) is SegmentMap
        assert isinstance(labels, tv_tensors.Mask)
        assert labels.dtype == torch.int64
        assert labels.tolist() == array.tolist()

    @pytest.mark.parametrize(
        "dtype", [torch.int8, torch.uint8, torch.int16, torch.uint16, torch.int32, torch.uint32, torch.int64]
    )
    def test_any_integer_tensor(self, dtype):
        labels = SegmentMap(torch.tensor([[0, 1], [100, 7]]).to(dtype))
        assert labels.dtype == torch.int64
        assert labels.tolist() == [[0, 1], [100, 7]]

    def test_read_only_and_strided_arrays(self):
        array = np.arange(24, dtype=np.int32).reshape(4, 6)[::-2, ::-1]
        array.flags.writeable = False
        before = array.copy()
        labels = SegmentMap(array)
        labels[0, 0] = 99
        assert np.array_equal(array, before)
        assert labels[1:].tolist() == before[1:].tolist()

    def test_strided_tensor_lists_and_maps(self):
        base = torch.arange(12).view(3, 4)
        assert SegmentMap(base.T).tolist() == base.T.tolist()
        assert SegmentMap(base.tolist()).tolist() == base.tolist()
        assert SegmentMap(SegmentMap(base)).tolist() == base.tolist()
        assert SegmentMap(tv_tensors.Mask(base)).tolist() == base.tolist()

    @pytest.mark.parametrize("mode", ["L", "I", "I;16", "P"])
    def test_pil_images_of_one_channel(self, mode):
        picture = PIL.Image.new(mode, (5, 4), 3)
        assert SegmentMap(picture).tolist() == [[3] * 5] * 4

    @pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "CMYK", "HSV"])
    def test_pil_images_of_several_channels(self, mode):
        with pytest.raises(ValueError, match=rf"data must be a PIL image with one channel, got mode {mode};.*panoptic"):
            SegmentMap(PIL.Image.new(mode, (5, 4)))

    def test_largest_labels_and_leading_dimensions(self):
        top = 2**63 - 1
        assert SegmentMap([[0, top]]).tolist() == [[0, top]]
        assert SegmentMap(np.array([[0, 2**31]], np.uint32)).tolist() == [[0, 2**31]]
        assert SegmentMap(torch.ones(2, 3, 4, 5, dtype=torch.int64)).shape == (2, 3, 4, 5)

    @pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0), (0, 3, 3)])
    def test_no_pixels(self, shape):
        labels = SegmentMap(torch.zeros(shape, dtype=torch.int32))
        assert labels.shape == shape
        assert labels.num_segments == 0

    @pytest.mark.parametrize(
        ("data", "came"),
        [
            (torch.zeros(2, 2, dtype=torch.bool), "torch.bool; for one bool mask per segment: SegmentMap.from_masks"),
            (np.zeros((2, 2), bool), "bool; for one bool mask per segment: SegmentMap.from_masks"),
            ([[True, False]], "torch.bool; for one"),
            (PIL.Image.new("1", (2, 2)), "bool; for one"),
            (torch.zeros(2, 2), "torch.float32"),
            (np.zeros((2, 2), np.float64), "float64"),
            (np.zeros((2, 2), np.complex64), "complex64"),
            (np.zeros((2, 2), object), "object"),
            (torch.zeros(2, 2, dtype=torch.complex64), "torch.complex64"),
            ([[1.0, 2.0]], "torch.float32"),
            (PIL.Image.new("F", (2, 2)), "float32"),
            ([[1, 2], [3]], r"\[\[1, 2\], \[3\]\]"),
            ([[2**70]], r"\[\[1180591620717411303424\]\]"),
            ("labels.png", "'labels.png'"),
            (None, "None"),
        ],
        ids=lambda value: repr(value).partition(" at 0x")[0],  # the same in every process of pytest-xdist
    )
    def test_no_integers(self, data, came):
        with pytest.raises(TypeError, match=rf"data must hold integer labels.*got .*{came}"):
            SegmentMap(data)

    @pytest.mark.parametrize("data", [5, [1, 2], torch.tensor(5), np.zeros(3, np.int64)])
    def test_too_few_dimensions(self, data):
        with pytest.raises(ValueError, match=r"data must have shape \(\.\.\., H, W\), got"):
            SegmentMap(data)

    @pytest.mark.parametrize("data", [[[0, -1]], torch.tensor([[-5, -1]]), np.array([[-128]], np.int8)])
    def test_negative(self, data):
        lowest = int(torch.as_tensor(data).min())
        with pytest.raises(ValueError, match=rf"labels must be at least 0 \(0 is in no segment\), got {lowest}"):
            SegmentMap(data)

    def test_uint64_above_int64(self):
        with pytest.raises(ValueError, match="labels must be"):
            SegmentMap(np.full((2, 2), 2**63 + 5, np.uint64))

    def test_num_segments(self):
        assert SegmentMap([[0, 9, 9], [2**31, 0, 4]]).num_segments == 3
        assert SegmentMap([[0, 0]]).num_segments == 0
        assert SegmentMap([[3]]).num_segments == 1

    def test_copies_keep_type_and_labels(self):
        labels = SegmentMap([[0, 2**31 + 1], [7, 7]])
        buffer = io.BytesIO()
        torch.save(labels, buffer)
        buffer.seek(0)
        for twin in (
            pickle.loads(pickle.dumps(labels)),
            copy.deepcopy(labels),
            labels.clone(),
            labels.to("cpu"),
            torch.load(buffer, weights_only=False),
            tv_tensors.wrap(plain(labels), like=labels),
        ):
            assert type(twin) is SegmentMap
            assert twin.tolist() == labels.tolist()


class TestFromMasks:
    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(
        hnp.arrays(bool, hnp.array_shapes(min_dims=3, max_dims=3, max_side=6)),
        st.sampled_from(["smallest", "largest", "first"]),
    )
    def test_against_a_pixel_loop(self, masks, overlap):
        areas = masks.sum((1, 2))
        rank = {"smallest": areas, "largest": -areas, "first": 0 * areas}[overlap]
        expected = np.zeros(masks.shape[1:], np.int64)
        for y, x in np.ndindex(expected.shape):
            holders = np.flatnonzero(masks[:, y, x])
            if len(holders):
                expected[y, x] = min(holders, key=lambda i: (rank[i], i)) + 1
        assert SegmentMap.from_masks(masks, overlap).tolist() == expected.tolist()
        assert SegmentMap.from_masks(torch.from_numpy(masks), overlap=overlap).tolist() == expected.tolist()

    def test_no_masks_empty_masks_and_hidden_masks(self):
        assert SegmentMap.from_masks(torch.zeros(0, 2, 3, dtype=torch.bool)).tolist() == [[0, 0, 0]] * 2
        masks = torch.tensor([[[1, 1, 0]], [[0, 0, 0]], [[1, 1, 1]]]).bool()
        assert SegmentMap.from_masks(masks).tolist() == [[1, 1, 3]]
        assert SegmentMap.from_masks(masks, "largest").tolist() == [[3, 3, 3]]

    @pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int32, np.int64, np.uint32])
    def test_integers_zero_and_one(self, dtype):
        masks = np.array([[[1, 0]], [[0, 1]]], dtype)
        assert SegmentMap.from_masks(masks).tolist() == [[1, 2]]
        assert SegmentMap.from_masks(torch.from_numpy(masks)).tolist() == [[1, 2]]

    def test_read_only_strided_and_typed_masks(self):
        masks = np.eye(3, dtype=bool)[:, None, ::-1]
        masks.flags.writeable = False
        assert SegmentMap.from_masks(masks).tolist() == [[3, 2, 1]]
        assert SegmentMap.from_masks(tv_tensors.Mask(masks.copy())).tolist() == [[3, 2, 1]]
        assert type(SegmentMap.from_masks(tv_tensors.Mask(masks.copy()))) is SegmentMap

    @pytest.mark.parametrize("shape", [(4,), (4, 5), (1, 2, 4, 5)])
    def test_other_rank(self, shape):
        with pytest.raises(ValueError, match=r"masks must have shape \(N, H, W\), got"):
            SegmentMap.from_masks(torch.zeros(shape, dtype=torch.bool))

    @pytest.mark.parametrize(
        "masks",
        [
            torch.zeros(1, 2, 2),
            torch.full((1, 2, 2), 2),
            torch.full((1, 2, 2), 255, dtype=torch.uint8),
            torch.full((1, 2, 2), -1),
            torch.zeros(1, 2, 2, dtype=torch.complex64),
            np.zeros((1, 2, 2), object),
            [[[True]]],
            None,
        ],
        ids=str,
    )
    def test_no_masks_at_all(self, masks):
        with pytest.raises(TypeError, match="masks must be"):
            SegmentMap.from_masks(masks)

    @pytest.mark.parametrize("overlap", ["last", None, 3, ["first"]])
    def test_unknown_overlap(self, overlap):
        with pytest.raises(ValueError, match="overlap must be one of 'smallest', 'largest', 'first', got"):
            SegmentMap.from_masks(torch.zeros(1, 2, 2, dtype=torch.bool), overlap)


class TestFromCoco:
    def test_panoptic(self):
        png = np.zeros((2, 3, 3), np.uint8)
        png[0, 1], png[1, 2] = (1, 2, 3), (255, 255, 255)
        labels = SegmentMap.from_coco_panoptic(png)
        assert type(labels) is SegmentMap
        assert labels.tolist() == [[0, 1 + 512 + 3 * 65536, 0], [0, 0, 2**24 - 1]]

    def test_annotations(self):
        runs = [{"segmentation": {"size": [1, 4], "counts": c}} for c in ([0, 4], [1, 2, 1], [4])]
        assert SegmentMap.from_coco_annotations(runs, 1, 4).tolist() == [[1, 2, 2, 1]]
        assert SegmentMap.from_coco_annotations(runs, 1, 4, overlap="first").tolist() == [[1, 1, 1, 1]]
        assert SegmentMap.from_coco_annotations([], 1, 4).tolist() == [[0, 0, 0, 0]]


class TestGeometry:
    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.parametrize("name", GEOMETRY)
    def test_moves_as_an_image_by_the_nearest_pixel(self, name, seed, make_map):
        labels = make_map(34, 42, 30, seed=seed, background=False)
        torch.manual_seed(seed)
        image, segments = GEOMETRY[name](tv_tensors.Image(labels[None].to(torch.uint8)), SegmentMap(labels))
        assert type(segments) is SegmentMap
        assert segments.dtype == torch.int64
        # What is uncovered is 127 in the image and in no segment in the map.
        shown = plain(image)[0].long()
        assert torch.equal(torch.where(shown == 127, 0, shown), plain(segments))

    @pytest.mark.parametrize("lowest", [1, 0])
    @pytest.mark.parametrize("name", GEOMETRY)
    def test_large_labels_move_as_small_ones(self, name, lowest, make_map):
        small = make_map(34, 42, 30, seed=5, background=lowest == 0)
        # Above 2^24 neighbours are one and the same number in float32.
        values = torch.cat([torch.zeros(1, dtype=torch.int64), 2**31 - 15 + torch.arange(30)])
        torch.manual_seed(1)
        expected = GEOMETRY[name](SegmentMap(small))
        torch.manual_seed(1)
        segments = GEOMETRY[name](SegmentMap(values[small]))
        assert type(segments) is SegmentMap
        assert torch.equal(plain(segments), values[plain(expected)])

    @pytest.mark.parametrize("top", [2**24 - 1, 2**24, 2**24 + 1, 2**24 + 2, 2**62 + 1, 2**63 - 1])
    def test_exact_at_the_edge_of_float32(self, top):
        segments = SegmentMap([[top, top - 1], [top - 2, 0]])
        for moved in (
            F.rotate(segments, 90.0, interpolation=v2.InterpolationMode.BILINEAR),
            F.resize(segments, [6, 6], interpolation=v2.InterpolationMode.BICUBIC, antialias=True),
            F.affine(segments, 0.0, [0, 0], 1.0, [0.0, 0.0]),
            F.pad(segments, [1, 2], fill=3.0),
        ):
            assert set(moved.unique().tolist()) == {0, top, top - 1, top - 2}

    @pytest.mark.parametrize("fill", [5, 5.0, [5], None, {tv_tensors.Image: 5, tv_tensors.Mask: 7}, {"others": 9}])
    def test_uncovered_is_in_no_segment_whatever_the_fill(self, fill):
        segments = SegmentMap(torch.full((24, 24), 3))
        for transform in (
            v2.RandomRotation((45, 45), fill=fill),
            v2.RandomAffine(0, translate=(0.5, 0.5), scale=(0.4, 0.4), fill=fill),
            v2.RandomPerspective(0.9, p=1.0, fill=fill),
            v2.Pad(2, fill=0 if fill is None else fill),
            v2.ElasticTransform(900.0, 2.0, fill=fill),
        ):
            torch.manual_seed(0)
            assert set(plain(transform(segments)).unique().tolist()) == {0, 3}, transform

    def test_many_maps_at_once(self, make_map):
        maps = torch.stack([make_map(12, 15, 6, seed=i) for i in range(6)])
        together = F.resized_crop(SegmentMap(maps.view(2, 3, 12, 15)), 1, 2, 9, 11, [20, 16])
        assert together.shape == (2, 3, 20, 16)
        for one, expected in zip(maps, plain(together).flatten(0, 1), strict=True):
            assert torch.equal(plain(F.resized_crop(SegmentMap(one), 1, 2, 9, 11, [20, 16])), expected)

    def test_colour_and_dtype_leave_it(self, make_map):
        segments = SegmentMap(make_map(10, 12, 5))
        for transform in (
            v2.ToDtype(torch.float32, scale=True),
            v2.ColorJitter(0.5, 0.5, 0.5, 0.5),
            v2.RandomGrayscale(1.0),
            v2.GaussianBlur(3),
            v2.Normalize([0.5], [0.5]),
        ):
            image = tv_tensors.Image(torch.rand(3, 10, 12))
            out = transform(image, segments)[1]
            assert type(out) is SegmentMap
            assert torch.equal(plain(out), plain(segments))

    def test_input_is_left_alone(self, make_map):
        segments = SegmentMap(make_map(34, 42, 9) * 2**28)
        before = segments.clone()
        for transform in GEOMETRY.values():
            transform(segments)
        assert torch.equal(plain(segments), plain(before))
