from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.errors import StudyFileError
from autotune.spec.load import load_study, parse_study
from autotune.spec.quality import USUAL_COSINE, USUAL_DIFFERENCE
from autotune.spec.study import LatencyLimit, Limits, Measure, StudySpec

STUDIES = Path(__file__).parents[2] / "studies"
LEAST = "model: random:distilbert-base\nproblem: {batch_size: 8, sequence_length: 128}\n"


def study(more: str = "") -> StudySpec:
    return parse_study(LEAST + more, name="a-study")


def refusal(text: str) -> StudyFileError:
    with pytest.raises(StudyFileError) as caught:
        parse_study(text, name="a-study")
    return caught.value


def test_model_and_problem_are_enough() -> None:
    spec = study()
    assert (spec.name, spec.model) == ("a-study", "random:distilbert-base")
    assert (spec.problem.batch_size, spec.problem.sequence_length) == (8, 128)
    assert (spec.objective.kind, spec.scenario, spec.seed) == ("throughput", "offline", 0)
    assert (spec.search.instances, spec.search.smt) == ("auto", (False,))


def test_every_field_can_be_written() -> None:
    spec = study(
        "name: full\nobjective: {latency: p99}\nscenario: offline\n"
        "limits: {latency: {p95: 50ms}, memory: 4GiB}\n"
        "search:\n  backends: [pytorch, onnxruntime]\n  precisions: [fp32]\n  instances: [1, 2]\n"
        "  threads: [4]\n  placements: [close, per-l3]\n  sockets: [0, '1', 0-1]\n  smt: [false, true]\n"
        "measure: {warmup: 2s, block: 500ms, blocks: 5, trial_timeout: 2min}\n"
        "budget: {trials: 20, minutes: 1.5}\nseed: 7\n"
    )
    assert (spec.name, spec.seed, spec.scenario) == ("full", 7, "offline")
    assert (spec.objective.kind, spec.objective.percentile) == ("latency", 99.0)
    assert spec.limits == Limits(latency=LatencyLimit(percentile=95, max_s=0.05), memory_bytes=4 * 2**30)
    assert (spec.search.backends, spec.search.precisions) == (("pytorch", "onnxruntime"), ("fp32",))
    assert (spec.search.instances, spec.search.threads) == ((1, 2), (4,))
    assert (spec.search.placements, spec.search.sockets) == (("close", "per-l3"), ("0", "1", "0-1"))
    assert spec.search.smt == (False, True)
    assert spec.measure == Measure(warmup_s=2.0, block_s=0.5, blocks=5, trial_timeout_s=120.0)
    assert (spec.budget.trials, spec.budget.minutes) == (20, 1.5)


@pytest.mark.parametrize(
    ("objective", "kind", "percentile", "scenario"),
    [
        ("throughput", "throughput", 50, "offline"),
        ("latency", "latency", 50, "single_stream"),
        ("{latency: p99}", "latency", 99, "single_stream"),
        ("{latency: p99.9}", "latency", 99.9, "single_stream"),
        ("{latency: {percentile: 90}}", "latency", 90, "single_stream"),
    ],
)
def test_an_objective_has_short_and_long_forms_and_suggests_the_scenario(
    objective: str, kind: str, percentile: float, scenario: str
) -> None:
    spec = study(f"objective: {objective}")
    assert (spec.objective.kind, spec.objective.percentile) == (kind, percentile)
    assert spec.scenario == scenario


@pytest.mark.parametrize(
    "limit", ["{p99: 50ms}", "{percentile: 99, max: 0.05s}", "{max: 50 ms, percentile: 99.0}"]
)
def test_a_latency_limit_means_the_same_in_every_form(limit: str) -> None:
    assert study(f"limits: {{latency: {limit}}}").limits.latency == LatencyLimit(percentile=99, max_s=0.05)


def test_answers_are_guarded_unless_a_labelled_set_takes_the_place_of_the_limits() -> None:
    usual, labelled = study().quality, study("quality: {data: a.jsonl, metric: f1}").quality
    assert (usual.cosine, usual.max_difference, usual.top1) == (USUAL_COSINE, USUAL_DIFFERENCE, None)
    assert (labelled.cosine, labelled.max_difference, labelled.max_drop) == (None, None, 0.01)
    both = study("quality: {cosine: 0.9, data: a.jsonl, metric: spearman, max_drop: 0}").quality
    assert (both.cosine, both.max_difference, both.max_drop) == (0.9, None, 0.0)


def test_no_file_says_what_its_texts_digest_to() -> None:
    error = refusal(LEAST + "quality: {texts: a.txt, texts_digest: '00'}")
    assert error.path == "quality.texts_digest"
    assert "did you mean texts?" in error.problem


@pytest.mark.parametrize(
    ("key", "written", "values"),
    [
        ("backends", "pytorch", ("pytorch",)),
        ("instances", "4", (4,)),
        ("placements", "per-node", ("per-node",)),
        ("sockets", "1", ("1",)),
        ("sockets", "[2-3, '1,0']", ("2-3", "0-1")),
        ("smt", "true", (True,)),
        ("smt", "auto", (False, True)),
        ("threads", "auto", "auto"),
    ],
)
def test_a_single_choice_needs_no_brackets(key: str, written: str, values: object) -> None:
    assert getattr(study(f"search: {{{key}: {written}}}").search, key) == values


def test_a_section_with_everything_commented_out_is_as_if_it_were_not_there() -> None:
    assert study("limits:\nsearch:\n  # instances: [1]\nmeasure:\nbudget:\n") == study()


def test_no_study_is_refused_for_a_number_that_it_does_not_state() -> None:
    spec = study("measure: {blocks: 20}\nquality: {texts: a.txt}")
    assert spec.measure.blocks == 20 > spec.measure.max_blocks
    assert StudySpec.model_validate_json(spec.model_dump_json()) == spec
    assert study("measure: {blocks: 2, max_blocks: 2}").measure.max_blocks == 2


def test_a_budget_can_be_lifted() -> None:
    budget = study("budget: {trials: unlimited, minutes: unlimited}").budget
    assert (budget.trials, budget.minutes) == (None, None)


@pytest.mark.parametrize("limits", ["", "limits: {memory: 1GiB}"])
def test_a_server_needs_a_latency_to_keep_to(limits: str) -> None:
    with pytest.raises(StudyFileError, match=r"missing: .*highest rate.*\{p99: 50ms\}") as caught:
        study(f"scenario: server\n{limits}")
    assert caught.value.path == "limits.latency"
    assert study("scenario: server\nlimits: {latency: {p90: 50ms}}").scenario == "server"


WRONG = [
    # what is written after model and problem, its path, the value as told, what is told to be allowed
    ("name: [a]", "name", "a list", "letters, digits"),
    ("name: 12", "name", "12", "letters, digits"),
    ("name: -a", "name", "-a", "letters, digits"),
    ("name: " + "a" * 65, "name", "a" * 57 + "...", "1 to 64"),
    ("name: '../x'", "name", "'../x'", "letters, digits"),
    ("objective: fast", "objective", "fast", "throughput"),
    ("objective: {throughput: p99}", "objective", "a mapping", "{latency: p99}"),
    ("objective: {kind: latency, percentile: 99}", "objective", "a mapping", "{latency: p99}"),
    ("objective: {latency: 99}", "objective.latency", "99", "p99"),
    ("objective: {latency: p100}", "objective.latency", "p100", "p99"),
    ("objective: {latency: {percentile: 100}}", "objective.latency.percentile", "100", "1 to 99.99"),
    ("objective: {latency: {percentile: p99}}", "objective.latency.percentile", "p99", "1 to 99.99"),
    ("objective: {latency: }", "objective.latency", "no value", "p99"),
    ("scenario: burst", "scenario", "burst", "offline, single_stream, server"),
    (
        "scenario: server\nobjective: {latency: p99}\nlimits: {latency: {p99: 1s}}",
        "scenario",
        "server",
        "objective: throughput",
    ),
    ("scenario:", "scenario", "no value", "offline, single_stream, server"),
    ("limits: 50ms", "limits", "50ms", "latency, memory"),
    ("limits: {latency: 50ms}", "limits.latency", "50ms", "{p99: 50ms}"),
    ("limits: {latency: {}}", "limits.latency", "a mapping", "{p99: 50ms}"),
    ("limits: {latency: {p99: 50ms, p50: 10ms}}", "limits.latency", "a mapping", "one percentile"),
    ("limits: {latency: {p99: 50}}", "limits.latency.p99", "50", "with its unit"),
    ("limits: {latency: {p99: 50min, p98: 1}}", "limits.latency", "a mapping", "one percentile"),
    ("limits: {latency: {p99: 0s}}", "limits.latency.p99", "0s", "such as 50ms"),
    ("limits: {latency: {p99: 2h}}", "limits.latency.p99", "2h", "at most 1h"),
    ("limits: {latency: {p99: 5min}}", "limits.latency.p99", "300 s", "measure.trial_timeout"),
    ("limits: {latency: {percentile: 0, max: 1s}}", "limits.latency.percentile", "0", "1 to 99.99"),
    ("limits: {latency: {percentile: 90, max: [1s]}}", "limits.latency.max", "a list", "50ms"),
    ("limits: {memory: 4}", "limits.memory", "4", "4GiB"),
    ("limits: {memory: 4 gigs}", "limits.memory", "4 gigs", "4GiB"),
    ("limits: {memory: 0GB}", "limits.memory", "0GB", "4GiB"),
    ("limits: {memory: 9000TiB}", "limits.memory", "9000TiB", "at most 1024 TiB"),
    ("quality: 0.98", "quality", "0.98", "texts, sequences, data, metric, max_drop, cosine"),
    ("quality: {cosine: 1.5}", "quality.cosine", "1.5", "a number from 0 to 1"),
    ("quality: {cosine: }", "quality.cosine", "no value", "a number from 0 to 1"),
    ("quality: {max_difference: 0}", "quality.max_difference", "0", "a number above 0"),
    ("quality: {top1: 99%}", "quality.top1", "99%", "a number from 0 to 1"),
    ("quality: {sequences: 0}", "quality.sequences", "0", "1 to 10000"),
    ("quality: {texts: 3}", "quality.texts", "3", "a file's path"),
    ("quality: {texts: ''}", "quality.texts", "''", "a file's path"),
    ("quality: {data: [a]}", "quality.data", "a list", "a file's path"),
    ("quality: {data: a.jsonl, metric: auc}", "quality.metric", "auc", "accuracy, f1, spearman"),
    ("quality: {data: a.jsonl}", "quality.metric", "missing", "accuracy, f1 or spearman"),
    ("quality: {metric: f1}", "quality.metric", "f1 has nothing", "data: labelled.jsonl"),
    (
        "quality: {data: a.jsonl, metric: f1, max_drop: -0.1}",
        "quality.max_drop",
        "-0.1",
        "a number from 0 to 1",
    ),
    ("quality: {max_drop: 0.02}", "quality.max_drop", "0.02 bounds", "data: labelled.jsonl"),
    ("quality: {texts: a.txt, max_drop: 0.01}", "quality.max_drop", "0.01 bounds", "or leave it out"),
    ("search: [pytorch]", "search", "a list", "backends, precisions"),
    ("search: {backends: PyTorch}", "search.backends", "PyTorch", "a backend's name"),
    ("search: {backends: [pytorch, auto]}", "search.backends[1]", "auto stands alone", "name the backends"),
    ("search: {backends: []}", "search.backends", "an empty list", "1 to 1000"),
    ("search: {backends: [fake, fake]}", "search.backends[1]", "'fake' is there twice", "once"),
    ("search: {precisions: [fp32, fp8]}", "search.precisions[1]", "fp8", "fp32, bf16, fp16, int8-dynamic"),
    ("search: {instances: [1, 2, 0]}", "search.instances[2]", "0", "from 1 to 65536"),
    ("search: {cores: [0]}", "search.cores[0]", "0", "a number of cores from 1, or all"),
    ("search: {cores: 0}", "search.cores", "0", "a number of cores from 1, or all"),
    ("search: {cores: }", "search.cores", "no value", "a number of cores from 1, or all"),
    ("search: {cores: [1, ALL]}", "search.cores[1]", "ALL", "a number of cores from 1, or all"),
    ("search: {cores: {a: 1}}", "search.cores", "a mapping", "a number of cores from 1, or all"),
    ("search: {cores: [[1]]}", "search.cores[0]", "a list", "a number of cores from 1, or all"),
    ("search: {instances: [true]}", "search.instances[0]", "true", "whole number"),
    ("search: {instances: 2.0}", "search.instances", "2.0", "whole number"),
    ("search: {instances: '2'}", "search.instances", "'2'", "auto or a whole number"),
    ("search: {instances: all}", "search.instances", "all", "auto or a whole number"),
    ("search: {instances: {from: 1}}", "search.instances", "a mapping", "auto or a whole number"),
    ("search: {instances: [2, 2]}", "search.instances[1]", "2 is there twice", "once"),
    ("search: {threads: [-1]}", "search.threads[0]", "-1", "from 1 to 65536"),
    ("search: {threads: 1000000000}", "search.threads", "1000000000", "65536"),
    ("search: {threads: }", "search.threads", "no value", "auto or a whole number"),
    (f"search: {{threads: {list(range(1, 1002))}}}", "search.threads", "a list", "1 to 1000"),
    ("search: {placements: [close, unpinned]}", "search.placements[1]", "unpinned", "per-node, per-l3"),
    ("search: {sockets: [0, 3-1]}", "search.sockets[1]", "'3-1'", '"0-1"'),
    ("search: {sockets: [-1]}", "search.sockets[0]", "'-1'", "up to 1023"),
    ("search: {sockets: 5000}", "search.sockets", "'5000'", "up to 1023"),
    ("search: {sockets: [0, '0']}", "search.sockets[1]", "'0' is there twice", "once"),
    ("search: {sockets: ['']}", "search.sockets[0]", "''", '"0-1"'),
    ("search: {sockets: [0.5]}", "search.sockets[0]", "0.5", '"0-1"'),
    ("search: {sockets: '" + "9" * 4000 + "'}", "search.sockets", "'999", "up to 1023"),
    ("search: {smt: 1}", "search.smt", "1", "true or false"),
    ("search: {smt: [true, false, true]}", "search.smt", "a list", "true or false"),
    ("measure: {warmup: 2}", "measure.warmup", "2", "with its unit"),
    ("measure: {warmup: 0s}", "measure.warmup", "0s", "at most 10min"),
    ("measure: {block: 1h}", "measure.block", "1h", "at most 10min"),
    ("measure: {blocks: 101}", "measure.blocks", "101", "from 1 to 100"),
    ("measure: {trial_timeout: 25h}", "measure.trial_timeout", "25h", "at most 24h"),
    ("measure: {trial_timeout: 3s}", "measure.trial_timeout", "3 s", "measure less"),
    ("measure: {max_blocks: 1001}", "measure.max_blocks", "1001", "from 1 to 1000"),
    ("measure: {max_blocks: 0}", "measure.max_blocks", "0", "from 1 to 1000"),
    ("measure: {max_blocks: 2}", "measure.max_blocks", "2 windows at most", "write `blocks: 2`"),
    ("measure: {blocks: 8, max_blocks: 7}", "measure.max_blocks", "7 windows at most", "fewer than the 8"),
    ("measure: {blocks: }", "measure.blocks", "no value", "from 1 to 100"),
    ("confirm: {rounds: 2}", "confirm.rounds", "2", "from 3 to 100"),
    ("confirm: {tie: 0}", "confirm.tie", "0", "0.5"),
    ("confirm: {finalists: 11}", "confirm.finalists", "11", "from 1 to 10"),
    ("budget: {trials: 0}", "budget.trials", "0", "1 to 100000 or unlimited"),
    ("budget: {trials: }", "budget.trials", "no value", "unlimited"),
    ("budget: {minutes: 0}", "budget.minutes", "0", "above 0 to 10080 or unlimited"),
    ("budget: {minutes: .nan}", "budget.minutes", ".nan", "a number"),
    ("budget: {minutes: .inf}", "budget.minutes", ".inf", "a number"),
    ("budget: {minutes: 1e999}", "budget.minutes", "1e999", "a number"),
    ("budget: {minutes: true}", "budget.minutes", "true", "a number"),
    ("seed: -1", "seed", "-1", "from 0 to 2147483647"),
    ("seed: 1.5", "seed", "1.5", "whole number"),
]


@pytest.mark.parametrize(("more", "path", "value", "allowed"), WRONG, ids=lambda text: str(text)[:50])
def test_a_wrong_value_is_refused_with_its_path_itself_and_what_is_allowed(
    more: str, path: str, value: str, allowed: str
) -> None:
    error = refusal(LEAST + more)
    assert error.path == path
    assert str(error).startswith(f"{path}: {value}")
    assert allowed in error.problem
    assert "line 3" in error.problem
    assert error.remedy


@pytest.mark.parametrize(
    ("problem", "path", "value", "allowed"),
    [
        ("{batch_size: 1000000000, sequence_length: 8}", "problem.batch_size", "1000000000", "1 to 65536"),
        ("{batch_size: true, sequence_length: 8}", "problem.batch_size", "true", "whole number"),
        ("{batch_size: 8}", "problem.sequence_length", "missing", "1 to 131072"),
        ("{batch_size: 8, sequence_length: 513}", "problem.sequence_length", "513 tokens", "at most 512"),
        ("[8, 128]", "problem", "a list", "batch_size, sequence_length"),
        (
            "{batch_size: 8, sequence_length: 9, tokens: 3}",
            "problem.tokens",
            "'tokens'",
            "known are batch_size",
        ),
        (
            "{batch: 8, batch_size: 8, sequence_length: 9}",
            "problem.batch",
            "'batch'",
            "did you mean batch_size?",
        ),
        ("", "problem", "no value", "batch_size, sequence_length"),
    ],
)
def test_a_wrong_problem_is_refused(problem: str, path: str, value: str, allowed: str) -> None:
    error = refusal(f"model: random:roberta-base\nproblem: {problem}")
    assert str(error).startswith(f"{path}: {value}")
    assert allowed in error.problem
    assert "line 2" in error.problem


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("bert-base", "did you mean random:bert-base?"),
        ("random:distilbert", "did you mean random:distilbert-base?"),
        ("random:gpt-2", "known: bert-base, bert-large, distilbert-base, roberta-base, minilm-l6"),
        ("randon:bert-base", "did you mean random:?"),
        ("torch:x", "write random:NAME, path:DIR, hf:ORG/NAME@REVISION, onnx:FILE or fake:FILE"),
        ("'onnx:'", "names nothing"),
        ("'random:'", "known: bert-base"),
        ("'path:'", "names nothing"),
        ("'path: x'", "names nothing"),
        ("'fake:'", "names nothing"),
        ("'hf:'", "write hf:ORG/NAME"),
        ("hf:a/b/c", "write hf:ORG/NAME"),
        ("hf:a/b@", "write hf:ORG/NAME"),
        ("hf:../x", "write hf:ORG/NAME"),
        ("5", "5 is not allowed: write random:NAME"),
        ("", "no value: write random:NAME"),
    ],
)
def test_a_wrong_model_is_refused_with_what_may_have_been_meant(model: str, told: str) -> None:
    error = refusal(f"problem: {{batch_size: 8, sequence_length: 128}}\nmodel: {model}")
    assert error.path == "model"
    assert told in error.problem


@pytest.mark.parametrize(
    "model", ["path:models/x", "path:a b", "hf:bert", "hf:a/b", "hf:a/b@v1.0", "onnx:m.onnx", "fake:m.json"]
)
def test_a_model_may_take_any_length_where_only_its_files_can_tell(model: str) -> None:
    text = f"model: {model}\nproblem: {{batch_size: 1, sequence_length: 4096}}"
    assert parse_study(text, name="x").model == model


@pytest.mark.parametrize(
    ("more", "path", "meant"),
    [
        ("sed: 1", "sed", "seed"),
        ("batch_size: 1", "batch_size", "problem.batch_size"),
        ("batchsize: 1", "batchsize", "problem.batch_size"),
        ("search: {backend: x}", "search.backend", "backends"),
        ("search: {threads_per_instance: 2}", "search.threads_per_instance", "threads"),
        ("search: {placement: close}", "search.placement", "placements"),
        ("limits: {Memory: 1GiB}", "limits.Memory", "memory"),
        ("measure: {warmup_s: 1}", "measure.warmup_s", "warmup"),
        ("measure: {trial-timeout: 1min}", "measure.trial-timeout", "trial_timeout"),
        ("budget: {minute: 1}", "budget.minute", "minutes"),
    ],
)
def test_an_unknown_key_names_the_nearest_known_one(more: str, path: str, meant: str) -> None:
    error = refusal(LEAST + more)
    assert error.path == path
    assert f"did you mean {meant}?" in error.problem


def test_an_unknown_key_like_no_other_names_all_that_are_known() -> None:
    assert "known are trials, minutes" in refusal(LEAST + "budget: {zzzzzz: 1}").problem


def test_more_instances_than_sequences_cannot_share_one_request() -> None:
    error = refusal(LEAST + "objective: latency\nsearch: {instances: [1, 8, 16]}")
    assert error.path == "search.instances[2]"
    assert "16 instances" in error.problem
    assert "batch_size 8" in error.problem
    assert study("objective: latency\nscenario: offline\nsearch: {instances: [16]}").search.instances == (16,)


def test_all_faults_are_told_at_once_in_the_order_of_the_file() -> None:
    error = refusal(
        "seed: x\nmodel: random:nope\nproblem: {batch_size: 0}\nlimits: {latency: {p99: 50}}\nbugdet: {}\n"
    )
    lines = error.problem.splitlines()
    assert lines[0] == "6 faults in the study"
    places = [line.split(": ")[1] for line in lines[1:]]
    assert places == [
        "seed", "model", "problem.batch_size", "problem.sequence_length", "limits.latency.p99", "bugdet"
    ]  # fmt: skip


def test_a_flood_of_faults_is_cut() -> None:
    error = refusal(LEAST + "search: {instances: [" + "x, " * 500 + "x]}")
    assert error.problem.startswith("501 faults")
    assert error.problem.endswith("and 481 more")


def test_a_file_gives_its_study_its_name(tmp_path: Path) -> None:
    path = tmp_path / "my.study.yaml"
    path.write_text(LEAST)
    assert load_study(path).name == "my.study"


def test_a_file_name_that_cannot_name_a_study_asks_for_a_name(tmp_path: Path) -> None:
    path = tmp_path / "my study.yaml"
    path.write_text(LEAST)
    with pytest.raises(StudyFileError, match=r"'my study', the file's name, .* add a name") as caught:
        load_study(path)
    assert caught.value.path == "name"
    path.write_text(LEAST + "name: fine\n")
    assert load_study(path).name == "fine"


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(LEAST, encoding="utf-8-sig")
    assert load_study(path).name == "a"


def test_an_error_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(LEAST + "seed: x\n")
    with pytest.raises(StudyFileError, match=r"seed: x is not allowed.*a\.yaml, line 3"):
        load_study(path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "there is nothing in it"),
        (b"# only a comment\n", "there is nothing in it"),
        (b"name: \xff\n", "not UTF-8 text (byte 6)"),
        ("name: x".encode("utf-16"), "not UTF-8 text"),
        (b"#" * (2**20 + 1), "too large"),
        (b"name: \x00\n", "not YAML"),
    ],
)
def test_a_file_that_holds_no_study_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(content)
    with pytest.raises(StudyFileError) as caught:
        load_study(path)
    assert told in caught.value.problem
    assert str(path) in caught.value.problem
    assert caught.value.remedy


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for path in (tmp_path / "absent.yaml", tmp_path, pipe, loop, Path("/dev/zero"), Path("a\0b")):
        with pytest.raises(StudyFileError, match=r"does not exist|is no file|cannot be read") as caught:
            load_study(path)
        assert "studies/quickstart.yaml" in caught.value.remedy


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.yaml")), ids=lambda path: path.name)
def test_every_shipped_study_loads_under_its_files_name(path: Path) -> None:
    assert load_study(path).name == path.stem


def parsed_or_refused(text: str) -> StudySpec | StudyFileError:
    try:
        return parse_study(text, name="x")
    except StudyFileError as error:
        return error


@given(st.text(max_size=200))
def test_any_text_is_a_study_or_refused_in_words_that_can_be_printed(text: str) -> None:
    outcome = parsed_or_refused(text)
    assert isinstance(outcome, StudySpec) or outcome.remedy
    str(outcome).encode("utf-8")


SCALARS = st.sampled_from(
    (
        "auto",
        "1",
        "0",
        "-3",
        "1.5",
        "true",
        "",
        "~",
        "p99",
        "50ms",
        "4GiB",
        "close",
        "[]",
        "{}",
        "[1, 1]",
        "x",
    )
) | st.sampled_from(
    ("{p99: 50ms}", "[auto]", "{latency: p90}", "unlimited", "'\"'", "99999999999999999999", "!!int 3")
)
KEYS = st.sampled_from(
    (
        "name",
        "objective",
        "scenario",
        "limits",
        "search",
        "measure",
        "budget",
        "seed",
        "latency",
        "memory",
        "?",
    )
) | st.sampled_from(
    ("backends", "instances", "sockets", "smt", "blocks", "warmup", "trials", "minutes", "percentile", "max")
)
VALUES = st.one_of(
    SCALARS,
    st.dictionaries(KEYS, SCALARS, max_size=3).map(
        lambda entries: "{" + ", ".join(f"{key}: {value}" for key, value in entries.items()) + "}"
    ),
)


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_any_values_make_a_study_that_can_be_stored_or_are_refused(entries: dict[str, str]) -> None:
    outcome = parsed_or_refused(LEAST + "".join(f"{key}: {value}\n" for key, value in entries.items()))
    if isinstance(outcome, StudyFileError):
        assert outcome.remedy
    else:
        assert StudySpec.model_validate(outcome.model_dump(mode="json")) == outcome


def test_a_study_says_what_the_inputs_of_an_onnx_file_hold() -> None:
    text = LEAST.replace("random:distilbert-base", "onnx:m.onnx") + "inputs: {words: tokens, seen: ones}"
    assert parse_study(text, name="x").inputs == {"words": "tokens", "seen": "ones"}


@pytest.mark.parametrize(
    ("inputs", "path", "told"),
    [
        ("{words: ids}", "inputs.words", "tokens, ones, zeros"),
        ("{words: }", "inputs.words", "tokens, ones, zeros"),
        ("words", "inputs", "a mapping from names of inputs"),
        ("[words]", "inputs", "a mapping from names of inputs"),
        ("", "inputs", "a mapping from names of inputs"),
    ],
)
def test_inputs_that_hold_something_else_are_refused(inputs: str, path: str, told: str) -> None:
    error = refusal(LEAST.replace("random:distilbert-base", "onnx:m.onnx") + f"inputs: {inputs}")
    assert error.path == path
    assert told in error.problem


def test_other_models_have_no_inputs_to_be_explained() -> None:
    error = refusal(LEAST + "inputs: {words: tokens}")
    assert error.path == "inputs"
    assert "random:distilbert-base says itself" in error.problem
