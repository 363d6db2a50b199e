"""Property-test augmentations: strategies that draw hard samples, properties, and one call that holds all that apply."""

from segaug._optional import require as _require

_require("hypothesis", extra="testing")

from segaug.testing import properties, strategies  # noqa: E402 (after the one clear error)
from segaug.testing._augmentation import Augmentation  # noqa: E402
from segaug.testing._check import assert_augmentation, check_augmentation  # noqa: E402
from segaug.testing._draws import PinnedDraws, RecordedDraws  # noqa: E402
from segaug.testing._errors import NotApplicable, PropertyFailed, TransformFailed  # noqa: E402
from segaug.testing._property import Property, all_properties, declare  # noqa: E402
from segaug.testing._pytest import parametrize_properties  # noqa: E402
from segaug.testing._report import Outcome, Report  # noqa: E402

__all__ = [
    "Augmentation",
    "NotApplicable",
    "Outcome",
    "PinnedDraws",
    "Property",
    "PropertyFailed",
    "RecordedDraws",
    "Report",
    "TransformFailed",
    "all_properties",
    "assert_augmentation",
    "check_augmentation",
    "declare",
    "parametrize_properties",
    "properties",
    "strategies",
]
