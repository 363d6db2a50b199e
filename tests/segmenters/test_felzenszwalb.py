import torch

from segaug.segmenters import Felzenszwalb


def test_is_scikit_images_felzenszwalb(photo):
    from skimage.segmentation import felzenszwalb

    expected = felzenszwalb(photo.permute(1, 2, 0).numpy(), scale=60, sigma=0.6, min_size=5, channel_axis=-1)
    labels = Felzenszwalb(60, 0.6, 5)(photo)
    assert torch.equal(labels.as_subclass(torch.Tensor), torch.from_numpy(expected) + 1)


def test_min_size_holds(photo):
    labels = Felzenszwalb(scale=10, min_size=15)(photo)
    assert labels.num_segments > 5
    assert torch.bincount(labels.as_subclass(torch.Tensor).flatten())[1:].min() >= 15


def test_scale_makes_fewer_segments(photo):
    counts = [Felzenszwalb(scale=scale, min_size=5)(photo).num_segments for scale in (10, 100, 1000)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]


def test_a_flat_image_is_one_segment():
    assert Felzenszwalb()(torch.full((3, 20, 30), 7, dtype=torch.uint8)).unique().tolist() == [1]


def test_options_do_not_tell_60_from_60_point_0():
    assert repr(Felzenszwalb(scale=60.0, min_size=25)) == "Felzenszwalb(scale=60, sigma=0.8, min_size=25)"
    assert str(Felzenszwalb(scale=60.0).fingerprint) == str(Felzenszwalb(scale=60).fingerprint)
