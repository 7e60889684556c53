"""The engines that run a graph of a torch model instead of its Python: TorchScript and Inductor."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autotune.backends.registry import get_backend
from autotune.backends.torchscript.backend import refuse_tracing
from autotune.errors import UnsupportedError
from autotune.machine.read import read_machine
from autotune.model.artifacts.artifact import Artifact
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.sources import resolve_model
from autotune.preparation.preparing import prepare_artifact
from autotune.spec.configuration import Precision
from autotune.testing.backend_contract import BackendContract, Probe

WORK = """
import json, sys
from pathlib import Path
from autotune.backends.registry import get_backend
from autotune.model.inputs import make_inputs

name, precision, directory, threads = sys.argv[1:]
def count_threads():
    return len(list(Path("/proc/self/task").iterdir()))

session = get_backend(name).load(Path(directory), precision, int(threads))
request = make_inputs(Path(directory), 4, 48, seed=1)
# torch.set_num_threads starts a pool for mobile kernels too, which stays idle.
before = count_threads()
whole = session.run(request).tolist()
request["attention_mask"][0, 30:] = 0
padded = session.run(request).tolist()
report = session.report()
print(json.dumps({
    "whole": whole, "padded": padded, "precision": report.precision, "threads": report.threads,
    "computing": 1 + count_threads() - before, "imported": sorted(sys.modules),
}))
"""
"""A worker that answers a request as it is and with padding in its first sequence, and tells about itself."""

needs_compiler = pytest.mark.skipif(
    not (shutil.which("g++") or shutil.which("clang++")), reason="Inductor needs a C++ compiler"
)


def work(artifact: Artifact, *, told: Precision | None = None, threads: int = 1) -> dict[str, Any]:
    """Run a worker on an artifact; `told` stands in for the precision that it was made at."""
    backend = get_backend(artifact.backend)
    arguments = [artifact.backend, told or artifact.precision, str(artifact.directory), str(threads)]
    output = subprocess.run(
        [sys.executable, "-P", "-c", WORK, *arguments],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", **backend.environment(threads)},
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    answer = json.loads(output)
    assert isinstance(answer, dict)
    return answer


def prepare(folder: Path, backend: str, cache: Path) -> Artifact:
    model = resolve_model(f"path:{folder}", base=folder, seed=0, offline=True)
    isa = read_machine().isa
    return prepare_artifact(model, backend, "fp32", isa, ArtifactCache(cache), timeout_s=240)


class GraphContract(BackendContract):
    """What both keep besides the contract of every backend."""

    @pytest.fixture(scope="class")
    @classmethod
    def contract_model(cls, tiny_models: Path) -> str:
        return f"path:{tiny_models / 'classifier'}"

    @pytest.fixture(scope="class")
    @classmethod
    def worker(cls, probes: Mapping[Precision, Probe]) -> dict[str, Any]:
        """A worker of the fp32 artifact, with two threads, that was told that it is bf16."""
        return work(probes["fp32"].artifact, told="bf16", threads=2)

    def test_padding_is_masked_as_eager_pytorch_masks_it(
        self, worker: Mapping[str, Any], tiny_models: Path, contract_cache: Path
    ) -> None:
        eager = work(prepare(tiny_models / "classifier", "pytorch", contract_cache))
        assert not np.allclose(eager["whole"][0], eager["padded"][0], rtol=1e-2)
        np.testing.assert_allclose(worker["whole"], eager["whole"], rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(worker["padded"], eager["padded"], rtol=1e-3, atol=1e-4)

    def test_as_many_threads_compute_as_were_asked_for(self, worker: Mapping[str, Any]) -> None:
        assert (worker["threads"], worker["computing"]) == (2, 2)

    def test_the_precision_is_that_of_the_weights_whatever_was_asked_for(
        self, worker: Mapping[str, Any]
    ) -> None:
        assert worker["precision"] == "fp32"

    def test_a_worker_imports_neither_transformers_nor_a_compiler(self, worker: Mapping[str, Any]) -> None:
        imported = set(worker["imported"])
        assert "torch" in imported
        assert not imported & {"transformers", "torch._inductor", "torch._dynamo"}

    def test_bf16_is_refused_where_the_isa_lacks_it(self) -> None:
        refusal = get_backend(self.name).unsupported("bf16", frozenset({"avx2"}), "random")
        assert refusal is not None
        assert "bf16" in refusal


@pytest.mark.engines
@pytest.mark.slow
class TestTorchScript(GraphContract):
    name = "torchscript"

    def test_int8_is_read_from_the_packed_weights(self, probes: Mapping[Precision, Probe]) -> None:
        assert work(probes["int8-dynamic"].artifact, told="fp32")["precision"] == "int8-dynamic"

    def test_an_architecture_whose_trace_fits_one_length_only_is_refused(
        self, tiny_models: Path, contract_cache: Path
    ) -> None:
        with pytest.raises(UnsupportedError, match=r"does not follow the model at 1 x 1 tokens: \w+"):
            prepare(tiny_models / "longformer", "torchscript", contract_cache)


@pytest.mark.engines
@pytest.mark.slow
@needs_compiler
class TestInductor(GraphContract):
    name = "inductor"

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def temporary(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
        """The folder for temporary files of the class's children."""
        folder = tmp_path_factory.mktemp("temporary")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TMPDIR", str(folder))
            yield folder

    def test_compiling_leaves_nothing_but_the_library(
        self, probes: Mapping[Precision, Probe], temporary: Path
    ) -> None:
        for probe in probes.values():
            files = {file.name for file in probe.artifact.directory.rglob("*")}
            assert files == {"model.so", "inputs.json", "manifest.json", "export.json"}
        assert [path for path in temporary.rglob("*") if path.is_file()] == []

    def test_an_architecture_that_cannot_be_compiled_is_refused_in_the_engines_words(
        self, tiny_models: Path, contract_cache: Path
    ) -> None:
        with pytest.raises(UnsupportedError, match=r"cannot export .*: Could not guard on data-dependent"):
            prepare(tiny_models / "longformer", "inductor", contract_cache)


@pytest.mark.engines
@pytest.mark.slow
@needs_compiler
def test_inductor_compiles_into_a_cache_of_any_name(
    tmp_path: Path, tiny_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, temporary = tmp_path / """it's a "cache"; $(x) & ü""", tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    artifact = prepare(tiny_models / "classifier", "inductor", cache)
    assert artifact.directory.is_relative_to(cache)
    assert [path for path in temporary.rglob("*") if not path.is_dir() or path.is_symlink()] == []


@pytest.mark.parametrize(
    ("python", "words"),
    [((3, 14), "no TorchScript on Python 3.14"), ((3, 13), "any more"), ((3, 11), "any more")],
)
def test_torchscript_is_absent_where_python_or_torch_has_dropped_it(
    python: tuple[int, int], words: str, tmp_path: Path
) -> None:
    refusal = refuse_tracing(python, tmp_path)
    assert refusal is not None
    assert words in refusal


def test_torchscript_is_there_where_torch_has_it(tmp_path: Path) -> None:
    (tmp_path / "jit").mkdir()
    (tmp_path / "jit" / "_trace.py").touch()
    assert refuse_tracing((3, 13), tmp_path) is None


def test_without_a_compiler_inductor_says_how_to_install_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    refusal = get_backend("inductor").unsupported("fp32", frozenset(), "random")
    assert refusal is not None
    assert "apt-get install g++" in refusal


@pytest.mark.engines
@pytest.mark.slow
def test_without_a_compiler_preparing_for_inductor_says_how_to_install_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_models: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnsupportedError, match=r"apt-get install g\+\+"):
        prepare(tiny_models / "classifier", "inductor", tmp_path / "cache")
