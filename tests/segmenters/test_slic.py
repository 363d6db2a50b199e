import torch

from segaug.segmenters import SLIC


def test_is_scikit_images_slic(photo):
    from skimage.segmentation import slic

    array = photo.permute(1, 2, 0).numpy()
    expected = slic(array, n_segments=30, compactness=5.0, sigma=0.5, start_label=1, channel_axis=-1)
    labels = SLIC(30, 5.0, sigma=0.5)(photo)
    assert torch.equal(labels.as_subclass(torch.Tensor), torch.from_numpy(expected))


def test_n_segments_and_compactness(photo):
    assert SLIC(100, 20.0)(photo).num_segments > SLIC(10, 20.0)(photo).num_segments

    def outline(labels):
        labels = labels.as_subclass(torch.Tensor)
        return int((labels[1:] != labels[:-1]).sum() + (labels[:, 1:] != labels[:, :-1]).sum())

    assert outline(SLIC(50, 100.0)(photo)) < outline(SLIC(50, 1.0)(photo))


def test_grey_follows_edges_as_rgb_does():
    # On the raw grey values, which span 1 and not Lab's 100, this compactness would give plain squares.
    image = torch.zeros(1, 30, 30, dtype=torch.uint8)
    image[:, :, 13:] = 200
    labels = SLIC(4)(image).as_subclass(torch.Tensor)
    assert not set(labels[:, :13].unique().tolist()) & set(labels[:, 13:].unique().tolist())


def test_one_segment(photo):
    assert SLIC(1)(photo).num_segments == 1


def test_more_segments_than_pixels(photo):
    assert SLIC(10**6)(photo[:, :5, :6]).num_segments <= 30


def test_repr():
    assert repr(SLIC(60, compactness=8.0)) == (
        "SLIC(n_segments=60, compactness=8, max_num_iter=10, sigma=0, enforce_connectivity=True, slic_zero=False)"
    )
