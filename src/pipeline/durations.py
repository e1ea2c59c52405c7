"""How long something takes, in words."""

HOUR = 3600
DAY = 24 * HOUR


def duration(seconds: float) -> str:
    """Such as ``40 s``, ``12 min``, ``1 h 30 min`` or ``3 days 4 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if seconds < DAY:
        return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
    hours = round(seconds / HOUR)
    return f"{hours // 24:_} days {hours % 24} h".replace("_", " ")
