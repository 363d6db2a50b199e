"""Bugs in randomness: what is drawn, from where, when, and how often."""

import numpy as np
import torch
from mutant import Mutant
from torch import nn
from torchvision.transforms import v2


def _brightened(image, factor):
    if image.is_floating_point():
        return (image * factor).clamp(0, 1)
    return (image.float() * factor).round().clamp(0, 255).to(image.dtype)


class RandomBrightness(v2.Transform):
    """With probability p, brighter or darker."""

    def __init__(self, p=0.5, *, generator=None):
        super().__init__()
        self.p = p
        self.generator = generator

    def make_params(self, flat_inputs):
        draws = torch.rand(2, generator=self.generator)
        return {"apply": bool(draws[0] < self.p), "factor": 0.5 + float(draws[1])}

    def transform(self, inpt, params):
        return _brightened(inpt, params["factor"]) if params["apply"] else inpt


class AtMostP(RandomBrightness):
    def make_params(self, flat_inputs):
        draws = torch.rand(2, generator=self.generator)
        return {"apply": bool(draws[0] <= self.p), "factor": 0.5 + float(draws[1])}


class AboveP(RandomBrightness):
    def make_params(self, flat_inputs):
        draws = torch.rand(2, generator=self.generator)
        return {"apply": bool(draws[0] > self.p), "factor": 0.5 + float(draws[1])}


class ConvertsFirst(RandomBrightness):
    def transform(self, inpt, params):
        top = 0.5 if inpt.is_floating_point() else 127.5
        centred = inpt.float() / top - 1
        if params["apply"]:
            centred = ((centred + 1) * params["factor"] - 1).clamp(-1, 1)
        return ((centred + 1) * top).to(inpt.dtype)


class StoresGenerator(RandomBrightness):
    def make_params(self, flat_inputs):
        draws = torch.rand(2)
        return {"apply": bool(draws[0] < self.p), "factor": 0.5 + float(draws[1])}


class UsesGeneratorForHalf(RandomBrightness):
    def make_params(self, flat_inputs):
        apply = torch.rand(()) < self.p
        return {"apply": bool(apply), "factor": 0.5 + float(torch.rand((), generator=self.generator))}


class DrawsFromNumpy(RandomBrightness):
    def make_params(self, flat_inputs):
        apply = np.random.rand() < self.p  # noqa: NPY002 (the bug)
        return {"apply": bool(apply), "factor": 0.5 + float(torch.rand((), generator=self.generator))}


class SeedsTheDefault(RandomBrightness):
    def make_params(self, flat_inputs):
        torch.manual_seed(int(torch.randint(2**31, (), generator=self.generator)))
        draws = torch.rand(2)
        return {"apply": bool(draws[0] < self.p), "factor": 0.5 + float(draws[1])}


class NewStreamPerCall(RandomBrightness):
    def make_params(self, flat_inputs):
        stream = np.random.default_rng()
        return {"apply": bool(stream.random() < self.p), "factor": 0.5 + float(stream.random())}


class KeepsGoing(RandomBrightness):
    """Its strength grows with the calls."""

    def __init__(self, p=0.5, *, generator=None):
        super().__init__(p, generator=generator)
        self.reach = 0.5

    def make_params(self, flat_inputs):
        params = super().make_params(flat_inputs)
        params["factor"] *= self.reach
        self.reach *= 0.9
        return params


class SkipsBlack(RandomBrightness):
    def forward(self, image):
        return super().forward(image) if image.any() else image


class RandomOrderOfChannels(nn.Module):
    """The channels in a drawn order."""

    def __init__(self, p=0.5, *, generator=None):
        super().__init__()
        self.p = p
        self.generator = generator

    def forward(self, image):
        apply = torch.rand((), generator=self.generator) < self.p
        order = self.order(image.shape[-3])
        return image.index_select(-3, order) if apply else image

    def order(self, channels):
        return torch.randperm(channels, generator=self.generator)


class OrderDrawnOnce(RandomOrderOfChannels):
    drawn = None

    def order(self, channels):
        if self.drawn is None or len(self.drawn) != channels:
            self.drawn = super().order(channels)
        return self.drawn


class RandomPatch(nn.Module):
    """One pixel in black, at a drawn place."""

    def __init__(self, p=0.5, *, generator=None):
        super().__init__()
        self.p = p
        self.generator = generator

    def forward(self, image):
        apply = torch.rand((), generator=self.generator) < self.p
        row, column = self.place(image)
        if not apply:
            return image
        out = image.clone()
        out[..., row, column] = 0
        return out

    def place(self, image):
        draws = torch.rand(2, generator=self.generator) * torch.tensor(image.shape[-2:])
        return draws.long().tolist()


class LooksForContent(RandomPatch):
    def place(self, image):
        for _ in range(10):
            row, column = super().place(image)
            if image[..., row, column].any():
                break
        return row, column


class CalledWithGenerator(nn.Module):
    """Gray noise; the generator is given at the call."""

    def __init__(self, p=0.5):
        super().__init__()
        self.p = p

    def forward(self, image, generator=None):
        return self.change(image, generator)

    def change(self, image, generator):
        draws = torch.rand(2, generator=generator)
        return _brightened(image, 0.5 + float(draws[1])) if draws[0] < self.p else image


class TakesGeneratorAlong(CalledWithGenerator):
    def forward(self, image, **params):
        return self.change(image, params.get("rng"))


IMAGE = {"accepts": "image", "is_geometric": False}

MUTANTS: list[Mutant] = [
    Mutant("p with <=", "p is tested with <=.", "is_identity_at_p_zero", RandomBrightness, AtMostP, IMAGE),
    Mutant(
        "p with >", "p is the probability of leaving alone.", "is_identity_at_p_zero", RandomBrightness, AboveP, IMAGE
    ),
    Mutant(
        "converts before it decides",
        "Pictures go to [-1, 1] and back, cut off, though nothing is applied.",
        "is_identity_at_p_zero",
        RandomBrightness,
        ConvertsFirst,
        IMAGE,
    ),
    Mutant(
        "generator stored, not used",
        "The generator is stored, and torch's default one drawn from.",
        "generator_decides",
        RandomBrightness,
        StoresGenerator,
        IMAGE,
    ),
    Mutant(
        "generator for one draw of two",
        "Whether to apply is drawn without the generator.",
        "generator_decides",
        RandomBrightness,
        UsesGeneratorForHalf,
        IMAGE,
    ),
    Mutant(
        "generator swallowed at the call",
        "forward takes **params, and generator= goes under in it.",
        "generator_decides",
        CalledWithGenerator,
        TakesGeneratorAlong,
        IMAGE,
    ),
    Mutant(
        "numpy's default stream",
        "Whether to apply is drawn from np.random.",
        "leaves_global_streams_alone",
        RandomBrightness,
        DrawsFromNumpy,
        IMAGE,
    ),
    Mutant(
        "seeds the default stream",
        "Seeds torch's default stream by a number from the generator.",
        "leaves_global_streams_alone",
        RandomBrightness,
        SeedsTheDefault,
        IMAGE,
    ),
    Mutant(
        "a new stream per call",
        "Draws from a stream that the system seeds at each call.",
        "is_reproducible",
        RandomBrightness,
        NewStreamPerCall,
        IMAGE,
    ),
    Mutant(
        "strength grows with the calls",
        "A schedule in the transform counts its calls.",
        "is_reproducible",
        RandomBrightness,
        KeepsGoing,
        IMAGE,
    ),
    Mutant(
        "an order drawn once",
        "The order of the channels is drawn at the first call and kept.",
        "is_reproducible",
        RandomOrderOfChannels,
        OrderDrawnOnce,
        {**IMAGE, "channels": 3},
    ),
    Mutant(
        "early exit for black",
        "Returns black pictures before it has drawn.",
        "draws_do_not_depend_on_pixels",
        RandomBrightness,
        SkipsBlack,
        IMAGE,
    ),
    Mutant(
        "draws until it hits content",
        "Draws again while the place is black.",
        "draws_do_not_depend_on_pixels",
        RandomPatch,
        LooksForContent,
        IMAGE,
    ),
]
