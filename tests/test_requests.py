"""Studies of requests that differ, end to end with the fake backend in real processes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from autotune.errors import StudyFileError
from autotune.exporters.numactl import NumactlExporter
from autotune.plan.describe import describe
from autotune.plan.document import Plan, format_plan, parse_plan
from autotune.report.progress import Observer
from autotune.reviving import Origin
from autotune.spec.load import parse_study
from autotune.spec.study import StudySpec
from autotune.store.records import TrialRecord
from autotune.testing.fake_model import SCHEMA
from autotune.trial.measurement import Measurement
from autotune.tuning import tune
from autotune.verification import verify

pytestmark = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="two instances need two cpus")

MODEL: Mapping[str, Any] = {
    "schema": SCHEMA,
    "serial_s": 5e-4,
    "parallel_s_per_token": 1e-5,
    "speed": {"fp32": 1.0, "int8-dynamic": 2.0},
}
STUDY: Mapping[str, Any] = {
    "model": "fake:model.json",
    "search": {
        **{"precisions": "int8-dynamic", "instances": 2, "threads": 1, "placements": "close"},
        **{"padding": "none", "batching": "arrival", "knobs": "none"},
    },
    "measure": {
        **{"warmup": "200ms", "block": "50ms", "blocks": 2, "max_blocks": 2},
        **{"disturbed": "keep", "trial_timeout": "20s"},
    },
    "confirm": {"finalists": 1, "rounds": 3},
}
LOGNORMAL = {"lognormal": {"median": 24, "sigma": 0.5, "max": 128}}
WORDS = ("[UNK]", "a", "good", "day", "bad")


class Kept(Observer):
    """Remembers the trials."""

    def __init__(self) -> None:
        self.trials: list[TrialRecord] = []

    def trial_ended(self, record: TrialRecord, progress: Any) -> None:  # noqa: ARG002
        self.trials.append(record)

    def measurement(self, padding: str) -> Measurement:
        (found,) = [one.result for one in self.trials if one.configuration.padding == padding]
        assert isinstance(found, Measurement), found
        return found


@pytest.fixture
def folder(tmp_path: Path, own_cache: Path) -> Path:
    """A folder with a fake model, its tokenizer, texts and lengths."""
    (tmp_path / "model.json").write_text(json.dumps(MODEL))
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    texts = ("a good day", "a bad day", "good", "a good day", "day " * 40, "bad bad", "good")
    (tmp_path / "texts.txt").write_text("\n".join(texts))
    (tmp_path / "lengths.txt").write_text("\n".join(map(str, (3, 40, 7, 7, 90, 12))))
    return tmp_path


def study(problem: Mapping[str, Any], **more: Any) -> StudySpec:
    search = {**STUDY["search"], **more.pop("search", {})}
    values = {**STUDY, "problem": {"batch_size": 4, **problem}, **more, "search": search}
    return parse_study(json.dumps(values), name="requests")


def run(folder: Path, spec: StudySpec) -> tuple[Plan, Kept]:
    kept = Kept()
    plan = tune(spec, base=folder, store=f"sqlite:///{folder}/autotune.db", observer=kept)
    return plan, kept


def test_a_distribution_is_searched_over_paddings_and_batchings(folder: Path) -> None:
    auto = {"padding": "auto", "batching": "auto", "instances": 1}
    plan, kept = run(folder, study({"lengths": LOGNORMAL}, search=auto))
    tried = {(one.configuration.padding, one.configuration.batching) for one in kept.trials}
    assert len(tried) == 7
    assert (kept.trials[0].configuration.padding, kept.trials[0].configuration.batching) == (
        "max",
        "arrival",
    )
    assert plan.configuration.padding == "none"
    assert plan.configuration.batching in ("sorted", "tokens")
    assert plan.requests is not None
    assert plan.requests.median_tokens == 24
    assert plan.requests.padding < 0.3
    assert plan.requests.tokens_per_s == pytest.approx(
        plan.requests.mean_tokens * plan.estimate.throughput_sps
    )
    assert "median 24" in describe(plan)
    assert parse_plan(format_plan(plan)) == plan


def test_what_is_not_padded_takes_as_much_less_time_as_it_is_shorter(folder: Path) -> None:
    _, kept = run(folder, study({"batch_size": 1, "lengths": {"values": [16]}, "max_length": 512}))
    padded, plain = kept.measurement("max"), kept.measurement("none")
    ratio = _request_s(padded) / _request_s(plain)
    # 0.5 ms and 5.12 ms at fp32, against 0.5 ms and 0.08 ms at int8.
    assert ratio > 3


def _request_s(measurement: Measurement) -> float:
    part = measurement.blocks[0].instances[0]
    return (part.ends_s[-1] - part.starts_s[0]) / len(part.ends_s)


def test_a_budget_of_tokens_has_requests_of_different_sizes_that_are_all_counted(folder: Path) -> None:
    _, kept = run(folder, study({"lengths": LOGNORMAL}, search={"batching": "tokens"}))
    measurement = kept.measurement("none")
    for part in (part for block in measurement.blocks for part in block.instances):
        assert len(part.samples) == len(part.ends_s)
        assert sum(part.samples) == part.sample_count
    sizes = {size for block in measurement.blocks for part in block.instances for size in part.samples}
    assert len(sizes) > 1
    assert max(sizes) > 4


def test_texts_are_tokenised_by_the_workers_behind_a_cache(folder: Path) -> None:
    problem = {"texts": "texts.txt", "include": "tokenization", "cache": {"size": 100}, "max_length": 32}
    plan, _ = run(folder, study(problem))
    assert plan.requests is not None
    assert plan.requests.hit_rate == pytest.approx(2 / 7, abs=0.15)
    assert plan.requests.most_tokens == 32
    commands = plan.commands()
    assert all(command.environment["RAYON_NUM_THREADS"] == "1" for command in commands)
    assert all(command.environment["TOKENIZERS_PARALLELISM"] == "false" for command in commands)
    assert "answered from it" in describe(plan)


def test_a_hit_rate_is_measured_and_reached(folder: Path) -> None:
    plan, kept = run(folder, study({"lengths": LOGNORMAL, "cache": {"hit_rate": 0.4}}))
    assert plan.requests is not None
    assert plan.requests.hit_rate == pytest.approx(0.4, abs=0.05)
    assert all(part.hits for block in kept.measurement("none").blocks for part in block.instances)


def test_instances_share_each_request_of_a_single_stream(folder: Path) -> None:
    spec = study({"lengths": {"file": "lengths.txt"}}, objective="latency")
    plan, kept = run(folder, spec)
    counts = [len(part.ends_s) for part in kept.measurement("none").blocks[0].instances]
    assert counts[0] == counts[1]
    assert plan.requests is not None
    assert (plan.requests.requests, plan.requests.sequences, plan.requests.most_tokens) == (1, 4, 40)


def test_a_server_answers_requests_that_differ(folder: Path) -> None:
    limits = {"latency": {"p90": "100ms"}}
    problem = {"batch_size": 1, "lengths": {"values": [8, 64]}, "cache": {"hit_rate": 0.25}}
    plan, _ = run(folder, study(problem, scenario="server", limits=limits))
    assert plan.requests is not None
    assert plan.requests.hit_rate == pytest.approx(0.25, abs=0.1)


def test_a_plan_runs_the_same_requests_again_where_it_is_verified_and_exported(folder: Path) -> None:
    spec = study({"lengths": {"values": [8, 64]}}, model=f"fake:{folder / 'model.json'}")
    plan, _ = run(folder, spec)
    requests = plan.model["requests"]
    assert all(requests in command.argv for command in plan.commands())
    assert requests in NumactlExporter().render(plan)["launch.sh"]
    found = verify(plan, tolerance=0.9, origin=Origin(folder))
    assert found.verdict in ("holds", "better", "undecided")
    assert len(found.runs) >= 6


@pytest.mark.parametrize(
    ("problem", "more", "words"),
    [
        ({"texts": "none.txt"}, {}, "does not exist"),
        ({"lengths": {"file": "texts.txt"}}, {}, r"line 1: .* is not a length"),
        ({"texts": "texts.txt"}, {"model": "random:bert-base"}, "has no tokenizer"),
        ({"texts": "texts.txt", "batch_size": 9}, {"objective": "latency"}, "fewer than one"),
    ],
    ids=["no file", "no lengths", "no tokenizer", "too few"],
)
def test_files_that_do_not_fit_are_refused(
    folder: Path, problem: dict[str, Any], more: dict[str, Any], words: str
) -> None:
    with pytest.raises(StudyFileError, match=words):
        run(folder, study(problem, **more, search={"precisions": "auto"}))
