"""The linear map that the pixels of a picture were moved by, as far as they were."""

from dataclasses import dataclass

import torch

from segaug.testing.properties._coordinates import Movement

__all__ = ["Affine", "fit_affine"]


@dataclass(frozen=True)
class Affine:
    """output = matrix @ source + offset, of (x, y) in pixels from the centre of the first one.

    Args:
        matrix: (2, 2) float64.
        offset: (2,) float64.
        residual: Pixels of the source; how far a pixel's source is from where the map has it, at most.
        is_smooth: Whether pixels were interpolated; else the nearest were taken.
    """

    matrix: torch.Tensor
    offset: torch.Tensor
    residual: float
    is_smooth: bool

    @property
    def scales(self) -> tuple[float, float]:
        """The most and the least that a length is stretched by."""
        found = torch.linalg.svdvals(self.matrix)
        return float(found[0]), float(found[1])

    @property
    def bend(self) -> float:
        """Pixels of the source; how far the pixels are moved from the map, beyond what interpolation does."""
        grain = 0.25 if self.is_smooth else 0.75
        return max(0.0, self.residual - grain * max(1.0, 1 / self.scales[1]))

    @property
    def is_axis_aligned(self) -> bool:
        """Whether rows and columns stay rows and columns, or become each other."""
        straight = self.matrix.abs() > 0.02 * self.scales[0]
        return not bool((straight.sum(0) > 1).any() or (straight.sum(1) > 1).any())

    def reaches(self, movement: Movement) -> torch.Tensor:
        """(H', W') bool: which pixels of the output come from inside the source."""
        height, width = movement.size
        rows, columns = (torch.arange(length, dtype=torch.float64) for length in movement.x.shape[-2:])
        ends = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1)
        x, y = ((ends - self.offset) @ torch.linalg.inv(self.matrix).T).unbind(-1)
        return (x > -0.6) & (x < width - 0.4) & (y > -0.6) & (y < height - 0.4)

    def box(self, corners: torch.Tensor) -> torch.Tensor:
        """The least XYXY box (half-open, from the edge of the first pixel) around a moved one."""
        x0, y0, x1, y1 = (corners.double() - 0.5).tolist()
        points = torch.tensor([[x0, y0], [x1, y0], [x0, y1], [x1, y1]], dtype=torch.float64) @ self.matrix.T
        return torch.cat([points.amin(0), points.amax(0)]) + self.offset.repeat(2) + 0.5


def fit_affine(movement: Movement) -> Affine | None:
    """The map that fits the first picture's pixels best; None if they do not tell it."""
    rows, columns = movement.valid[0].nonzero(as_tuple=True)
    source = torch.stack([movement.x[0][rows, columns], movement.y[0][rows, columns]], -1)
    ends = torch.stack([columns, rows], -1).double()
    is_smooth = bool(((source - source.round()).abs() > max(0.02, 2 * movement.resolution)).any())
    if is_smooth:
        # Resizes and mirrored or repeated borders hold the outermost pixels where they are.
        last = torch.tensor([movement.size[1], movement.size[0]]) - 1
        inner = ((source > 0.02) & (source < last - 0.02)).all(-1)
        source, ends = source[inner], ends[inner]
    # The map back, as the error is in where a pixel comes from, and then its inverse.
    known = torch.cat([ends, torch.ones(len(ends), 1, dtype=torch.float64)], 1)
    if len(ends) < 3 or int(torch.linalg.matrix_rank(known)) < 3:
        return None
    back = torch.linalg.lstsq(known, source).solution
    matrix, offset = back[:2].T, back[2]
    if abs(float(torch.linalg.det(matrix))) < 1e-6:
        return None
    error = (known @ back - source).norm(dim=-1).max()
    inverse = torch.linalg.inv(matrix)
    return Affine(inverse, -inverse @ offset, float(error), is_smooth)
