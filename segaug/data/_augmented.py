"""Augmentation of whole images before they are tokenised."""

from collections.abc import Callable

from torch.utils.data import Dataset

from segaug._checks import check_int
from segaug.data._seeding import seeded
from segaug.data._token_set import TokenSet
from segaug.structures import SegmentedImage, SegmentTokens

__all__ = ["AugmentedTokens"]


class AugmentedTokens(Dataset[tuple[SegmentTokens, int]]):
    """Transform the images of a :class:`~segaug.data.TokenSet`, with their stored maps, and tokenise them again.

    Item ``epoch * len + index`` is item ``index`` with the draws of that epoch: it depends on ``seed``, the epoch and
    the index alone, not on the process that makes it or on what was made before.

    Args:
        tokens: The items; their images and maps come from its source.
        transform: :class:`~segaug.SegmentedImage` to another one; it draws from torch's default generator.
        seed: Decides all draws.

    Raises:
        ValueError: If ``seed`` is negative.

    Example:
        >>> from torchvision.transforms import v2
        >>> from segaug import Tokenize
        >>> from segaug.data import SceneImages, Scenes, TokenDataset, load_tokens
        >>> source = TokenDataset(SceneImages(Scenes("count", n=4, size=64)), None, Tokenize(size=8))
        >>> flipped = AugmentedTokens(load_tokens(source), v2.RandomHorizontalFlip(), seed=0)
        >>> len(flipped), flipped[2 + 4 * 10][1] == flipped[2][1]  # item 2 in epoch 10
        (4, True)
    """

    def __init__(
        self, tokens: TokenSet, transform: Callable[[SegmentedImage], SegmentedImage], *, seed: int = 0
    ) -> None:
        self._tokens = tokens
        self._transform = transform
        self._seed = check_int("seed", seed, minimum=0)

    def __len__(self) -> int:
        return len(self._tokens)

    def __getitem__(self, number: int) -> tuple[SegmentTokens, int]:
        """Make one item of one epoch."""
        epoch, index = divmod(number, len(self))
        source = self._tokens.source
        image, target = source.segmented(self._tokens.indices[index])
        with seeded(self._seed, epoch, index):
            image = self._transform(image)
        return source.tokenize(image), target
