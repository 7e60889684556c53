"""Studies of requests that differ, end to end with the fake backend in real processes."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from autotune import tune
from autotune.bench.here import machine_here
from autotune.bench.local import LocalHost
from autotune.bench.orders import Orders
from autotune.cli.exits import exit_code
from autotune.errors import StudyFileError
from autotune.exporters.numactl import NumactlExporter, NumactlOptions
from autotune.jobs.reviving import Origin, differences
from autotune.jobs.verification import verify
from autotune.measurement.measurement import Measurement
from autotune.measurement.statistics import hit_rate
from autotune.placement.placement import Command
from autotune.plan.describe import describe
from autotune.plan.document import Plan, format_plan, parse_plan
from autotune.plan.launch import launch_of
from autotune.preflight.setup import set_up
from autotune.preflight.survey import survey
from autotune.spec.configuration import BATCHINGS
from autotune.spec.load import parse_study
from autotune.spec.study import StudySpec
from autotune.store.store import read_store
from autotune.testing.fake_model import SCHEMA

pytestmark = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="two instances need two cpus")

RunCommand = Callable[..., tuple[int, str, str]]

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
        **{"warmup": "100ms", "block": "50ms", "blocks": 2, "max_blocks": 2},
        **{"disturbed": "keep", "trial_timeout": "20s"},
    },
    "confirm": {"finalists": 1, "rounds": 3},
    "budget": {"minutes": 9.0},  # less than it takes for a twin to run in the rounds, too
}
LOGNORMAL = {"lognormal": {"median": 24, "sigma": 0.5, "max": 128}}
WORDS = ("[UNK]", "a", "good", "day", "bad")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a fake model, its tokenizer, texts and lengths, and a cache."""
    folder = tmp_path_factory.mktemp("requests")
    (folder / "model.json").write_text(json.dumps(MODEL))
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    texts = ("a good day", "a bad day", "good", "a good day", "day " * 40, "bad bad", "good")
    (folder / "texts.txt").write_text("\n".join(texts))
    log = "\n".join(json.dumps({"at": 1, "body": {"text": text}}) for text in texts)
    (folder / "log.jsonl.gz").write_bytes(gzip.compress(log.encode(), mtime=0))
    (folder / "lengths.txt").write_text("\n".join(map(str, (3, 40, 7, 7, 90, 12))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOTUNE_CACHE", str(folder / "cache"))
        yield folder


@pytest.fixture(scope="module")
def plan(folder: Path) -> Plan:
    """The plan of a study of drawn lengths."""
    spec = study({"lengths": LOGNORMAL}, search={"batching": "auto"})
    return tune(spec, base=folder, store=f"sqlite:///{folder}/autotune.db")


def study(problem: Mapping[str, Any], **more: Any) -> StudySpec:
    search = {**STUDY["search"], **more.pop("search", {})}
    values = {**STUDY, "problem": {"batch_size": 4, **problem}, **more, "search": search}
    return parse_study(json.dumps(values), name="requests")


def measured(folder: Path, spec: StudySpec) -> tuple[Measurement, tuple[Command, ...]]:
    """The study's most promising configuration, measured once; and its commands."""
    host = LocalHost(set_up(survey(spec, machine_here()), base=folder, offline=True))
    best = host.setup.space.recipes[0]
    found = host.run(Orders("s").search(best))
    assert isinstance(found, Measurement), found
    return found, host.admit(best, compare=False).commands


def test_a_plan_states_what_was_asked_and_beats_padding_to_the_longest(plan: Plan) -> None:
    assert plan.configuration.padding == "none"
    assert plan.gain is not None
    assert plan.gain > 3
    assert plan.requests is not None
    assert (plan.requests.median_tokens, plan.requests.sequences) == (24, 1024)
    assert plan.requests.padding < 0.4
    assert plan.requests.hit_rate is None
    asked = plan.requests.mean_tokens * plan.estimate.throughput_sps
    assert plan.requests.tokens_per_s == pytest.approx(asked)
    assert "median 24, p90 46, at most 125 tokens" in " ".join(describe(plan).split())
    assert parse_plan(format_plan(plan)) == plan


def test_the_baseline_is_filled_up_to_the_longest_as_requests_come(plan: Plan, folder: Path) -> None:
    with read_store(f"sqlite:///{folder}/autotune.db") as store:
        trials = store.trial_summaries(plan.study.name)
    ways = {(trial.configuration.padding, trial.configuration.batching, trial.baseline) for trial in trials}
    assert ways == {("max", "arrival", True), *(("none", way, False) for way in BATCHINGS)}


def test_a_plan_runs_the_same_requests_again_where_it_is_verified_and_exported(
    plan: Plan, folder: Path
) -> None:
    requests = plan.model["requests"]
    assert all(command.worker.assignment.requests == Path(requests) for command in plan.commands())
    assert requests in NumactlExporter().render(launch_of(plan), NumactlOptions()).files["launch.sh"]
    found = verify(plan, tolerance=0.9, origin=Origin(folder))
    assert found.verdict in ("holds", "better", "undecided")
    assert len(found.runs) >= 6


def test_a_plan_of_requests_that_other_libraries_made_is_stale(plan: Plan, folder: Path) -> None:
    other = plan.model_copy(update={"versions": {**plan.versions, "tokenizers": "0.0.1"}})
    (found,) = differences(other, Origin(folder)).all()
    assert found.startswith("tokenizers: 0.0.1 -> ")
    known = {name: one for name, one in plan.versions.items() if name not in ("numpy", "tokenizers")}
    assert len(known) == len(plan.versions) - 2
    older = plan.model_copy(update={"versions": known})
    assert differences(older, Origin(folder)).all() == ()


def test_a_budget_of_tokens_has_requests_of_different_sizes_that_are_all_counted(folder: Path) -> None:
    measurement, _ = measured(folder, study({"lengths": LOGNORMAL}, search={"batching": "tokens"}))
    parts = [part for block in measurement.blocks for part in block.instances]
    assert all(len(part.samples) == len(part.ends_s) for part in parts)
    sizes = {size for part in parts for size in part.samples}
    assert len(sizes) > 1
    assert max(sizes) > 4


def test_texts_are_tokenised_by_the_workers_behind_a_cache(folder: Path) -> None:
    problem = {"texts": "texts.txt", "include": "tokenization", "cache": {"size": 100}, "max_length": 32}
    measurement, commands = measured(folder, study(problem))
    assert hit_rate([measurement]) == pytest.approx(2 / 7, abs=0.15)
    for command in commands:
        assert command.environment["RAYON_NUM_THREADS"] == "1"
        assert command.environment["TOKENIZERS_PARALLELISM"] == "false"


def test_a_hit_rate_is_reached_in_every_instance(folder: Path) -> None:
    measurement, _ = measured(folder, study({"lengths": LOGNORMAL, "cache": {"hit_rate": 0.4}}))
    for block in measurement.blocks:
        for part in block.instances:
            assert part.hits / part.sample_count == pytest.approx(0.4, abs=0.1)


def test_instances_share_each_request_of_a_single_stream(folder: Path) -> None:
    measurement, commands = measured(folder, study({"lengths": {"file": "lengths.txt"}}, objective="latency"))
    counts = [len(part.ends_s) for part in measurement.blocks[0].instances]
    assert counts[0] == counts[1]
    # 40 tokens in the one part of the only request, and 7 in the other, each at its own pace.
    sizes = [part.samples[0] for part in measurement.blocks[0].instances]
    assert sizes == [2, 2]
    assert len({command.worker.assignment.requests for command in commands}) == 1


def test_a_server_answers_requests_that_differ(folder: Path) -> None:
    problem = {"batch_size": 1, "lengths": {"values": [8, 64]}, "cache": {"hit_rate": 0.25}}
    spec = study(problem, scenario="server", limits={"latency": {"p90": "100ms"}})
    measurement, _ = measured(folder, spec)
    assert hit_rate([measurement]) == pytest.approx(0.25, abs=0.1)


LOG: Mapping[str, Any] = {
    **{"texts": {"path": "log.jsonl.gz", "key": "body.text"}, "max_length": 32},
    "include": "tokenization",
}


@pytest.fixture
def told(run_command: RunCommand) -> RunCommand:
    """Runs `autotune tune` on a study with this problem, which measures two trials.

    (folder, problem, *arguments) → exit code, stdout, stderr.
    """

    def run(folder: Path, problem: Mapping[str, Any], *arguments: str) -> tuple[int, str, str]:
        values = {
            **STUDY,
            "problem": {"batch_size": 4, **problem},
            "budget": {**STUDY["budget"], "trials": 2},
        }
        (folder / "log.yaml").write_text(json.dumps(values))
        return run_command(folder, "tune", "log.yaml", "--store", "sqlite:///log.db", *arguments)

    return run


SAID = (
    "problem.texts: log.jsonl.gz is JSON Lines, gzipped, body.text of each: 7 texts, the first 'a good day'; "
    "median 3 tokens, longest 40; 1 of 7 are cut to 32 tokens (problem.max_length)"
)


def test_a_dry_run_says_what_was_read_of_a_log(told: RunCommand, folder: Path) -> None:
    _, out, err = told(folder, LOG, "--dry-run")
    assert SAID in out.splitlines(), err
    _, out, _ = told(folder, LOG, "--dry-run", "--json")
    (read,) = json.loads(out)["files"]
    assert (read["format"], read["keys"], read["count"]) == ("JSON Lines, gzipped", ["body.text"], 7)
    assert (read["first"], read["tokens"][0]["median"], read["tokens"][0]["cut"]) == ("a good day", 3.0, 1)


def test_a_study_says_what_was_read_before_it_measures_and_its_plan_keeps_it(
    told: RunCommand, folder: Path
) -> None:
    _, out, err = told(folder, LOG, "--json")
    assert err.index(SAID) < err.index("baseline:"), err
    plan = parse_plan(out)
    (read,) = plan.files
    assert (read.file, read.keys, read.count, read.first) == ("log.jsonl.gz", ("body.text",), 7, "")
    assert plan.requests is not None
    assert (plan.requests.median_tokens, plan.requests.cut, plan.requests.cut_to) == (3, 1, 32)
    described = " ".join(describe(plan).split())
    assert "cut 1 of them to 32 tokens" in described
    assert "7 texts; median 3 tokens" in described


def test_a_log_without_a_known_key_is_refused_before_anything_is_measured(
    told: RunCommand, folder: Path
) -> None:
    for arguments in ((), ("--dry-run",)):
        code, _, err = told(folder, {"texts": "log.jsonl.gz"}, *arguments)
        assert code == exit_code(StudyFileError(""))
        assert "`texts: {path: log.jsonl.gz, key: body.text}`" in err
        assert "baseline" not in err


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
        measured(folder, study(problem, **more, search={"precisions": "auto"}))
