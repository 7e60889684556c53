"""Several models in one study: fake ones, in real processes. `tests/jobs/test_measuring.py` has real ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from typer.testing import CliRunner, Result

from autotune.bench.here import machine_here
from autotune.bench.local import LocalHost
from autotune.bench.orders import Orders
from autotune.cli import exits
from autotune.cli.main import app
from autotune.errors import (
    AutotuneError,
    BackendError,
    ChangedFileError,
    ModelError,
    ResumeError,
    StudyFileError,
)
from autotune.jobs.reviving import Origin, differences
from autotune.plan.document import Plan, format_plan, parse_plan
from autotune.preflight.setup import set_up
from autotune.preflight.survey import survey
from autotune.report.dossier import gather
from autotune.report.effects import parameter_effects
from autotune.spec.load import load_study
from autotune.store.records import TrialRecord
from autotune.store.store import read_store
from autotune.testing.fake_model import SCHEMA
from autotune.testing.fake_trial import processes_of

BIG, SMALL = "fake:big.json", "fake:small.json"
STUDY: dict[str, Any] = {
    "name": "variants",
    "model": [BIG, SMALL],
    "problem": {"batch_size": 1, "sequence_length": 1},
    "search": {"instances": 1, "threads": 1, "placements": "close", "precisions": "fp32", "knobs": "none"},
    "measure": {"warmup": "100ms", "block": "50ms", "blocks": 2, "max_blocks": 2, "disturbed": "keep"},
    "confirm": {"finalists": 1, "rounds": 3},
    "budget": {"minutes": 9.0},  # less than it takes for a twin to run in the rounds, too
}


class Folder:
    """A folder with two models and a study of them.

    The second is so much faster that three rounds show it on a host that is busy with other tests, too.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:///{path / 'autotune.db'}"
        self.write_model("big", 0.08)
        self.write_model("small", 0.005)
        self.write_study()

    def write_model(self, name: str, serial_s: float) -> None:
        (self.path / f"{name}.json").write_text(json.dumps({"schema": SCHEMA, "serial_s": serial_s}))

    def write_study(self, **values: Any) -> Path:
        file = self.path / "study.yaml"
        file.write_text(json.dumps({**STUDY, **values}))
        return file

    def run(self, *arguments: str, status: int = 0) -> Result:
        """Run a command to its end."""
        done = CliRunner().invoke(app, [*arguments])
        if isinstance(done.exception, AutotuneError):
            raise done.exception
        assert done.exit_code == status, done.output
        return done

    def tune(self, *arguments: str) -> Result:
        return self.run("tune", str(self.path / "study.yaml"), "--store", self.url, *arguments)

    def trials(self) -> tuple[TrialRecord, ...]:
        with read_store(self.url) as store:
            return store.trials("variants")

    def plan(self) -> Plan:
        with read_store(self.url) as store:
            return store.plan("variants")


@pytest.fixture
def folder(tmp_path: Path, own_cache: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    """A study that has its plan; tests leave it as it is."""
    path = tmp_path_factory.mktemp("tuned")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOTUNE_CACHE", str(path / "cache"))
        folder = Folder(path)
        (path / "printed.txt").write_text(folder.tune().output)
        yield folder


def test_the_faster_model_is_the_plan_and_the_first_one_the_baseline(tuned: Folder) -> None:
    plan = tuned.plan()
    assert plan.configuration.model == SMALL
    assert plan.model["source"] == SMALL
    assert plan.gain is not None
    assert plan.gain > 2
    (baseline,) = (one for one in tuned.trials() if one.baseline)
    assert baseline.configuration.model == BIG
    assert {one.configuration.model for one in tuned.trials() if not one.baseline} == {BIG, SMALL}
    assert processes_of(tuned.path) == []


def test_the_plan_holds_every_candidate_and_says_that_they_are_not_compared(tuned: Folder) -> None:
    plan = tuned.plan()
    assert plan.study.spec["model"] == [BIG, SMALL]
    assert len(set(plan.study.spec["digests"])) == 2
    assert plan.model["digest"] == plan.study.spec["digests"][1]
    assert any("not compared with each other" in warning for warning in plan.warnings)
    assert parse_plan(format_plan(plan)) == plan


def test_what_is_printed_names_the_models(tuned: Folder) -> None:
    printed = (tuned.path / "printed.txt").read_text()
    (heading,) = (line for line in printed.splitlines() if line.startswith("trial "))
    assert "model" in heading
    assert "warning: The models are not compared" in printed
    shown = tuned.run("show", "--store", tuned.url).stdout
    assert f"{SMALL}, chosen among {BIG}, {SMALL}" in " ".join(shown.split())


def test_the_model_is_a_parameter_of_the_search_in_the_report(tuned: Folder) -> None:
    with read_store(tuned.url) as store:
        (effect,) = parameter_effects(gather(tuned.plan(), store))
    assert effect.parameter == "model"
    assert effect.best_value.value == SMALL
    assert effect.paired is not None
    assert effect.paired > 2


def test_the_same_command_again_measures_nothing(tuned: Folder) -> None:
    before = len(tuned.trials())
    tuned.tune()
    assert len(tuned.trials()) == before


def test_the_plan_is_verified_beside_a_baseline_of_another_model(tuned: Folder) -> None:
    base = ("--base", str(tuned.path))
    arguments = ["verify", "--store", tuned.url, "--tolerance", "60%", "--rounds", "3", *base, "--json"]
    document = json.loads(CliRunner().invoke(app, arguments).stdout)
    # Which of these it is hangs on how busy the host is.
    assert document["verdict"] in ("holds", "better", "undecided")
    assert {one["name"] for one in document["runs"]} == {"plan", "baseline"}


def test_two_models_are_compared_by_their_names(tuned: Folder) -> None:
    sides = (f"1x1,close,fake,fp32,model={SMALL}", "baseline")
    study = ("--study", str(tuned.path / "study.yaml"))
    document = json.loads(tuned.run("compare", *sides, *study, "--json").stdout)
    assert document["verdict"] == "a"
    assert f"the models differ: A runs {SMALL}, B runs {BIG}" in document["notes"]


def test_a_dry_run_names_the_models_and_says_that_they_are_not_compared(tuned: Folder) -> None:
    document = json.loads(tuned.tune("--dry-run", "--json").stdout)
    assert document["models"] == [BIG, SMALL]
    assert (document["configurations"], document["trials_at_most"]) == (2, 3)
    assert any("not compared with each other" in note for note in document["notes"])


@pytest.mark.parametrize("model", [BIG, SMALL])
def test_texts_that_change_meanwhile_end_the_study_whichever_model_is_next(
    folder: Folder, model: str
) -> None:
    Tokenizer(WordLevel({"good": 0, "[UNK]": 1}, "[UNK]")).save(str(folder.path / "tokenizer.json"))
    texts = folder.path / "texts.txt"
    texts.write_text("good")
    study = load_study(folder.write_study(problem={"batch_size": 1, "texts": "texts.txt"}))
    setup = set_up(survey(study, machine_here()), base=folder.path, offline=True)
    texts.write_text("bad")
    one = next(one for one in setup.space.configurations if one.model == model)
    with pytest.raises(ChangedFileError, match="has changed meanwhile"):
        LocalHost(setup).run(Orders("s").search(one))


@pytest.mark.parametrize(("name", "source"), [("big", BIG), ("small", SMALL)])
def test_a_plan_is_stale_when_its_own_or_its_baselines_model_is_another_one(
    tmp_path: Path, tuned: Folder, name: str, source: str
) -> None:
    changed = Folder(tmp_path)
    assert differences(tuned.plan(), Origin(changed.path)).all() == ()
    changed.write_model(name, 0.03)
    (told,) = differences(tuned.plan(), Origin(changed.path)).all()
    assert told.startswith(f"model {source}: sha256 ")


def test_an_exported_plan_loads_the_artifact_of_its_model(tuned: Folder) -> None:
    script = tuned.run("export", "--to", "numactl", "--store", tuned.url).stdout
    assert str(tuned.plan().model["artifact"]) in script


def test_a_study_of_other_models_is_refused(folder: Folder) -> None:
    folder.tune("--trials", "1")
    folder.write_study(model=[SMALL, BIG])
    with pytest.raises(ResumeError, match=f"model: {BIG}, {SMALL} -> {SMALL}, {BIG}"):
        folder.tune()
    folder.write_study(model=BIG)
    with pytest.raises(ResumeError, match=f"model: {BIG}, {SMALL} -> {BIG}"):
        folder.tune()


def test_a_study_one_of_whose_models_was_changed_is_refused_by_its_name(folder: Folder) -> None:
    folder.tune("--trials", "1")
    folder.write_model("small", 0.006)
    with pytest.raises(
        ResumeError, match=f"something else: model {SMALL}: [0-9a-f]{{64}} -> [0-9a-f]{{64}}\n"
    ):
        folder.tune()


def test_a_list_of_one_is_its_only_model(folder: Folder) -> None:
    folder.write_study(model=[SMALL])
    folder.tune("--trials", "1")
    (trial,) = folder.trials()
    assert trial.configuration.model == ""
    assert not any("not compared" in warning for warning in folder.plan().warnings)


@pytest.mark.parametrize(
    ("models", "error", "told"),
    [
        ([BIG, "fake:absent.json"], ModelError, r"^fake:absent\.json: .*absent\.json is not a file"),
        (
            [BIG, SMALL, "fake:./big.json"],
            StudyFileError,
            rf"model\[2\]: fake:\./big\.json is the same .* {BIG}",
        ),
    ],
)
def test_a_model_that_cannot_be_used_is_named(
    folder: Folder, models: list[str], error: type[AutotuneError], told: str
) -> None:
    with pytest.raises(error, match=told):
        set_up(
            survey(load_study(folder.write_study(model=models)), machine_here()),
            base=folder.path,
            offline=True,
        )


def test_a_model_that_no_engine_of_the_study_runs_is_named(folder: Folder) -> None:
    search = {**STUDY["search"], "backends": ["fake"]}
    study = load_study(folder.write_study(model=[SMALL, "random:minilm-l6"], search=search))
    with pytest.raises(BackendError, match="no engine can run random:minilm-l6 here"):
        survey(study, machine_here())


def test_a_model_that_fails_leaves_the_others(folder: Folder) -> None:
    (folder.path / "small.json").write_text('{"schema": "another"}')
    folder.tune()
    kinds = {one.configuration.model: one.score is not None for one in folder.trials()}
    assert kinds == {BIG: True, SMALL: False}
    assert folder.plan().configuration.model == BIG


def test_the_exit_code_of_a_stale_plan_is_that_of_one_model(tmp_path: Path, tuned: Folder) -> None:
    changed = Folder(tmp_path)
    changed.write_model("big", 0.03)
    base = ("--base", str(changed.path))
    assert BIG in changed.run("verify", "--store", tuned.url, *base, status=exits.STALE).stdout
