"""What the pictures' axes have in common: units, scales and names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.container import ErrorbarContainer
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from autotune.report.dossier import Dossier

LOG_SPAN = 8.0
"""Values that differ by more than this factor are drawn on a logarithmic axis."""
_NARROW = 100.0
"""Values that differ by no more than this factor are named within powers of ten too; else labels overlap."""
_MOST_NAMES = 6
"""Powers of ten that are named on one axis."""
_TRIFLE = 0.2
"""An axis spans at least this share of its values."""
_APART = 1.2
"""Factor between numbers that are both named on an axis: nearer ones would overlap."""


def score_label(dossier: Dossier) -> str:
    """The objective with its unit, and which way it is better."""
    return dossier.objective.label


def shown_score(dossier: Dossier, score: float) -> float:
    """The score in the unit of `score_label`."""
    return dossier.objective.shown(score)


def scale_values(axis: Axis, values: Iterable[float]) -> None:
    """A logarithmic axis where the values span factors, else a linear one; plain numbers either way."""
    positive = [value for value in values if value > 0]
    if positive and max(positive) / min(positive) > LOG_SPAN:
        _set_scale(axis, "log")
        is_narrow = max(positive) / min(positive) <= _NARROW
        subs, most = ((1, 2, 5), 20) if is_narrow else ((1,), _MOST_NAMES)
        axis.set_major_locator(LogLocator(base=10, subs=subs, numticks=most))
        axis.set_minor_locator(NullLocator())
        axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def scale_counts(axis: Axis, counts: Sequence[int]) -> None:
    """An axis of numbers of things, by factors; it names those that are there."""
    _set_scale(axis, "log", base=2)
    axis.set_major_locator(FixedLocator(_apart(sorted(set(counts)))))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def whole_numbers(axis: Axis) -> None:
    """Ticks at whole numbers only."""
    axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def name_marker(bars: ErrorbarContainer, name: str) -> None:
    """Give the marker of an error bar an id; the rest has none, as ids are unique in a document."""
    marker = bars.lines[0]
    if marker is not None:
        marker.set_gid(name)


def clear_of_edges(axes: Axes, margin: float = 0.04) -> None:
    """Keep markers off the frame, and do not magnify what is as good as equal."""
    axes.margins(x=margin, y=0.08)
    low, high = axes.get_ylim()
    if axes.get_yscale() == "linear" and high < low * (1 + _TRIFLE):
        middle = (low + high) / 2
        axes.set_ylim(middle * (1 - _TRIFLE / 2), middle * (1 + _TRIFLE / 2))


def _apart(counts: Sequence[int]) -> list[int]:
    """Those of the ascending numbers that are far enough from the one before; the last always."""
    kept: list[int] = []
    for count in reversed(counts):
        if not kept or count * _APART <= kept[-1]:
            kept.append(count)
    return kept[::-1]


def _set_scale(axis: Axis, scale: str, **options: float) -> None:
    axes = axis.axes
    assert isinstance(axes, Axes)
    if axis is axes.xaxis:
        axes.set_xscale(scale, **options)
    else:
        axes.set_yscale(scale, **options)
