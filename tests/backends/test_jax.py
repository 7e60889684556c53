"""XLA through JAX keeps the contract, and loads the code that was compiled for the shapes to come."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import pytest

from autotune.backends.jax.backend import JaxBackend
from autotune.backends.jax.program import PROGRAM_FILE
from autotune.errors import UnsupportedError
from autotune.machine.read import read_machine
from autotune.model.artifacts.artifact import Artifact
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.artifacts.manifest import read_manifest
from autotune.model.sources import resolve_model
from autotune.preparation.making import MadeFor
from autotune.preparation.preparing import prepare_artifact
from autotune.spec.configuration import Precision
from autotune.testing.backend_contract import BackendContract, Probe

installed = pytest.mark.skipif(
    find_spec("jax") is None or find_spec("torchax") is None, reason="jax or torchax is not installed"
)

SHAPE = (4, 12)

ASK = """
import json, sys
from pathlib import Path
from autotune.backends.jax.backend import JaxBackend
from autotune.model.inputs import make_inputs

directory, threads = Path(sys.argv[1]), int(sys.argv[2])
session = JaxBackend().load(directory, "fp32", threads)
seen = {"before": session.report().precision}
for batch, tokens in json.loads(sys.argv[3]):
    output = session.run(make_inputs(directory, batch, tokens, 0))
    seen[f"{batch}x{tokens}"] = output.tolist()
report = session.report()
seen.update(precision=report.precision, threads=report.threads)
seen["modules"] = sorted({name.partition(".")[0] for name, module in sys.modules.items() if module})
print(json.dumps(seen))
"""


def ask(directory: Path, *shapes: tuple[int, int], threads: int = 1) -> dict[str, Any]:
    """What a session answers and reports."""
    output = subprocess.run(
        [sys.executable, "-P", "-c", ASK, str(directory), str(threads), json.dumps(shapes)],
        env={**os.environ, **JaxBackend().environment(threads)},
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    seen = json.loads(output)
    assert isinstance(seen, dict)
    return seen


@installed
@pytest.mark.engines
class TestJax(BackendContract):
    name = "jax"
    requests: ClassVar[tuple[tuple[int, int], ...]] = ((1, 1), (2, 16), (5, 7))

    @pytest.fixture(scope="class")
    @classmethod
    def contract_model(cls, tiny_models: Path) -> str:
        return f"path:{tiny_models / 'classifier'}"

    @pytest.fixture(scope="class")
    @classmethod
    def compiled(cls, contract_model: str, contract_cache: Path) -> Artifact:
        """An artifact with code for `SHAPE`."""
        model = resolve_model(contract_model, base=Path("/"), seed=0, offline=True)
        isa, cache = read_machine().isa, ArtifactCache(contract_cache)
        return prepare_artifact(
            model, "jax", "fp32", isa, cache, timeout_s=cls.timeout_s, made_for=MadeFor(shapes=(SHAPE,))
        )

    def test_a_classifier_answers_with_its_logits(self, probes: Mapping[Precision, Probe]) -> None:
        assert probes["fp32"].runs[1]["shape"] == [2, 3]

    def test_fp32_follows_the_reference_to_rounding(self, probes: Mapping[Precision, Probe]) -> None:
        manifest = read_manifest(probes["fp32"].artifact.directory)
        assert manifest is not None
        assert manifest.agreement is not None
        assert manifest.agreement.max_abs_difference < 1e-4

    def test_code_that_is_there_is_loaded_and_not_compiled_again(
        self, compiled: Artifact, tmp_path: Path
    ) -> None:
        folder = tmp_path / "without the program"
        shutil.copytree(compiled.directory, folder, ignore=shutil.ignore_patterns(PROGRAM_FILE))
        seen = ask(folder, SHAPE)
        assert len(seen["4x12"]) == 4
        with pytest.raises(subprocess.CalledProcessError):
            ask(folder, (4, 13))

    def test_compiled_ahead_it_answers_as_compiled_when_asked(
        self, compiled: Artifact, probes: Mapping[Precision, Probe]
    ) -> None:
        late = ask(probes["fp32"].artifact.directory, SHAPE)
        assert ask(compiled.directory, SHAPE)["4x12"] == late["4x12"]

    def test_artifacts_for_other_shapes_share_the_weights_on_disk(
        self, compiled: Artifact, probes: Mapping[Precision, Probe]
    ) -> None:
        folders = (compiled.directory, probes["fp32"].artifact.directory)
        assert len(set(folders)) == 2
        assert len({(folder / "weights" / "00000.npy").stat().st_ino for folder in folders}) == 1

    def test_a_shape_that_the_other_artifact_has_code_for_is_written_beside_it_and_not_into_it(
        self, probes: Mapping[Precision, Probe], contract_model: str, contract_cache: Path
    ) -> None:
        """Only root could write into it."""
        others = sorted(probes["fp32"].artifact.directory.glob("code/*"))
        before = {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in others}
        shapes = [tuple(map(int, re.findall("[0-9]+", file.stem)[:2])) for file in others]
        model = resolve_model(contract_model, base=Path("/"), seed=0, offline=True)
        isa, cache = read_machine().isa, ArtifactCache(contract_cache)
        made = prepare_artifact(
            model,
            "jax",
            "fp32",
            isa,
            cache,
            timeout_s=self.timeout_s,
            made_for=MadeFor(shapes=[(b, t) for b, t in shapes]),
        )
        assert before
        assert {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in others} == before
        for file in others:
            copy = made.directory / "code" / file.name
            assert copy.stat().st_ino != file.stat().st_ino

    def test_the_precision_and_the_threads_are_read_back(self, compiled: Artifact) -> None:
        seen = ask(compiled.directory, SHAPE, threads=3)
        assert seen["before"] == "unknown"
        assert (seen["precision"], seen["threads"]) == ("fp32", 3)

    def test_a_worker_imports_neither_torch_nor_transformers(self, compiled: Artifact) -> None:
        modules = set(ask(compiled.directory, SHAPE)["modules"])
        assert "jax" in modules
        assert not modules & {"torch", "transformers", "torchax"}


OTHER_DEVICE = """
def initialize():
    from jax._src import xla_bridge
    xla_bridge.register_backend_factory("other", fail, priority=1000, fail_quietly=False)

def fail():
    raise RuntimeError("it was asked for")
"""
"""A plug-in of JAX for a device that is not there, and that JAX would prefer."""


@installed
@pytest.mark.engines
@pytest.mark.slow
def test_a_plug_in_for_another_device_is_left_alone_while_an_artifact_is_made(
    tiny_models: Path, contract_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "jax_plugins").mkdir()
    (tmp_path / "jax_plugins" / "other.py").write_text(OTHER_DEVICE)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    model = resolve_model(f"path:{tiny_models / 'classifier'}", base=Path("/"), seed=0, offline=True)
    isa, cache = frozenset({"other"}), ArtifactCache(contract_cache)
    for shapes in ((), (SHAPE,)):
        assert prepare_artifact(
            model, "jax", "fp32", isa, cache, timeout_s=240, made_for=MadeFor(shapes=shapes)
        ).size_bytes


@installed
@pytest.mark.engines
def test_a_torchax_that_is_older_than_torch_is_refused_with_the_command_that_helps(
    tiny_models: Path, contract_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torchax.py").write_text("import torch\ntorch.ops.aten.prod.an_overload_that_is_gone\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    model = resolve_model(f"path:{tiny_models / 'classifier'}", base=Path("/"), seed=0, offline=True)
    with pytest.raises(UnsupportedError, match=r"does not work with this torch: .*is_gone") as refused:
        prepare_artifact(model, "jax", "fp32", frozenset(), ArtifactCache(contract_cache), timeout_s=240)
    assert refused.value.remedy == "pip install 'torchax>=0.0.14.dev20260814'"
