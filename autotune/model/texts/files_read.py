"""What was read of the files that a study names, for people and for documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from pydantic import ConfigDict

SHOWN = 60
"""Characters of the first text that are shown."""


@dataclass(frozen=True)
class TokenCounts:
    """How long the sequences of a file are.

    Attributes:
        model: whose tokenizer cut them up, as the study names it; empty of a file of lengths.
        of: how many were looked at; of large files a part, from all over them.
        median: tokens of those that are served, or compared: special ones included, cut as it is said here.
        longest: tokens of the longest, uncut.
        cut: how many are longer than `cut_to` tokens.
        cut_by: what says how long a sequence may be, as in `problem.max_length`.
        tokenizer_cuts: how many the tokenizer, left to itself, would cut further; tokenizer_cuts_to: to so
            many tokens; None where it would cut none.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)

    model: str
    of: int
    median: float
    longest: int
    cut: int = 0
    cut_to: int | None = None
    cut_by: str = ""
    tokenizer_cuts: int = 0
    tokenizer_cuts_to: int | None = None


@dataclass(frozen=True)
class FileRead:
    """One file, and what was read of it.

    Attributes:
        place: of its name in the study, as in `problem.texts`.
        file: as the study names it.
        format: in words, as in `JSON Lines, gzipped`.
        keys: what was read of every object or row; none of plain lines.
        kind: of what there are `count`: `texts`, `pairs`, `rows` (labelled) or `lengths`.
        left_out: records without text.
        first: the first of them, shortened; empty in plans, which travel further than texts should.
        tokens: by model; none where its tokenizer is not here.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    place: str
    file: str
    format: str
    keys: tuple[str, ...]
    kind: str
    count: int
    left_out: int
    first: str
    tokens: tuple[TokenCounts, ...] = ()


def shortened(text: str) -> str:
    """The beginning of a text on one line."""
    line = " ".join(text[: 4 * SHOWN].split())
    return line if len(line) <= SHOWN else f"{line[: SHOWN - 3]}..."


def file_in_words(read: FileRead) -> str:
    """One line: what was read, how many, the first one, and how long they are."""
    keys = f", {' and '.join(read.keys)} of each" if read.keys else ""
    left_out = f" ({read.left_out} without text left out)" if read.left_out else ""
    first = f", the first {read.first!r}" if read.first else ""
    lengths = "; ".join(_counts_in_words(read, counts) for counts in read.tokens)
    kind = read.kind.removesuffix("s") if read.count == 1 else read.kind
    told = f"{read.place}: {read.file} is {read.format}{keys}: {read.count} {kind}{left_out}{first}"
    return f"{told}; {lengths}" if lengths else told


def _counts_in_words(read: FileRead, counts: TokenCounts) -> str:
    whose = f"{counts.model}: " if len(read.tokens) > 1 else ""
    of = f" (of {counts.of} that were looked at)" if counts.of < read.count else ""
    return f"{whose}median {counts.median:g} tokens, longest {counts.longest}{of}{''.join(_cuts(counts))}"


def _cuts(counts: TokenCounts) -> Iterator[str]:
    if counts.cut:
        yield f"; {counts.cut} of {counts.of} are cut to {counts.cut_to} tokens ({counts.cut_by})"
    if counts.tokenizer_cuts:
        yield (
            f"; the tokenizer by itself would cut {counts.tokenizer_cuts} to {counts.tokenizer_cuts_to}:"
            f" write `max_length: {counts.tokenizer_cuts_to}` if your server does"
        )


def files_document(files: Sequence[FileRead]) -> list[dict[str, Any]]:
    """The same for machines."""
    return [asdict(read) for read in files]
