from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.errors import ModelError, UnsupportedError
from autotune.model.sources import ResolvedModel
from autotune.testing.fake_backend import FakeBackend, FakeModel, parse_fake_model, request_seconds
from autotune.testing.fake_model import FAULTS, Fault
from autotune.testing.noise import Noise, Spikes


def document(**fields: Any) -> str:
    return json.dumps({"schema": "autotune.fake/1", **fields})


def resolved(path: Path) -> ResolvedModel:
    return ResolvedModel(source=f"fake:{path}", kind="fake", digest="0" * 64, path=path)


def test_a_file_with_its_schema_alone_is_a_model_that_takes_no_time() -> None:
    model = parse_fake_model(document(), name="m")
    assert model == FakeModel()
    assert request_seconds(model, 8, 128, 4, 2, "fp32") == 0


def test_every_key_is_read() -> None:
    model = parse_fake_model(
        document(
            timing="busy",
            serial_s=0.001,
            parallel_s_per_token=1e-6,
            thread_efficiency=0.5,
            sync_s_per_thread=0.01,
            speed={"fp32": 1, "int8-dynamic": 2.5},
            contention=0.1,
            default_threads=4,
            load_s=0.2,
            memory_bytes=1000,
            noise={
                "launch": 0.01,
                "block": 0.02,
                "block_s": 2,
                "request": 0.03,
                "drift": 0.04,
                "drift_period_s": 5,
                "spikes": {"share": 0.1, "factor": 3, "mean_s": 0.5},
            },
            faults=[
                {"fault": "crash"},
                {"fault": "slow", "factor": 2, "at": "measure", "instance": 0, "when": {"precision": "fp32"}},
            ],
        ),
        name="m",
    )
    assert model == FakeModel(
        timing="busy",
        serial_s=0.001,
        parallel_s_per_token=1e-6,
        thread_efficiency=0.5,
        sync_s_per_thread=0.01,
        speed={"fp32": 1.0, "int8-dynamic": 2.5},
        contention=0.1,
        default_threads=4,
        load_s=0.2,
        memory_bytes=1000,
        noise=Noise(0.01, 0.02, 2.0, 0.03, 0.04, 5.0, Spikes(0.1, 3.0, 0.5)),
        faults=(Fault("crash"), Fault("slow", "measure", 0, {"precision": "fp32"}, 2.0)),
    )


def test_the_closed_form_is_the_one_described() -> None:
    model = FakeModel(
        serial_s=0.5,
        parallel_s_per_token=0.01,
        thread_efficiency=0.5,
        sync_s_per_thread=0.1,
        speed={"int8-dynamic": 2.0},
        contention=0.25,
    )
    expected = (0.5 + 0.01 * 8 * 16 / (2.0 * 2.0) + 0.2) * 1.5
    assert request_seconds(model, 8, 16, 3, 3, "int8-dynamic") == pytest.approx(expected)


def test_no_threads_are_the_models_default() -> None:
    model = FakeModel(parallel_s_per_token=1.0, default_threads=4)
    assert request_seconds(model, 1, 1, 0, 1, "fp32") == request_seconds(model, 1, 1, 4, 1, "fp32")


def test_a_precision_that_the_model_lacks_has_no_time() -> None:
    with pytest.raises(ModelError, match="bf16"):
        request_seconds(FakeModel(), 1, 1, 1, 1, "bf16")


@given(st.data())
def test_more_work_and_more_company_never_take_less(data: st.DataObject) -> None:
    share, count = st.floats(0, 1), st.integers(1, 512)
    model = FakeModel(
        serial_s=1e-3,
        parallel_s_per_token=1e-6,
        thread_efficiency=data.draw(share),
        contention=data.draw(share),
    )
    batch, tokens, threads, instances = (data.draw(count) for _ in range(4))
    seconds = request_seconds(model, batch, tokens, threads, instances, "fp32")
    assert seconds <= request_seconds(model, batch + 1, tokens, threads, instances, "fp32")
    assert seconds <= request_seconds(model, batch, tokens, threads, instances + 1, "fp32")
    assert seconds >= request_seconds(model, batch, tokens, threads + 1, instances, "fp32")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "must be an object"),
        ("{}", "schema must be"),
        (document(latency_s=1), "no key 'latency_s'; allowed are timing, serial_s"),
        (document(serial_s=-1), "serial_s must be a number of at least 0, not -1"),
        (document(serial_s=True), "serial_s must be a number"),
        ('{"schema": "autotune.fake/1", "load_s": NaN}', "load_s must be a number"),
        ('{"schema": "autotune.fake/1", "load_s": 1e999}', "load_s must be a number"),
        (document(memory_bytes=1.5), "memory_bytes must be a whole number"),
        (document(default_threads=0), "default_threads must be at least 1"),
        (document(timing="nap"), "timing must be one of sleep, busy"),
        (document(speed={}), "speed must name at least one"),
        (document(speed={"fp32": 0}), "speed.fp32 must be more than 0"),
        (document(speed={"fp64": 1}), "no key 'fp64'"),
        (document(noise=0.03), "noise must be an object"),
        (document(noise={"hum": 1}), "noise has no key 'hum'; allowed are launch, block"),
        (document(noise={"launch": -0.1}), "noise.launch must be a number of at least 0, not -0.1"),
        (document(noise={"block_s": 0}), "noise.block_s must be more than 0"),
        (document(noise={"drift_period_s": "1 s"}), "noise.drift_period_s must be a number"),
        (document(noise={"spikes": {"share": 1}}), "noise.spikes.share must be less than 1, not 1"),
        (document(noise={"spikes": {"factor": 0.5}}), "noise.spikes.factor must be at least 1"),
        (document(noise={"spikes": {"height": 2}}), "noise.spikes has no key 'height'"),
        (document(faults={}), "faults must be a list"),
        (document(faults=[{}]), "faults[0].fault must be one of crash"),
        (document(faults=[{"fault": "crash", "at": "noon"}]), "faults[0].at must be one of load, warmup"),
        (document(faults=[{"fault": "crash", "when": {"moon": 1}}]), "faults[0].when has no key 'moon'"),
        (
            document(faults=[{"fault": "crash", "instance": "all"}]),
            "faults[0].instance must be a whole number",
        ),
        (document(faults=[{"fault": "crash", "while": "gone"}]), "faults[0].while must be the absolute path"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place_and_what_is_allowed(text: str, words: str) -> None:
    with pytest.raises(ModelError) as caught:
        parse_fake_model(text, name="model.json")
    assert words in str(caught.value)
    assert "model.json" in str(caught.value)


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        FakeBackend().prepare(resolved(tmp_path / "missing.json"), "fp32", tmp_path)


def test_preparing_copies_the_file_and_refuses_a_precision_that_it_lacks(tmp_path: Path) -> None:
    source = tmp_path / "source.json"
    source.write_text(document())
    artifact = tmp_path / "artifact"
    artifact.mkdir()
    FakeBackend().prepare(resolved(source), "fp32", artifact)
    assert [file.read_text() for file in artifact.iterdir()] == [source.read_text()]
    with pytest.raises(UnsupportedError, match="bf16"):
        FakeBackend().prepare(resolved(source), "bf16", artifact)


def test_real_models_are_none_of_its_business() -> None:
    backend = FakeBackend()
    assert backend.unsupported("fp32", frozenset(), "fake") is None
    assert "fake models only" in str(backend.unsupported("fp32", frozenset(), "random"))


def test_every_fault_that_the_format_knows_can_strike(tmp_path: Path) -> None:
    """Loads a model with each fault in a process of its own, bounded, and sees that none is unknown to it."""
    program = """
import sys, pathlib
from autotune.testing.fake_backend import FakeBackend
FakeBackend().load(pathlib.Path(sys.argv.pop(1)), "fp32", 1)
"""
    arguments = "--backend fake --precision fp32 --artifact x --batch-size 1 --sequence-length 1 --threads 1"
    more = "--seed 0 --warmup-s 1 --instance 0 --instances 1"
    for fault in sorted(set(FAULTS) - {"hang_ignoring_sigterm"}):
        (tmp_path / "fake_model.json").write_text(document(faults=[{"fault": fault, "bytes": 1000}]))
        command = [sys.executable, "-P", "-c", program, str(tmp_path), *arguments.split(), *more.split()]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert "KeyError" not in done.stderr, fault


def test_neither_numpy_nor_an_engine_is_loaded() -> None:
    program = "import sys, autotune.testing.fake_backend; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert not {"numpy", "torch", "onnxruntime", "pydantic"} & set(loaded.stdout.split())
