"""Bugs in what every caller relies on: structure, dtype, shape, range, no side effects, any memory, any size."""

from dataclasses import replace
from functools import partial

import torch
from mutant import Mutant
from torch import nn
from torch.nn import functional

from segaug import SegmentTokens


class Augment(nn.Module):
    """With probability p, ``change`` by a drawn strength."""

    def __init__(self, p=0.5, *, generator=None):
        super().__init__()
        self.p = p
        self.generator = generator

    def forward(self, image):
        apply = torch.rand((), generator=self.generator) < self.p
        strength = torch.rand((), generator=self.generator)
        return self.change(image, float(strength)) if apply else image

    def change(self, image, strength):
        raise TypeError("change is for the subclasses")


def _rounded(values, like):
    """Back to the dtype and range of a picture."""
    if like.is_floating_point():
        return values.clamp(0, 1).to(like.dtype)
    return values.round().clamp(0, 255).to(like.dtype)


class Brightness(Augment):
    def change(self, image, strength):
        return _rounded(image.float() * (0.5 + strength), image)


class ReturnsFloats(Brightness):
    def change(self, image, strength):
        return (image.float() * (0.5 + strength)).round().clamp(0, 255)


class ClampsFloatsAt255(Brightness):
    def change(self, image, strength):
        return (image * (0.5 + strength)).clamp(0, 255).to(image.dtype)


class Wraps(Brightness):
    def change(self, image, strength):
        bright = image.float() * (0.5 + strength)
        return bright.clamp(0, 1) if image.is_floating_point() else bright.to(torch.int32).to(torch.uint8)


class ScalesBy256(Brightness):
    def change(self, image, strength):
        if image.is_floating_point():
            return super().change(image, strength)
        bright = (image.float() / 255 * (0.5 + strength)).clamp(0, 1)
        return (bright * 256).to(torch.int32).to(torch.uint8)


class ForgetsToReturn(Brightness):
    def forward(self, image):
        out = None
        if torch.rand((), generator=self.generator) < self.p:
            out = self.change(image, float(torch.rand((), generator=self.generator)))
        return out


class Prints(Brightness):
    def change(self, image, strength):
        print("strength", strength)
        return super().change(image, strength)


class TakesAnything(Brightness):
    def forward(self, image, **options):
        return super().forward(image)


class Cutout(Augment):
    """A black square of half the size."""

    def change(self, image, strength):
        return self.erase(image.clone(), strength)

    def erase(self, image, strength):
        height, width = image.shape[-2:]
        top, left = int(strength * height), int(strength * width)
        image[..., top : top + (height + 1) // 2, left : left + (width + 1) // 2] = 0
        return image


class CutoutInPlace(Cutout):
    def change(self, image, strength):
        return self.erase(image, strength)


class Blur(Augment):
    """The mean of 3x3 pixels."""

    padding = 1

    def change(self, image, strength):
        batch = image.float()[None] if image.ndim == 3 else image.float()
        blurred = functional.avg_pool2d(batch, 3, 1, self.padding, count_include_pad=False)
        return _rounded(blurred.view(*image.shape[:-2], *blurred.shape[-2:]), image)


class BlurWithoutPadding(Blur):
    padding = 0


class Scanline(Augment):
    """One black row."""

    def change(self, image, strength):
        out = image.clone()
        out[..., self.row(image.shape[-2]), :] = 0
        return out

    def row(self, height):
        return int(torch.randint(height, (), generator=self.generator))


class ScanlineNotTheLast(Scanline):
    def row(self, height):
        return int(torch.randint(height - 1, (), generator=self.generator))


class Stretch(Augment):
    """The full range of values."""

    least = 1e-6

    def change(self, image, strength):
        values = image.double() if image.is_floating_point() else image.double() / 255
        low = values.amin((-3, -2, -1), keepdim=True)
        span = values.amax((-3, -2, -1), keepdim=True) - low
        stretched = (
            torch.where(span > self.least, (values - low) / span, values) if self.least else (values - low) / span
        )
        return stretched.to(image.dtype) if image.is_floating_point() else _rounded(stretched * 255, image)


class StretchDividesByZero(Stretch):
    least = 0.0


class Darken(Augment):
    """A shadow over all channels of each pixel, computed with one row per channel."""

    def change(self, image, strength):
        shade = torch.linspace(strength, 1, image.shape[-2] * image.shape[-1])
        return _rounded(self.rows(image) * shade, image).view(image.shape)

    def rows(self, image):
        return image.flatten(-2)


class DarkenReadsStorage(Darken):
    def rows(self, image):
        pixels = image.shape[-2] * image.shape[-1]
        return image.as_strided((image.shape[0], pixels), (pixels, 1))


class DarkenViews(Darken):
    def rows(self, image):
        return image.view(image.shape[0], -1)


class Curve(Augment):
    """A tone curve that is an argument."""

    def __init__(self, power=0.5, p=0.5, *, generator=None):
        super().__init__(p, generator=generator)
        self.power = power

    def change(self, image, strength):
        top = 1 if image.is_floating_point() else 255
        return _rounded((image.float() / top) ** self.power * top, image)


class CurveOfLambda(Curve):
    def __init__(self, power=0.5, p=0.5, *, generator=None):
        super().__init__(power, p, generator=generator)
        self.curve = lambda values: values**power

    def change(self, image, strength):
        top = 1 if image.is_floating_point() else 255
        return _rounded(self.curve(image.float() / top) * top, image)


class CurveForgetsPower(Curve):
    def __reduce__(self):
        return partial(type(self), p=self.p, generator=self.generator), ()


class TokenFade:
    """Fade each segment by its own factor."""

    def __init__(self, p=0.5, *, generator=None):
        self.p = p
        self.generator = generator

    def __call__(self, tokens):
        factors = torch.rand(tokens.labels.shape, generator=self.generator)
        keep = torch.rand(tokens.labels.shape, generator=self.generator) >= self.p
        factors = factors.masked_fill(keep | (tokens.labels < 0), 1)
        return self.fade(tokens, factors[..., None, None, None])

    def fade(self, tokens, factors):
        faded = tokens.patches.as_subclass(torch.Tensor) * factors
        return replace(tokens, patches=_rounded(faded, tokens.patches))


class TokenFadeInPlace(TokenFade):
    def fade(self, tokens, factors):
        faded = tokens.patches.as_subclass(torch.Tensor) * factors
        tokens.patches.copy_(_rounded(faded, tokens.patches))
        return tokens


class TokenShift:
    """Move each segment's box by its own step."""

    def __init__(self, p=0.5, *, generator=None):
        self.p = p
        self.generator = generator

    def __call__(self, tokens: SegmentTokens):
        shape = tokens.labels.shape
        steps = (torch.rand((*shape, 2), generator=self.generator) - 0.5).repeat_interleave(2, -1)[..., [0, 2, 1, 3]]
        moves = (torch.rand(shape, generator=self.generator) < self.p) & (tokens.labels > 0)
        boxes = tokens.boxes.as_subclass(torch.Tensor)
        return replace(tokens, boxes=torch.where(moves[..., None], self.moved(boxes, steps), boxes))

    def moved(self, boxes, steps):
        return (boxes + steps).clamp(0, 1)


class TokenShiftOutside(TokenShift):
    def moved(self, boxes, steps):
        return boxes + steps


IMAGE = {"accepts": "image", "is_geometric": False}
TOKENS = {"accepts": ("segment_tokens", "token_batch"), "is_geometric": False}

MUTANTS: list[Mutant] = [
    Mutant(
        "no return without the change",
        "Pictures that are not changed come back as None.",
        "returns_same_structure",
        Brightness,
        ForgetsToReturn,
        IMAGE,
    ),
    Mutant(
        "floats for uint8",
        "The result stays in the float32 that it was computed in.",
        "keeps_dtype_and_device",
        Brightness,
        ReturnsFloats,
        IMAGE,
    ),
    Mutant(
        "floats clamped at 255",
        "Floats are clamped to the range of uint8, so they get brighter than white.",
        "keeps_range",
        Brightness,
        ClampsFloatsAt255,
        IMAGE,
    ),
    Mutant(
        "no clamp before uint8",
        "Bright pixels wrap around to dark ones.",
        "float_equals_uint8",
        Brightness,
        Wraps,
        IMAGE,
    ),
    Mutant(
        "1.0 becomes 256",
        "Scaled back to uint8 by 256: white wraps around to black.",
        "float_equals_uint8",
        Brightness,
        ScalesBy256,
        IMAGE,
    ),
    Mutant("a print left in", "A print of the parameters was left in.", "prints_nothing", Brightness, Prints, IMAGE),
    Mutant(
        "takes any keyword",
        "forward takes **options and looks at none of them.",
        "refuses_unknown_arguments",
        Brightness,
        TakesAnything,
        IMAGE,
    ),
    Mutant(
        "cutout in place",
        "The square is erased in the caller's picture.",
        "does_not_mutate_input",
        Cutout,
        CutoutInPlace,
        IMAGE,
    ),
    Mutant(
        "blur without padding",
        "A filter without padding makes the picture two pixels smaller.",
        "keeps_shape",
        Blur,
        BlurWithoutPadding,
        IMAGE,
    ),
    Mutant(
        "off by one in a range",
        "The row is drawn below height - 1: never the last one, and an error for a single row.",
        "survives_degenerate_inputs",
        Scanline,
        ScanlineNotTheLast,
        IMAGE,
    ),
    Mutant(
        "stretch of a flat picture",
        "Divides by the span of values, which is 0 in a flat picture or a single pixel.",
        "survives_degenerate_inputs",
        Stretch,
        StretchDividesByZero,
        {**IMAGE, "channels": 1},
    ),
    Mutant(
        "reads the storage",
        "Takes the pixels in the order in which they lie in memory.",
        "reads_any_layout",
        Darken,
        DarkenReadsStorage,
        IMAGE,
    ),
    Mutant(
        "view of what is no view",
        "Calls view on pictures that do not lie in one piece.",
        "reads_any_layout",
        Darken,
        DarkenViews,
        IMAGE,
    ),
    Mutant(
        "a lambda as an attribute",
        "Holds a lambda, so that spawned workers cannot get it.",
        "pickles_and_copies",
        Curve,
        CurveOfLambda,
        IMAGE,
    ),
    Mutant(
        "a copy forgets an argument",
        "__reduce__ leaves out an argument, so that copies have its default.",
        "pickles_and_copies",
        partial(Curve, 2.0),
        partial(CurveForgetsPower, 2.0),
        IMAGE,
    ),
    Mutant(
        "tokens in place",
        "The patches are faded in the caller's tokens.",
        "does_not_mutate_input",
        TokenFade,
        TokenFadeInPlace,
        TOKENS,
    ),
    Mutant(
        "boxes off the canvas",
        "Moved boxes are not clamped to the canvas.",
        "keeps_range",
        TokenShift,
        TokenShiftOutside,
        TOKENS,
    ),
]
