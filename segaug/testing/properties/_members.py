"""The members of a composition draw by themselves."""

from typing import Any

from segaug._checks import check_int
from segaug.testing._augmentation import Augmentation
from segaug.testing._errors import NotApplicable
from segaug.testing._members import watch_members
from segaug.testing._outcomes import FEWEST_CALLS, check_pair, fresh_stream, varying
from segaug.testing._property import declare

__all__ = ["members_are_independent"]


@declare("image", "segmented_image", "segment_tokens", "annotated_image", statistical=True)
def members_are_independent(transform: Any, sample: Any, *, seed: int = 0, calls: int = 200) -> None:
    """P(T_i(x) in A, T_j(x) in B) = P(T_i(x) in A) P(T_j(x) in B) for members T_i, T_j of a composition T.

    In a copy of T every member is given the same input at every call, so that its result follows from its own draws alone;
    counted are the calls in which both were called once. Members are what is in ``transforms`` of a composition, and the
    parts of an ``nn.Sequential``, also in one another. Not applicable without two members that draw.

    Args:
        transform: The transform, or an ``Augmentation``.
        sample: A sample.
        seed: Seeds the default streams; those that T holds are left as they were made.
        calls: How often to call it.

    Raises:
        PropertyFailed: If two members' results depend on each other; a right composition's do so once in 1e9 times.
        NotApplicable: As said above.

    Example:
        >>> from torchvision.transforms import v2
        >>> import torch
        >>> flips = v2.Compose([v2.RandomHorizontalFlip(), v2.RandomVerticalFlip()])
        >>> members_are_independent(flips, torch.rand(3, 2, 2))
    """
    augmentation = Augmentation.of(transform)
    check_int("calls", calls, minimum=FEWEST_CALLS)
    rows = []
    with fresh_stream(seed):
        copied = augmentation.fresh()
        if copied.transform is augmentation.given:
            raise NotApplicable("it cannot be copied, and its members are not to be touched")
        members = watch_members(copied.transform)
        if len(members) < 2:
            raise NotApplicable("it is no composition of two or more")
        for _ in range(calls):
            copied(sample)
            rows.append([member.take() for member in members])
    columns = list(zip(*rows, strict=True))
    pairs = [(i, j) for j in range(len(members)) for i in range(j) if members[i].group == members[j].group]
    tested = 0
    for i, j in pairs:
        both = [(a, b) for a, b in zip(columns[i], columns[j], strict=True) if a is not None and b is not None]
        if not both or len(varying(list(zip(*both, strict=True)))) < 2:
            continue
        tested += 1
        check_pair(*zip(*both, strict=True), names=(members[i].name, members[j].name), tests=len(pairs))
    if not tested:
        raise NotApplicable("no two of its members draw in the same call")
