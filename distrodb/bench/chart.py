"""Charts of text: a curve as columns, shares as bars.  Pure.

``is_plain``: nothing but ASCII, for a terminal that knows no more.
"""

from collections.abc import Sequence

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_PLAIN = "  ...::##"
LABEL = 9


def columns(
    values: Sequence[float], width: int, height: int, is_plain: bool = False, unit: str = ""
) -> list[str]:
    """The scale begins at 0; of values that share a column the mean is shown."""
    if not values:
        return []
    room = max(1, width - LABEL - 2)
    width = min(room, len(values))
    steps = _PLAIN if is_plain else _EIGHTHS
    shown = []
    for n in range(width):
        some = values[n * len(values) // width : max((n + 1) * len(values) // width, 1)]
        shown.append(sum(some) / len(some))
    top = max(shown) or 1.0
    wide = max(1, room // width)  # a short run is drawn as wide as a long one
    lines = []
    for row in reversed(range(height)):
        cells = (steps[_level(value / top * height - row)] * wide for value in shown)
        label = f"{short(top)}{unit}" if row == height - 1 else "0" if row == 0 else ""
        edge = "|" if is_plain else "┤" if label else "│"
        lines.append(f"{label:>{LABEL}} {edge}{''.join(cells)}".rstrip())
    return lines


def _level(share: float) -> int:
    """Of eight; a value above 0 is seen."""
    if share <= 0:
        return 0
    return min(8, max(1, round(share * 8)))


def bars(
    rows: Sequence[tuple[str, float]], width: int, is_plain: bool = False, total: float = 0.0
) -> list[str]:
    """A label and a share for each row; the longest takes the width."""
    if not rows:
        return []
    most = max(value for _, value in rows) or 1.0
    total = total or sum(value for _, value in rows) or 1.0
    label_width = max(len(label) for label, _ in rows)
    room = max(1, width - label_width - 10)
    mark = "#" if is_plain else "█"
    part = "#" if is_plain else "▏▎▍▌▋▊▉"
    lines = []
    for label, value in rows:
        eighths = round(value / most * room * 8)
        bar = mark * (eighths // 8)
        if value > 0 and not is_plain and eighths % 8:
            bar += part[eighths % 8 - 1]
        if value > 0 and not bar:
            bar = part[0]
        lines.append(f"{label:>{label_width}} {bar} {_percent(value / total)}".rstrip())
    return lines


def _percent(share: float) -> str:
    if share <= 0:
        return ""
    return f"{share * 100:.1f} %" if share >= 0.001 else "< 0.1 %"


def short(value: float) -> str:
    """Three digits that count: 12.3k, 1.05M."""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= size * 0.9995:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def time_label(seconds: float, is_plain: bool = False) -> str:
    if seconds < 0.9995e-3:
        return f"{seconds * 1e6:.3g} {'us' if is_plain else 'µs'}"
    if seconds < 0.9995:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds:.3g} s"
