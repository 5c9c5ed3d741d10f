"""What a detector of text returns: upright rectangles, and quadrilaterals for text that is not level."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Point = Sequence[float]  # x, y in pixels
Rectangle = tuple[float, float, float, float]  # least x, greatest x, least y, greatest y


@dataclass(frozen=True)
class TextBoxes:
    """Text found in one picture."""

    rectangles: Sequence[Rectangle] = ()
    quadrilaterals: Sequence[Sequence[Point]] = ()

    @property
    def area(self) -> float:
        """In pixels. As in Data-Juicer, what boxes share counts twice, and nothing is cut off at the edges.

        >>> TextBoxes([(0, 4, 0, 2)], [[(0, 0), (3, 0), (3, 3), (0, 3)]]).area
        17.0
        """
        upright = sum(
            (right - left) * (bottom - top)
            for left, right, top, bottom in self.rectangles
            if right >= left and bottom >= top
        )
        turned = 0.0
        for first, second, third, fourth in self.quadrilaterals:
            turned += find_triangle_area(first, second, third)
            turned += find_triangle_area(third, fourth, first)
        return float(upright + turned)

    @property
    def outlines(self) -> list[list[Point]]:
        """The corners of every box, in order around it."""
        outlines: list[list[Point]] = []
        for left, right, top, bottom in self.rectangles:
            outlines.append([(left, top), (right, top), (right, bottom), (left, bottom)])
        return outlines + [list(corners) for corners in self.quadrilaterals]


def find_triangle_area(first: Point, second: Point, third: Point) -> float:
    (ax, ay), (bx, by), (cx, cy) = first, second, third
    return float(0.5 * np.abs(ax * by + bx * cy + cx * ay - bx * ay - cx * by - ax * cy))
