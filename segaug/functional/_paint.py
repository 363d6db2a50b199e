"""Back on the canvas: one value per segment, or the tokens themselves."""

import torch

from segaug._checks import describe
from segaug.functional._groups import group_by_size
from segaug.functional._labels import relabel

__all__ = ["paint_tokens", "paint_values"]


def paint_values(values: torch.Tensor, labels: torch.Tensor, segments: torch.Tensor) -> torch.Tensor:
    """Give every pixel the value of its segment: attributions, predictions, factors.

    Args:
        values: (..., N, *K), one value or vector per token.
        labels: (..., N) int64: the label that each belongs to, as ``SegmentTokens.labels``; -1 is padding.
        segments: (..., H, W) integers: the label of each pixel. A label that no token has is painted like the
            background (0), and with 0 where there is no background token either.

    Returns:
        (..., H, W, *K) in the dtype of ``values``.

    Raises:
        ValueError: If the shapes do not fit together.

    Example:
        >>> paint_values(torch.tensor([0.5, 2.0]), torch.tensor([7, 0]), torch.tensor([[0, 7, 9]])).tolist()
        [[2.0, 0.5, 2.0]]
    """
    leading, extra = labels.shape[:-1], values.shape[labels.ndim :]
    if values.shape[: labels.ndim] != labels.shape or segments.shape[:-2] != leading:
        raise ValueError(
            "values (..., N, *K), labels (..., N) and segments (..., H, W) must fit together, got "
            f"{tuple(values.shape)}, {tuple(labels.shape)} and {tuple(segments.shape)}"
        )
    if not labels.shape[-1]:
        return values.new_zeros((*segments.shape, *extra))
    dense, present = relabel(segments)
    # Which token shows each of the map's segments: (..., 1 + S, N).
    present = torch.cat([present.new_zeros((*leading, 1)), present], dim=-1)
    shown = (present[..., :, None] == labels[..., None, :]) & (labels >= 0)[..., None, :]
    token = torch.where(shown.any(-1), shown.to(torch.uint8).argmax(-1), shown.to(torch.uint8)[..., :1, :].argmax(-1))
    has_token = shown.any(-1) | shown[..., :1, :].any(-1)
    flat_values = values.reshape(leading.numel(), labels.shape[-1], extra.numel())
    picked = flat_values.gather(
        1, token.reshape(leading.numel(), present.shape[-1], 1).expand(-1, -1, flat_values.shape[-1])
    )
    picked = picked.masked_fill(~has_token.reshape(leading.numel(), present.shape[-1], 1), 0)
    index = dense.reshape(leading.numel(), segments.shape[-2:].numel(), 1).expand(-1, -1, flat_values.shape[-1])
    return picked.gather(1, index).view(*segments.shape, *extra)


def paint_tokens(
    patches: torch.Tensor,
    alpha: torch.Tensor,
    boxes: torch.Tensor,
    labels: torch.Tensor,
    size: tuple[int, int],
) -> torch.Tensor:
    """Put tokens back where their boxes say, on a black canvas.

    Each patch is resized to its box, bilinear; where several cover a pixel they are averaged, weighted by coverage. The
    background token fills the canvas, and shows where no segment is. Boxes are rounded to whole pixels.

    Args:
        patches: (..., N, C, P, P) premultiplied by alpha, uint8, or float in [0, 1].
        alpha: (..., N, P, P), in the dtype and range of ``patches``.
        boxes: (..., N, 4) XYXY in [0, 1]; the background's is not used.
        labels: (..., N) int64: 0 is the background, -1 padding.
        size: Height and width of the canvas in pixels.

    Returns:
        (..., C, H, W) in the dtype of ``patches``.

    Raises:
        ValueError: If the shapes do not fit together.

    Example:
        >>> patches, alpha = torch.full((1, 3, 2, 2), 9, dtype=torch.uint8), torch.full((1, 2, 2), 255, dtype=torch.uint8)
        >>> canvas = paint_tokens(patches, alpha, torch.tensor([[0.0, 0.0, 0.5, 1.0]]), torch.tensor([1]), (1, 4))
        >>> canvas[0].tolist()
        [[9, 9, 0, 0]]
    """
    leading, (channels, patch_height, patch_width) = patches.shape[:-4], patches.shape[-3:]
    if alpha.shape != (*patches.shape[:-3], patch_height, patch_width) or labels.shape != patches.shape[:-3]:
        raise ValueError(f"patches, alpha and labels must fit together, got {describe(patches)} and {describe(alpha)}")
    height, width = size
    full = 255.0 if patches.dtype == torch.uint8 else 1.0
    work = torch.float64 if patches.dtype == torch.float64 else torch.float32
    layers = torch.cat([patches, alpha.unsqueeze(-3)], dim=-3).reshape(-1, channels + 1, patch_height, patch_width)
    layers = layers.to(work) / full
    flat_labels = labels.reshape(-1)
    picture = torch.arange(leading.numel(), device=labels.device).repeat_interleave(labels.shape[-1])
    scale = torch.tensor([width, height, width, height], device=boxes.device)
    corners = (boxes.reshape(-1, 4) * scale).round().long()
    corners[flat_labels == 0] = torch.tensor([0, 0, width, height], device=boxes.device)
    limit = torch.tensor([width - 1, height - 1], device=boxes.device)
    corners[:, :2] = torch.minimum(corners[:, :2].clamp(min=0), limit)
    corners[:, 2:] = torch.maximum(torch.minimum(corners[:, 2:], limit + 1), corners[:, :2] + 1)

    def layer_sum(chosen: torch.Tensor) -> torch.Tensor:
        canvas = torch.zeros((leading.numel() * height * width, channels + 1), dtype=work, device=patches.device)
        used = chosen.nonzero().squeeze(1)
        sides = corners[used, 2:] - corners[used, :2]
        order, groups = group_by_size(sides.cpu())
        for first, last, (wide, tall) in groups:
            index = used[order[first:last].to(used.device)]
            x1, y1, x2, y2 = corners[index].unbind(-1)
            down = _placing_weights(y2 - y1, patch_height, tall, work)
            across = _placing_weights(x2 - x1, patch_width, wide, work)
            crops = down[:, None] @ layers[index] @ across.transpose(1, 2)[:, None]
            # Rows and columns beyond a box have weight 0, so where they land does not matter.
            y = (y1[:, None] + torch.arange(tall, device=index.device)).clamp_(max=height - 1)
            x = (x1[:, None] + torch.arange(wide, device=index.device)).clamp_(max=width - 1)
            place = (picture[index, None, None] * height + y[:, :, None]) * width + x[:, None, :]
            canvas.index_add_(0, place.view(-1), crops.movedim(1, -1).reshape(-1, channels + 1))
        return canvas

    front = layer_sum(flat_labels > 0)
    front = front / front[:, -1:].clamp(min=1.0)
    back = layer_sum(flat_labels == 0)
    painted = front + back * (1.0 - front[:, -1:])
    # Where segments meet, their soft edges add up to less than full coverage; do not darken there. What is fainter than
    # an eighth is an edge to where nothing is.
    color = (painted[:, :channels] / painted[:, -1:].clamp(min=0.125) * full).clamp_(0, full)
    if patches.dtype == torch.uint8:
        color.round_()
    return color.to(patches.dtype).view(*leading, height, width, channels).movedim(-1, -3).contiguous()


def _placing_weights(length: torch.Tensor, in_size: int, tall: int, work: torch.dtype) -> torch.Tensor:
    """(K, tall, in_size): rows that resize ``in_size`` to each ``length``, 0 behind it."""
    rows = torch.arange(tall, device=length.device)
    weights = torch.zeros((len(length), tall, in_size), dtype=work, device=length.device)
    # The transposed direction of resize_weights: one source size, a target size per box.
    scale = in_size / length.to(work)[:, None, None]
    center = (rows[:, None] + 0.5) * scale
    distance = (torch.arange(in_size, device=length.device) + 0.5 - center).abs()
    weights = (1.0 - distance / scale.clamp(min=1.0)).clamp_(min=0.0)
    weights = weights / weights.sum(-1, keepdim=True).clamp(min=1e-12)
    return weights * (rows[:, None] < length[:, None, None])
