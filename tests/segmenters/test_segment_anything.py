"""A real, tiny, randomly initialised SAM; no released weights are needed."""

import inspect
import json
import os
import pickle

import numpy as np
import pytest
import safetensors.torch as safetensors_torch
import segment_anything
import torch

from segaug.segmenters import SegmentAnything
from segaug.structures import SegmentMap

# Lets every mask through, duplicates too: a random model's scores mean nothing.
ALL_MASKS = {"points_per_side": 3, "pred_iou_thresh": 0, "stability_score_thresh": 0, "box_nms_thresh": 1.0}


def build_tiny(embed_dim=16, seed=0):
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Sam(
            ImageEncoderViT(
                img_size=64,
                embed_dim=embed_dim,
                depth=2,
                num_heads=2,
                out_chans=32,
                use_rel_pos=True,
                window_size=2,
                global_attn_indexes=(1,),
            ),
            PromptEncoder(embed_dim=32, image_embedding_size=(4, 4), input_image_size=(64, 64), mask_in_chans=4),
            MaskDecoder(
                transformer_dim=32,
                transformer=TwoWayTransformer(depth=2, embedding_dim=32, num_heads=2, mlp_dim=32),
                iou_head_depth=2,
                iou_head_hidden_dim=16,
            ),
        )


@pytest.fixture
def registry(monkeypatch):
    monkeypatch.setitem(segment_anything.sam_model_registry, "tiny", build_tiny)
    monkeypatch.setitem(segment_anything.sam_model_registry, "wider", lambda: build_tiny(embed_dim=32))


@pytest.fixture
def checkpoint(tmp_path, registry):
    path = tmp_path / "tiny.pth"
    torch.save(build_tiny(seed=7).state_dict(), path)
    return path


def tiny(path, **options):
    return SegmentAnything(path, "tiny", "cpu", **{**ALL_MASKS, **options})


class TestMaps:
    def test_smallest_mask_wins(self, photo):
        sam = build_tiny()
        labels = SegmentAnything.from_model(sam, **ALL_MASKS)(photo)
        assert type(labels) is SegmentMap
        assert labels.shape == (48, 64)
        count = labels.num_segments
        assert count > 5
        assert labels.max() == count
        generator = segment_anything.SamAutomaticMaskGenerator(sam, **ALL_MASKS)
        records = generator.generate(photo.permute(1, 2, 0).numpy())
        masks = [record["segmentation"] for record in records]
        for y, x in [(0, 0), (20, 30), (47, 63), (10, 50), (33, 7)]:
            over = [mask for mask in masks if mask[y, x]]
            if not over:
                assert labels[y, x] == 0
                continue
            smallest = torch.from_numpy(min(over, key=np.sum).copy())
            segment = labels.as_subclass(torch.Tensor) == labels[y, x]
            assert not (segment & ~smallest).any()
        covered = torch.from_numpy(np.any(masks, axis=0))
        assert torch.equal(labels.as_subclass(torch.Tensor) > 0, covered)

    def test_deterministic_without_global_random_state(self, photo):
        segmenter = SegmentAnything.from_model(build_tiny(), **ALL_MASKS)
        state = torch.get_rng_state()
        first = segmenter(photo)
        assert torch.equal(torch.get_rng_state(), state)
        assert torch.equal(segmenter(photo), first)
        assert torch.equal(SegmentAnything.from_model(build_tiny(), **ALL_MASKS)(photo), first)

    def test_the_input_stays_as_it_is_and_grey_is_rgb(self, photo, grey):
        segmenter = SegmentAnything.from_model(build_tiny(), **ALL_MASKS)
        before = photo.clone()
        segmenter(photo)
        assert torch.equal(photo, before)
        assert torch.equal(segmenter(grey), segmenter(grey.expand(3, -1, -1)))

    @pytest.mark.parametrize("crop_n_layers", [0, 1])
    def test_no_masks(self, photo, crop_n_layers):
        segmenter = SegmentAnything.from_model(
            build_tiny(), points_per_side=2, pred_iou_thresh=1e9, crop_n_layers=crop_n_layers
        )
        labels = segmenter(photo)
        assert labels.shape == (48, 64)
        assert not labels.any()

    @pytest.mark.parametrize(
        "options",
        [
            {"crop_n_layers": 1, "points_per_side": 2},
            {"min_mask_region_area": 20},
            {"points_per_side": None, "point_grids": [np.array([[0.5, 0.5], [0.2, 0.7]])]},
            {"points_per_batch": 2},
        ],
    )
    def test_generator_options_reach_the_generator(self, photo, options):
        segmenter = SegmentAnything.from_model(build_tiny(), **{**ALL_MASKS, **options})
        labels = segmenter(photo)
        assert labels.num_segments > 0
        json.dumps(segmenter.fingerprint, allow_nan=False)

    @pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (5, 90)])
    def test_small_images(self, shape):
        image = torch.arange(3 * shape[0] * shape[1]).reshape(3, *shape).remainder(256).to(torch.uint8)
        assert SegmentAnything.from_model(build_tiny(), **ALL_MASKS)(image).shape == shape

    def test_too_thin_for_the_model(self):
        with pytest.raises(ValueError, match="image must not be thinner than 1:128 for this model, got 1 x 200"):
            SegmentAnything.from_model(build_tiny(), **ALL_MASKS)(torch.zeros(3, 1, 200, dtype=torch.uint8))

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
    def test_on_the_gpu(self, checkpoint, photo):
        segmenter = SegmentAnything(checkpoint, "tiny", "cuda", **ALL_MASKS)
        labels = segmenter(photo.cuda())
        assert labels.device.type == "cuda"
        assert torch.equal(segmenter(photo), labels.cpu())
        assert (labels.cpu() == tiny(checkpoint)(photo)).float().mean() > 0.9
        assert segmenter.fingerprint == tiny(checkpoint).fingerprint


class TestCheckpoint:
    def test_same_map_as_the_model_that_was_saved(self, checkpoint, photo):
        expected = SegmentAnything.from_model(build_tiny(seed=7), **ALL_MASKS)(photo)
        assert expected.num_segments > 0
        assert torch.equal(tiny(checkpoint)(photo), expected)
        assert torch.equal(tiny(str(checkpoint))(photo), expected)

    def test_safetensors(self, tmp_path, checkpoint, photo):
        path = tmp_path / "tiny.safetensors"
        safetensors_torch.save_file(build_tiny(seed=7).state_dict(), path)
        assert torch.equal(tiny(path)(photo), tiny(checkpoint)(photo))

    def test_read_once_lazily_and_without_gradient(self, checkpoint, photo, monkeypatch):
        loads = []
        load = torch.load

        def counting(*args, **kwargs):
            loads.append(kwargs)
            return load(*args, **kwargs)

        monkeypatch.setattr(torch, "load", counting)
        segmenter = tiny(checkpoint)
        assert loads == []
        segmenter(photo)
        segmenter(photo)
        assert [kwargs["weights_only"] for kwargs in loads] == [True]
        assert not segmenter._model.training
        assert not any(parameter.requires_grad for parameter in segmenter._model.parameters())

    def test_copies_for_workers_leave_the_model_behind(self, checkpoint, photo):
        segmenter = tiny(checkpoint)
        expected = segmenter(photo)
        data = pickle.dumps(segmenter)
        assert len(data) < 5000
        assert torch.equal(pickle.loads(data)(photo), expected)
        held = SegmentAnything.from_model(build_tiny(seed=7), **ALL_MASKS)
        assert torch.equal(pickle.loads(pickle.dumps(held))(photo), expected)

    def test_missing(self, tmp_path, registry):
        for path in (tmp_path / "absent.pth", tmp_path):
            with pytest.raises(FileNotFoundError, match="checkpoint must be the path of a file, found none at"):
                tiny(path)
        for path in (None, 3):
            with pytest.raises(TypeError, match="checkpoint must be a path"):
                tiny(path)

    @pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
    @pytest.mark.parametrize("damage", ["empty", "text", "cut", "noise"])
    def test_unreadable(self, tmp_path, checkpoint, photo, suffix, damage):
        path = tmp_path / f"damaged{suffix}"
        saved = safetensors_torch.save(build_tiny(seed=7).state_dict())
        content = checkpoint.read_bytes() if suffix == ".pth" else saved
        noise = np.random.default_rng(0).bytes(2000)
        path.write_bytes({"empty": b"", "text": b"no weights", "cut": content[:5000], "noise": noise}[damage])
        segmenter = tiny(path)
        with pytest.raises(
            ValueError, match=rf"checkpoint must be a file of weights, .*damaged{suffix} cannot be read"
        ):
            segmenter(photo)

    def test_code_in_the_file_is_not_run(self, tmp_path, registry, photo):
        class Payload:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "ran"),)

        path = tmp_path / "payload.pth"
        torch.save({"image_encoder.weight": Payload()}, path)
        with pytest.raises(ValueError, match="checkpoint must be a file of weights"):
            tiny(path)(photo)
        assert not (tmp_path / "ran").exists()

    @pytest.mark.parametrize(
        "content",
        [
            {"weight": torch.zeros(2)},
            {},
            [torch.zeros(2)],
            torch.zeros(2),
            {"model": {"image_encoder.pos_embed": torch.zeros(2)}},
            {"image_encoder.pos_embed": 3},
        ],
    )
    def test_not_a_state_dict_of_sam(self, tmp_path, registry, photo, content):
        path = tmp_path / "other.pth"
        torch.save(content, path)
        with pytest.raises(
            ValueError, match=r"checkpoint must hold the state dict of a Segment Anything model, .*holds"
        ):
            tiny(path)(photo)

    def test_weights_that_are_not_finite(self, tmp_path, registry, photo):
        state = build_tiny().state_dict()
        state["image_encoder.pos_embed"][0, 0, 0, 0] = float("nan")
        path = tmp_path / "nan.pth"
        torch.save(state, path)
        with pytest.raises(ValueError, match=r"finite weights, .* in image_encoder\.pos_embed"):
            tiny(path)(photo)

    def test_another_model_type(self, checkpoint, photo):
        with pytest.raises(ValueError, match=r"checkpoint must be of model_type 'wider', .*differs in [0-9]+ of"):
            SegmentAnything(checkpoint, "wider", "cpu", **ALL_MASKS)(photo)

    def test_another_released_model_type_is_named(self, tmp_path, registry, photo):
        path = tmp_path / "b.pth"
        torch.save({"image_encoder.pos_embed": torch.zeros(1, 64, 64, 768)}, path)
        with pytest.raises(ValueError, match="it looks like 'vit_b'"):
            tiny(path)(photo)


class TestOptions:
    def test_complete(self, checkpoint):
        segmenter = tiny(checkpoint)
        generator = inspect.signature(segment_anything.SamAutomaticMaskGenerator).parameters
        expected = {"checkpoint", "model_type", "device", *generator} - {"model", "output_mode"}
        assert set(segmenter.options) == expected
        assert json.loads(json.dumps(segmenter.options, allow_nan=False)) == segmenter.options
        assert segmenter.options["points_per_side"] == 3
        assert segmenter.options["points_per_batch"] == 64
        again = SegmentAnything(**segmenter.options)
        assert repr(again) == repr(segmenter)
        assert again.fingerprint == segmenter.fingerprint

    def test_fingerprint_follows_the_weights_and_not_the_path(self, tmp_path, checkpoint):
        same = tmp_path / "renamed.pth"
        same.write_bytes(checkpoint.read_bytes())
        fingerprint = tiny(checkpoint).fingerprint
        assert tiny(same).fingerprint == fingerprint
        torch.save(build_tiny(seed=8).state_dict(), checkpoint)
        assert tiny(checkpoint).fingerprint != fingerprint
        assert tiny(same, pred_iou_thresh=0.5).fingerprint != fingerprint
        assert fingerprint["versions"] == {"segment-anything": "1.0"}
        assert str(tmp_path) not in json.dumps(fingerprint)

    def test_fingerprint_of_a_model(self):
        fingerprint = SegmentAnything.from_model(build_tiny(), **ALL_MASKS).fingerprint
        assert SegmentAnything.from_model(build_tiny(), **ALL_MASKS).fingerprint == fingerprint
        assert SegmentAnything.from_model(build_tiny(seed=1), **ALL_MASKS).fingerprint != fingerprint
        other = build_tiny()
        other.pixel_mean += 1
        assert SegmentAnything.from_model(other, **ALL_MASKS).fingerprint != fingerprint

    @pytest.mark.parametrize("first", ["map", "fingerprint"])
    def test_a_checkpoint_replaced_in_use(self, checkpoint, photo, first):
        segmenter = tiny(checkpoint)
        if first == "map":
            segmenter(photo)
        else:
            assert segmenter.fingerprint
        state = {**build_tiny(seed=8).state_dict(), "extra": torch.zeros(1000)}
        torch.save(state, checkpoint)
        with pytest.raises(ValueError, match="has changed since the segmenter was made"):
            _ = segmenter.fingerprint if first == "map" else segmenter(photo)

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"points_per_sid": 3}, ValueError, "points_per_sid is no option of SegmentAnything; there are box_nms"),
            ({"output_mode": "coco_rle"}, ValueError, "output_mode is no option"),
            ({"points_per_side": 0}, ValueError, "points_per_side must be at least 1"),
            ({"points_per_side": 2.0}, TypeError, "points_per_side must be an int"),
            ({"points_per_side": None}, ValueError, "points_per_side must be None if point_grids is given"),
            ({"point_grids": [np.zeros((1, 2))]}, ValueError, "points_per_side must be None if point_grids is given"),
            ({"points_per_side": None, "point_grids": 3}, TypeError, "point_grids must be a list"),
            ({"points_per_side": None, "point_grids": [np.zeros((1, 3))]}, ValueError, r"point_grids\[0\] must have"),
            (
                {"points_per_side": None, "point_grids": [np.full((1, 2), 2.0)]},
                ValueError,
                r"point_grids\[0\] must hold",
            ),
            ({"points_per_side": None, "point_grids": []}, ValueError, "point_grids must hold a grid"),
            ({"pred_iou_thresh": float("nan")}, ValueError, "pred_iou_thresh must be at least"),
            ({"stability_score_thresh": "0"}, TypeError, "stability_score_thresh must be a number"),
            ({"crop_n_layers": -1}, ValueError, "crop_n_layers must be at least 0"),
            ({"crop_overlap_ratio": 1.5}, ValueError, "crop_overlap_ratio must be in"),
            (
                {"crop_n_layers": 2, "crop_n_points_downscale_factor": 2},
                ValueError,
                "points_per_side must leave a point in the last crop layer",
            ),
        ],
    )
    def test_bad_generator_options(self, checkpoint, options, error, message):
        with pytest.raises(error, match=message):
            tiny(checkpoint, **options)
        with pytest.raises(error, match=message):
            SegmentAnything.from_model(build_tiny(), **{**ALL_MASKS, **options})

    def test_bad_model_type_device_and_model(self, checkpoint):
        with pytest.raises(ValueError, match=r"model_type must be one of .*'vit_h'.*, got 'vit_x'"):
            SegmentAnything(checkpoint, "vit_x")
        with pytest.raises(ValueError, match='device must be "auto" or a device that torch knows'):
            SegmentAnything(checkpoint, "tiny", "gpu")
        with pytest.raises(TypeError, match="device must be"):
            SegmentAnything(checkpoint, "tiny", 0)
        with pytest.raises(TypeError, match=r"sam must be a segment_anything\.modeling\.Sam"):
            SegmentAnything.from_model(torch.nn.Linear(2, 2))

    def test_a_gpu_that_is_not_there(self, checkpoint, monkeypatch):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        with pytest.raises(ValueError, match="no GPU is available"):
            SegmentAnything(checkpoint, "tiny", "cuda")
        assert SegmentAnything(checkpoint, "tiny", "auto").options["device"] == "auto"
