import torch

from segaug.segmenters import Watershed


def test_is_scikit_images_compact_watershed(photo):
    from skimage.color import rgb2gray
    from skimage.filters import sobel
    from skimage.segmentation import watershed

    gradient = sobel(rgb2gray(photo.permute(1, 2, 0).numpy()))
    expected = watershed(gradient, markers=30, compactness=0.01)
    labels = Watershed(30, 0.01)(photo)
    assert torch.equal(labels.as_subclass(torch.Tensor), torch.from_numpy(expected).long())


def test_follows_an_edge():
    image = torch.zeros(3, 24, 24, dtype=torch.uint8)
    image[:, :, 10:] = 255
    labels = Watershed(4)(image).as_subclass(torch.Tensor)
    # The gradient is two pixels wide, so the border may lie on either of them.
    assert not set(labels[:, :9].unique().tolist()) & set(labels[:, 11:].unique().tolist())


def test_n_segments(photo):
    assert Watershed(1)(photo).num_segments == 1
    assert 80 <= Watershed(100)(photo).num_segments <= 120
    assert Watershed(10**6)(photo[:, :5, :6]).num_segments == 30


def test_compactness_makes_even_areas(photo):
    def spread(compactness):
        areas = torch.bincount(Watershed(40, compactness)(photo).as_subclass(torch.Tensor).flatten())[1:].float()
        return float(areas.std())

    assert spread(1.0) < spread(0.0001)


def test_repr():
    assert repr(Watershed()) == "Watershed(n_segments=100, compactness=0.001)"
