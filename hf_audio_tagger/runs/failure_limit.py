"""How many rows may fail before a run stops."""

from dataclasses import dataclass

from ..checks import invalid
from ..errors import RunError

SAMPLE_ROWS = 100  # a share of failures is checked from so many rows on


class TooManyFailuresError(RunError):
    """More rows failed than were allowed."""


@dataclass(frozen=True)
class FailureLimit:
    """A number of rows, a share of them, or neither."""

    rows: int | None = None
    share: float | None = None

    def check(self, failed: int, done: int, total: int | None) -> None:
        if self.rows is not None and failed > self.rows:
            raise TooManyFailuresError(
                f"Stopped: {failed:,} rows failed, more than the {self.rows:,} allowed."
            )
        is_sample = done >= min(SAMPLE_ROWS, total or SAMPLE_ROWS)
        if self.share is not None and is_sample and failed > self.share * done:
            raise TooManyFailuresError(
                f"Stopped: {failed:,} of {done:,} rows failed; {self.share:.3%} are allowed."
            )


ANY_NUMBER = FailureLimit()


def parse_failure_limit(value: int | str | None) -> FailureLimit:
    """Read `max_failures`.

    >>> parse_failure_limit("5%")
    FailureLimit(rows=None, share=0.05)
    """
    if value is None:
        return ANY_NUMBER
    text = str(value).strip()
    try:
        if text.endswith("%"):
            share = float(text[:-1]) / 100
            if 0 <= share <= 1:
                return FailureLimit(share=share)
        elif int(text) >= 0:
            return FailureLimit(rows=int(text))
    except ValueError:
        pass
    raise invalid("max_failures", value, "a number of rows or a share such as '5%'")
