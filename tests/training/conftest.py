import pytest

from segaug import Tokenize
from segaug.data import SceneImages, Scenes, TokenDataset, load_tokens, seeded_stream
from segaug.models import SViT


@pytest.fixture(scope="session")
def token_sets():
    """Tokens of a few scenes, to train on and to validate on."""

    def load(n, seed):
        return load_tokens(TokenDataset(SceneImages(Scenes("majority", n, size=64, seed=seed)), None, Tokenize(size=8)))

    # Seeds with which there are scenes of every class.
    return load(20, 0), load(12, 2)


@pytest.fixture
def make_model():
    """``make_model()``: a model for them, always with the same weights."""

    def make(**options):
        with seeded_stream(0):
            return SViT(4, **{"patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2, **options})

    return make
