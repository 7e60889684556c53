"""A picture and its way into a file or a page: one drawing gives PNG, SVG, and what is inlined in HTML.

Colours are those of Okabe and Ito, which stay apart for colour-blind readers; what they tell is told by a
marker, a line style or a text as well. Text stays text in SVG.

Source: M. Okabe, K. Ito, Color Universal Design, https://jfly.uni-koeln.de/color/.
"""

from __future__ import annotations

import io
import logging
import re
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Format = Literal["png", "svg"]

MARK: Final = "autotune report"
"""What every file of a report says of its origin."""

WIDTH_IN: Final = 9.0
"""Of every picture, in inches: what a page shows side to side."""
_DPI: Final = 160

BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, YELLOW = "#CC79A7", "#56B4E9", "#F0E442"
HUES: Final = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED, YELLOW)
MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X")

INK, MUTED, LINE, FILL, PAPER = "#1f2328", "#59636e", "#d1d9e0", "#e9edf1", "#ffffff"
"""Text, lesser text, rules, areas that stand back, and the ground."""
_NAMES: Final = {
    INK: "--ink",
    MUTED: "--muted",
    LINE: "--line",
    FILL: "--fill",
    PAPER: "--paper",
    BLUE.lower(): "--blue",
}
"""Where the page's style sheet decides on them, so that pictures follow it into the dark."""

_STYLE: Final[Mapping[str, Any]] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "sans-serif"],
    "font.size": 9.0,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
    "lines.markersize": 5.5,
    "hatch.linewidth": 0.6,
    "svg.fonttype": "none",
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
    "savefig.facecolor": PAPER,
}

_DRAWING: Final = threading.RLock()
"""Held while something is drawn: matplotlib's settings are the process's."""

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_REFERENCE: Final = re.compile(r"url\(#([^)]+)\)")


@dataclass(frozen=True)
class Picture:
    """One drawn figure.

    Attributes:
        name: unique in a report; a part of file names.
        title: its heading.
        caption: how to read it.
        description: what can be read off it, for those who do not see it.
    """

    name: str
    title: str
    caption: str
    description: str
    figure: Figure


@dataclass(frozen=True)
class Missing:
    """A figure that there are no values for.

    Attributes:
        reason: a sentence.
    """

    name: str
    title: str
    reason: str


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in the project's style, whatever the user's matplotlibrc says; one thread at a time."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it announces its font cache
    with _DRAWING, matplotlib.style.context(["default", dict(_STYLE)]):
        yield


def new_figure(height_in: float, width_in: float = WIDTH_IN) -> Figure:
    """An empty figure that keeps its texts from overlapping."""
    return Figure(figsize=(width_in, height_in), layout="constrained")


def legend_above(axes: Axes, columns: int = 4) -> None:
    """Put the legend over the axes, where it hides no value."""
    handles, _ = axes.get_legend_handles_labels()
    if handles:
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, borderaxespad=0.3, handletextpad=0.4
        )


def encoded(picture: Picture, form: Format) -> bytes:
    """The picture as a file; the same values give the same bytes."""
    written = io.BytesIO()
    _settle(picture.figure)
    with drawing(), matplotlib.style.context({"svg.hashsalt": picture.name}):
        if form == "png":
            picture.figure.savefig(written, format=form, dpi=_DPI, metadata=_png_words(picture))
        else:
            picture.figure.savefig(written, format=form, metadata=_svg_words(picture))
    return written.getvalue()


def inlined(picture: Picture) -> str:
    """The picture as an `svg` element of a page: named for screen readers, in the page's colours."""
    root = ET.fromstring(encoded(picture, "svg"))
    for metadata in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(metadata)
    _rename_ids(root, lambda name: f"{picture.name}-{name}")
    for attribute in ("width", "height"):
        root.attrib.pop(attribute, None)
    title, description = f"{picture.name}-title", f"{picture.name}-description"
    root.attrib |= {"role": "img", "aria-labelledby": f"{title} {description}"}
    for index, (tag, name, text) in enumerate(
        (("title", title, picture.title), ("desc", description, picture.description))
    ):
        element = ET.Element(f"{{{_SVG}}}{tag}", {"id": name})
        element.text = text
        root.insert(index, element)
    return _in_page_colours(_serialized(root))


def _settle(figure: Figure) -> None:
    """Lay it out once and for all: doing it again for every file would move things by a little each time.

    The solver's last digits vary from run to run, so they are rounded away.
    """
    engine = figure.get_layout_engine()
    if engine is None:
        return
    with drawing():
        engine.execute(figure)
    figure.set_layout_engine("none")
    for axes in figure.axes:
        left, bottom, width, height = axes.get_position().bounds
        axes.set_position((round(left, 6), round(bottom, 6), round(width, 6), round(height, 6)))


def _png_words(picture: Picture) -> dict[str, str]:
    return {"Software": MARK, "Title": picture.title, "Description": picture.description}


def _svg_words(picture: Picture) -> dict[str, Any]:
    return {"Creator": MARK, "Title": picture.title, "Description": picture.description, "Date": None}


def _rename_ids(root: ET.Element, renamed: Callable[[str], str]) -> None:
    for element in root.iter():
        for key, value in element.attrib.items():
            if key == "id":
                element.attrib[key] = renamed(value)
            elif key in ("href", f"{{{_XLINK}}}href") and value.startswith("#"):
                element.attrib[key] = f"#{renamed(value[1:])}"
            else:
                element.attrib[key] = _REFERENCE.sub(lambda found: f"url(#{renamed(found[1])})", value)


def _serialized(root: ET.Element) -> str:
    """Text without namespaces, which HTML's parser knows by itself."""
    for element in root.iter():
        if isinstance(element.tag, str):
            element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
        if (target := element.attrib.pop(f"{{{_XLINK}}}href", None)) is not None:
            element.attrib["href"] = target
    return ET.tostring(root, encoding="unicode")


def _in_page_colours(svg: str) -> str:
    for colour, name in _NAMES.items():
        svg = svg.replace(colour, f"var({name})")
    return svg
