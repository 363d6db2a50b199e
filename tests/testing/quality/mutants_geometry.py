"""Planted bugs in transforms that move pixels."""

import dataclasses

import torch
import torchvision.transforms.v2.functional as F
from mutant import Mutant
from torch import nn
from torchvision import tv_tensors
from torchvision.transforms import v2

from segaug import SegmentedImage, SegmentMap, SegmentTokens

__all__ = ["MUTANTS"]


class DetectionTransform(nn.Module):
    """Changes a sample of a detection data set with probability ``p``."""

    def __init__(self, p=0.5):
        super().__init__()
        self.p = p

    def forward(self, sample):
        if torch.rand(()) >= self.p:
            return sample
        height, width = sample["image"].shape[-2:]
        parts = self.draw(height, width)
        image = self.image(sample["image"].as_subclass(torch.Tensor), *parts)
        size = tuple(image.shape[-2:])
        boxes = self.boxes(sample["boxes"].as_subclass(torch.Tensor).clone(), height, width, *parts)
        points = self.points(sample["keypoints"].as_subclass(torch.Tensor).clone(), height, width, *parts)
        return {
            **sample,
            "image": tv_tensors.Image(image),
            "masks": tv_tensors.Mask(self.masks(sample["masks"].as_subclass(torch.Tensor), *parts)),
            "boxes": tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=self.canvas(size, (height, width))),
            "keypoints": tv_tensors.KeyPoints(points, canvas_size=size),
        }

    def draw(self, height, width):
        return ()

    def masks(self, masks, *parts):
        return self.image(masks, *parts)

    def canvas(self, size, before):
        return size


class Flip(DetectionTransform):
    def image(self, image):
        return image.flip(-1)

    def boxes(self, boxes, height, width):
        x0, y0, x1, y1 = boxes.unbind(-1)
        return torch.stack([width - x1, y0, width - x0, y1], -1)

    def points(self, points, height, width):
        return torch.stack([width - 1 - points[:, 0], points[:, 1]], -1)


class FlipWithoutMasks(Flip):
    def masks(self, masks):
        return masks


class FlipWithoutBoxes(Flip):
    def boxes(self, boxes, height, width):
        return boxes


class FlipBoxesByLastPixel(Flip):
    def boxes(self, boxes, height, width):
        x0, y0, x1, y1 = boxes.unbind(-1)
        return torch.stack([width - 1 - x1, y0, width - 1 - x0, y1], -1)


class FlipWidensBoxes(Flip):
    def boxes(self, boxes, height, width):
        x0, y0, x1, y1 = boxes.unbind(-1)
        return torch.stack([width - 1 - x1, y0, width - x0, y1], -1)


class FlipEndsBeforeStart(Flip):
    def boxes(self, boxes, height, width):
        boxes[:, 0::2] = width - boxes[:, 0::2]
        return boxes


class FlipPointsByWidth(Flip):
    def points(self, points, height, width):
        points[:, 0] = width - points[:, 0]
        return points


class FlipRolled(Flip):
    def forward(self, sample):
        out = super().forward(sample)
        if out is sample:
            return out
        return {**out, "image": tv_tensors.Image(out["image"].roll(1, -1))}


class VerticalFlip(DetectionTransform):
    def image(self, image):
        return image.flip(-2)

    def boxes(self, boxes, height, width):
        x0, y0, x1, y1 = boxes.unbind(-1)
        return torch.stack([x0, height - y1, x1, height - y0], -1)

    def points(self, points, height, width):
        return torch.stack([points[:, 0], height - 1 - points[:, 1]], -1)


class VerticalFlipOfX(VerticalFlip):
    def boxes(self, boxes, height, width):
        x0, y0, x1, y1 = boxes.unbind(-1)
        return torch.stack([width - x1, y0, width - x0, y1], -1)


class Window(DetectionTransform):
    """Crops a window of three quarters of each side."""

    def draw(self, height, width):
        rows, columns = max(1, height * 3 // 4), max(1, width * 3 // 4)
        top = int(torch.randint(0, height - rows + 1, ()))
        left = int(torch.randint(0, width - columns + 1, ()))
        return top, left, rows, columns

    def image(self, image, top, left, rows, columns):
        return image[..., top : top + rows, left : left + columns]

    def boxes(self, boxes, height, width, top, left, rows, columns):
        return self.clamp(boxes - torch.tensor([left, top, left, top]), rows, columns)

    def clamp(self, boxes, rows, columns):
        boxes[:, 0::2] = boxes[:, 0::2].clamp(0, columns)
        boxes[:, 1::2] = boxes[:, 1::2].clamp(0, rows)
        return boxes

    def points(self, points, height, width, top, left, rows, columns):
        return points - torch.tensor([left, top])


class WindowAddsOffset(Window):
    def boxes(self, boxes, height, width, top, left, rows, columns):
        return self.clamp(boxes + torch.tensor([left, top, left, top]), rows, columns)


class WindowSwapsBoxes(Window):
    def boxes(self, boxes, height, width, top, left, rows, columns):
        return self.clamp(boxes - torch.tensor([top, left, top, left]), rows, columns)


class WindowSwapsMasks(Window):
    def masks(self, masks, top, left, rows, columns):
        top, left = min(left, masks.shape[-2] - rows), min(top, masks.shape[-1] - columns)
        return masks[..., top : top + rows, left : left + columns]


class WindowOnOldCanvas(Window):
    def canvas(self, size, before):
        return before


class QuarterTurn(DetectionTransform):
    """Turns to the left."""

    def image(self, image):
        return image.rot90(1, (-2, -1))

    def boxes(self, boxes, height, width):
        x0, y0, x1, y1 = boxes.unbind(-1)
        return torch.stack([y0, width - x1, y1, width - x0], -1)

    def points(self, points, height, width):
        return torch.stack([points[:, 1], width - 1 - points[:, 0]], -1)


class QuarterTurnOfMasksToTheRight(QuarterTurn):
    def masks(self, masks):
        return masks.rot90(-1, (-2, -1))


class Enlarge(DetectionTransform):
    """Makes the picture four times as high and wide."""

    def image(self, image):
        return image.repeat_interleave(4, -1).repeat_interleave(4, -2)

    def boxes(self, boxes, height, width):
        return boxes * 4

    def points(self, points, height, width):
        return (points + 0.5) * 4 - 0.5


class EnlargeTouchedMasks(Enlarge):
    def masks(self, masks):
        if not len(masks):
            return super().masks(masks)
        return nn.functional.interpolate(masks[None].float(), scale_factor=4, mode="bilinear")[0] > 0


class Tilt(v2.Transform):
    """Turns the picture and its map by up to 40 degrees."""

    def make_params(self, flat_inputs):
        return {"angle": float(torch.empty(()).uniform_(-40, 40))}

    def transform(self, inpt, params):
        return self._call_kernel(F.rotate, inpt, angle=params["angle"])


class TiltMapByItself(Tilt):
    def transform(self, inpt, params):
        if isinstance(inpt, SegmentMap):
            params = self.make_params([])
        return super().transform(inpt, params)


class CropPair(nn.Module):
    """Crops half of a picture and its map."""

    def forward(self, sample):
        height, width = sample.segments.shape
        window = self.window(height, width)
        return SegmentedImage(
            F.crop(sample.image, *window), SegmentMap(F.crop(sample.segments, *self.map_window(window, height, width)))
        )

    def window(self, height, width):
        rows, columns = (height + 1) // 2, (width + 1) // 2
        top = int(torch.randint(0, height - rows + 1, ()))
        left = int(torch.randint(0, width - columns + 1, ()))
        return top, left, rows, columns

    def map_window(self, window, height, width):
        return window


class CropMapByItself(CropPair):
    def map_window(self, window, height, width):
        return self.window(height, width)


class FlipTokens(nn.Module):
    """Mirrors the patches from left to right, and where they are."""

    def __init__(self, p=0.5):
        super().__init__()
        self.p = p

    def forward(self, tokens):
        if torch.rand(()) >= self.p:
            return tokens
        return SegmentTokens(
            tv_tensors.Image(tokens.patches.as_subclass(torch.Tensor).flip(-1)),
            tv_tensors.Mask(self.flip_alpha(tokens.alpha.as_subclass(torch.Tensor))),
            self.flip_boxes(tokens.boxes.as_subclass(torch.Tensor), tokens.labels > 0),
            tokens.areas,
            tokens.labels,
        )

    def flip_alpha(self, alpha):
        return alpha.flip(-1)

    def flip_boxes(self, boxes, is_segment):
        x0, y0, x1, y1 = boxes.unbind(-1)
        return torch.where(is_segment[..., None], torch.stack([1 - x1, y0, 1 - x0, y1], -1), boxes)


class FlipAlphaUpsideDown(FlipTokens):
    def flip_alpha(self, alpha):
        return alpha.flip(-2)


class FlipTokensAlongOtherAxis(FlipTokens):
    def flip_boxes(self, boxes, is_segment):
        x0, y0, x1, y1 = boxes.unbind(-1)
        return torch.where(is_segment[..., None], torch.stack([x0, 1 - y1, x1, 1 - y0], -1), boxes)


class MirrorWithoutMap(nn.Module):
    """Mirrors a pair."""

    def __init__(self, p=0.5):
        super().__init__()
        self.p = p

    def forward(self, pair):
        return dataclasses.replace(pair, image=F.horizontal_flip(pair.image)) if torch.rand(()) < self.p else pair


OBJECTS = {"accepts": "annotated_image", "is_geometric": True}
PAIR = {"accepts": "segmented_image", "is_geometric": True}
TOKENS = {"accepts": "segment_tokens", "is_geometric": True}
TOGETHER, BOXES = "moves_everything_together", "boxes_follow_masks"

MUTANTS = [
    Mutant("flip without masks", "Flip the masks with the image.", TOGETHER, Flip, FlipWithoutMasks, OBJECTS),
    Mutant("flip without boxes", "Flip the boxes with the image.", BOXES, Flip, FlipWithoutBoxes, OBJECTS),
    Mutant(
        "flip inclusive boxes", "Mirror half-open boxes by W, not W - 1.", BOXES, Flip, FlipBoxesByLastPixel, OBJECTS
    ),
    Mutant(
        "flip mixes box conventions",
        "Mirror both ends of a box in the same convention.",
        "twice_is_identity",
        Flip,
        FlipWidensBoxes,
        OBJECTS,
    ),
    Mutant("flip ends before start", "Swap x0 and x1 after mirroring.", BOXES, Flip, FlipEndsBeforeStart, OBJECTS),
    Mutant("flip points by width", "Mirror key points by W - 1, not W.", TOGETHER, Flip, FlipPointsByWidth, OBJECTS),
    Mutant("flip rolled by one", "Do not shift the flipped image by a pixel.", TOGETHER, Flip, FlipRolled, OBJECTS),
    Mutant(
        "vertical flip of x", "Mirror the y of boxes in a vertical flip.", BOXES, VerticalFlip, VerticalFlipOfX, OBJECTS
    ),
    Mutant("crop adds offset", "Subtract the crop's offset from boxes.", BOXES, Window, WindowAddsOffset, OBJECTS),
    Mutant(
        "crop swaps offset",
        "Subtract left from x and top from y.",
        BOXES,
        Window,
        WindowSwapsBoxes,
        OBJECTS,
    ),
    Mutant("crop swaps rows of masks", "Crop masks at (top, left).", TOGETHER, Window, WindowSwapsMasks, OBJECTS),
    Mutant("crop on old canvas", "Give cropped boxes the new canvas_size.", BOXES, Window, WindowOnOldCanvas, OBJECTS),
    Mutant(
        "masks turn to the right",
        "Turn masks the way the image turns.",
        TOGETHER,
        QuarterTurn,
        QuarterTurnOfMasksToTheRight,
        OBJECTS,
    ),
    Mutant("enlarge grows masks", "Threshold resized masks at a half.", BOXES, Enlarge, EnlargeTouchedMasks, OBJECTS),
    Mutant("angle drawn anew for the map", "Turn image and map by one angle.", TOGETHER, Tilt, TiltMapByItself, PAIR),
    Mutant(
        "window drawn anew for the map", "Crop image and map by one window.", TOGETHER, CropPair, CropMapByItself, PAIR
    ),
    Mutant(
        "mirror leaves the map",
        "Mirror the map with the image.",
        TOGETHER,
        v2.RandomHorizontalFlip,
        MirrorWithoutMap,
        PAIR,
    ),
    Mutant(
        "alpha upside down", "Flip alpha along the axis of patches.", TOGETHER, FlipTokens, FlipAlphaUpsideDown, TOKENS
    ),
    Mutant(
        "boxes of tokens upside down",
        "Mirror boxes along the axis of patches.",
        "positions_follow_pixels",
        FlipTokens,
        FlipTokensAlongOtherAxis,
        TOKENS,
    ),
]
