"""A session answers as the model does, whoever asks and however requests are put together."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autotune.backends.protocol import EngineReport
from autotune.errors import DifferenceError, ServingError
from autotune.model.inputs import InputsDescription
from autotune.runtime.filling import Filling
from autotune.runtime.planned import PlannedInstance
from autotune.runtime.reading import TextReader
from autotune.runtime.session import MeasuredSession

PlanFile = Callable[..., Path]

TEXTS = ("a b c", "a b c d e f g h i j a b c d e f g", "j", "c c c c c c", "a b c")
INPUTS = InputsDescription(64, (), 64, {"input_ids": "tokens", "attention_mask": "ones"})
Array = np.ndarray[Any, Any]


class Counting:
    """An engine that answers each sequence with the sum of its tokens, and tells two requests at once."""

    def __init__(self, per_token: bool = False) -> None:
        self.sequences = 0
        self.closed = False
        self._inside = threading.Lock()
        self._per_token = per_token

    def run(self, inputs: Mapping[str, Array]) -> Array:
        assert self._inside.acquire(blocking=False), "two requests at once"
        time.sleep(0.001)
        self.sequences += len(inputs["input_ids"])
        self._inside.release()
        real = inputs["input_ids"] * inputs["attention_mask"]
        answer: Array = real[:, :, np.newaxis] if self._per_token else real.sum(axis=1, keepdims=True)
        return answer.astype(np.float32)

    def report(self) -> EngineReport:
        return EngineReport("counting", "1", "fp32", 1)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def reader(served_models: Path) -> TextReader:
    return TextReader(served_models / "encoder" / "tokenizer.json", INPUTS, 16)


def session_of(engine: Counting, reader: TextReader | None, cache: int = 0) -> MeasuredSession:
    return MeasuredSession(planned(), engine, Filling(INPUTS, 2, bounds=(8, 16), longest=16), reader, cache)


def planned() -> PlannedInstance:
    return PlannedInstance(
        file=Path("/plans/plan.json"), plan="p", index=0, instances=1, is_launched=False, is_bundled=False,
        cpus=(), memory_nodes=(), was_unbound=False, environment={}, backend="counting", precision="fp32",
        artifact=Path("/artifact"), threads=1, batch_size=2, sequence_length=0, requests=None, knobs="",
        padding="", batching="", served="", folder=None, model_digest="", versions={}, cpu_model="",
    )  # fmt: skip


def test_texts_are_answered_in_their_order_by_requests_of_the_plans_size(reader: TextReader) -> None:
    session = session_of(Counting(), reader)
    answers = session(TEXTS)
    assert answers.shape == (len(TEXTS), 1)
    expected = [reader.read([text])[0].ids.sum() for text in TEXTS]
    assert answers[:, 0].tolist() == expected
    assert session(TEXTS[0]).tolist() == [[expected[0]]]
    assert session([]).shape == (0,)


def test_answers_for_each_token_have_zeros_behind_shorter_texts(reader: TextReader) -> None:
    session = session_of(Counting(per_token=True), reader)
    alone = session.answers(TEXTS)
    assert [len(answer) for answer in alone] == [len(tokens) for tokens in reader.read(TEXTS)]
    together = session(TEXTS)
    assert together.shape == (len(TEXTS), 16, 1)
    for row, answer in zip(together, alone, strict=True):
        assert row[: len(answer)].tolist() == answer.tolist()
        assert not row[len(answer) :].any()


def test_arrays_are_one_request_and_come_back_in_their_own_shape() -> None:
    session = session_of(Counting(per_token=True), None)
    ids = np.arange(1, 16).reshape(5, 3)
    assert session(input_ids=ids)[:, :, 0].tolist() == ids.tolist()


def test_the_cache_answers_what_came_before_and_what_comes_twice(reader: TextReader) -> None:
    engine = Counting()
    session = session_of(engine, reader, cache=3)
    first = session(["a", "b", "a"])
    assert engine.sequences == 2
    assert session(["b", "a"]).tolist() == [first[1].tolist(), first[0].tolist()]
    assert engine.sequences == 2
    first[:] = -1
    assert (session(["a"]) > 0).all(), "a caller's change does not reach the cache"
    session(["c", "d", "e"])
    session(["b"])
    assert engine.sequences == 6
    session.answers(["b"], prompt="a ")
    assert engine.sequences == 7, "another prompt is another text"


def test_many_threads_may_ask_and_the_engine_answers_one_request_at_a_time(reader: TextReader) -> None:
    session = session_of(Counting(), reader, cache=2)
    expected = {text: float(reader.read([text])[0].ids.sum()) for text in TEXTS}
    asked = [[TEXTS[(start + step) % len(TEXTS)] for step in range(3)] for start in range(60)]
    with ThreadPoolExecutor(8) as pool:
        for texts, answers in zip(asked, pool.map(session, asked), strict=True):
            assert answers[:, 0].tolist() == [expected[text] for text in texts]


def test_a_closed_session_says_so(reader: TextReader) -> None:
    engine = Counting()
    with session_of(engine, reader) as session:
        session("a")
    assert engine.closed
    session.close()
    with pytest.raises(ServingError, match="closed"):
        session("a")


@pytest.mark.parametrize("texts", [5, b"a", {"text": "a"}, object])
def test_what_has_no_texts_is_refused_in_words(reader: TextReader, texts: Any) -> None:
    session = session_of(Counting(), reader)
    for ask in (session, session.answers):
        with pytest.raises(ServingError, match="is no list of texts"):
            ask(texts)
    with pytest.raises(ServingError, match="'ab' is no list of texts"):
        session.answers("ab")


@pytest.mark.parametrize("text", ["\ud800", ("a", "b \udfff")])
def test_half_a_character_is_named(reader: TextReader, text: Any) -> None:
    with pytest.raises(ServingError, match="has half a character") as refused:
        session_of(Counting(), reader)(["a", text])
    assert "\\ud" in refused.value.problem


@pytest.mark.parametrize("texts", [[""], [3], [("a",)], [None]])
def test_what_is_no_text_is_refused(reader: TextReader, texts: Any) -> None:
    session = session_of(Counting(), reader)
    if texts == [""]:
        assert session(texts).shape == (1, 1), "the special tokens alone"
    else:
        with pytest.raises(ServingError, match="not a text"):
            session(texts)


def test_texts_and_arrays_are_not_asked_at_once(reader: TextReader) -> None:
    with pytest.raises(ServingError, match="texts and arrays"):
        session_of(Counting(), reader)(["a"], input_ids=[[1]])


def test_without_a_tokenizer_texts_are_refused_and_arrays_are_not() -> None:
    session = session_of(Counting(), None)
    with pytest.raises(ServingError, match="no tokenizer"):
        session("a")
    assert session(input_ids=[[1, 2]]).tolist() == [[3]]


ANSWER = """
import json, sys
import autotune.runtime
with autotune.runtime.load(*sys.argv[2:]) as session:
    texts = json.loads(sys.argv[1])
    report = session.report()
    arrays = session(input_ids=[[2, 10, 11, 3], [2, 12, 3, 0]], attention_mask=[[1] * 4, [1, 1, 1, 0]])
    print(json.dumps({
        "answers": session(texts).tolist(), "alone": [session(text)[0].tolist() for text in texts],
        "arrays": arrays.tolist(), "engine": [report.engine, report.precision, report.threads],
        "loaded": sorted({name.partition(".")[0] for name in sys.modules}),
    }))
"""

EXPECT = """
import json, sys
import torch, transformers
folder, texts = sys.argv[1], json.loads(sys.argv[2])
model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
with torch.inference_mode():
    alone = [model(**tokenizer(text, return_tensors="pt")).logits[0].tolist() for text in texts]
    ids, mask = torch.tensor([[2, 10, 11, 3], [2, 12, 3, 0]]), torch.tensor([[1] * 4, [1, 1, 1, 0]])
    arrays = model(input_ids=ids, attention_mask=mask).logits.tolist()
print(json.dumps({"alone": alone, "arrays": arrays}))
"""


@pytest.mark.engines
@pytest.mark.parametrize(
    "problem",
    [None, {"batch_size": 2, "texts": "texts.txt", "include": "tokenization", "cache": {"size": 2}}],
)
def test_a_launched_process_has_the_measured_session(
    plan_file: PlanFile,
    in_process: Callable[..., Any],
    served_models: Path,
    tmp_path: Path,
    problem: dict[str, Any] | None,
) -> None:
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS * 4))
    stream = {"padding": "bucket", "batching": "sorted"} if problem else {}
    plan = plan_file("classifier", problem, **stream)
    got = in_process(plan, ANSWER, json.dumps(TEXTS))
    expected = in_process(plan, EXPECT, str(served_models / "classifier"), json.dumps(TEXTS), launched=False)
    assert got["engine"] == ["pytorch", "fp32", 1]
    np.testing.assert_allclose(got["answers"], expected["alone"], atol=1e-5)
    np.testing.assert_allclose(got["alone"], expected["alone"], atol=1e-5)
    np.testing.assert_allclose(got["arrays"], expected["arrays"], atol=1e-5)
    assert not {"optuna", "sqlalchemy", "alembic"} & set(got["loaded"])


DIFFER = """
import json, os, sys, warnings
import autotune.runtime
from autotune.errors import DifferenceError
said = []
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    try:
        plan = sys.argv[1] if len(sys.argv) > 1 else None
        autotune.runtime.load(plan, **json.loads(os.environ["OPTIONS"])).close()
    except DifferenceError as error:
        said.append(error.problem)
heard = [str(warning.message) for warning in caught if "Difference" in warning.category.__name__]
print(json.dumps({"refused": said, "warned": heard}))
"""


@pytest.mark.engines
@pytest.mark.slow
def test_a_process_that_differs_is_refused_where_the_plan_started_it_and_warned_of_elsewhere(
    plan_file: PlanFile, in_process: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_file("classifier")
    document = json.loads(plan.read_text())
    document["versions"]["torch"] = "0.1"
    other = plan.with_name("other.json")
    other.write_text(json.dumps(document))
    monkeypatch.setenv("OPTIONS", "{}")
    assert in_process(plan, DIFFER) == {"refused": [], "warned": []}
    monkeypatch.setenv("AUTOTUNE_PLAN", str(other))
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("KMP_AFFINITY", "compact")
    (said,) = in_process(plan, DIFFER, launched=False)["refused"]
    for words in ("OMP_NUM_THREADS is '7', not '1'", "KMP_AFFINITY is set", "torch is 2", "with 0.1"):
        assert words in said
    warned = in_process(plan, DIFFER, str(other), launched=False)
    assert warned["refused"] == []
    assert any("torch is 2" in line and "pip install torch==0.1" in line for line in warned["warned"])
    monkeypatch.setenv("OPTIONS", json.dumps({"differences": "refuse"}))
    assert in_process(plan, DIFFER, str(other), launched=False)["refused"]


@pytest.mark.engines
def test_an_artifact_that_is_gone_changed_or_of_another_cpu_is_refused_anyhow(
    plan_file: PlanFile, tmp_path: Path
) -> None:
    """It was copied, so that all of its files have other times than where it was prepared."""
    import autotune.runtime
    from autotune.bundle.contents import contents_of
    from autotune.plan.document import parse_plan

    plan = plan_file("classifier")
    contents = contents_of(parse_plan(plan.read_text()))
    for name, source in contents.files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(source.read_bytes())
    moved = tmp_path / "plan.json"
    (instance,) = contents.plan["instances"]
    worker = {**instance["worker"], "artifact": str(tmp_path / "artifact")}
    moved.write_text(json.dumps({**contents.plan, "instances": [{**instance, "worker": worker}]}))

    def refused(*, digests: bool = False) -> str:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(DifferenceError) as raised:
                autotune.runtime.load(moved, differences="warn", digests=digests)
        assert raised.value.remedy
        return raised.value.problem

    manifest = tmp_path / "artifact" / "manifest.json"
    text = manifest.read_text()
    manifest.write_text(json.dumps(json.loads(text) | {"isa": ["avx1024"]}))
    assert "this cpu lacks avx1024" in refused()
    manifest.write_text(json.dumps(json.loads(text) | {"model_digest": "f" * 64}))
    assert "of the model ffff" in refused()
    manifest.write_text(text)
    weights = tmp_path / "artifact" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(bytes(len(whole)))
    assert "was changed: model.safetensors" in refused(), "other weights of the same size"
    stated = next(file for file in json.loads(text)["files"] if file["name"] == "model.safetensors")
    os.utime(weights, ns=(stated["mtime_ns"], stated["mtime_ns"]))
    assert "was changed: model.safetensors" in refused(digests=True)
    weights.write_bytes(whole[:-1])
    assert "was changed: model.safetensors" in refused()
    manifest.write_text(json.dumps(json.loads(text) | {"files": [{"name": "model.safetensors"}]}))
    assert "is none: its files have {'name'" in refused()
    manifest.unlink()
    assert "is none: " in refused()
    shutil.rmtree(tmp_path / "artifact")
    assert "is not here" in refused()
