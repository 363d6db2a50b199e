"""What a property, or a call of the transform under test, can end with."""

__all__ = ["DeadlineExceeded", "NotApplicable", "PropertyFailed", "TransformFailed"]


class PropertyFailed(AssertionError):  # noqa: N818 (as Hypothesis names its own)
    """A property does not hold; the message says where."""


class NotApplicable(Exception):  # noqa: N818 (it is no error)
    """A property says nothing about this transform, or about this sample; the message says why."""


class TransformFailed(Exception):  # noqa: N818 (named after what failed)
    """The transform under test raised, returned something else than it was given, or did not return in time."""


class DeadlineExceeded(TransformFailed):
    """A call did not return in time; it may still be running."""

    sample: object = None
    seed: int = 0
