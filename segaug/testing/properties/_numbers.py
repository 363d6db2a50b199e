"""One transform, other arithmetic: another dtype, another device."""

from typing import Any

import torch

from segaug._streams import forked_streams
from segaug.structures import SegmentTokens
from segaug.testing._augmentation import Augmentation, vars_of
from segaug.testing._compare import named_leaves, plain
from segaug.testing._errors import NotApplicable, PropertyFailed, TransformFailed
from segaug.testing._property import declare
from segaug.testing.properties._pixels import pixels, place_of, with_leaves

__all__ = ["cpu_equals_gpu", "float_equals_uint8"]

# Arguments of transforms that are in the units of the image: 0.5 is half of white for a float, and black for uint8.
_IN_UNITS = ("fill", "threshold", "thresholds", "value")


@declare()
def float_equals_uint8(transform: Any, sample: Any, *, seed: int = 0, levels: float = 8.0) -> None:
    """T_s(x) / 255 = T_s(x / 255) for uint8 pictures x, to rounding: at most ``levels`` / 255 apart.

    A float picture is rounded to uint8 first. Where T makes much of small differences, as a contrast stretch does of the
    rounding of a step before it, more is allowed: as much more as small noise in x makes in T(x).

    Args:
        transform: The transform, or an ``Augmentation``.
        sample: A sample of any kind.
        seed: The seed of all streams.
        levels: How far apart the two may be where small differences stay small: several steps, each of which cuts off what
            the next one multiplies. 2 is enough for a single step.

    Raises:
        PropertyFailed: If a pixel is further apart.
        NotApplicable: If T refuses one of the dtypes or returns another, draws otherwise for it, or holds an argument in the
            units of one of them, as a threshold of 128.

    Example:
        >>> def brighten(image):
        ...     return image + 10
        >>> float_equals_uint8(brighten, torch.zeros(1, 1, 1))
        Traceback (most recent call last):
        ...
        segaug.testing._errors.PropertyFailed: image[0, 0, 0] is 10 as uint8, 2550 as 255 times float
    """
    augmentation = Augmentation.of(transform)
    _check_units(augmentation.given)
    whole = _as_uint8(sample)
    real = _as_float(whole)
    levels_whole, streams_whole = _result(augmentation, whole, seed)
    levels_real, streams_real = _result(augmentation, real, seed)
    if streams_whole != streams_real:
        raise NotApplicable("it draws other numbers for floats than for uint8")
    steepness: float | None = None
    for name, one in levels_whole.items():
        other = levels_real[name]
        if one.shape != other.shape:
            raise PropertyFailed(f"{name} has shape {tuple(one.shape)} as uint8, {tuple(other.shape)} as float")
        # Written so that NaN is apart.
        if not bool((~((one - other).abs() <= levels)).any()):
            continue
        if steepness is None:
            steepness = _steepness(augmentation, whole, seed)
        wrong = ~((one - other).abs() <= levels * max(1.0, steepness) ** 2)
        if bool(wrong.any()):
            place = place_of(wrong)
            raise PropertyFailed(
                f"{name}[{', '.join(map(str, place))}] is {one[place].item():g} as uint8, "
                f"{other[place].item():g} as 255 times float"
            )


def _check_units(transform: Any, depth: int = 3) -> None:
    for name, value in vars_of(transform).items():
        numbers = value if isinstance(value, list | tuple) else [value]
        if name in _IN_UNITS and any(isinstance(number, int | float) and number != 0 for number in numbers):
            raise NotApplicable(f"its {name} is in the units of one dtype")
        if depth and name in ("transform", "transforms", "_modules"):
            parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else [value]
            for part in parts:
                _check_units(part, depth - 1)


def _pixel_names(sample: Any) -> tuple[str, ...]:
    return ("patches", "alpha") if isinstance(sample, SegmentTokens) else ("image",)


def _as_uint8(sample: Any) -> Any:
    if not pixels(sample).is_floating_point():
        return sample
    before = named_leaves(sample)
    scaled = {name: (plain(before[name]).double() * 255).round().clamp(0, 255) for name in _pixel_names(sample)}
    return with_leaves(sample, {name: value.to(torch.uint8) for name, value in scaled.items()})


def _as_float(sample: Any) -> Any:
    before = named_leaves(sample)
    return with_leaves(sample, {name: plain(before[name]).float() / 255 for name in _pixel_names(sample)})


def _result(augmentation: Augmentation, sample: Any, seed: int) -> tuple[dict[str, torch.Tensor], Any]:
    """The pixels of T(x) in units of 255, and the states of the streams after."""
    given = pixels(sample).dtype
    with forked_streams(seed, []):
        augmentation.reseed(seed)
        try:
            returned = augmentation(sample)
        except TransformFailed as error:
            raise NotApplicable(f"it does not take {given}") from error
        streams = augmentation.streams()
    after = named_leaves(returned)
    found = {name: plain(after[name]) for name in _pixel_names(sample)}
    if any(value.dtype != given for value in found.values()):
        raise NotApplicable(f"it does not return {given} for {given}")
    unit = 255 if given.is_floating_point else 1
    return {name: value.double() * unit for name, value in found.items()}, streams


def _steepness(augmentation: Augmentation, sample: Any, seed: int) -> float:
    """How much further apart results are than samples, at most; uint8 results around the circle, so that wraps stay small."""
    before, _ = _result(augmentation, sample, seed)
    real, _ = _result(augmentation, _as_float(sample), seed)
    steepest = 0.0
    generator = torch.Generator().manual_seed(0)
    values = pixels(sample)
    top = plain(sample.alpha)[..., None, :, :] if isinstance(sample, SegmentTokens) else torch.full_like(values, 255)
    name = _pixel_names(sample)[0]
    for amplitude in (1, 1, 2, 4):
        noise = torch.randint(-amplitude, amplitude + 1, values.shape, generator=generator)
        near = torch.minimum((values.long() + noise).clamp(min=0), top.long())
        noisy = with_leaves(sample, {name: near.to(torch.uint8)})
        one, _ = _result(augmentation, noisy, seed)
        other, _ = _result(augmentation, _as_float(noisy), seed)
        if one[name].shape != before[name].shape or other[name].shape != real[name].shape or not one[name].numel():
            continue
        apart = (one[name] - before[name]).abs()
        apart = torch.minimum(apart, 256 - apart)
        steepest = max(steepest, *(float(d.max()) / amplitude for d in (apart, (other[name] - real[name]).abs())))
    return steepest


@declare()
def cpu_equals_gpu(transform: Any, sample: Any, *, seed: int = 0, atol: float = 1e-3, levels: float = 1.0) -> None:
    """T_s(x on the GPU) = T_s(x on the CPU), to rounding, but for a pixel in fifty, where a rounding decides between two.

    Args:
        transform: The transform, or an ``Augmentation``.
        sample: A sample of any kind.
        seed: The seed of all streams.
        atol: How far apart floats may be.
        levels: How far apart uint8 pixels may be.

    Raises:
        PropertyFailed: If results differ, or are not on the GPU.
        NotApplicable: If there is no GPU, T does not take what is on it, or draws there, where a seed gives other numbers.

    Example:
        >>> from segaug.testing import NotApplicable
        >>> try:
        ...     cpu_equals_gpu(torch.nn.Identity(), torch.zeros(1, 1, 1))
        ... except NotApplicable as why:
        ...     assert "GPU" in str(why)
    """
    if not torch.cuda.is_available():
        raise NotApplicable("there is no GPU")
    augmentation = Augmentation.of(transform)
    if augmentation.library == "albumentations" or augmentation.input != "tensor":
        raise NotApplicable("it takes arrays, which are on no GPU")
    device = torch.device("cuda", torch.cuda.current_device())
    leaves = {name: leaf for name, leaf in named_leaves(sample).items() if isinstance(leaf, torch.Tensor)}
    moved = with_leaves(sample, {name: plain(leaf).to(device) for name, leaf in leaves.items()})
    before = torch.cuda.get_rng_state(device)
    expected = named_leaves(augmentation.seeded(sample, seed))
    # seeded() puts the CPU's streams back only.
    with torch.random.fork_rng(devices=[device]):
        torch.manual_seed(seed)
        start = torch.cuda.get_rng_state(device)
        found = named_leaves(augmentation.seeded(moved, seed))
        if not torch.equal(start, torch.cuda.get_rng_state(device)):
            raise NotApplicable("it draws on the GPU")
    torch.cuda.set_rng_state(before, device)
    for name, one in expected.items():
        if isinstance(one, torch.Tensor):
            _check_near(name, plain(one), plain(found[name]), atol if one.is_floating_point() else levels)


def _check_near(name: str, one: torch.Tensor, other: torch.Tensor, allowed: float) -> None:
    if other.device.type != "cuda":
        raise PropertyFailed(f"{name} is on the {other.device}, was on the GPU")
    if one.shape != other.shape:
        raise PropertyFailed(f"{name} has shape {tuple(other.shape)} on the GPU, {tuple(one.shape)} on the CPU")
    exact, came = one.double(), other.cpu().double()
    wrong = ~(((exact - came).abs() <= allowed) | (exact.isnan() & came.isnan()))
    if int(wrong.sum()) > max(1, one.numel() // 50):
        place = place_of(wrong)
        raise PropertyFailed(
            f"{name}[{', '.join(map(str, place))}] is {came[place].item():g} on the GPU, {exact[place].item():g} on the CPU"
        )
