"""The guard on the answers, with real engines: what is too far from the fp32 reference is not measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.engines, pytest.mark.slow, pytest.mark.timeout(900)]

WRITE_MODEL = """
import json, sys
from pathlib import Path
import numpy as np, torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification

folder = Path(sys.argv[1])
torch.manual_seed(0)
config = BertConfig(
    vocab_size=500, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128,
    max_position_embeddings=32, id2label={0: "no", 1: "yes", 2: "perhaps"}, initializer_range=0.2,
)
model = BertForSequenceClassification(config).eval()
model.save_pretrained(folder / "model")
words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(f"w{index}" for index in range(496))]
tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, "[UNK]"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer.post_processor = processors.TemplateProcessing(
    single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
)
tokenizer.save(str(folder / "model" / "tokenizer.json"))

generator = np.random.default_rng(0)
texts = [" ".join(generator.choice(words[4:], size=12)) for _ in range(200)]
(folder / "texts.txt").write_text("\\n".join(texts[:40]))
with torch.inference_mode():
    ids = torch.tensor([tokenizer.encode(text).ids for text in texts])
    logits = model(input_ids=ids).logits
best = logits.topk(2).values
sure = (best[:, 0] - best[:, 1]).argsort(descending=True)[:60].tolist()
names = config.id2label
rows = [{"text": texts[index], "label": names[int(logits[index].argmax())]} for index in sure]
(folder / "data.jsonl").write_text("\\n".join(map(json.dumps, rows)))

near, other = BertForSequenceClassification(config), BertForSequenceClassification(config)
near.load_state_dict({name: weight * 1.001 for name, weight in model.state_dict().items()})
for name, variant in (("near", near), ("other", other)):
    variant.save_pretrained(folder / name)
    tokenizer.save(str(folder / name / "tokenizer.json"))
"""
"""A classifier with its tokenizer, texts, and the labels that it gives them, surest first; one that is much
like it (`near`), and one that knows nothing (`other`)."""

SCALED = '''
from dataclasses import replace

import torch
from autotune.backends.pytorch.backend import PyTorchBackend

class Backend(PyTorchBackend):
    """int8 whose weights have the wrong scale."""

    name = "scaled"
    packages = ("scaled", *PyTorchBackend.packages)

    def load(self, directory, precision, threads):
        session = super().load(directory, precision, threads)
        for module in session._model.modules():
            if isinstance(module, torch.ao.nn.quantized.dynamic.Linear):
                weight, bias = module._weight_bias()
                scales, zeros = weight.q_per_channel_scales() * 3, weight.q_per_channel_zero_points()
                whole = (weight.int_repr(), scales, zeros, weight.q_per_channel_axis())
                module.set_weight_bias(torch._make_per_channel_quantized_tensor(*whole), bias)
        told = session.report
        session.report = lambda: replace(told(), engine=self.name)
        return session
'''

PROGRAM = """
import json, os, sqlite3, sys
from dataclasses import asdict
from pathlib import Path
from autotune.jobs import tuning
from autotune.jobs.comparison import compare_configurations, compare_plans
from autotune.errors import AutotuneError
from autotune.bench.local import LocalHost
from autotune.model.artifacts.cache import ArtifactCache
from autotune.plan.evidence import Confirmation
from autotune.plan.make import Deployment, Measured, folders_of, make_plan
from autotune.preflight.setup import set_up
from autotune.bench.here import machine_here
from autotune.preflight.survey import survey
from autotune.events import AssessmentBegan, RoundBegan, SearchEnded
from autotune.testing.listener import Listener
from autotune.spec.study import StudySpec
from autotune.store.store import read_store
from autotune.testing.plans import build_measurement
from autotune.measurement.measurement import Failure
from autotune.jobs.verification import verify

def assess(spec):
    setup = set_up(survey(spec, machine_here()), base=Path(), offline=True)
    host = LocalHost(setup)
    pairs = {(one.backend, one.precision): one for one in setup.space.configurations}
    return {
        backend: {"refusal": admission.refusal, "quality": asdict(admission.quality)}
        for (backend, _), one in pairs.items()
        for admission in (host.admit(one),)
    }

def search(spec):
    listener = Listener(stop_after=1, of=SearchEnded)
    plan = tuning.tune(spec, emit=listener, stop=listener.stop).plan
    with read_store("sqlite:///autotune.db") as store:
        trials = store.trials(plan.study.name)
    failed = [one for one in trials if isinstance(one.result, Failure)]
    return {
        "trials": len(trials),
        "source": plan.model["source"],
        "models": [one.configuration.model for one in failed],
        "failed": [(one.configuration.backend, one.result.kind, one.result.reason) for one in failed],
        "plan": (plan.configuration.backend, plan.configuration.precision, asdict(plan.quality)),
        "compared": [began.engine for began in listener.heard(AssessmentBegan)],
    }

def admit(spec):
    listener = Listener()
    setup = set_up(survey(spec, machine_here()), base=Path(), offline=True)
    host = LocalHost(setup, listener)
    admissions = {one.model: host.admit(one) for one in setup.space.configurations}
    host.release()
    return {
        "unfit": {model: admission.why_unfit for model, admission in admissions.items()},
        "compared": [began.engine for began in listener.heard(AssessmentBegan)],
    }

def go_on_from_before_limits(spec):
    with sqlite3.connect("autotune.db") as stored:
        study = f"SELECT id FROM autotune_studies WHERE name = '{spec.name}'"
        stored.execute(f"DELETE FROM autotune_plans WHERE study_id = ({study})")
        stored.execute(
            f"UPDATE autotune_studies SET spec = json_remove(spec, '$.quality') WHERE id = ({study})"
        )
        stored.execute(
            "UPDATE autotune_trials SET score = 1e6"
            f" WHERE configuration LIKE '%scaled%' AND study_id = ({study})"
        )
    listener = Listener(stop_after=1, of=RoundBegan)
    plan = tuning.tune(spec, emit=listener, stop=listener.stop).plan
    names = [name for began in listener.heard(RoundBegan) for name in began.names]
    return {"names": names, "plan": plan.configuration.backend}

def rerun(spec):
    setup = set_up(survey(spec, machine_here()), base=Path(), offline=True)
    one = setup.space.configurations[0]
    commands = LocalHost(setup).admit(one, compare=False).commands
    plan = make_plan(
        spec=setup.found.stored, machine=setup.machine, baseline=None,
        winner=Deployment(
            Measured(one, 1, (build_measurement(),)), commands, setup.versions, setup.variant(one).model
        ),
        confirmation=Confirmation(verdict="unopposed", rounds=3),
    )
    assert ArtifactCache().remove([Path(folders_of(commands)["artifact"]).name])
    found = {
        "first": verify(plan),
        "second": verify(plan),
        "plans": compare_plans(plan, plan),
        "configurations": compare_configurations(setup, one, setup.space.baseline),
    }
    return {
        name: {"verdict": one.verdict, "reasons": one.reasons, "runs": len(one.runs)}
        for name, one in found.items()
    }

tasks = {task.__name__: task for task in (assess, search, admit, go_on_from_before_limits, rerun)}
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
for line in sys.stdin:
    name, study = json.loads(line)
    try:
        answer = tasks[name](StudySpec.model_validate_json(json.dumps(study)))
    except AutotuneError as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), file=answers, flush=True)
"""
"""Does to one study after the other what a line asks for; what this imports, and the process in which it
prepares, take longer to start than most of it takes.

`assess`: what the guard finds of every backend; measures nothing. `search`: stops before the confirmation.
`go_on_from_before_limits`: makes the store one of before there were limits on answers, in which a wrong one
was the fastest, then goes on until the confirmation begins. `rerun`: verifies a plan whose artifact is gone,
twice, and compares it with itself, and what it runs with the baseline.
"""

CROWDED = '''
from autotune.backends.pytorch.backend import PyTorchBackend

class Backend(PyTorchBackend):
    """Answers wrongly where sequences share a request."""

    name = "crowded"
    packages = ("crowded", *PyTorchBackend.packages)

    def load(self, directory, precision, threads):
        session = super().load(directory, precision, threads)
        right = session.run
        session.run = lambda inputs: right(inputs) * (1 if len(inputs["input_ids"]) == 1 else -1)
        return session
'''


class World:
    """A folder with a classifier, its texts and data, a cache, and an engine that quantises wrongly."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, code in (("scaled", SCALED), ("crowded", CROWDED)):
            self._install(folder / "plugins", name, code)
        subprocess.run([sys.executable, "-P", "-c", WRITE_MODEL, str(folder)], check=True)
        self._words = folder / "stderr.txt"
        with self._words.open("w") as stderr:
            self._program = subprocess.Popen(
                [sys.executable, "-P", "-c", PROGRAM],
                cwd=folder,
                env={
                    **os.environ,
                    "AUTOTUNE_CACHE": str(folder / "cache"),
                    "PYTHONPATH": str(folder / "plugins"),
                },
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )

    def close(self) -> None:
        """End the program."""
        self._program.communicate(timeout=60)

    def run(self, task: str, **values: Any) -> dict[str, Any]:
        """Have the program do this to a study; what came of it."""
        answer = self._answer(task, values)
        assert "error" not in answer, answer
        return answer

    def error_of(self, task: str, **values: Any) -> str:
        """Have the program do this to a study that cannot be run; what it says."""
        return str(self._answer(task, values)["error"])

    def _answer(self, task: str, values: dict[str, Any]) -> dict[str, Any]:
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        self._program.stdin.write(json.dumps([task, self._study(values)]) + "\n")
        self._program.stdin.flush()
        answered = self._program.stdout.readline()
        assert answered, self._words.read_text()
        answer = json.loads(answered)
        assert isinstance(answer, dict)
        return answer

    def _study(self, values: dict[str, Any]) -> dict[str, Any]:
        return {
            "name": "guarded",
            "model": "path:model",
            "problem": {"batch_size": 1, "sequence_length": 16},
            "measure": {"warmup_s": 0.5, "block_s": 0.1, "blocks": 1, "max_blocks": 1, "disturbed": "keep"},
            **values,
        }

    def _install(self, plugins: Path, name: str, code: str) -> None:
        described = plugins / f"{name}-1.0.dist-info"
        described.mkdir(parents=True)
        (plugins / f"{name}.py").write_text(code)
        (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (described / "entry_points.txt").write_text(f"[autotune.backends]\n{name} = {name}:Backend\n")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("guarded"))
    yield world
    world.close()


def search(*backends: str) -> dict[str, Any]:
    one = {"precisions": ["int8-dynamic"], "instances": [1], "threads": [1], "knobs": "none"}
    return {"backends": backends, **one}


def test_a_broken_quantisation_is_refused_once_and_the_study_goes_on(world: World) -> None:
    budget = {"trials": 5, "minutes": None}
    values = {"search": search("scaled"), "quality": {"texts": "texts.txt"}, "budget": budget}
    first = world.run("search", **values)
    ((backend, kind, reason),) = first["failed"]
    assert (backend, kind) == ("scaled", "wrong_output")
    assert "too far from the fp32 reference: " in reason
    assert "quality." in reason
    assert first["plan"][:2] == ["pytorch", "fp32"]
    assert first["plan"][2]["cosine"] > 0.9999
    assert first["compared"] == ["pytorch fp32", "scaled int8-dynamic"]
    again = world.run("search", **values)
    assert (again["trials"], again["failed"]) == (first["trials"], first["failed"])
    assert "scaled int8-dynamic" not in again["compared"]


def test_a_trial_that_was_measured_unguarded_is_neither_confirmed_nor_planned(world: World) -> None:
    values = {"name": "older", "search": search("scaled"), "budget": {"trials": 2, "minutes": None}}
    lax = {"cosine": 0.0, "max_difference": 1e9}
    assert world.run("search", **values, quality=lax)["failed"] == []
    found = world.run("go_on_from_before_limits", **values)
    assert (found["names"], found["plan"]) == (["baseline"], "pytorch")


def test_an_engine_that_is_wrong_about_batches_alone_is_refused(world: World) -> None:
    found = world.run("assess", search=search("pytorch", "crowded"))
    assert found["pytorch"]["refusal"] == ""
    assert "cosine -0." in found["crowded"]["refusal"]


def test_a_limit_on_classes_of_a_model_without_any_is_refused(world: World) -> None:
    error = world.error_of("assess", head="none", search=search("pytorch"), quality={"top1": 0.9})
    assert "quality.top1: the model does not answer with a number for each class" in error


def test_labelled_texts_admit_the_honest_quantisation_and_refuse_the_broken_one(world: World) -> None:
    quality = {"texts": "texts.txt", "data": "data.jsonl", "metric": "accuracy", "max_drop": 0.05}
    found = world.run("assess", search=search("pytorch", "scaled"), quality=quality)
    honest, broken = (found[name]["quality"] for name in ("pytorch", "scaled"))
    assert (honest["inputs"], honest["sequences"]) == ("texts", 32)
    assert (honest["labelled"]["rows"], honest["labelled"]["reference"]) == (60, 1.0)
    assert found["pytorch"]["refusal"] == ""
    assert "accuracy 1.0000 -> " in found["scaled"]["refusal"]
    assert broken["labelled"]["value"] < 0.95 <= honest["labelled"]["value"]
    assert broken["top1"] < honest["top1"]


def test_a_metric_that_the_models_answers_do_not_give_ends_the_study_with_the_reason(world: World) -> None:
    rows = [{"text": "w1", "text_pair": "w2", "score": score} for score in (0.0, 1.0)]
    (world.folder / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    quality = {"texts": "texts.txt", "data": "pairs.jsonl", "metric": "spearman"}
    error = world.error_of("assess", search=search("pytorch"), quality=quality)
    assert "spearman needs a model that answers a text with one number or a vector" in error


def test_a_label_that_the_model_does_not_know_is_named_with_its_line(world: World) -> None:
    rows = [{"text": "w1", "label": label} for label in ("yes", "maybe")]
    (world.folder / "other.jsonl").write_text("\n".join(map(json.dumps, rows)))
    quality = {"texts": "texts.txt", "data": "other.jsonl", "metric": "accuracy"}
    error = world.error_of("assess", search=search("pytorch"), quality=quality)
    assert "other.jsonl, line 2: 'maybe' is not a class of the model: no, yes, perhaps" in error


def test_answers_of_a_model_that_is_refused_in_any_case_are_not_compared(world: World) -> None:
    found = world.run(
        "admit",
        name="refused",
        model=["path:model", "path:other"],
        search={**search("pytorch"), "precisions": ["fp32"]},
        quality={"data": "data.jsonl", "metric": "accuracy", "max_drop": 0.05},
    )
    assert found["unfit"]["path:model"] == ""
    assert "path:other is too much worse than path:model" in found["unfit"]["path:other"]
    assert found["compared"] == ["pytorch fp32 of path:model"]


def test_of_several_models_the_first_one_decides_by_the_labelled_texts_which_are_allowed(
    world: World,
) -> None:
    found = world.run(
        "search",
        name="variants",
        model=["path:model", "path:near", "path:other"],
        search={**search("pytorch"), "precisions": ["fp32"]},
        quality={"data": "data.jsonl", "metric": "accuracy", "max_drop": 0.05},
        budget={"trials": 10, "minutes": None},
    )
    assert (found["trials"], found["models"]) == (4, ["path:other"])
    ((_, kind, reason),) = found["failed"]
    assert kind == "wrong_output"
    assert (
        "path:other is too much worse than path:model at fp32: accuracy 1.0000 (of path:model) -> " in reason
    )
    assert found["compared"] == ["pytorch fp32 of path:model", "pytorch fp32 of path:near"]
    labelled = found["plan"][2]["labelled"]
    assert labelled["reference"] == 1.0
    assert labelled["of"] == ("" if found["source"] == "path:model" else "path:model")


@pytest.fixture(scope="module")
def again(world: World) -> dict[str, Any]:
    """What running wrong answers again shows."""
    quality = {"texts": "texts.txt", "max_difference": 1e-9}
    return world.run("rerun", search=search("pytorch"), quality=quality)


@pytest.mark.parametrize("time", ["first", "second"])
def test_what_was_prepared_anew_is_compared_however_often_it_is_verified(
    again: dict[str, Any], time: str
) -> None:
    found = again[time]
    assert (found["verdict"], found["runs"]) == ("worse", 0)
    (reason,) = found["reasons"]
    assert reason.startswith("What was prepared anew answers wrongly: too far from the fp32 reference: ")
    assert "above quality.max_difference 1e-09" in reason


@pytest.mark.parametrize("sides", ["plans", "configurations"])
def test_wrong_answers_are_not_measured_beside_others(again: dict[str, Any], sides: str) -> None:
    found = again[sides]
    assert (found["verdict"], found["runs"]) == ("undecided", 0)
    assert found["reasons"][0].startswith(
        "A is not measured, as its answers are too far from the fp32 reference: "
    )
