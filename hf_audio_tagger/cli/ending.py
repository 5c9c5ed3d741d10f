"""What a run's end says of its work and its failures, for all commands."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from ..text import safe_text
from .console import print_text
from .figures import format_duration, format_pace, format_realtime

if TYPE_CHECKING:
    from ..results.reasons import FailureReason
    from ..runs import LabelSummary, Progress, Summary


def describe_work(summary: "Summary | LabelSummary", rows: str) -> dict[str, str]:
    """What this run did: rows, sound, time, speed."""
    if not summary.processed_now:
        return {"in this run": "nothing to do"}
    texts = {
        "in this run": f"{count_rows(summary.processed_now, rows)} in {format_duration(summary.seconds)}",
        "sound": f"{format_hours(summary.sound_seconds_now)} in this run"
        if summary.sound_seconds_now
        else "",
        "speed": format_speed(summary.clips_per_second, summary.times_realtime),
    }
    return {name: text for name, text in texts.items() if text}


def count_rows(count: int, rows: str) -> str:
    """
    >>> count_rows(1, "rows"), count_rows(1_200, "files")
    ('1 row', '1,200 files')
    """
    return f"{count:,} {rows.removesuffix('s') if count == 1 else rows}"


def describe_speed(progress: "Progress") -> str:
    """What an operator of a recipe did."""
    sound = progress.activity.sound_seconds
    texts = [
        count_rows(progress.processed_now, "samples"),
        f"{format_hours(sound)} of sound" if sound else "",
        format_speed(progress.clips_per_second, progress.times_realtime),
    ]
    return ", ".join(filter(None, texts))


def format_speed(clips_per_second: float, times_realtime: float) -> str:
    return ", ".join(filter(None, (format_pace(clips_per_second), format_realtime(times_realtime))))


def format_hours(seconds: float) -> str:
    """A length of sound; in hours from half an hour on.

    >>> format_hours(72.4), format_hours(8_280)
    ('1min 12s', '2.3 hours')
    """
    return f"{seconds / 3600:,.1f} hours" if seconds >= 1800 else format_duration(seconds)


def show_reasons(reasons: "Sequence[FailureReason]", failures: str | None, console: Console) -> None:
    """The commonest reasons, each with a file, and where all failures are listed."""
    if reasons:
        print_text("\nWhy clips failed:", console)
    for one in reasons:
        print_text(f"  {one.count:,} x {safe_text(one.reason)} ({safe_text(one.example)})", console)
    if failures is not None:
        print_text(f"\nFailures are listed in {failures}", console)
