"""The evidence in a plan: figures with their bounds, who else ran, and under what conditions."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from autotune.plan.histogram import readable_histogram
from autotune.plan.strictness import known_configuration_keys
from autotune.spec.configuration import Configuration


class DocumentPart(BaseModel):
    """Base of every part of the plan document: frozen, unknown keys refused, finite numbers only."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, serialize_by_alias=True)


StrictConfiguration = Annotated[Configuration, BeforeValidator(known_configuration_keys)]
"""A configuration in which unknown keys are refused."""

Positive = Annotated[float, Field(gt=0, le=1e100)]
"""A rate, a time or a ratio; bounded so that no change of unit and no axis overflows."""

ElapsedSeconds = Annotated[float, Field(ge=0, le=1e9)]
"""How long something takes: at most some thirty years."""

Histogram = Annotated[str, AfterValidator(readable_histogram)]
"""Latencies in microseconds as an HdrHistogram, in its compressed base64 form."""

Probability = Annotated[float, Field(ge=0, le=1)]

Bytes = Annotated[int, Field(ge=0, lt=2**63)]


class Range(DocumentPart):
    """The 95 % interval of a figure."""

    low: Positive
    high: Positive

    @model_validator(mode="after")
    def _is_ascending(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"its low {self.low:g} is above its high {self.high:g}")
        return self


class LatencyPercentile(DocumentPart):
    """One percentile of latency and how far it may be believed.

    Attributes:
        value_s: None where the requests are too few to speak of it.
        upper_s: what the true percentile does not exceed, with 95 % confidence.
        needed: how many requests it takes.
    """

    percentile: Annotated[float, Field(gt=0, le=100)]
    value_s: ElapsedSeconds | None
    upper_s: ElapsedSeconds | None
    needed: int


class Charge(DocumentPart):
    """What serving costs at the study's price.

    Attributes:
        per_million: of samples, at the stated throughput.
        per_million_range: its 95 % interval, of that of the throughput; None where fewer than two runs say
            nothing of their spread, or in documents from before that.
        cores: that are paid for: the physical ones on which the instances may run, busy or not, or all of the
            smaller machine that the configuration is on.
    """

    per_million: Positive
    per_million_range: Range | None = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    cores: Annotated[int, Field(ge=1)]


class Estimate(DocumentPart):
    """Figures of one configuration, computed from the raw values of its runs.

    Attributes:
        objective_value: of the plan's objective, in its unit: geometric mean over runs,
            for the plan less what chance adds to the best of several (`autotune.statistics.shrinkage`).
        objective_range: its 95 % interval; None where fewer than two runs say nothing of their spread.
        throughput_sps: samples per second, summed over instances, likewise.
        latencies: ascending by percentile.
        requests: how many latencies these are computed from.
        runs: in how many launches of fresh processes they were measured.
        memory_bytes: proportional set size, summed over instances.
        histogram: all latencies in microseconds as an HdrHistogram of three significant digits, in its
            compressed base64 form; None where there are none to show.
        charge: what that costs; None where the study states no price.
        energy_j_per_million: joules that all packages of the machine took for a million samples, idle cores
            and whoever else ran there included; None where that was not readable, or in older documents.
    """

    objective_value: Positive
    objective_range: Range | None = None
    throughput_sps: Positive
    latencies: tuple[LatencyPercentile, ...]
    requests: int
    runs: int
    memory_bytes: Bytes
    histogram: Histogram | None = None
    charge: Charge | None = None
    energy_j_per_million: Positive | None = None

    def latency(self, percentile: float) -> LatencyPercentile | None:
        """One of `latencies`."""
        return next((one for one in self.latencies if one.percentile == percentile), None)


class OfCores(DocumentPart):
    """The best that was measured on a smaller machine, as which a number of this one's cores was searched.

    Attributes:
        cores: of the smaller machine.
        configuration, trial: the best one on it, and its number in the search; None where none was measured.
        estimate: its figures; None where it was not measured, or misses a limit.
        confirmed: whether the figures are of the rounds; else they are the search's own, which flatter.
        missing: why there is no figure, as a clause; empty where there is one.
    """

    cores: Annotated[int, Field(ge=1)]
    configuration: StrictConfiguration | None = None
    trial: int | None = None
    estimate: Estimate | None = None
    confirmed: bool = False
    missing: str = ""


class ServedRequests(DocumentPart):
    """What was asked of the plan, where requests differ.

    Attributes:
        requests: how many there are before they begin again; sequences: in all of them.
        median_tokens, p90_tokens, most_tokens, mean_tokens: of a sequence, without padding.
        padding: share of the tokens of all requests that only fill them, where no answer is cached.
        tokens_per_s: that were served, padding not counted; None where too few requests were served to be
            like all of them.
        hit_rate: share of the sequences whose answer came from a cache, as it was measured; None without one.
        cut: of the sequences, those of which only the first `cut_to` tokens were served; None where they are
            no texts, or in documents from before that.
    """

    requests: Annotated[int, Field(ge=1)]
    sequences: Annotated[int, Field(ge=1)]
    median_tokens: Positive
    p90_tokens: Positive
    most_tokens: Annotated[int, Field(ge=1)]
    mean_tokens: Positive
    padding: Annotated[float, Field(ge=0, lt=1)]
    tokens_per_s: Positive | None
    hit_rate: Annotated[float, Field(ge=0, le=1)] | None = None
    cut: Annotated[int, Field(ge=0)] | None = None
    cut_to: Annotated[int, Field(ge=1)] | None = None


class RunnerUp(DocumentPart):
    """A finalist that is not the plan.

    Attributes:
        trial: its number in the search.
        standing: `tied`: not told apart from the plan's configuration; `likely`: likely to be worse; `worse`:
            shown to be worse than a finalist, with 95 % confidence; `failed`: it did not run reliably, or
            misses a limit.
        probability: that it is worse than the plan; None where that is not known.
        more_rounds: how many more would probably tell it from the plan; None = more than anybody would run,
            or it is told apart.
        ratio: of its goodness to the plan's; None where it failed.
        cores: that its instances occupy.
        reason: of the failure.
    """

    configuration: StrictConfiguration
    trial: int
    standing: Literal["tied", "likely", "worse", "failed"]
    ratio: Positive | None
    ratio_range: Range | None
    cores: int
    memory_bytes: Bytes
    reason: str = ""
    probability: Probability | None = None
    more_rounds: Annotated[int, Field(ge=1)] | None = None


class Default(DocumentPart):
    """The best of what people start today: each engine as its own documentation starts it.

    Attributes:
        trial: its number in the search.
        is_baseline: whether it is the baseline, which is a default too.
        ratio: of the plan's goodness to its; 1 where it is the plan itself; None
            where it is out.
        ratio_range: the 95 % interval; None where it was not measured in the rounds, or is the plan.
        probability: that the plan is better; None where that is not known.
        said: `shown`: the plan is better, with 95 % confidence; `likely`: it is likely to be; `untold`: not
            told apart; `plan`: it is the plan itself; `out`: no default meets the limits, and this one is
            the nearest.
        missed: where it is out, which limit it misses and by how much, as a clause.
        more_rounds: how many more would probably tell; None = more than anybody would run, or it is told.
        objective_value: what it reached, in the plan's objective; None where the runs are not at hand.
        unseen: defaults that may be better still, and were not measured.
    """

    configuration: StrictConfiguration
    trial: int
    is_baseline: bool = False
    ratio: Positive | None
    ratio_range: Range | None = None
    probability: Probability | None = None
    said: Literal["shown", "likely", "untold", "plan", "out"]
    missed: str = ""
    more_rounds: Annotated[int, Field(ge=1)] | None = None
    objective_value: Positive | None = None
    unseen: tuple[StrictConfiguration, ...] = ()


class Spent(DocumentPart):
    """Where the minutes of a study went, in seconds of the clock; trials and rounds together.

    Attributes:
        looking_s: at engines, with a few of the model's layers.
        preparing_s: artifacts, their references, and comparing answers.
        loading_s: from a launch to the loaded model, of the slowest instance.
        warming_s, measuring_s: likewise, and inside measuring windows.
        waiting_s: for other studies on this machine, between windows, and for processes to end.
    """

    looking_s: ElapsedSeconds = 0.0
    preparing_s: ElapsedSeconds = 0.0
    loading_s: ElapsedSeconds = 0.0
    warming_s: ElapsedSeconds = 0.0
    measuring_s: ElapsedSeconds = 0.0
    waiting_s: ElapsedSeconds = 0.0

    @property
    def total_s(self) -> float:
        """All of it."""
        return (
            self.looking_s
            + self.preparing_s
            + self.loading_s
            + self.warming_s
            + self.measuring_s
            + self.waiting_s
        )


class Unprepared(DocumentPart):
    """An engine at a precision that was not tried, because preparing it would not have fitted.

    Attributes:
        seconds: that it would probably have taken.
    """

    model: str = ""
    backend: str
    precision: str
    seconds: ElapsedSeconds


class Confirmation(DocumentPart):
    """How the plan was chosen and what it stands on.

    Attributes:
        verdict: `better`: it beats the baseline, with 95 % confidence; `likely`: it is likely to; `tied`: it
            is probably the best, and not told apart from the baseline; `baseline`: nothing is probably
            better, so that the baseline is the plan; `unopposed`: the baseline failed or misses a limit;
            `unconfirmed`: the study was stopped before, and the figures are the search's own, which flatter
            the best of many.
        probability: that the plan beats the baseline; None where that is not known, or it is the baseline.
        more_rounds: how many more rounds would probably show it; None = more than anybody would run.
        default: the best of what engines do as their documentation starts them; None where no document says.
        spent: where the minutes went; None in documents from before that.
        unprepared: what was promising and would not have fitted.
        rounds: in which each contender was run once, in random order.
        search_value: what the search had measured of this configuration.
        optimism: by which share that was better than what was confirmed; negative where it was worse.
        twin_ratio: goodness of the second run of the leader's configuration over the first: the same thing
            twice, so that 1 says how well the rounds repeat.
        spread: standard deviation of one run within its round, as a share.
        blocks, dropped_blocks: measured in all that count, and others that were measured again.
        correction: how far values were corrected for the host's conditions, in a sentence; may be empty.
        by_cores: the best of each smaller machine that the study searched, ascending; empty where it names
            none, or in documents from before that.
        quietness: a sentence on how quiet the machine was, and what would help.
    """

    verdict: Literal["better", "likely", "tied", "baseline", "unopposed", "unconfirmed"]
    probability: Probability | None = None
    more_rounds: Annotated[int, Field(ge=1)] | None = None
    default: Default | None = None
    spent: Spent | None = None
    unprepared: tuple[Unprepared, ...] = ()
    rounds: int = 0
    search_value: Positive | None = None
    optimism: float | None = None
    twin_ratio: Positive | None = None
    twin_range: Range | None = None
    spread: float | None = None
    rivals: tuple[RunnerUp, ...] = ()
    blocks: int = 0
    dropped_blocks: int = 0
    quietness: str = ""
    correction: str = ""
    by_cores: tuple[OfCores, ...] = ()

    @property
    def is_alone(self) -> bool:
        """Whether the baseline is the plan because there was nothing else to compare with it."""
        return self.verdict == "baseline" and not self.rivals
