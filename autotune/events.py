"""What is told of a job while it runs: frozen values of plain types, which a terminal or a page can show.

Each is emitted between trials, or before the workers of one are started: whatever is done with it disturbs no
measurement, but delays the next one. As JSON an event is one object on one line:

```
{"schema": "autotune.event/1", "event": "waiting_began", "text": "another trial runs on this host ..."}
```

Fields may be added to a version; whoever reads a later one passes over those that it does not know.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast, get_args

if TYPE_CHECKING:
    from pydantic import TypeAdapter

SCHEMA: Final = "autotune.event/1"


@dataclass(frozen=True)
class Progress:
    """Where a study stands.

    Attributes:
        finished: trials that gave a result, over all calls of the study.
        total: how many there will be at most: the budget's, or the whole space.
        best: number of the best trial that meets the limits; None before there is one.
        best_score: its score in the objective's unit, and best_in_words: the same for people.
        gain: of the best over the baseline; None without both, or where the baseline misses a limit.
        left_s: seconds left at most, judged by the trials of this call; None before the first.
    """

    finished: int
    total: int
    best: int | None = None
    best_score: float | None = None
    best_in_words: str = ""
    gain: float | None = None
    left_s: float | None = None


@dataclass(frozen=True)
class Summary:
    """What a trial or a run gave.

    Attributes:
        in_words: the score in its unit, or what went wrong.
        score: in the objective's unit; None of a failure.
        failure: the kind of failure; empty of a measurement.
        reason: why it failed, in a sentence.
    """

    in_words: str
    score: float | None = None
    failure: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Excess:
    """By which share a limit is exceeded: 0.1 is 10 % over."""

    limit: str
    by: float


@dataclass(frozen=True)
class AttemptBegan:
    """A process has begun a job of a queue.

    Attributes:
        attempt: how many have begun it, with this one.
        reason: why the one before did not end it; empty of the first.
    """

    attempt: int
    reason: str = ""


@dataclass(frozen=True)
class SpaceSurveyed:
    """The space is laid out; `left_out` says which engines and precisions are not in it, and why."""

    left_out: tuple[str, ...]


@dataclass(frozen=True)
class RoomWeighed:
    """The models are known; `left_out` has no room in memory, `warnings` name what may not have it."""

    left_out: tuple[str, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class FilesRead:
    """The study's texts, data and lengths are read: what was found in each, in a sentence."""

    files: tuple[str, ...]


@dataclass(frozen=True)
class ModelsServed:
    """The models are here; `sentences` say what is served beside their encoders."""

    sentences: tuple[str, ...]


@dataclass(frozen=True)
class ModelsNoted:
    """The models are here; `notes` say in what they are served otherwise than their files ask for."""

    notes: tuple[str, ...]


@dataclass(frozen=True)
class ReferenceBegan:
    """A model's fp32 reference is about to answer requests of the study's shapes."""

    source: str


@dataclass(frozen=True)
class WaitingBegan:
    """Another process measures on this machine, or makes what is wanted in the cache; this one waits."""

    text: str


@dataclass(frozen=True)
class WaitingEnded:
    """The waiting is over, after so many seconds, which no budget counts."""

    seconds: float


@dataclass(frozen=True)
class LookingBegan:
    """So many engines and precisions are about to be looked at, with a few of the model's layers."""

    count: int


@dataclass(frozen=True)
class LookTaken:
    """An engine and precision was looked at; the answer is from the cache, or of now.

    Attributes:
        request_s: what a request of the reduced model took; None where the engine refused.
        refusal: why it did, in the engine's own words.
    """

    backend: str
    precision: str
    request_s: float | None = None
    refusal: str = ""


@dataclass(frozen=True)
class LookingEnded:
    """All looks are taken, in so many seconds.

    Attributes:
        fastest: engines and precisions in words, fastest first.
        reason: why this model cannot be looked at; empty where it can.
    """

    seconds: float
    fastest: tuple[str, ...]
    reason: str = ""


@dataclass(frozen=True)
class PreparationBegan:
    """The model is about to be prepared for an engine.

    Attributes:
        engine: engine, precision and what else it is prepared for, in words.
        about_s: about how long that takes; None where that is not known.
    """

    engine: str
    about_s: float | None = None


@dataclass(frozen=True)
class AssessmentBegan:
    """The answers of an engine at a precision are about to be compared with the fp32 reference's."""

    engine: str


@dataclass(frozen=True)
class SecondStageBegan:
    """The placements are done with for now: from here on knobs are turned on the leading ones."""

    progress: Progress


@dataclass(frozen=True)
class TrialBegan:
    """A trial is about to be launched.

    Attributes:
        number: of the trial in its study, as the store has it.
        host: name of the host that is to run it.
    """

    number: int
    configuration: str
    progress: Progress
    host: str = ""


@dataclass(frozen=True)
class TrialEnded:
    """A trial ended and is in the store.

    Attributes:
        number: of the trial in its study, as the store has it.
        name: `baseline` or `default` of what people start today; empty of all else.
        excesses: the limits that it does not meet.
        half_width: half of the 95 % interval of its score, as a share, by what one launch can say; None where
            it gave none.
        host: name of the host that ran it.
    """

    number: int
    name: str
    configuration: str
    outcome: Summary
    progress: Progress
    excesses: tuple[Excess, ...] = ()
    half_width: float | None = None
    host: str = ""


@dataclass(frozen=True)
class SearchEnded:
    """The search is over, and why."""

    reason: str
    progress: Progress


@dataclass(frozen=True)
class RoundBegan:
    """A round begins; `names` are run in this order, each in fresh processes."""

    number: int
    names: tuple[str, ...]


@dataclass(frozen=True)
class RunEnded:
    """A run of a round ended and is kept.

    Attributes:
        name: of what ran, as `RoundBegan` has it.
    """

    round: int
    name: str
    configuration: str
    outcome: Summary


@dataclass(frozen=True)
class DoubtRaised:
    """The rounds contradict the search, as `doubt` says; three more are run than were allowed."""

    doubt: str


@dataclass(frozen=True)
class RateBegan:
    """A plan's processes are about to be put under load at an arrival rate.

    Attributes:
        number: of this rate among all `total`, from 1.
    """

    rate_per_s: float
    number: int
    total: int


@dataclass(frozen=True)
class RateEnded:
    """A rate was measured, or why it was not, in words."""

    rate_per_s: float
    number: int
    total: int
    in_words: str


@dataclass(frozen=True)
class WebhookCalled:
    """Somebody was told of a result over HTTP, or why not, in words."""

    host: str
    in_words: str


Event = (
    AttemptBegan
    | SpaceSurveyed
    | RoomWeighed
    | FilesRead
    | ModelsServed
    | ModelsNoted
    | ReferenceBegan
    | WaitingBegan
    | WaitingEnded
    | LookingBegan
    | LookTaken
    | LookingEnded
    | PreparationBegan
    | AssessmentBegan
    | SecondStageBegan
    | TrialBegan
    | TrialEnded
    | SearchEnded
    | RoundBegan
    | RunEnded
    | DoubtRaised
    | RateBegan
    | RateEnded
    | WebhookCalled
)
Emit = Callable[[Event], None]
"""Is told of every event; what it raises ends the job."""

EVENTS: Final[tuple[type[Event], ...]] = get_args(Event)


def _tag(kind: type[Event]) -> str:
    """The name of a kind of event in JSON: `trial_ended`."""
    name = kind.__name__
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


_KINDS: Final = {_tag(kind): kind for kind in EVENTS}
NAMES: Final = tuple(_KINDS)
"""Of all kinds of events, as JSON has them."""


def unheard(event: Event) -> None:
    """Pass over an event."""


def to_json(event: Event) -> str:
    """Write an event as one line.

    Raises:
        ValueError: a number in it is not finite.
    """
    fields = {"schema": SCHEMA, "event": _tag(type(event)), **asdict(event)}
    return json.dumps(fields, separators=(",", ":"), allow_nan=False)


def from_json(text: str | bytes) -> Event:
    """Read what `to_json` wrote.

    Raises:
        ValueError: it is no event, or one of another version.
    """
    fields = json.loads(text)
    if not isinstance(fields, dict) or fields.get("schema") != SCHEMA:
        raise ValueError(f"{text[:80]!r} is no event of {SCHEMA}")
    kind = _KINDS.get(str(fields.get("event")))
    if kind is None:
        raise ValueError(f"{fields.get('event')!r} is no kind of event of {SCHEMA}")
    return cast(Event, _readers()[kind].validate_json(text))


@cache
def _readers() -> dict[type[Event], TypeAdapter[Any]]:
    """What reads each kind of event; pydantic is imported where one is read, never where it is told."""
    from pydantic import TypeAdapter

    return {kind: TypeAdapter(kind) for kind in EVENTS}
