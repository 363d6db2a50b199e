import PIL.Image
import pytest
import torch


@pytest.fixture
def make_folder(tmp_path):
    """``make_folder(classes, images)``: a data folder of small random PNGs, ``train/CLASS/i.png`` and ``val/CLASS/i.png``."""

    def make(classes=("cat", "dog"), images: int = 3, *, splits=("train", "val"), size: int = 20):
        generator = torch.Generator().manual_seed(0)
        for split in splits:
            for name in classes:
                folder = tmp_path / "photos" / split / name
                folder.mkdir(parents=True)
                for i in range(images):
                    blocks = torch.randint(0, 256, (4, 4, 3), dtype=torch.uint8, generator=generator)
                    picture = PIL.Image.fromarray(blocks.numpy()).resize((size + 4, size), PIL.Image.Resampling.NEAREST)
                    picture.save(folder / f"{i}.png")
        return tmp_path / "photos"

    return make
