from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from autotune.errors import PlanError
from autotune.model.assessment import Assessment
from autotune.objectives.latency import Latency
from autotune.placement.placement import Command, WorkerProgram
from autotune.plan.describe import describe
from autotune.plan.document import SCHEMA, Plan, PlanStudy, format_plan, parse_plan, plan_values
from autotune.spec.configuration import PRECISIONS
from autotune.testing.plans import build_assignment, build_commands, build_plan

ASSETS = sorted((Path(__file__).parent / "assets").glob("plan-*.json"))

EMPTY_HISTOGRAM = HdrHistogram(1, 1_000, 3).encode().decode()

words = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*", fullmatch=True)
folders = words.filter(bool).map(Path)
assignments = st.builds(
    build_assignment,
    st.integers(0, 99),
    st.integers(1, 99),
    backend=words.filter(bool),
    precision=st.sampled_from(PRECISIONS),
    artifact=folders,
    batch_size=st.integers(1, 99),
    threads=st.integers(0, 99),
    seed=st.integers(0, 99),
    warmup_s=st.floats(0, 99),
    knobs=words,
) | st.builds(build_assignment, sequence_length=st.just(0), requests=folders)
commands = st.builds(
    Command,
    program=st.builds(WorkerProgram, words.filter(bool), assignments),
    environment=st.dictionaries(names, words, max_size=3),
    cpus=st.lists(st.integers(0, 65_535), max_size=4).map(tuple),
    memory_nodes=st.lists(st.integers(0, 1_000), max_size=2).map(tuple),
)


def changed(path: str, value: object) -> str:
    """A plan document with one value replaced; `path` as in `instances.0.cpus`."""
    values: Any = plan_values(build_plan(quality=Assessment("random", 32, cosine=0.99)))
    *parents, last = path.split(".")
    part = values
    for name in parents:
        part = part[int(name) if isinstance(part, list) else name]
    part[last] = value
    return json.dumps(values)


@given(st.lists(commands, min_size=1, max_size=3))
def test_any_commands_come_back_as_they_were(started: list[Command]) -> None:
    plan = build_plan(started)
    parsed = parse_plan(format_plan(plan))
    assert parsed == plan
    assert parsed.commands() == tuple(started)


def test_the_document_has_what_others_rely_on() -> None:
    values = plan_values(build_plan())
    assert values["schema"] == SCHEMA == json.loads(format_plan(build_plan()))["schema"]
    assert set(values["configuration"]) >= {
        "instances",
        "threads_per_instance",
        "placement",
        "backend",
        "precision",
    }
    assert set(values["instances"][0]) == {"cpus", "memory_nodes", "env", "worker"}
    for figures in (values["estimate"], values["baseline"]):
        assert set(figures) >= {"throughput_sps", "latencies", "objective_range"}
    assert set(values) >= {"objective", "gain", "machine", "versions", "model", "study", "trial"}


@pytest.mark.parametrize("asset", ASSETS, ids=lambda path: path.stem)
def test_a_document_of_every_version_is_read(asset: Path) -> None:
    plan = parse_plan(asset.read_bytes())
    assert plan.id == "quickstart-7f3a9c"
    assert plan.commands() == build_commands()
    assert plan.warnings == ("It was noisy.",)


def test_the_newest_version_is_among_the_assets() -> None:
    assert ASSETS[-1].stem == SCHEMA.removeprefix("autotune.").replace("/", "-")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("trail", 3, "trail: this key is not known here"),
        ("configuration.thread", 3, "configuration: unknown keys thread"),
        ("configuration.instances", 5, "2 instances, but its configuration has 5"),
        ("configuration.instances", "2", "configuration.instances: "),
        ("configuration.precision", "fp8", "configuration.precision: "),
        ("configuration.smt", 1, "configuration.smt: "),
        ("instances.1.argv", [], "instances.1.argv: this key is not"),
        ("instances.1.worker.interpreter", "", "instances.1.worker.interpreter: "),
        ("instances.1.worker.precision", "fp8", "instances.1.worker.precision: "),
        ("instances.1.worker.threads", "1", "instances.1.worker.threads: "),
        ("instances.1.worker.requests", "/r", "instances.1.worker: it takes either"),
        ("instances.1.worker.sequence_length", None, "instances.1.worker: it takes either"),
        ("instances.1.cpus", [-1], "instances.1.cpus.0: "),
        ("instances.0.worker.knobs", "a\x00b", "instances.0.worker.knobs: "),
        ("instances.0.env", {"A=B": "c"}, "instances.0.env"),
        ("instances.0.env", {"-u": "c"}, "instances.0.env"),
        ("instances.0.env", {"A": "\x00"}, "instances.0.env.A: "),
        ("estimate.throughput_sps", "fast", "estimate.throughput_sps: "),
        ("quality.cosine", "high", "quality.cosine: "),
        ("quality.cosines", 1, "quality.cosines: "),
        ("estimate.throughput_sps", 0, "estimate.throughput_sps: "),
        ("estimate.objective_value", 0, "estimate.objective_value: "),
        ("baseline.objective_value", -1, "baseline.objective_value: "),
        ("confirmation.search_value", 1e308, "confirmation.search_value: "),
        ("gain", 0, "gain: "),
        ("gain", -1, "gain: "),
        ("gain_range.low", 0, "gain_range.low: "),
        ("gain_range.high", 1e308, "gain_range.high: "),
        ("gain_range.low", 9, "gain_range: its low 9 is above its high 3.2"),
        ("confirmation.rivals.0.ratio_range.low", -1, "confirmation.rivals.0.ratio_range.low: "),
        ("created_s", 1e308, "created_s: "),
        ("created_s", -1e308, "created_s: "),
        ("estimate.latencies.0.value_s", 1e308, "estimate.latencies.0.value_s: "),
        ("estimate.latencies.0.upper_s", 1e308, "estimate.latencies.0.upper_s: "),
        ("estimate.memory_bytes", 10**400, "estimate.memory_bytes: "),
        ("objective", "speed", "objective: "),
        ("objective", "latency_p", "objective: "),
        ("estimate.objective_value", 1e101, "estimate.objective_value: "),
        ("study.name", None, "study.name: "),
        ("study.later", 2, "study.later: this key is not"),
        ("study.spec", None, "study.spec: "),
        ("study.spec", "quick", "study.spec: "),
        ("study.spec.problem", None, "study.spec: its `problem` must"),
        ("study.spec.problem", 3, "study.spec: its `problem` must"),
        (
            "study.spec.price",
            {"per_hour": -1, "cores": 2},
            "study.spec: price.per_hour: it must be more than 0",
        ),
        ("study.spec.price", {"per_hour": "dear", "cores": 2}, "study.spec: price.per_hour: "),
        ("study.spec.price", 3, "study.spec: price: "),
        (
            "study.spec.price",
            {"per_hour": 1.0, "cores": 2, "currency": "euro"},
            "study.spec: price.currency: ",
        ),
        ("estimate.histogram", "garbage", "estimate.histogram: 'garbage' is no HdrHistogram"),
        ("estimate.histogram", EMPTY_HISTOGRAM, "is an HdrHistogram of 0 values"),
        ("baseline.histogram", "garbage", "baseline.histogram: 'garbage' is no HdrHistogram"),
        ("estimate.latencies.0.percentile", 999.0, "estimate.latencies.0.percentile: it must be at most 100"),
        ("objective", "latency_p999", "objective: its percentile must lie between 0 and 100"),
        ("objective", "latency_p0", "objective: its percentile must lie between 0 and 100"),
        ("model", {}, "model: its `source` must"),
        ("model.source", None, "model: its `source` must"),
        ("gain", None, ""),
        ("id", "../../etc/passwd", "id: "),
    ],
)
def test_a_wrong_value_is_refused_with_its_path(path: str, value: object, message: str) -> None:
    if not message:
        assert parse_plan(changed(path, value)).gain is None
        return
    with pytest.raises(PlanError) as caught:
        parse_plan(changed(path, value))
    assert caught.value.problem.startswith(message) or message in caught.value.problem
    assert caught.value.remedy


def test_a_plan_for_cost_in_one_currency_with_a_price_in_another_is_refused() -> None:
    values = plan_values(build_plan())
    values["objective"] = "cost_USD"
    values["study"]["spec"]["price"] = {"per_core_hour": 0.1, "currency": "EUR"}
    with pytest.raises(PlanError, match="its objective is cost_USD, but its study's price is in EUR"):
        parse_plan(json.dumps(values))


def test_what_is_wrong_is_told_without_the_words_of_a_library() -> None:
    for path, value in (("instances.0.cpus", [99_999]), ("estimate.throughput_sps", "fast"), ("trial", None)):
        with pytest.raises(PlanError, match="it must be ") as caught:
            parse_plan(changed(path, value))
        assert "Input should" not in caught.value.problem


def test_the_study_and_the_model_may_hold_more_than_is_read_here() -> None:
    study = PlanStudy(name="s", spec={"later": {"key": [1]}, "problem": {"later": None}})
    model = {"source": "fake:model.json", "later": {"key": 1.5}}
    plan = build_plan(study=study, model=model)
    assert (plan.study, plan.model) == (study, model)
    assert parse_plan(format_plan(plan)) == plan
    assert plan.study.stated("later", "key") == [1]
    assert plan.study.stated("later", "key", "deeper") is plan.study.stated("problem", "batch_size") is None


@pytest.mark.parametrize(
    "argv",
    [
        ["uvicorn", "app:app", "--port", "8000"],
        ["/opt/python", "-P", "-m", "autotune.worker.worker", "--threads"],
        ["/opt/python", "-P", "-m", "autotune.worker.worker", "--threads", "many"],
        ["/opt/python", "-P", "-m", "autotune.worker.worker", "--wish", "1"],
        [],
    ],
)
def test_a_command_line_that_is_no_workers_is_refused_in_an_older_document(argv: list[str]) -> None:
    values = json.loads(ASSETS[3].read_text())
    values["instances"][1]["argv"] = argv
    with pytest.raises(PlanError, match=r"^instances\.1\.argv: .* is not what starts") as caught:
        parse_plan(json.dumps(values))
    assert "autotune tune" in caught.value.remedy


def test_an_older_document_without_a_whole_command_line_is_refused_by_what_it_lacks() -> None:
    values = json.loads(ASSETS[3].read_text())
    del values["instances"][0]["argv"][-2:]
    with pytest.raises(PlanError, match=r"instances\.0\.worker\.instance: this key is missing"):
        parse_plan(json.dumps(values))


@pytest.mark.parametrize("percentile", [1.0, 50.0, 99.0, 99.9, 99.99, 12.345678])
def test_every_objective_of_a_study_has_a_name_here(percentile: float) -> None:
    name = Latency(percentile).name
    assert parse_plan(format_plan(build_plan(objective=name))).objective == name


def test_the_longest_times_are_shown() -> None:
    text = changed("created_s", 253_370_764_799)
    assert "9998-12-3" in describe(parse_plan(text))
    assert "needs" in describe(parse_plan(changed("estimate.latencies.0.value_s", 1e9)))


def test_figures_of_version_1_are_held_to_the_same_bounds() -> None:
    values = json.loads(ASSETS[0].read_text())
    values["baseline"]["objective_value"] = 0
    with pytest.raises(PlanError, match=r"baseline\.objective_value: "):
        parse_plan(json.dumps(values))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a JSON document"),
        ("{", "not a JSON document"),
        ("[" * 100_000, "not a JSON document"),
        (b"\xff\xfe", "not a JSON document"),
        ('{"schema": NaN}', "not a JSON document"),
        ("[]", "has no `schema`"),
        ("{}", "has no `schema`"),
        ('{"schema": "autotune.plan/6"}', "autotune.plan/5"),
        ('{"schema": ["autotune.plan/1"]}', "this autotune reads"),
        ('{"schema": "autotune.plan/2"}', "id: this key is missing"),
    ],
)
def test_text_that_is_no_plan_is_refused(text: str | bytes, message: str) -> None:
    with pytest.raises(PlanError, match=message) as caught:
        parse_plan(text)
    assert caught.value.remedy


def test_a_missing_key_is_named() -> None:
    values = plan_values(build_plan())
    del values["estimate"]
    with pytest.raises(PlanError, match="estimate: this key is missing"):
        parse_plan(json.dumps(values))


def test_a_plan_cannot_be_changed() -> None:
    plan: Plan = build_plan()
    with pytest.raises(ValueError, match="frozen"):
        plan.trial = 9  # type: ignore[misc]
