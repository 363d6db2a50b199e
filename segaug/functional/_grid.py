"""Where warped pixels come from: grids of places in the patch, from -1 to 1 along both axes, and sampling there."""

import torch

from segaug._checks import check_choice

__all__ = ["affine_grid", "grid_dtype", "identity_grid", "perspective_coefficients", "perspective_grid", "sample"]

_MODES = ("nearest", "bilinear")
# A place on the grid that no pixel reaches.
_OUTSIDE = 4.0


def affine_grid(
    size: tuple[int, int],
    angle: torch.Tensor,
    translate: torch.Tensor,
    scale: torch.Tensor,
    shear: torch.Tensor,
    center: torch.Tensor | None,
    device: torch.device,
    dtype: torch.dtype,
) -> torch.Tensor:
    """Grid of an affine map.

    Args:
        size: Height and width of the patches.
        angle: (M,) degrees, clockwise.
        translate: (M, 2) pixels to the right and down.
        scale: (M,) factors.
        shear: (M, 2) degrees along x and y.
        center: (1, 2) or (M, 2): x and y of the fixed point in pixels from the upper left corner; the middle if None.
        device: Where the grid is made.
        dtype: float32 or float64.

    Returns:
        (2, M, *size): x and y.

    Example:
        >>> none = torch.zeros(1, 2)
        >>> affine_grid((1, 2), torch.zeros(1), none, torch.ones(1), none, None, none.device, none.dtype).tolist()
        [[[[-0.5, 0.5]]], [[[0.0, 0.0]]]]
    """
    height, width = size
    # In double as long as it is numbers and not pixels, which is torchvision's arithmetic: so ties fall as there.
    frame = torch.tensor([width, height], dtype=torch.float64, device=angle.device)
    middle = frame.new_zeros((1, 2)) if center is None else center - frame * 0.5
    theta = _inverse_matrix(angle.double(), translate, scale.double(), shear.double(), middle).to(device, dtype)
    theta = (theta / (0.5 * frame.to(theta))[:, None, None])[..., None, None]
    x, y = (
        torch.linspace((1 - side) * 0.5, (side - 1) * 0.5, side, device=device, dtype=dtype) for side in (width, height)
    )
    grid = (x * theta[:, 0]) + (y[:, None] * theta[:, 1])
    return grid.add_(theta[:, 2])


def perspective_grid(size: tuple[int, int], coefficients: torch.Tensor) -> torch.Tensor:
    """Grid of a perspective.

    Args:
        size: Height and width of the patches.
        coefficients: (M, 8), float32 or float64.

    Returns:
        (2, M, *size) in the dtype of ``coefficients``: x and y.

    Example:
        >>> perspective_grid((1, 2), torch.tensor([[1.0, 0, 0, 0, 1, 0, 0, 0]])).tolist()
        [[[[-0.5, 0.5]]], [[[0.0, 0.0]]]]
    """
    height, width = size
    theta = coefficients.T[:, :, None, None]
    x = torch.arange(width, device=theta.device, dtype=theta.dtype) + 0.5
    y = (torch.arange(height, device=theta.device, dtype=theta.dtype) + 0.5)[:, None]
    half = torch.tensor([0.5 * width, 0.5 * height], device=theta.device, dtype=theta.dtype)
    scaled = theta[:6].unflatten(0, (2, 3)) / half[:, None, None, None, None]
    grid = (x * scaled[:, 0]) + (y * scaled[:, 1])
    grid.add_(scaled[:, 2])
    below = (x * theta[6]) + (y * theta[7])
    grid.div_(below.add_(1.0)).sub_(1.0)
    # The horizon is outside, like all that is far away: sampled there, floats would become NaN.
    return grid.nan_to_num_(nan=_OUTSIDE).clamp_(-_OUTSIDE, _OUTSIDE)


def identity_grid(size: tuple[int, int], device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """Grid that changes nothing: (2, 1, *size).

    Example:
        >>> identity_grid((1, 2), torch.device("cpu"), torch.float32).tolist()
        [[[[-0.5, 0.5]]], [[[0.0, 0.0]]]]
    """
    y, x = (torch.linspace((1 - side) / side, (side - 1) / side, side, device=device, dtype=dtype) for side in size)
    return torch.stack(torch.meshgrid(x, y, indexing="xy"))[:, None]


def perspective_coefficients(startpoints: torch.Tensor, endpoints: torch.Tensor) -> torch.Tensor:
    """Coefficients for :func:`perspective_grid` that take four corners to where they shall be.

    Where the corners determine none, as three of them lie on one line, the coefficients are those that change nothing.

    Args:
        startpoints: (..., 4, 2): x and y of the corners before.
        endpoints: (..., 4, 2): x and y of the same corners after.

    Returns:
        (..., 8) float32.

    Example:
        >>> corners = torch.tensor([[0.0, 0.0], [4.0, 0.0], [4.0, 2.0], [0.0, 2.0]])
        >>> perspective_coefficients(corners, corners * 2).tolist()
        [0.5, 0.0, 0.0, 0.0, 0.5, 0.0, 0.0, 0.0]
    """
    start, end = startpoints.double(), endpoints.double()
    there = torch.cat([end, torch.ones_like(end[..., :1])], -1)
    none = torch.zeros_like(there)
    rows = [
        torch.cat([*((there, none) if axis == 0 else (none, there)), -start[..., axis, None] * end], -1)
        for axis in (0, 1)
    ]
    solution, info = torch.linalg.solve_ex(torch.stack(rows, -2).flatten(-3, -2), start.flatten(-2))
    unchanged = torch.tensor([1.0, 0, 0, 0, 1, 0, 0, 0], dtype=solution.dtype, device=solution.device)
    solved = (info == 0)[..., None] & solution.isfinite().all(-1, keepdim=True)
    return torch.where(solved, solution, unchanged).float()


def sample(pixels: torch.Tensor, grid: torch.Tensor, interpolation: str, fill_mask: bool) -> torch.Tensor:
    """Take pixels from a grid; 0 outside.

    Args:
        pixels: (..., C, H, W), M patches in all, uint8 or float. Levels are rounded.
        grid: (2, M, H, W) in the dtype of :func:`grid_dtype`.
        interpolation: ``"nearest"`` or ``"bilinear"``.
        fill_mask: Whether ``"bilinear"`` multiplies by the share from inside once more.

    Returns:
        A tensor of the shape and dtype of ``pixels``.

    Example:
        >>> flipped = -identity_grid((1, 2), torch.device("cpu"), torch.float32)
        >>> sample(torch.tensor([[[[1.0, 2.0]]]]), flipped, "bilinear", fill_mask=False).flatten().tolist()
        [2.0, 1.0]
    """
    check_choice("interpolation", interpolation, _MODES)
    if not pixels.numel():
        return pixels.clone()
    images = pixels.reshape(-1, *pixels.shape[-3:])
    # Nearest pixels come from inside or not.
    fill_mask = fill_mask and interpolation == "bilinear"
    if fill_mask:
        count, channels, height, width = images.shape
        layers = images.new_empty((count, channels + 1, height, width), dtype=grid.dtype)
        layers[:, :-1] = images
        layers[:, -1] = 1.0
    else:
        layers = images.to(grid.dtype)
    out = torch.nn.functional.grid_sample(
        layers, grid.permute(1, 2, 3, 0), mode=interpolation, padding_mode="zeros", align_corners=False
    )
    if fill_mask:
        out = out[:, :-1] * out[:, -1:]
    if not pixels.is_floating_point():
        out.round_()
    return out.to(pixels.dtype).view(pixels.shape)


def grid_dtype(pixels: torch.Tensor) -> torch.dtype:
    """What places are computed in: double for doubles alone.

    Example:
        >>> grid_dtype(torch.zeros(1, dtype=torch.uint8))
        torch.float32
    """
    return torch.float64 if pixels.dtype == torch.float64 else torch.float32


def _inverse_matrix(
    angle: torch.Tensor, translate: torch.Tensor, scale: torch.Tensor, shear: torch.Tensor, center: torch.Tensor
) -> torch.Tensor:
    """Where pixels come from: (2, 3, M), x and y by their factors of x and y and what is added."""
    turn = angle.deg2rad()
    shear_x, shear_y = shear.deg2rad().unbind(-1)
    tan_x, cos_y, less = shear_x.tan(), shear_y.cos(), turn - shear_y
    a = less.cos() / cos_y
    b = -(a * tan_x + turn.sin())
    c = less.sin() / cos_y
    d = turn.cos() - c * tan_x
    linear = torch.stack([torch.stack([d, -b]), torch.stack([-c, a])]) / scale
    x, y = (center + translate).unbind(-1)
    offset = center.T - linear[:, 0] * x - linear[:, 1] * y
    return torch.cat([linear, offset[:, None]], 1)
