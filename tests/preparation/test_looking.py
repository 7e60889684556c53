"""Looks at engines: real ones on models of few layers, and ones that break, hang, and are interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from autotune.errors import ChangedMachineError
from autotune.machine.read import read_machine
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.looked import Look, Refused
from autotune.model.sources import ResolvedModel, resolve_model
from autotune.preparation.kept_looks import EnginePrecision
from autotune.preparation.looking import LookedOn, Looks, Pace, take_looks
from autotune.preparation.preparing import end_fork_server
from autotune.spec.configuration import Precision

pytestmark = pytest.mark.engines

SHAPE = (2, 16)

WRITE_FAMILIES = """
import sys
from pathlib import Path
import transformers

folder = Path(sys.argv[1])
sizes = dict(vocab_size=60_000, hidden_size=64, num_attention_heads=4, intermediate_size=128)
shape = dict(**sizes, num_hidden_layers=5, max_position_embeddings=128)
for name, more in {"Bert": {}, "ModernBert": {}, "Albert": {"num_hidden_groups": 5}}.items():
    config = getattr(transformers, f"{name}Config")(**shape, **more)
    getattr(transformers, f"{name}Model")(config).save_pretrained(folder / name)
config = transformers.BertConfig(**shape, num_labels=7)
transformers.BertForSequenceClassification(config).half().save_pretrained(folder / "classifier")
config = transformers.DistilBertConfig(vocab_size=2000, dim=64, n_layers=5, n_heads=4, hidden_dim=128)
transformers.DistilBertModel(config).save_pretrained(folder / "DistilBert")
config = transformers.FunnelConfig(vocab_size=2000, d_model=64, n_head=4, d_inner=128, d_head=16)
transformers.FunnelModel(config).save_pretrained(folder / "Funnel")
"""

TAKE_LOOKS = """
import json, sys, time
from dataclasses import asdict
from pathlib import Path
from autotune.preparation.looking import LookedOn, Pace, take_looks
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.sources import resolve_model

model = resolve_model("random:minilm-l6", base=Path(), seed=0, offline=True)
pairs = [tuple(pair) for pair in json.loads(sys.argv[1])]
looks = take_looks(
    model, pairs, (1, 8), LookedOn("here", frozenset()), ArtifactCache(),
    pace=Pace(time.monotonic() + 600, timeout_s=float(sys.argv[2])),
)
print(json.dumps([[*pair, type(answer).__name__, asdict(answer)] for pair, answer in looks.seen.items()]))
"""

TROUBLE = '''
import os, time
from pathlib import Path
from autotune.backends.pytorch.backend import PyTorchBackend

class Backend(PyTorchBackend):
    """Breaks in another way at each precision."""

    name = "trouble"
    packages = ("trouble",)
    precisions = ("fp32", "bf16", "fp16", "int8-dynamic", "int8-static")

    def unsupported(self, precision, isa, model_kind):
        return None

    def prepare(self, model, precision, directory):
        Path(os.environ["HOME"], "preparing").write_text(str(os.getpid()))
        match precision:
            case "bf16":
                raise RuntimeError("the engine is broken")
            case "fp16":
                os._exit(3)
            case "int8-dynamic":
                time.sleep(600)
        super().prepare(model, "fp32", directory)

    def load(self, directory, precision, threads):
        return super().load(directory, "fp32", threads)
'''


@pytest.fixture(scope="session")
def families(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small models of many layers."""
    folder = tmp_path_factory.mktemp("families")
    subprocess.run([sys.executable, "-P", "-c", WRITE_FAMILIES, str(folder)], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    """Ends the fork server after the tests, all of which it may serve."""
    yield
    end_fork_server()


def look(
    model: ResolvedModel,
    pairs: Sequence[EnginePrecision],
    cache: Path,
    *,
    seconds: float = 600,
    at_once: int = 1,
    **more: Any,
) -> Looks:
    return take_looks(
        model,
        pairs,
        SHAPE,
        LookedOn("here", read_machine().isa),
        ArtifactCache(cache),
        pace=Pace(time.monotonic() + seconds, at_once=at_once),
        **more,
    )


def children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def staged(cache: Path) -> list[Path]:
    return list((cache / "staging").glob("*"))


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("family", "exported"),
    [("Bert", True), ("DistilBert", False), ("ModernBert", False), ("Albert", False), ("classifier", True)],
)
def test_a_model_of_any_family_is_looked_at_with_two_of_its_layers(
    families: Path, tmp_path: Path, family: str, exported: bool
) -> None:
    """Whether an architecture can be exported, the matrix shows."""
    model = resolve_model(f"path:{family}", base=families, seed=0, offline=True)
    pairs: list[EnginePrecision] = [("pytorch", "fp32"), ("pytorch", "int8-dynamic")]
    if exported:
        pairs.append(("onnxruntime", "fp32"))
    looks = look(model, pairs, tmp_path)
    assert looks.reason == ""
    assert list(looks.seen) == pairs
    for answer in looks.seen.values():
        assert isinstance(answer, Look), answer
        assert (answer.layers, answer.whole_layers) == (2, 5)
        assert 0 < answer.request_s < answer.took_s


@pytest.mark.usefixtures("server")
def test_an_architecture_that_cannot_be_cut_down_is_an_answer(families: Path, tmp_path: Path) -> None:
    model = resolve_model("path:Funnel", base=families, seed=0, offline=True)
    looks = look(model, [("pytorch", "fp32")], tmp_path)
    assert looks.seen == {}
    assert "cannot be cut down to a few layers" in looks.reason
    assert staged(tmp_path) == []


def test_a_model_without_layers_of_its_own_starts_nothing(tmp_path: Path) -> None:
    before = children()
    looks = look(ResolvedModel("fake:it", "fake", "d", tmp_path / "it"), [("pytorch", "fp32")], tmp_path)
    assert "fake model" in looks.reason
    assert children() == before


@pytest.mark.usefixtures("server")
def test_every_precision_of_an_engine_is_looked_at_and_found_again_without_a_process(tmp_path: Path) -> None:
    precisions: tuple[Precision, ...] = (
        "int8-dynamic",
        "int8-static",
        "int8-weights",
        "int4-weights",
        "fp32",
    )
    pairs: list[EnginePrecision] = [("onnxruntime", precision) for precision in precisions]
    model = resolve_model("random:minilm-l6", base=Path(), seed=0, offline=True)
    told: list[EnginePrecision] = []
    first = look(model, pairs, tmp_path, tell=lambda pair, _: told.append(pair))
    assert all(isinstance(answer, Look) for answer in first.seen.values()), first.seen
    assert told == pairs
    assert staged(tmp_path) == []
    end_fork_server()
    before = children()
    assert look(model, pairs, tmp_path) == first
    assert look(model, pairs, tmp_path, seconds=-1) == first
    assert children() == before


@pytest.mark.usefixtures("server")
def test_looks_whose_engines_are_built_side_by_side_give_the_same_answers(tmp_path: Path) -> None:
    quantised: list[EnginePrecision] = [("onnxruntime", "int8-dynamic"), ("onnxruntime", "int8-weights")]
    pairs: list[EnginePrecision] = [*quantised, ("pytorch", "fp32"), ("torchscript", "fp32")]
    model = resolve_model("random:minilm-l6", base=Path(), seed=0, offline=True)
    told: list[EnginePrecision] = []
    looks = look(model, pairs, tmp_path, at_once=2, tell=lambda pair, _: told.append(pair))
    assert told == pairs == list(looks.seen)
    for answer in looks.seen.values():
        assert isinstance(answer, Look), answer
        assert answer.preparation_s > 0
    assert staged(tmp_path) == []


@pytest.mark.usefixtures("server")
def test_a_look_during_which_the_machine_changed_is_not_kept(tmp_path: Path) -> None:
    def refuse_changes() -> None:
        raise ChangedMachineError("the machine changed")

    model = resolve_model("random:minilm-l6", base=Path(), seed=0, offline=True)
    with pytest.raises(ChangedMachineError):
        look(model, [("pytorch", "fp32")], tmp_path, before_keeping=refuse_changes)
    assert ArtifactCache(tmp_path).entries() == ()
    assert staged(tmp_path) == []


def test_after_the_deadline_and_for_compilers_no_look_begins(tmp_path: Path) -> None:
    model = resolve_model("random:minilm-l6", base=Path(), seed=0, offline=True)
    before = children()
    assert look(model, [("pytorch", "fp32")], tmp_path, seconds=-1) == Looks()
    assert look(model, [("inductor", "fp32"), ("jax", "fp32")], tmp_path) == Looks()
    assert children() == before


@pytest.mark.usefixtures("server")
def test_looks_are_listed_and_pruned_like_everything_in_the_cache(own_cache: Path) -> None:
    model = resolve_model("random:minilm-l6", base=Path(), seed=0, offline=True)
    look(model, [("pytorch", "fp32")], own_cache)
    command = [sys.executable, "-P", "-m", "autotune", "cache"]
    listed = json.loads(subprocess.run([*command, "list", "--json"], check=True, capture_output=True).stdout)
    assert [(entry["manifest"]["backend"], entry["complete"]) for entry in listed] == [("look-pytorch", True)]
    subprocess.run([*command, "prune", "--all"], check=True, capture_output=True)
    assert ArtifactCache(own_cache).entries() == ()


@pytest.mark.usefixtures("server")
def test_waiting_for_looks_of_another_process_eats_nothing_of_the_time_for_looks(tmp_path: Path) -> None:
    pairs: list[EnginePrecision] = [("pytorch", "fp32"), ("torchscript", "fp32")]
    first = subprocess.Popen(
        [sys.executable, "-P", "-c", TAKE_LOOKS, json.dumps(pairs), "60"],
        env={**os.environ, "AUTOTUNE_CACHE": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with first:
        deadline = time.monotonic() + 60
        while not staged(tmp_path):
            assert first.poll() is None
            assert time.monotonic() < deadline, "it never came to its looks"
            time.sleep(0.05)
        said: list[str] = []
        waits: list[float] = []
        looks = take_looks(
            resolve_model("random:minilm-l6", base=Path(), seed=0, offline=True),
            pairs,
            (1, 8),
            LookedOn("here", frozenset()),
            ArtifactCache(tmp_path, on_wait=said.append, on_waited=waits.append),
            pace=Pace(time.monotonic() + 1),
        )
        output, _ = first.communicate()
    assert len(json.loads(output)) == len(pairs)
    assert list(looks.seen) == pairs
    assert waits == [looks.waited_s]
    assert looks.waited_s > 1
    assert said == [
        f"another process with the cache {tmp_path} looks at engines with random:minilm-l6;"
        " waiting for it to end"
    ]


class Troubled:
    """Starts processes that look at an engine that breaks."""

    def __init__(self, folder: Path, plugins: Path) -> None:
        self.cache, self.preparing = folder / "cache", folder / "preparing"
        # Its packages have to be found beside the engine's, and a note of what prepares to be written.
        self.environment = {
            **os.environ,
            "HOME": str(folder),
            "PYTHONPATH": str(plugins),
            "AUTOTUNE_CACHE": str(self.cache),
        }

    def start(self, pairs: Sequence[tuple[str, str]], timeout_s: float) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-P", "-c", TAKE_LOOKS, json.dumps(pairs), str(timeout_s)],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )


@pytest.fixture
def troubled(tmp_path: Path, install_backend: Callable[[str, str, str], Path]) -> Troubled:
    return Troubled(tmp_path, install_backend("trouble", "trouble", TROUBLE))


def test_an_engine_that_breaks_or_hangs_is_refused_and_hurts_no_other(troubled: Troubled) -> None:
    precisions = ("bf16", "fp16", "int8-dynamic", "int8-static", "fp32")
    pairs = [*(("trouble", precision) for precision in precisions), ("pytorch", "fp32")]
    output, _ = troubled.start(pairs, timeout_s=10).communicate()
    answers = {(backend, precision): answer for backend, precision, *answer in json.loads(output)}
    assert [kind for kind, _ in answers.values()] == [*["Refused"] * 4, "Look", "Look"]
    reasons = [Refused(**found) for kind, found in answers.values() if kind == "Refused"]
    assert [reason.is_final for reason in reasons] == [False, False, False, True]
    words = ("the engine is broken", "exit status 3", "took longer than 10 s", "at fp32 when asked for int8")
    assert all(word in reason.reason for word, reason in zip(words, reasons, strict=True))
    assert staged(troubled.cache) == []
    kept = [entry.manifest for entry in ArtifactCache(troubled.cache).entries()]
    assert sorted((made.backend, made.precision) for made in kept if made) == [
        ("look-pytorch", "fp32"),
        ("look-trouble", "fp32"),
        ("look-trouble", "int8-static"),
    ]


def test_an_interruption_leaves_no_process_and_no_file(troubled: Troubled) -> None:
    process = troubled.start([("trouble", "int8-dynamic")], timeout_s=300)
    deadline = time.monotonic() + 120
    while not troubled.preparing.exists() or not troubled.preparing.read_text():
        assert process.poll() is None
        assert time.monotonic() < deadline, "it never came to preparing"
        time.sleep(0.05)
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode != 0
    assert family
    assert psutil.wait_procs(family, timeout=30)[1] == []
    assert staged(troubled.cache) == []
