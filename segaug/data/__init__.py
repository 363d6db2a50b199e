"""Data: drawn scenes, photos in folders, their tokens kept between runs, and seeds for what draws."""

from segaug.data._batched_tokens import BatchedTokens
from segaug.data._batches import Batch, BatchOrder
from segaug.data._dataset_images import DatasetImages
from segaug.data._folder import ImageFolder, images_for_classes, train_val_folders
from segaug.data._options import parse_options
from segaug.data._pictures import BadImageError
from segaug.data._scenes import Scenes
from segaug.data._seeded_dataset import SeededDataset, seeded
from segaug.data._seeding import derive_seed, seeded_stream
from segaug.data._segmenter_name import parse_segmenter
from segaug.data._sources import DataSplits, SceneImages, open_data
from segaug.data._store import StoreCounts, TokenStore
from segaug.data._token_set import TokenSet, load_tokens
from segaug.data._tokens import Images, TokenDataset

__all__ = [
    "BadImageError",
    "Batch",
    "BatchOrder",
    "BatchedTokens",
    "DataSplits",
    "DatasetImages",
    "ImageFolder",
    "Images",
    "SceneImages",
    "Scenes",
    "SeededDataset",
    "StoreCounts",
    "TokenDataset",
    "TokenSet",
    "TokenStore",
    "derive_seed",
    "images_for_classes",
    "load_tokens",
    "open_data",
    "parse_options",
    "parse_segmenter",
    "seeded",
    "seeded_stream",
    "train_val_folders",
]
