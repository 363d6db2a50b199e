"""Noise that is a function of a seed per segment: so it need not be kept, and is made where the pixels are."""

import torch

__all__ = ["seeded_normal"]

# The constants of SplitMix64, as signed numbers.
_STEP, _FIRST, _SECOND = (factor - 2**64 for factor in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def seeded_normal(seed: torch.Tensor, count: int) -> torch.Tensor:
    """Draw from the standard normal distribution, each row from a stream of its own.

    The streams are those of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA
    2014, figure 17), turned into normal numbers by Box and Muller's method.

    Args:
        seed: (M,) int64, any value.
        count: Numbers per seed.

    Returns:
        (M, count) float32 on the device of ``seed``.

    Example:
        >>> noise = seeded_normal(torch.tensor([1, 2, 1]), 1000)
        >>> torch.equal(noise[0], noise[2]), torch.equal(noise[0], noise[1])
        (True, False)
    """
    # Two numbers of 32 bits from each of 64, and two normal numbers from these.
    bits = torch.arange(1, (count + 1) // 2 + 1, device=seed.device) * _STEP + seed[:, None]
    for shift, factor in ((30, _FIRST), (27, _SECOND)):
        bits = bits.bitwise_xor_((bits >> shift).bitwise_and_(2 ** (64 - shift) - 1)).mul_(factor)
    bits = bits.bitwise_xor_((bits >> 31).bitwise_and_(2**33 - 1))
    # In (0, 1], as its logarithm is taken.
    length = (bits & 0xFFFFFFFF).add_(1).float().mul_(2.0**-32).log_().mul_(-2.0).sqrt_()
    angle = (bits >> 32).float().mul_(torch.pi * 2.0**-31)
    return torch.cat([angle.cos().mul_(length), angle.sin().mul_(length)], dim=1)[:, :count]
