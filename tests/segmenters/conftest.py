import PIL.Image
import pytest
import skimage.data
import torch
from torchvision.transforms.v2 import functional as F


@pytest.fixture(scope="session")
def photo():
    """A real photo, (3, 48, 64) uint8. Clone it before changing it."""
    data = skimage.data
    picture = PIL.Image.fromarray(data.astronaut()).resize((64, 48), PIL.Image.Resampling.BILINEAR)
    return F.pil_to_tensor(picture)


@pytest.fixture(scope="session")
def grey(photo):
    """The photo's green channel, (1, 48, 64) uint8."""
    return photo[1:2].clone(memory_format=torch.contiguous_format)
