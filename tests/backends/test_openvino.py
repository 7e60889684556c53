"""OpenVINO keeps the contract at every precision, and says what it really runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from autotune.backends.openvino.backend import OpenVinoBackend
from autotune.errors import UnsupportedError
from autotune.machine.read import read_machine
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.child import run_child
from autotune.model.sources import resolve_model
from autotune.preparation.preparing import prepare_artifact
from autotune.spec.configuration import Precision
from autotune.testing.backend_contract import BackendContract, Probe

installed = pytest.mark.skipif(
    find_spec("openvino") is None or find_spec("nncf") is None, reason="openvino or nncf is not installed"
)

LOAD_AND_LOOK = """
import sys
from pathlib import Path
from autotune.backends.openvino.backend import OpenVinoBackend
from autotune.model.inputs import make_inputs
directory = Path(sys.argv[1])
session = OpenVinoBackend().load(directory, "fp32", 1)
session.run(make_inputs(directory, 2, 9, 0))
print(*sorted(name for name, module in sys.modules.items() if module is not None))
"""

LOAD_TWO_AND_HEAR_A_SIGNAL = """
import gc, os, signal, sys
from pathlib import Path
from autotune.backends.openvino.runtime import compile_model, import_openvino
openvino = import_openvino()
from openvino import opset13 as ops
entry = ops.parameter([-1, -1])
openvino.save_model(openvino.Model([ops.relu(entry)], [entry], "one"), Path(sys.argv[1]) / "model.xml")
first = compile_model(Path(sys.argv[1]), "fp32", 1)
second = compile_model(Path(sys.argv[1]), "fp32", 1)
del first
gc.collect()
del second
gc.collect()
signal.signal(signal.SIGTERM, lambda *_: print("heard"))
os.kill(os.getpid(), signal.SIGTERM)
"""


@installed
def test_a_process_that_had_two_models_still_hears_signals(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LOAD_TWO_AND_HEAR_A_SIGNAL, str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "heard\n"), ended.stderr


@installed
@pytest.mark.engines
class TestOpenVino(BackendContract):
    name = "openvino"
    least_cosine = 0.95
    """Scales that are fixed by calibration weigh on an answer of three numbers; the matrix of engines and
    precisions holds the others to more."""

    @pytest.fixture(scope="class")
    @classmethod
    def contract_model(cls, tiny_models: Path) -> str:
        return f"path:{tiny_models / 'classifier'}"

    def test_a_classifier_answers_with_its_logits(self, probes: Mapping[Precision, Probe]) -> None:
        assert probes["fp32"].runs[1]["shape"] == [2, 3]

    def test_fewer_bits_take_less_room(self, probes: Mapping[Precision, Probe]) -> None:
        names: tuple[Precision, ...] = ("int4-weights", "int8-weights", "fp32")
        sizes = [(probes[name].artifact.directory / "model.bin").stat().st_size for name in names]
        assert sizes == sorted(sizes)
        assert sizes[1] < 0.5 * sizes[2]

    def test_a_precision_that_only_loading_decides_shares_the_weights_on_disk(
        self, probes: Mapping[Precision, Probe]
    ) -> None:
        shared = [
            (precision, OpenVinoBackend.derived[precision])
            for precision in probes
            if precision in ("bf16", "fp16", "int8-dynamic")
        ]
        for pair in shared:
            files = [probes[name].artifact.directory / "model.bin" for name in pair]
            assert len({file.stat().st_ino for file in files}) == 1

    def test_the_precision_is_read_from_the_graph_and_not_from_what_was_asked(
        self, probes: Mapping[Precision, Probe]
    ) -> None:
        asked: Precision = "int8-static"
        for there in ("fp32", "int8-weights", "int4-weights"):
            assert report_of(probes[there].artifact.directory, asked)["precision"] == there

    def test_every_precision_computes_something_else(self, probes: Mapping[Precision, Probe]) -> None:
        answers = {probe.runs[1]["digests"][0] for probe in probes.values()}
        assert len(answers) == len(probes)

    def test_it_reports_the_threads_it_has(self, probes: Mapping[Precision, Probe]) -> None:
        assert report_of(probes["fp32"].artifact.directory, "fp32", threads=1)["threads"] == 1

    def test_a_worker_imports_neither_torch_nor_telemetry_and_writes_no_file(
        self, probes: Mapping[Precision, Probe], tmp_path: Path
    ) -> None:
        output = subprocess.run(
            [sys.executable, "-P", "-c", LOAD_AND_LOOK, str(probes["fp32"].artifact.directory)],
            cwd=tmp_path,
            env={**os.environ, "HOME": str(tmp_path)},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout
        imported = {name.partition(".")[0] for name in output.split()}
        assert "openvino" in imported
        assert not imported & {"torch", "transformers", "nncf", "openvino_telemetry"}
        assert list(tmp_path.iterdir()) == []


@installed
@pytest.mark.engines
def test_an_architecture_that_cannot_be_converted_is_refused_in_the_engines_words(
    tiny_models: Path, contract_cache: Path
) -> None:
    model = resolve_model(f"path:{tiny_models / 'longformer'}", base=Path("/"), seed=0, offline=True)
    isa = read_machine().isa
    with pytest.raises(UnsupportedError, match=r"by torch.export: openvino cannot convert it: \w+"):
        prepare_artifact(model, "openvino", "fp32", isa, ArtifactCache(contract_cache), timeout_s=240)


def report_of(artifact: Path, precision: Precision, threads: int = 2) -> dict[str, Any]:
    """What the engine says of an artifact that is loaded as if it were of this precision."""
    request = {"backend": "openvino", "precision": precision, "directory": str(artifact)}
    shape = {"threads": threads, "requests": [[2, 9]]}
    result = run_child("autotune.testing.backend_probe", {**request, **shape}, timeout_s=240)
    assert result.reply is not None, result.stderr_tail
    report: dict[str, Any] = result.reply["report"]
    return report


@pytest.mark.parametrize(
    ("precision", "flag"),
    [
        *(("bf16", "avx512_bf16"), ("bf16", "amx_bf16")),
        *(("fp16", "avx512_fp16"), ("fp16", "asimdhp")),
        *(("int8-dynamic", "avx512_vnni"), ("int8-dynamic", "avx_vnni")),
    ],
)
def test_a_precision_is_offered_where_the_cpu_has_it(precision: Precision, flag: str) -> None:
    backend = OpenVinoBackend()
    assert backend.unsupported(precision, frozenset({flag}), "random") is None
    refusal = backend.unsupported(precision, frozenset({"avx512f"}), "random")
    assert refusal is not None
    assert flag in refusal


@pytest.mark.parametrize("precision", ["fp32", "int8-static", "int8-weights", "int4-weights"])
def test_the_other_precisions_are_offered_everywhere(precision: Precision) -> None:
    assert OpenVinoBackend().unsupported(precision, frozenset(), "hf") is None
