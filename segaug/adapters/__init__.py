"""What PerSegment needs to drive the transforms of kornia and albumentations.

Importing this imports neither. It switches off albumentations' look-up of newer releases on the network at import, unless
the environment variable ``NO_ALBUMENTATIONS_UPDATE`` is set already: segaug takes one release.
"""

from segaug.adapters._registration import Support, albumentations_support, kornia_support

__all__ = ["Support", "albumentations_support", "kornia_support"]
