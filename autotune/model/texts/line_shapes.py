"""What lines look like that are no texts as they are: of logs, streams, numbered lists, markup and the like.

A file is refused where most of its lines have the same shape, never for a few: a text may mention anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

LOOKED_AT = 200
"""Lines of a file that are looked at, from all over it."""
MOST_CHARACTERS = 4_096
"""Of a line that are looked at."""
MOST_OBJECTS = 8
"""Places in a line at which a JSON object may begin that are tried."""

MOST, NEARLY_ALL, SOME = 0.8, 0.9, 0.3
"""Shares of the lines."""
IN_A_ROW, INCREASING = 3, 8
"""Lines from which on their numbers are no chance: each one more than the last; or each greater."""

LABEL_MARK = "__label__"
LABEL = re.compile(rf"(?:^|\s){LABEL_MARK}(\S+)")
"""A label of fastText's: words that begin so are none of the text. Source: fastText, supervised tutorial."""

NumberedLine = tuple[int, str]
"""Its number, from 1, and what stands in it."""


@dataclass(frozen=True)
class LineShape:
    """What lines of one kind look like.

    Attributes:
        fault: what a file of them is, behind its name.
        remedy: what to do with it.
        fits: whether a line is one of them.
        share: of the lines that have to be such.
        fewest: lines that have to be such.
    """

    fault: str
    remedy: str
    fits: Callable[[str], object]
    share: float = MOST
    fewest: int = 2


@dataclass(frozen=True)
class ForeignShape:
    """The shape that a file's lines have, and the first of them."""

    fault: str
    remedy: str
    line: int


def foreign_shape(lines: Sequence[NumberedLine], known: Collection[str]) -> ForeignShape | None:
    """The shape of lines that are no texts as they are; None where they may be.

    Args:
        lines: that are not blank; at least one.
        known: keys of JSON, in lower case, under which texts are found.
    """
    found = _first_of((*_with_objects(known), *SHAPES), lines)
    return found or _document(lines) or _numbered(lines)


def loose_cells(lines: Sequence[NumberedLine]) -> ForeignShape | None:
    """The shape of lines that have cells like a table, and are none; None where they have not."""
    return _first_of(CELLS, lines)


def _first_of(shapes: Sequence[LineShape], lines: Sequence[NumberedLine]) -> ForeignShape | None:
    looked = _shortened(_from_all_over(lines))
    for shape in shapes:
        fitting = [number for number, text in looked if shape.fits(text)]
        if len(fitting) >= max(shape.fewest, shape.share * len(looked)):
            return ForeignShape(shape.fault, shape.remedy, fitting[0])
    return None


def are_labelled(lines: Sequence[NumberedLine]) -> bool:
    """Whether lines are as fastText has them: words of which those that begin with `__label__` are labels."""
    looked = _from_all_over(lines)
    return sum(_is_labelled(text) for _, text in looked) > SOME * len(looked)


def labelled_line(text: str) -> dict[str, Any] | None:
    """Label and text of a line of fastText's; several labels as a list; None where it has none."""
    labels = LABEL.findall(text)
    if not labels:
        return None
    return {"label": labels[0] if len(labels) == 1 else labels, "text": LABEL.sub("", text).strip()}


def _is_labelled(text: str) -> bool:
    """Whether a label is a line's first word or its last."""
    ends = (text.split(maxsplit=1)[0], text.rsplit(maxsplit=1)[-1])
    return any(word.startswith(LABEL_MARK) and word != LABEL_MARK for word in ends)


def _from_all_over(lines: Sequence[NumberedLine]) -> Sequence[NumberedLine]:
    return lines[:: max(1, -(-len(lines) // LOOKED_AT))]


def _shortened(lines: Sequence[NumberedLine]) -> list[NumberedLine]:
    return [(number, text[:MOST_CHARACTERS]) for number, text in lines]


def _with_objects(known: Collection[str]) -> Iterator[LineShape]:
    """Lines of which a JSON object is a part: the last, or one with a text under a known key, or any."""
    fault, remedy = "has a JSON object in its lines, behind other words", "keep the objects alone"

    def has_text(line: str) -> bool:
        return any(
            key.lower() in known and isinstance(value, str)
            for found, _ in _objects(line)
            for key, value in found.items()
        )

    def ends_with_object(line: str) -> bool:
        return any(not behind for _, behind in _objects(line))

    yield LineShape(fault, remedy, ends_with_object, NEARLY_ALL, fewest=1)
    yield LineShape(fault, remedy, has_text, SOME)
    yield LineShape(fault, remedy, _holds_object, NEARLY_ALL)


_OBJECT = re.compile(r"""\{\s*["'][^"'\n]{1,60}["']\s*:""")
"""How a JSON object begins, and a dictionary that Python prints."""
_ESCAPED_OBJECT = re.compile(r"""\{\s*\\"[^"\n]{1,60}\\"\s*:""")
"""Likewise, within a text of JSON or of a shell."""


def _objects(line: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Objects in a line, and what stands behind each."""
    decoder = json.JSONDecoder()
    for _, begin in zip(range(MOST_OBJECTS), _OBJECT.finditer(line), strict=False):
        try:
            value, end = decoder.raw_decode(line, begin.start())
        except (ValueError, RecursionError):
            continue
        yield value, line[end:].strip(" \t\r]'\",;")


def _holds_object(line: str) -> bool:
    return _OBJECT.search(line) is not None or _ESCAPED_OBJECT.search(line) is not None


_PAIR = re.compile(r"""(?:(?<=\s)|^)[A-Za-z_][\w.-]*=(?:"(?:\\.|[^"\\])*"|'[^']*'|[^\s"']*)(?=\s|$)""")
"""`level=info` or `msg="a text"`, as logfmt has them."""


def _is_of_pairs(line: str) -> bool:
    """Whether most of a line is of two pairs and more."""
    pairs = [pair.group() for pair in _PAIR.finditer(line.strip())]
    return len(pairs) > 1 and sum(map(len, pairs)) >= 0.5 * len(line.strip())


def _has_cells(line: str) -> bool:
    """Whether there is a tab between words."""
    return "\t" in line.strip()


_MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_DAYS = "Mon|Tue|Wed|Thu|Fri|Sat|Sun"
_CLOCK = r"\d{1,2}:\d\d"
_LEVELS = "TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL"
_TIMES = (
    rf"\d{{4}}[-/.]\d\d[-/.]\d\d[T ,]+{_CLOCK}",  # 2026-01-01 12:00, 2026-01-01T12:00:00Z
    rf"\d{{1,2}}[-/.]\d{{1,2}}[-/.]\d{{2,4}},?[T ]+{_CLOCK}",  # 31/12/2026, 9:41
    r"\d{4}-\d\d-\d\d[ ,;|]+\S",
    rf"(?:{_DAYS})?,? ?\d{{1,2}}[-/ ](?:{_MONTHS})[-/ ]\d{{4}}[: T]+{_CLOCK}",  # 1/Jan/2026:12:00
    rf"(?:(?:{_DAYS}) +)?(?:{_MONTHS}) +\d{{1,2}} +{_CLOCK}:\d\d ",  # of syslog, of ctime
    rf"(?:<\d{{1,3}}>\d? ?)(?:{_MONTHS}|\d{{4}}-)",  # likewise, with its priority
    rf"[DIWEF]\d{{4}} {_CLOCK}:\d\d",  # of glog, klog
    r"\d{10}(?:\.\d{1,9}|\d{3})? \S",  # seconds or milliseconds since 1970
    rf"{_CLOCK}:\d\d[.,]?\d* +(?:\[|{_LEVELS})",
    rf"{_CLOCK}(?::\d\d)?\] ",  # [12:00] of chats
    rf"\[? ?(?:{_LEVELS})(?:\]|:|\b(?= *[\[({{|-]))",  # INFO:root:..., [INFO] ..., ERROR - ...
)
_LOGGED = re.compile(rf"\s*[\[(\"']?(?:{'|'.join(_TIMES)})")
"""How lines of logs and of exported chats begin: with a time, or a level in capitals."""

_SERVED = re.compile(r'"?(?:GET|POST|PUT|PATCH|HEAD|DELETE|OPTIONS) (?:\S+ HTTP/\d|/\S*$)')
_EVENT = re.compile(
    r"(?:data: ?[\[{\"]|event: ?\w+$|id: ?\S+$|retry: ?\d+$|data: ?\[DONE\]|: ?(?:ping|keep))"
)
_HTML = re.compile(
    r"\s*<(?:!doctype|!--|/?(?:html|head|body|title|meta|link|script|style|div|p|ul|ol|li|table|tr|td|th|h[1-6]"
    r"|span|section|br|doc|document|row|item|entry|paragraph)\b)[^>]*>",
    re.IGNORECASE,
)
_TABLE_ROW = re.compile(r"\s*\|.*\|\s*$")
_TAGGED = re.compile(r"\S+(?:[ \t]\S+){0,8}[ \t](?:O|[BIESLU]-\w+)$")
_ELEMENT = re.compile(r"""\s*(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'),\s*$""")
_STATEMENT = re.compile(r"\s*(?:INSERT INTO|COPY \w+ |\(\d+, ?')", re.IGNORECASE)
_FORM = re.compile(r"(?:[\w.-]+=[^&\s]*&)*[A-Za-z_][\w.-]*=[^&\s]*$")
_CUE = re.compile(r"(?:\d+:)?\d\d:\d\d[,.]\d{3} --> ")
_NUMBER_FIRST = re.compile(r"\s*-?\d+(?:[,;]\S|\|\s*\S)")
_NUMBERS = re.compile(r"\s*-?\d+(?:\.\d+)?(?:[ ,;]+(?:\d+:)?-?\d+(?:\.\d+)?){2,}\s*$")
_CLASS_FIRST = re.compile(r"[A-Z]{3,6}:[a-z]+ \S")
_TREE = re.compile(r"\(\w+ \(")
_NUMBER_LAST = re.compile(r".*\S[,;|]\s?-?\d+(?:\.\d+)?\s*$")
_LISTED_KEYS = re.compile(r"(?:- |  )[\w.-]+:(?:\s|$)")

ALONE = "keep the texts alone, one to a line, or write JSON Lines: an object with a text to a line"
HEADER = "write a header in its first row, with as many cells in every row, or keep the texts alone"

SHAPES: tuple[LineShape, ...] = (
    LineShape("is a stream of server-sent events", ALONE, _EVENT.match),
    LineShape("is a log of requests to a server", ALONE, _SERVED.search),
    LineShape("is a log: its lines begin with a time or a level", ALONE, _LOGGED.match),
    LineShape("is a log: its lines are of names and values, as in level=info", ALONE, _is_of_pairs),
    LineShape("is of encoded forms, as in text=a+b&id=1", ALONE, _FORM.match),
    LineShape("is of subtitles: there are times between its texts", ALONE, _CUE.match, share=0.2),
    LineShape("is HTML or XML", ALONE, _HTML.match),
    LineShape("is a table of Markdown", f"save it as CSV or TSV, or {ALONE}", _TABLE_ROW.match),
    LineShape("has a word to a line, with a tag", f"write sentences: {ALONE}", _TAGGED.match),
    LineShape("is the inside of a list: its lines are in quotes, with a comma", ALONE, _ELEMENT.match),
    LineShape("is of parse trees", ALONE, _TREE.match),
    LineShape(
        "has numbers alone in its lines", f"give texts, not token ids or features: {ALONE}", _NUMBERS.match
    ),
    LineShape(
        "has a class before each text", f"write CSV or TSV with a header, or {ALONE}", _CLASS_FIRST.match
    ),
    LineShape("is of SQL statements", ALONE, _STATEMENT.match),
    LineShape("is YAML", "write it as JSON Lines", _LISTED_KEYS.match, share=1.0),
)
CELLS: tuple[LineShape, ...] = (
    LineShape("has cells between tabs in its lines, and no header that is known", HEADER, _has_cells),
    LineShape("has cells between strokes in its lines", HEADER, re.compile(r".*\S ?\|\|\| ?\S").match),
    LineShape("has a number before each text", HEADER, _NUMBER_FIRST.match, NEARLY_ALL, fewest=IN_A_ROW),
    LineShape("has a number behind each text", HEADER, _NUMBER_LAST.match, NEARLY_ALL, fewest=IN_A_ROW),
)

_PAGE = re.compile(r"\s*<(?:!doctype|html)\b", re.IGNORECASE)
_HEADING = re.compile(r"#{1,6} \S")
_MARKDOWN = re.compile(r"#{2,6} \S|```|~~~|\|? ?:?-{3,}:? ?\||.*\]\((?:https?:|#|\.?/)\S+\)")
_NUMBERED = re.compile(r"\s*[\[(]?(\d{1,9})([.):\]]+\s*|\t\s*)\S")


def _document(lines: Sequence[NumberedLine]) -> ForeignShape | None:
    """A document of HTML, or of Markdown: a heading or front matter first, and further marks below."""
    (first, beginning), *below = _shortened(lines[:LOOKED_AT])
    if below and _PAGE.match(beginning):
        return ForeignShape("is HTML or XML", ALONE, first)
    marks = sum(_MARKDOWN.match(text) is not None for _, text in below)
    if marks and (_HEADING.match(beginning) or (beginning == "---" and marks > 1)):
        return ForeignShape("is a document of Markdown", ALONE, first)
    return None


def _numbered(lines: Sequence[NumberedLine]) -> ForeignShape | None:
    """Lines that are counted, as lists are and what `cat -n` and `grep -n` print."""
    looked = _shortened(lines[:LOOKED_AT])
    found = [_NUMBERED.match(text) for _, text in looked]
    numbers = [int(number[1]) for number in found if number is not None]
    if len(numbers) < len(looked) or len(numbers) < IN_A_ROW:
        return None
    steps = [after - before for before, after in pairwise(numbers)]
    may_leap = len(numbers) >= INCREASING and not any(number and number[2][0] == "\t" for number in found)
    if set(steps) == {1} or (may_leap and min(steps) > 0):
        return ForeignShape("has its lines numbered", f"take the numbers off: {ALONE}", looked[0][0])
    return None
