"""A series file's values: its points, how they run relative to the machine, and what is claimed of them.

`autotune.series.file` reads them; the study's own values are read point by point as a study file's.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from autotune.series.check import NAME_PATTERN, PRICED, Check, parse_check
from autotune.spec.configuration import Batching, Padding, Precision
from autotune.spec.knobs import format_knobs, parse_knobs
from autotune.spec.part import MAX_COUNT, Count, Part, as_tuple, refuse
from autotune.spec.price import Price
from autotune.spec.study import BackendName, SearchedPolicy

MAX_POINTS = 100

_COUNT = "[1-9][0-9]{0,3}"
CORES_PATTERN = rf"^(all|({_COUNT} of )?{_COUNT} sockets?|{_COUNT}/{_COUNT})$"
"""Numbers of cores in words: all, those of so many sockets (of at least so many), a part of all."""

Text = Annotated[str, Field(min_length=1, max_length=4_096)]
Name = Annotated[str, Field(pattern=NAME_PATTERN)]


def _part_of_a_whole(cores: int | str) -> int | str:
    numbers = [int(number) for number in re.findall(r"[0-9]+", str(cores))]
    if len(numbers) == 2 and numbers[0] > numbers[1]:
        refuse(f"{cores} is more than there is: write a part such as 1/6, or 1 of 2 sockets")
    return cores


Cores = Annotated[
    Annotated[int, Field(ge=1, le=MAX_COUNT)] | Annotated[str, Field(pattern=CORES_PATTERN)],
    AfterValidator(_part_of_a_whole),
]
Shared = Count | Literal["cores"]
"""A number, or as many as there are cores for it."""


def _known_knobs(text: str) -> str:
    try:
        return format_knobs(parse_knobs(text))
    except ValueError as error:
        refuse(str(error))


class PointLayout(Part):
    """How a point runs; numbers are relative to the machine."""

    cores: Cores = "all"
    """How many cores are used: a number, `all`, a part such as `1/6`, those of so many sockets such as
    `2 sockets`, or of machines that have more of them: `1 of 2 sockets`."""
    instances: Shared = 1
    """Worker processes: a number, or `cores`: one on each of them."""
    threads: Shared = "cores"
    """Threads of each: a number, or `cores`: the cores shared out evenly among the instances."""
    placement: SearchedPolicy = "close"
    """How the instances get their cores."""
    engine: BackendName = "pytorch"
    """The engine's name, as `autotune engines` lists it."""
    precision: Precision = "fp32"
    """Of weights and arithmetic."""
    padding: Padding = ""
    """What becomes of sequences of different lengths; `max` where nothing is said."""
    batching: Batching = ""
    """Which of them share a request; `arrival` where nothing is said."""
    knobs: Annotated[str, AfterValidator(_known_knobs)] = ""
    """Settings of the process and the engine: write one text, such as `allocator=jemalloc fusion=on`."""

    def under(self, special: PointLayout) -> PointLayout:
        """This layout, where a more special one says nothing else."""
        said = {name: getattr(special, name) for name in special.model_fields_set}
        return self.model_copy(update=said)


class Point(Part):
    """One thing that is measured beside the others."""

    name: Name
    """What it is called in tables, and in checks."""
    line: Annotated[str, Field(max_length=64)] = ""
    """The line of the picture that it lies on."""
    set: dict[str, Any] = Field(default_factory=dict)
    """Values of the study that are others for this point, by path: `{problem.batch_size: 8}`."""
    configuration: PointLayout = PointLayout()
    """How it runs, as far as that differs from the series' own `configuration`."""


class Winners(Part):
    """The places at which the best of several lists of points stand, all as long and in the same order."""

    by: Literal["throughput", "median", "cost"]
    """What is compared: the highest throughput, the shortest median, the lowest cost."""
    lists: Annotated[tuple[tuple[Name, ...], ...], Field(min_length=2)]
    """Names of points."""

    @field_validator("lists", mode="before")
    @classmethod
    def _as_tuples(cls, lists: Any) -> Any:
        return tuple(as_tuple(one) for one in lists) if isinstance(lists, tuple | list) else lists

    @field_validator("lists")
    @classmethod
    def _have_places_in_common(cls, lists: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
        for index, one in enumerate(lists):
            if len(one) < 2:
                refuse(f"{len(one)} points have no best: name at least two", index)
            if len(one) != len(lists[0]):
                refuse(f"{len(one)} points have not the places of {len(lists[0])}: name equally many", index)
        return lists


class Claim(Part):
    """What is said of the points, and how it is found out whether that is so here."""

    claim: Text
    """The statement, in a sentence."""
    stated: Annotated[str, Field(max_length=1_000)] = ""
    """The figure that it rests on, as the source has it."""
    check: Annotated[str | None, Field(max_length=4_096)] = None
    """What must hold: `throughput(A) / throughput(B) >= 1.5`, `median(A) <= 20ms`."""
    winners_differ: Annotated[Winners | None, Field(validate_default=True)] = None
    """In place of `check`: that the best of these lists do not all stand at the same place."""

    @field_validator("check")
    @classmethod
    def _can_be_read(cls, check: str | None) -> str | None:
        if check is not None:
            try:
                parse_check(check)
            except ValueError as error:
                refuse(str(error))
        return check

    @field_validator("winners_differ")
    @classmethod
    def _one_way_to_tell(cls, winners: Winners | None, info: ValidationInfo) -> Winners | None:
        checks = info.data.get("check", "unreadable")
        if (winners is None) == (checks is None):
            refuse("a claim is told by one thing: write either `check` or `winners_differ`")
        return winners

    def parsed(self) -> Check | None:
        """What `check` says; None where there is none."""
        return None if self.check is None else parse_check(self.check)

    def names(self) -> tuple[str, ...]:
        """The points that it is about, each once."""
        check = self.parsed()
        used = [name for name, _ in check.factors] if check else []
        listed = [name for one in self.winners_differ.lists for name in one] if self.winners_differ else []
        return tuple(dict.fromkeys((*used, *listed)))


Against = Literal["cores", "instances", "batch_size", "sequence_length"]
"""Numbers of a point that a picture can have on its axis."""

Claims = Annotated[tuple[Claim, ...], Field(max_length=MAX_POINTS), BeforeValidator(as_tuple)]


class Series(Part):
    """Points that are measured beside each other, and what is claimed of them."""

    title: Text
    """What is shown, in a few words."""
    source: Text
    """Where the claims come from: the article and its section."""
    about: str = ""
    """What is measured and how that stands to the source, in a paragraph."""
    rounds: Annotated[int, Field(ge=1, le=100)] = 3
    """How often each point is measured, in fresh processes; unless the command line says otherwise."""
    study: dict[str, Any]
    """Values of all points, as in a study file."""
    configuration: PointLayout = PointLayout()
    """How points run that say nothing else."""
    price: Price | None = None
    """With it, what a million sequences cost is computed."""
    against: Against | None = None
    """What the picture is drawn against; a row for each point where nothing is said."""
    points: Annotated[
        tuple[Point, ...], Field(min_length=1, max_length=MAX_POINTS), BeforeValidator(as_tuple)
    ]
    """The first is the one that the others are compared with."""
    claims: Claims = ()
    """What the source found."""
    beside: Claims = ()
    """What is asked of the same points although the source says nothing of it."""
    targets: Claims = ()
    """What this project asks of itself."""

    @field_validator("points")
    @classmethod
    def _have_names_of_their_own(cls, points: tuple[Point, ...]) -> tuple[Point, ...]:
        names = [point.name for point in points]
        for index, name in enumerate(names):
            if name in names[:index]:
                refuse(f"{name!r} is there twice: give each point a name of its own", index, "name")
        return points

    @field_validator("claims", "beside", "targets")
    @classmethod
    def _speak_of_points(cls, claims: tuple[Claim, ...], info: ValidationInfo) -> tuple[Claim, ...]:
        if "points" not in info.data:
            return claims
        known = {point.name for point in info.data["points"]}
        for index, claim in enumerate(claims):
            unknown = [name for name in claim.names() if name not in known]
            if unknown:
                refuse(f"{unknown[0]!r} is no point of this series: {', '.join(known)}", index)
            if claim_needs_price(claim) and info.data.get("price") is None:
                refuse("a cost needs a price: write `price: {per_core_hour: ...}`", index)
        return claims

    def layout(self, point: Point) -> PointLayout:
        """How a point runs."""
        return self.configuration.under(point.configuration)


def claim_needs_price(claim: Claim) -> bool:
    """Whether it speaks of what something costs."""
    check = claim.parsed()
    of_check = check is not None and check.figure in PRICED
    return of_check or (claim.winners_differ is not None and claim.winners_differ.by in PRICED)
