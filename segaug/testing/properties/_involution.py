"""What holds for transforms that undo themselves."""

from dataclasses import replace
from typing import Any

import torch
from torchvision import tv_tensors

from segaug.testing._augmentation import Augmentation
from segaug.testing._compare import check_equal, named_leaves, plain
from segaug.testing._errors import NotApplicable, PropertyFailed
from segaug.testing._property import declare
from segaug.testing.properties._pictures import picture_name

__all__ = ["twice_is_identity"]

_BOX_TOLERANCE = 1e-4
# Other seeds that are tried before a finding.
_OTHERS = 16


@declare()
def twice_is_identity(transform: Any, sample: Any, *, seed: int = 0, is_involution: bool = False) -> None:
    """If T_s(T_s(x)) has x's picture, then T_s(T_s(x)) = x: masks, boxes, key points and positions return too.

    Flips and inversions undo themselves. Whether T_s does is read from a picture of random colours in place of the sample's.
    Everything must then return bit for bit, boxes and key points within 0.0001. Those that were between pixels after the
    first call are passed over, since a picture of nearest pixels does not tell where they are; and so is what differs
    between seeds that do the same to the picture, as it moves by draws of its own.

    Args:
        transform: The transform, or an ``Augmentation``.
        sample: Any sample.
        seed: Where the draws start, both times.
        is_involution: Whether the picture must return; else T says nothing of itself where it does not.

    Raises:
        PropertyFailed: If the picture returns, and another part does not; or the picture does not and should.
        NotApplicable: If the first call leaves the picture as it is, or the second does not bring it back.

    Example:
        >>> from torchvision.transforms import v2
        >>> twice_is_identity(v2.RandomInvert(1), torch.rand(3, 2, 2), is_involution=True)
    """
    augmentation = Augmentation.of(transform)
    name = picture_name(sample)
    given = sample if isinstance(sample, torch.Tensor) and is_involution else _with_noise(sample, name)
    once = augmentation.seeded(given, seed)
    if _are_equal(given, once, name):
        raise NotApplicable("it leaves the picture as it is")
    twice = augmentation.seeded(once, seed)
    if not _are_equal(given, twice, name):
        if is_involution:
            check_equal(given, twice, "applied twice", only=(name,), atol=1e-6)
        else:
            raise NotApplicable("it does not bring the picture back when applied twice")
    for leaf, value in named_leaves(given).items():
        is_place = leaf in ("boxes", "keypoints")
        first = named_leaves(once)[leaf]
        if is_place and isinstance(sample, dict) and not _is_whole(first):
            continue
        if leaf == name or not isinstance(value, torch.Tensor):
            continue
        try:
            check_equal(given, twice, "applied twice", only=(leaf,), atol=_BOX_TOLERANCE if is_place else 0.0)
        except PropertyFailed:
            if is_involution or _is_decided_by_picture(augmentation, given, once, seed, name, leaf):
                raise


def _is_decided_by_picture(augmentation: Augmentation, given: Any, once: Any, seed: int, name: str, leaf: str) -> bool:
    """Whether a part comes out alike under all seeds that do the same to the picture, of which there must be two more."""
    tried = (augmentation.seeded(given, seed + number) for number in range(1, _OTHERS + 1))
    alike = [other for other in tried if _are_equal(once, other, name)]
    return len(alike) >= 2 and all(_are_equal(once, other, leaf) for other in alike)


def _with_noise(sample: Any, name: str) -> Any:
    """The sample with a picture that no turn, flip or shift leaves as it is; black where the coverage of tokens is 0."""
    like = plain(named_leaves(sample)[name])
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(2, 254, like.shape, generator=generator)
    picture: torch.Tensor = noise.to(torch.uint8) if like.dtype == torch.uint8 else (noise / 256).to(like.dtype)
    if isinstance(sample, torch.Tensor):
        return tv_tensors.wrap(picture, like=sample) if isinstance(sample, tv_tensors.TVTensor) else picture
    if name == "patches":
        picture = torch.where(plain(sample.alpha)[..., None, :, :] > 0, picture, 0)
    changed = tv_tensors.Image(picture)
    return {**sample, name: changed} if isinstance(sample, dict) else replace(sample, **{name: changed})


def _are_equal(one: Any, other: Any, name: str) -> bool:
    try:
        # Floats are mirrored by 1 - x, which rounds.
        check_equal(one, other, "", only=(name,), atol=1e-6)
    except PropertyFailed:
        return False
    return True


def _is_whole(values: torch.Tensor) -> bool:
    values = plain(values)
    return bool(((values - values.round()).abs() < 2e-3).all())
