"""What tests share: real photos, and random maps and tokens."""

import zipfile
from pathlib import Path

import PIL.Image
import pytest
import skimage.data
import torch
from torchvision.transforms.v2 import functional as F

from segaug import SegmentTokens

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

# The tensors of these tests are so small that threads only cost time.
torch.set_num_threads(1)


def pytest_addoption(parser):
    parser.addoption(
        "--samples", type=int, default=10, help="samples per property in tests/transforms/test_properties.py"
    )


@pytest.fixture(scope="session")
def shared_data(tmp_path_factory):
    """``shared_data(name)``: the folder that the zip of that name is unpacked to, once per session."""
    unpacked = {}

    def unpack(name: str) -> Path:
        if name not in unpacked:
            archive = SHARED_DATA / f"{name}.zip"
            if not archive.is_file():
                pytest.skip(f"needs the real photos of a developer's checkout: {name}.zip")
            unpacked[name] = tmp_path_factory.mktemp(name)
            with zipfile.ZipFile(archive) as stored:
                stored.extractall(unpacked[name])
        return unpacked[name]

    return unpack


@pytest.fixture(scope="session")
def load_photo():
    """``load_photo(name, height, width)``: one of scikit-image's photos, (3, height, width) uint8."""

    def load(name: str, height: int, width: int) -> torch.Tensor:
        picture = PIL.Image.fromarray(getattr(skimage.data, name)())
        return F.pil_to_tensor(picture.resize((width, height), PIL.Image.Resampling.BILINEAR))

    return load


@pytest.fixture(scope="session")
def photo(load_photo):
    """A real photo, (3, 72, 96) uint8. Clone it before changing it."""
    return load_photo("astronaut", 72, 96)


@pytest.fixture(scope="session")
def make_map():
    """``make_map(height, width, segments)``: connected segments, labels 1 to ``segments``, about a fifth of it 0."""

    def make(height: int, width: int, segments: int, *, seed: int = 0, background: bool = True) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        pixels = torch.stack([rows, columns], -1).view(-1, 2).float()
        cells = segments + (max(1, segments // 4) if background else 0)
        centers = torch.rand((cells, 2), generator=generator) * torch.tensor([height, width])
        nearest = torch.cdist(pixels, centers).argmin(-1).view(height, width) + 1
        return torch.where(nearest > segments, 0, nearest)

    return make


@pytest.fixture(scope="session")
def make_tokens():
    """``make_tokens(num)``: ``num`` random segments, then the background token, then padding."""

    def make(
        num: int = 4,
        *,
        batch: tuple[int, ...] = (),
        size: int = 6,
        channels: int = 3,
        dtype: torch.dtype = torch.uint8,
        full: bool = False,
        background: bool = True,
        padding: int = 0,
        seed: int = 0,
    ) -> SegmentTokens:
        generator = torch.Generator().manual_seed(seed)
        total = num + background + padding
        shape = (*batch, total)
        alpha = torch.full((*shape, size, size), 255, dtype=torch.uint8)
        if not full:
            alpha = torch.randint(0, 256, alpha.shape, dtype=torch.uint8, generator=generator)
            alpha[torch.rand(alpha.shape, generator=generator) < 0.3] = 0
        straight = torch.randint(0, 256, (*shape, channels, size, size), generator=generator)
        patches = (straight * (alpha / 255.0).unsqueeze(-3)).round().to(torch.uint8)
        corners = torch.rand((*shape, 2, 2), generator=generator).sort(-2).values * 0.9
        boxes = torch.cat([corners[..., 0, :], corners[..., 1, :] + 0.05], -1)
        areas = torch.rand(shape, generator=generator) * 0.1 + 0.01
        labels = torch.arange(1, total + 1).expand(shape).clone()
        if background:
            labels[..., num], boxes[..., num, :] = 0, -1.0
        if padding:
            for field, fill in ((patches, 0), (alpha, 0), (boxes, 0), (areas, 0), (labels, -1)):
                field[(slice(None),) * len(batch) + (slice(total - padding, None),)] = fill
        if dtype != torch.uint8:
            patches, alpha = (patches.double() / 255).to(dtype), (alpha.double() / 255).to(dtype)
        return SegmentTokens(patches, alpha, boxes, areas, labels)

    return make
