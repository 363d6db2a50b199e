"""What all transforms across images find in a sample, and what they refuse."""

from typing import NamedTuple

import PIL.Image
import pytest
import torch
from torch.utils import _pytree as pytree
from torchvision import tv_tensors

from segaug import BackgroundSwap, SegmentCopyPaste, SegmentDrop, SegmentedImage, SegmentMap, SegmentMix, TwoViews

MIXES = [SegmentMix, SegmentCopyPaste]
ACROSS = [*MIXES, BackgroundSwap]
DROP = SegmentDrop(0.3)


class Sample(NamedTuple):
    tokens: object
    labels: object
    name: str


@pytest.fixture
def tokens(make_marked):
    return make_marked([(3, True), (2, True)])


@pytest.mark.parametrize("kind", MIXES)
class TestClassLabels:
    def test_are_found_as_torchvision_does(self, kind, tokens):
        labels = torch.tensor([1, 0])
        mix = kind(num_classes=2)
        params = mix.make_params([tokens])
        mix.make_params = lambda inputs: params
        expected = mix.transform((tokens, labels), params)[1]
        for sample, out in (
            ((tokens, labels), lambda result: result[1]),
            ([tokens, labels, "name"], lambda result: result[1]),
            (Sample(tokens, labels, "name"), lambda result: result.labels),
            ({"image_label": labels, "tokens": tokens}, lambda result: result["image_label"]),
            ({"class_label": torch.zeros(2), "Labels": labels, "t": tokens}, lambda result: result["Labels"]),
            ((tokens, {"labels": labels}), lambda result: result[1]["labels"]),
        ):
            result = mix(sample)
            assert type(result) is type(sample)
            assert torch.equal(out(result), expected)
        result = mix(tokens, labels)
        assert torch.equal(result[1], expected)

    def test_are_found_by_a_callable(self, kind, tokens):
        mix = kind(num_classes=4, labels_getter=lambda sample: sample[0]["class"])
        sample = ({"class": torch.tensor([3, 2])}, tokens, torch.tensor([1, 1]))
        out = mix(sample)
        assert out[0]["class"].shape == (2, 4)
        assert out[2] is sample[2]

    def test_are_left_alone_without_a_getter(self, kind, tokens):
        labels = torch.tensor([1, 0])
        out = kind(labels_getter=None)(tokens, labels)
        assert out[1] is labels
        assert kind(labels_getter=None)(tokens).labels.shape[0] == 2

    @pytest.mark.parametrize(
        ("labels", "error", "message"),
        [
            (torch.tensor([0, 3]), ValueError, r"class labels must be in \[0, 3\) \(num_classes\), got 3"),
            (torch.tensor([-1, 0]), ValueError, r"class labels must be in \[0, 3\) \(num_classes\), got -1"),
            (torch.zeros(2, 4), ValueError, r"class labels must have shape \(2, 3\) \(num_classes\), got .*\(2, 4\)"),
            (torch.tensor([0, 1, 2]), ValueError, r"class labels must be integers of shape \(2,\) or .*\(3,\)"),
            (torch.zeros(3, 3), ValueError, r"or have shape \(2, num_classes\), got .*\(3, 3\)"),
            (torch.zeros(2), ValueError, r"class labels must be integers of shape \(2,\)"),
            (torch.zeros(2, 3, 1), ValueError, r"class labels must be integers of shape \(2,\)"),
            (torch.tensor(1), ValueError, r"class labels must be integers of shape \(2,\)"),
            (torch.zeros(2, dtype=torch.bool), TypeError, "class labels must be a tensor of integers or floats, got"),
        ],
    )
    def test_that_do_not_fit(self, kind, tokens, labels, error, message):
        with pytest.raises(error, match=message):
            kind(num_classes=3)(tokens, labels)

    def test_without_a_number_of_classes(self, kind, tokens):
        with pytest.raises(ValueError, match=r"num_classes must be given for class labels of shape \(B,\), got None"):
            kind()(tokens, torch.tensor([0, 1]))

    def test_that_are_not_there(self, kind, tokens):
        for sample in (tokens, (tokens, "name"), {"tokens": tokens}, (torch.tensor([0, 1]), tokens)):
            with pytest.raises(TypeError, match="the sample must hold class labels as its second item"):
                kind(num_classes=2)(sample)
        with pytest.raises(TypeError, match="class labels must be a tensor of integers or floats, got None"):
            kind(num_classes=2, labels_getter=lambda sample: None)(tokens)
        with pytest.raises(ValueError, match="labels_getter must return a tensor that the sample holds"):
            kind(num_classes=2, labels_getter=lambda sample: sample[1].clone())(tokens, torch.tensor([0, 1]))


@pytest.mark.parametrize("kind", ACROSS)
class TestRefuses:
    def test_tokens_of_one_image(self, kind, tokens):
        with pytest.raises(
            ValueError, match=rf"{kind.__name__} takes a batch .* got labels \(4,\): put it after segaug"
        ):
            kind()(tokens[0], torch.tensor([0]))
        with pytest.raises(ValueError, match=r"got labels \(1, 2, 4\)"):
            kind()(tokens[None], torch.tensor([0]))

    def test_none_or_two_batches(self, kind, tokens):
        with pytest.raises(ValueError, match="exactly one batch of SegmentTokens, got 2"):
            kind()(tokens, tokens)
        with pytest.raises(ValueError, match="exactly one batch of SegmentTokens, got 0"):
            kind()(torch.zeros(2, 3), torch.tensor([0, 1]))

    def test_pixels_and_places_beside_the_tokens(self, kind, tokens, photo, make_map):
        segments = make_map(72, 96, 3)
        for beside in (
            SegmentedImage(photo, segments),
            tv_tensors.Image(photo[None]),
            SegmentMap(segments[None]),
            [tv_tensors.BoundingBoxes([[0, 0, 2, 2]], format="XYXY", canvas_size=(4, 4))],
            PIL.Image.new("RGB", (4, 4)),
        ):
            with pytest.raises(TypeError, match=r"without pictures, maps or boxes beside it.* got"):
                kind()(tokens, torch.tensor([0, 1]), beside)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("make", [lambda: SegmentCopyPaste(labels_getter=None), BackgroundSwap, lambda: TwoViews(DROP)])
def test_on_a_gpu(make, tokens):
    torch.manual_seed(0)
    here = make()(tokens)
    torch.manual_seed(0)
    there = make()(tokens.to("cuda"))
    for one, other in zip(pytree.tree_leaves(here), pytree.tree_leaves(there), strict=True):
        assert other.is_cuda
        assert torch.equal(one, other.cpu())
