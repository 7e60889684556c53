"""What a scenario is: the answers to five questions, from which everything that depends on it follows.

|                               | `offline`           | `single_stream`        | `server`              |
|---|---|---|---|
| Is a request split?           | no                  | over all instances     | no                    |
| What is at hand?              | all requests        | one request            | what has arrived      |
| Who sends?                    | every instance      | instances, in step     | a generator           |
| From when does latency count? | the request's start | its parts' first start | when it was due       |
| What is throughput?           | blocks' median      | blocks' median         | all blocks as one run |

What an instance does lies in `autotune.worker.scenarios.NAME`, what the parent does in `autotune.trial.NAME`.
Nobody asks for a scenario's name: who depends on it asks for one of its traits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Scenario = Literal["offline", "single_stream", "server"]

USUAL: Final[Scenario] = "offline"
"""The scenario where nothing suggests another; what was stored without one is of this."""


@dataclass(frozen=True)
class Traits:
    """How a scenario answers the questions.

    Attributes:
        words: what happens in it, for the study file's schema.
        is_split: every request is split over the instances, and its latency is that of the slowest part.
        has_all_at_hand: sequences of different requests may be put together, as none has to be waited for.
        has_arrivals: requests arrive at a rate, whether or not earlier ones are answered.
    """

    words: str
    is_split: bool = False
    has_all_at_hand: bool = False
    has_arrivals: bool = False

    @property
    def seeks_rate(self) -> bool:
        """Whether a trial looks for the highest rate at which a limit of latency is met."""
        return self.has_arrivals

    @property
    def is_one_run(self) -> bool:
        """Whether blocks are parts of one run, of which each says nothing by itself."""
        return self.has_arrivals


SCENARIOS: Final[Mapping[Scenario, Traits]] = {
    "offline": Traits("every instance works through its own requests", has_all_at_hand=True),
    "single_stream": Traits("one request at a time, split over the instances", is_split=True),
    "server": Traits(
        "requests arrive at random, whichever instance is free takes the next, and the highest rate is sought"
        " at which `limits.latency` is met",
        has_arrivals=True,
    ),
}
"""Every scenario that a study file may name."""


def traits_of(scenario: Scenario) -> Traits:
    """Look up what decides how a scenario is measured."""
    return SCENARIOS[scenario]


def scenarios_in_words() -> str:
    """Say of every scenario what happens in it, a sentence each."""
    return " ".join(f"`{name}`: {traits.words}." for name, traits in SCENARIOS.items())
