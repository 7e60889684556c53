"""The study file's values: `StudySpec` and its parts, valid by construction.

`autotune.spec.load` reads them from a study file, whose shorthands are in `autotune.spec.shorthand`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from autotune.errors import MachineError
from autotune.machine.cpus import format_cpu_list, parse_cpu_list
from autotune.spec.aim import Aim
from autotune.spec.configuration import Configuration, Precision
from autotune.spec.knob_search import KnobSearch
from autotune.spec.launch import LaunchSpec
from autotune.spec.longest import shorter
from autotune.spec.model_source import ArrayKind, Head, max_tokens, model_kind
from autotune.spec.models import Models, listed
from autotune.spec.part import (
    LIST,
    MAX_CHOICES,
    WORD,
    Choices,
    Count,
    Part,
    Percentile,
    Seconds,
    as_tuple,
    distinct,
    form,
    refuse,
)
from autotune.spec.price import FORMS as PRICES
from autotune.spec.price import Price
from autotune.spec.problem import Problem
from autotune.spec.quality import Quality
from autotune.spec.scenario import USUAL, Scenario, scenarios_in_words, traits_of

MAX_SOCKETS = 1_024


def _socket_list(text: str) -> str:
    """The list as the kernel would write it, so that equal sets are equal texts."""
    try:
        sockets = parse_cpu_list(text) if len(text) <= 100 else frozenset()
    except MachineError:
        sockets = frozenset()
    if not sockets or max(sockets) >= MAX_SOCKETS:
        refuse(f'{text!r} is not a list of sockets: write 0, "0-1" or "0,2", up to {MAX_SOCKETS - 1}')
    return format_cpu_list(sockets)


def _backend_name(name: str) -> str:
    if name == "auto":
        refuse("auto stands alone: write `auto`, or name the backends")
    return name


SearchedPolicy = Literal["close", "spread", "per-node", "per-l3"]
"""`autotune.spec.configuration.POLICIES` as a type."""
CoreCount = Annotated[Annotated[Count, Tag(LIST)] | Annotated[Literal["all"], Tag(WORD)], Discriminator(form)]
"""Of a smaller machine; `all` that may be used of this one."""
SearchedPadding = Literal["max", "bucket", "none"]
SearchedBatching = Literal["arrival", "sorted", "tokens"]
"""`autotune.spec.configuration.PADDINGS` and `BATCHINGS` as types."""

BackendName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$"), AfterValidator(_backend_name)]


class LatencyLimit(Part):
    """The percentile of latency must not exceed `max_s`."""

    percentile: Percentile
    max_s: Annotated[Seconds, Field(le=3_600)]


class Limits(Part):
    """What a plan must meet; None = no limit."""

    latency: LatencyLimit | None = None
    memory_bytes: Annotated[int, Field(ge=1, le=2**50)] | None = None


class Search(Part):
    """Bounds of the space; `auto` = everything legal on this machine."""

    backends: Choices[BackendName] = "auto"
    """Engines to try, such as `pytorch` and `onnxruntime`."""
    precisions: Choices[Precision] = "auto"
    """Precisions of weights and arithmetic to try, where an engine has them."""
    instances: Choices[Count] = "auto"
    """Numbers of worker processes to try."""
    threads: Choices[Count] = "auto"
    """Numbers of threads of each instance to try."""
    placements: Choices[SearchedPolicy] = "auto"
    """Ways to give instances their cores."""
    sockets: Choices[Annotated[str, AfterValidator(_socket_list)]] = "auto"
    """Sets of sockets to try, as kernel lists: `0` is the first alone, `0-1` the first two together."""
    cores: Choices[CoreCount] = "auto"
    """Smaller machines to try, each as a number of this one's cores, `all` of them among these: what a
    configuration pays for is the whole of one. `auto` tries this machine alone, and a configuration pays for
    the cores that it takes."""
    smt: Annotated[
        tuple[bool, ...],
        Field(min_length=1, max_length=2),
        BeforeValidator(as_tuple),
        AfterValidator(distinct),
    ] = (False,)
    """Whether to use both SMT siblings of a core; both values to try both."""
    knobs: KnobSearch = "auto"
    """Settings of process and engine to try on the leading placements in a second stage: `auto` is every one
    that can be turned here, if the budget affords it; `none`; or values by name of knob."""
    padding: Choices[SearchedPadding] = "auto"
    """Up to where to fill sequences of different lengths: the longest of all (`max`), the next of a few
    lengths (`bucket`), or the longest of their own request (`none`)."""
    batching: Choices[SearchedBatching] = "auto"
    """Which of them to put into one request: those that come one after the other (`arrival`), those of like
    length (`sorted`), or as many of like length as batch_size of the longest have tokens (`tokens`)."""


DisturbedTreatment = Literal["correct", "drop", "keep"]
"""What becomes of blocks that the host disturbed."""


def _renamed_treatment(value: Any) -> Any:
    """Studies before version 0.2 say `again` for what is `drop` now."""
    return "drop" if value == "again" else value


class Measure(Part):
    """How long one configuration is measured."""

    warmup_s: Annotated[Seconds, Field(le=600)] = 5.0
    """Upper bound of the warm-up; it ends earlier when successive requests agree."""
    block_s: Annotated[Seconds, Field(le=600)] = 1.0
    """Shortest length of one measuring window."""
    blocks: Annotated[int, Field(ge=1, le=100)] = 3
    """Measuring windows of one configuration, at least; one that is clearly worse than the best has fewer."""
    max_blocks: Annotated[int, Field(ge=1, le=1_000)] = 5
    """Measuring windows at most, where they do not agree: no fewer than `blocks`. Where this is not written
    and `blocks` are more, as many."""
    disturbed: Annotated[DisturbedTreatment, BeforeValidator(_renamed_treatment)] = "correct"
    """What becomes of a window that the host disturbed (slow cpus, steal, other processes): its value is
    corrected as far as the study has seen that this matters (`correct`); or it is measured again where that
    says that it lost much (`drop`); or it counts as it is (`keep`). Whatever is written, a window that the
    CPU quota or heat stopped, or that lost a cpu, is measured again, but for `keep`."""
    trial_timeout_s: Annotated[Seconds, Field(le=86_400)] = 180.0
    """A trial that takes longer, start to end, fails with `timeout`."""


class Confirm(Part):
    """How the winner is confirmed: on fresh data, in fresh processes, beside the baseline."""

    finalists: Annotated[int, Field(ge=1, le=10)] = 3
    """Best configurations of the search that run again, beside the baseline and a twin of the best.

    One with knobs counts once: the same without them runs beside it.
    """
    rounds: Annotated[int, Field(ge=3, le=100)] = 12
    """Rounds at most; in each, every one of them is started anew, in random order. Three are run at least."""
    tie: Annotated[float, Field(gt=0, le=0.5)] = 0.02
    """The indifference zone: scores that differ by no more than this share are equally good."""


class Budget(Part):
    """When the search ends, whichever comes first; None = no such bound."""

    trials: Annotated[int, Field(ge=1, le=100_000)] | None = 60
    """Configurations to measure, the baseline among them."""
    minutes: Annotated[float, Field(gt=0, le=10_080)] | None = 30.0
    """For search and confirmation; what is begun is ended, and three rounds are always run."""


_SCENARIO = f"{scenarios_in_words()} By default what the objective suggests: `{USUAL}` for throughput."


def _usual_scenario(data: Mapping[str, Any]) -> Scenario:
    aim = data.get("objective")
    return USUAL if aim is None else aim.usual_scenario


class StudySpec(Part):
    """One study: the model, the problem, what is wanted, and where to look for it."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    """What the study is called in the store."""
    model: Models
    """`random:NAME`, `path:DIR`, `hf:ORG/NAME@REVISION`, `onnx:FILE`, or `fake:FILE` (closed-form); or a list
    of variants to choose from, of which the first is what the others are measured against."""
    inputs: Annotated[dict[str, ArrayKind], Field(max_length=MAX_CHOICES)] = Field(default_factory=dict)
    """What the inputs of an `onnx:` model hold, where their names (`input_ids`, `attention_mask`,
    `token_type_ids`) do not tell: `tokens` (ids), `ones` (every token is attended to) or `zeros`."""
    head: Head | None = None
    """What of a transformers model or ONNX file is served: what its folder says (`auto`), which is the class
    that its config.json names, with its head (of an ONNX file, its first output), or what the modules.json of
    sentence-transformers lists; the encoder alone (`none`); or sentence embeddings (`pooling`), by
    modules.json where there is one, else the mean over the tokens. Without this, a folder without
    modules.json is refused whose head is that of its pre-training, or that has weights which nothing uses."""
    problem: Problem
    objective: Aim = Aim(kind="throughput")
    price: Annotated[Price | None, Field(validate_default=True)] = None
    """What the machine's cores cost: `{per_core_hour: 0.1}`, or `{per_hour: 4.8, cores: 48}` of a whole
    machine. With it, what a million samples cost is stated beside every figure of a plan; the objective
    `cost` needs it."""
    scenario: Annotated[Scenario, Field(default_factory=_usual_scenario, description=_SCENARIO)]
    measure: Measure = Measure()
    limits: Annotated[Limits, Field(validate_default=True)] = Limits()
    quality: Quality = Quality()
    search: Search = Search()
    confirm: Confirm = Confirm()
    budget: Budget = Budget()
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """Of random weights, inputs and the sampler."""
    launch: LaunchSpec | None = None
    """How your own server is started, for `autotune export`: `{command: [...], port: 8000}`. It changes
    nothing of what is measured."""

    @property
    def models(self) -> tuple[str, ...]:
        """The sources of all models, at least one."""
        return listed(self.model)

    @property
    def variants(self) -> tuple[str, ...]:
        """What `Configuration.model` may be: the models, or one empty text where there is no choice."""
        return ("",) if isinstance(self.model, str) else self.model

    def source_of(self, configuration: Configuration) -> str:
        """The model that a configuration runs."""
        return configuration.model or self.models[0]

    @field_validator("inputs")
    @classmethod
    def _only_files_have_inputs_of_their_own(
        cls, inputs: dict[str, ArrayKind], info: ValidationInfo
    ) -> dict[str, ArrayKind]:
        models = listed(info.data.get("model", ()))  # one that is wrong is not among the data
        if inputs and models and not any(model_kind(model).states_inputs for model in models):
            refuse(f"{models[0]} says itself what its inputs hold: `inputs` belongs to an onnx: model alone")
        return inputs

    @field_validator("head")
    @classmethod
    def _only_folders_and_files_have_heads(cls, head: Head | None, info: ValidationInfo) -> Head | None:
        models = listed(info.data.get("model", ()))
        if head is not None and models and not any(model_kind(model).has_head for model in models):
            refuse(f"{models[0]} is served as it is: `head` belongs to a path:, hf: or onnx: model alone")
        return head

    @field_validator("problem")
    @classmethod
    def _model_takes_the_sequence(cls, problem: Problem, info: ValidationInfo) -> Problem:
        for model in listed(info.data.get("model", ())):
            longest = max_tokens(model)
            if longest is not None and problem.longest is not None and problem.longest > longest:
                refuse(
                    f"{problem.longest} tokens are more than {model} takes: "
                    f"{shorter(longest, '.'.join(problem.longest_place))}",
                    *problem.longest_place,
                )
        return problem

    @field_validator("scenario")
    @classmethod
    def _a_server_seeks_throughput(cls, scenario: Scenario, info: ValidationInfo) -> Scenario:
        aim = info.data.get("objective")
        if aim is not None and scenario not in aim.scenarios:
            percentile = f"p{aim.percentile:g}"
            refuse(
                f"{scenario} seeks the highest rate, not the lowest {percentile} latency: write `objective: "
                f"throughput`, and the latency to keep to as `limits: {{latency: {{{percentile}: ...}}}}`"
            )
        return scenario

    @field_validator("price")
    @classmethod
    def _a_cost_has_a_price(cls, price: Price | None, info: ValidationInfo) -> Price | None:
        aim = info.data.get("objective")
        if aim is not None and aim.is_priced and price is None:
            refuse(f"missing: objective {aim.kind} needs to know what cores cost; write {PRICES}")
        return price

    @field_validator("measure")
    @classmethod
    def _a_trial_can_end_in_time(cls, measure: Measure) -> Measure:
        if measure.blocks * measure.block_s >= measure.trial_timeout_s:
            refuse(
                f"{measure.trial_timeout_s:g} s are over before {measure.blocks} blocks of "
                f"{measure.block_s:g} s: raise it, or measure less",
                "trial_timeout_s",
            )
        return measure

    @field_validator("limits")
    @classmethod
    def _a_trial_can_show_that_a_limit_is_met(cls, limits: Limits, info: ValidationInfo) -> Limits:
        measure = info.data.get("measure")
        if measure is not None and limits.latency and limits.latency.max_s >= measure.trial_timeout_s:
            refuse(
                f"{limits.latency.max_s:g} s are longer than a trial may take, which is "
                f"{measure.trial_timeout_s:g} s: lower it, or raise measure.trial_timeout",
                "latency",
                "max_s",
            )
        return limits

    @field_validator("limits")
    @classmethod
    def _a_rate_has_a_latency_to_keep_to(cls, limits: Limits, info: ValidationInfo) -> Limits:
        scenario = info.data.get("scenario")
        if scenario is not None and traits_of(scenario).seeks_rate and limits.latency is None:
            refuse(
                f"missing: scenario {scenario} seeks the highest rate at which a latency is kept to; "
                "write one, such as {p99: 50ms}",
                "latency",
            )
        return limits

    @field_validator("search")
    @classmethod
    def _every_instance_gets_a_part(cls, search: Search, info: ValidationInfo) -> Search:
        problem, scenario = info.data.get("problem"), info.data.get("scenario")
        if problem is None or scenario is None or search.instances == "auto":
            return search
        if not traits_of(scenario).is_split:
            return search
        for index, instances in enumerate(search.instances):
            if instances > problem.batch_size:
                refuse(
                    f"{instances} instances cannot share a request of batch_size {problem.batch_size}: "
                    f"in scenario {scenario} each gets at least one sequence of it",
                    "instances",
                    index,
                )
        return search

    @field_validator("search")
    @classmethod
    def _there_is_something_to_arrange(cls, search: Search, info: ValidationInfo) -> Search:
        problem, scenario = info.data.get("problem"), info.data.get("scenario")
        if problem is None:
            return search
        for name in ("padding", "batching"):
            if problem.is_uniform and getattr(search, name) != "auto":
                refuse(
                    f"every sequence is of one length: leave {name} out, or write different `lengths` or "
                    "`texts` in the problem",
                    name,
                )
        is_free = search.batching == "auto" or scenario is None or traits_of(scenario).has_all_at_hand
        for index, batching in enumerate(() if is_free else search.batching):
            if batching != "arrival":
                refuse(
                    f"{batching} puts sequences of different requests together, which scenario {scenario} "
                    "does not have at hand: write arrival, or `scenario: offline`",
                    "batching",
                    index,
                )
        return search

    @field_validator("search")
    @classmethod
    def _some_padding_goes_with_some_batching(cls, search: Search) -> Search:
        if search.padding == ("max",) and search.batching != "auto" and "arrival" not in search.batching:
            refuse(
                f"all are filled up to the longest, so that {search.batching[0]} saves nothing: allow "
                "another padding, or arrival",
                "batching",
                0,
            )
        return search

    @model_validator(mode="after")
    def _a_cache_sees_whole_sequences_come_again(self) -> Self:
        if traits_of(self.scenario).is_split and self.problem.cache and self.problem.batch_size > 1:
            refuse(
                f"{self.scenario} splits requests over instances, each with a cache of its own, which the "
                "same sequence may miss: leave it out, or write `scenario: offline`",
                *("problem", "cache"),
            )
        return self
