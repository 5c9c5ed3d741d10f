"""Durations and speeds as text."""


def format_duration(seconds: float) -> str:
    """A duration in its two largest units.

    >>> format_duration(93_784), format_duration(2.4)
    ('1d 2h', '2s')
    """
    minutes, whole_seconds = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (whole_seconds, "s")]
    first = next((place for place, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count}{unit}" for count, unit in parts[first : first + 2])


def format_pace(clips_per_second: float) -> str:
    """Clips a second, or the time of a clip where it takes longer than a second; nothing without a speed.

    >>> format_pace(12.34), format_pace(0.55), format_pace(0.002), format_pace(0.0)
    ('12 clips/s', '1.8 s a clip', '8min 20s a clip', '')
    """
    if clips_per_second <= 0:
        return ""
    if clips_per_second >= 1:
        return f"{format_number(clips_per_second)} clips/s"
    seconds = 1 / clips_per_second
    return f"{format_number(seconds)} s a clip" if seconds < 100 else f"{format_duration(seconds)} a clip"


def format_realtime(times_realtime: float) -> str:
    """Seconds of sound a second.

    >>> format_realtime(6.41), format_realtime(1234.5), format_realtime(0.0321)
    ('6.4x realtime', '1,234x realtime', '0.032x realtime')
    """
    return f"{format_number(times_realtime)}x realtime" if times_realtime > 0 else ""


def format_number(value: float) -> str:
    """Two digits of a small number, all whole ones of a large one.

    >>> [format_number(value) for value in (0.0321, 1.0, 9.96, 48_000.4)]
    ['0.032', '1.0', '10', '48,000']
    """
    if value >= 9.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 0.95 else f"{value:.2g}"
