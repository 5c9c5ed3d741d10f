"""What a case found: a table of what was measured, and the figures that it came for."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

Cell = str | int | float | None
Row = Mapping[str, Cell]


@dataclass(frozen=True)
class Figure:
    """A number with the bound that it should keep.

    >>> Figure("speed over the peer", 1.42, "times", at_least=1.3).reached
    True
    """

    name: str
    value: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None

    @property
    def reached(self) -> bool | None:
        """None for a number without a bound."""
        if self.at_least is not None:
            return self.value >= self.at_least
        if self.at_most is not None:
            return self.value <= self.at_most
        return None

    @property
    def bound(self) -> str:
        if self.at_least is not None:
            return f"at least {self.at_least:g}"
        return "" if self.at_most is None else f"at most {self.at_most:g}"


@dataclass(frozen=True)
class Outcome:
    table: Sequence[Row] = ()
    figures: Sequence[Figure] = ()
    notes: Sequence[str] = ()
    left_out: str | None = None  # why nothing was measured here

    def as_json(self) -> dict[str, Any]:
        return {
            "left_out": self.left_out,
            "figures": [
                {**asdict(figure), "bound": figure.bound, "reached": figure.reached}
                for figure in self.figures
            ],
            "table": [dict(row) for row in self.table],
            "notes": list(self.notes),
        }
