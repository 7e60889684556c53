"""A worker runs a stream round and round, counts what it serves, and keeps answers as asked."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from autotune.backends.protocol import EngineReport
from autotune.model.stored_study import StoredProblem
from autotune.model.stream import Stream, read_description, write_description
from autotune.model.stream_source import StreamSource
from autotune.model.texts.texts import read_texts, texts_digest
from autotune.preparation.streams import write_stream
from autotune.worker.answer_cache import AnswerCache
from autotune.worker.failures import InstanceError
from autotune.worker.streaming import StreamedRequests, TextEncoder

LOGNORMAL = {"lognormal": {"median": 24, "sigma": 0.5, "max": 128}}


class Echo:
    """An engine that answers a sequence with its token ids, filled up as it came."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, int]] = []
        self.spoiled = 0

    def run(self, inputs: Mapping[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        tokens = inputs["input_ids"]
        self.shapes.append((tokens.shape[0], tokens.shape[1]))
        answer = tokens[: len(tokens) - self.spoiled, :, np.newaxis].astype(np.float32)
        return np.where(inputs["attention_mask"][: len(answer), :, np.newaxis] == 1, answer, -1.0)

    def report(self) -> EngineReport:
        return EngineReport("echo", "1", "fp32", 1)

    def close(self) -> None:
        pass


@pytest.fixture
def make(tmp_path: Path) -> Any:
    """Makes a stream of a fake model: (padding, batching, the problem's values) → its folder."""

    def write(padding: str = "none", batching: str = "arrival", **problem: Any) -> Path:
        written = StoredProblem(**{"batch_size": 4, **problem})
        found = StoredProblem.model_validate_json(written.model_dump_json())
        file, tokenizer = (
            (tmp_path / "texts.txt", tmp_path / "tokenizer.json") if found.texts else (None, None)
        )
        source = StreamSource(found, padding, batching, False, 1, 0, file, tokenizer)  # type: ignore[arg-type]
        directory = tmp_path / source.digest[:8]
        directory.mkdir()
        write_stream(source, None, directory)
        return directory

    return write


def streamed(directory: Path, **more: Any) -> tuple[StreamedRequests, Echo]:
    engine = Echo()
    return StreamedRequests(engine, Stream(directory), **more), engine


@pytest.mark.parametrize("padding", ["max", "bucket", "none"])
@pytest.mark.parametrize("batching", ["arrival", "sorted", "tokens"])
def test_every_sequence_is_answered_with_its_own_answer(make: Any, padding: str, batching: str) -> None:
    directory = make(padding, batching, lengths=LOGNORMAL)
    stream, (requests, _) = Stream(directory), streamed(directory)
    for index in range(stream.description.requests):
        requests()
        wanted = [stream.tokens(number).tolist() for number in stream.request(index)]
        assert [answer[:, 0].tolist() for answer in requests.answers()] == wanted


def test_answers_from_the_cache_are_the_same(make: Any) -> None:
    directory = make("max", lengths=LOGNORMAL, cache={"hit_rate": 0.4})
    stream, (requests, engine) = Stream(directory), streamed(directory)
    requests.begin()
    for index in range(stream.description.requests):
        requests()
        wanted = [stream.tokens(number).tolist() for number in stream.request(index)]
        assert [answer[:, 0].tolist() for answer in requests.answers()] == wanted
    count = stream.description.requests
    assert sum(requests.hits(count)) == stream.description.sequences - stream.description.distinct
    assert sum(rows for rows, _ in engine.shapes) == stream.description.distinct
    requests.check()


@pytest.fixture
def texts(tmp_path: Path, own_cache: Path) -> Any:
    """Writes texts and a tokenizer of whole words: texts → the problem's values."""

    def write(*lines: str) -> dict[str, Any]:
        words = {"[UNK]": 0, "a": 1, "good": 2, "day": 3}
        tokenizer = Tokenizer(models.WordLevel(words, "[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        tokenizer.save(str(tmp_path / "tokenizer.json"))
        (tmp_path / "texts.txt").write_text("\n".join(lines))
        how = read_texts(tmp_path / "texts.txt", "problem.texts").reading.how
        digest = texts_digest(tmp_path / "texts.txt", tmp_path / "tokenizer.json", how)
        return {"texts": "texts.txt", "texts_digest": digest}

    return write


def test_a_round_is_a_pass_of_its_own_so_that_going_round_finds_nothing(make: Any, texts: Any) -> None:
    directory = make(batch_size=1, cache={"size": 10_000}, **texts("a", "good", "a", "day"))
    requests, engine = streamed(directory)
    requests.begin()
    for _ in range(3 * 4):
        requests()
    assert requests.hits(12) == (0, 0, 1, 0) * 3
    assert len(engine.shapes) == 3 * 3


@pytest.mark.parametrize(("batching", "size"), [("arrival", 1), ("arrival", 8), ("sorted", 8), ("tokens", 4)])
@pytest.mark.parametrize("instance", [0, 1, 2])
def test_every_instance_finds_what_comes_again_from_its_first_request(
    make: Any, batching: str, size: int, instance: int
) -> None:
    directory = make("none", batching, batch_size=size, lengths=LOGNORMAL, cache={"hit_rate": 0.4})
    whole, (requests, _) = Stream(directory), streamed(directory, instance=instance, instances=3)
    count, came, again = whole.description.requests, set[int](), []
    for index in range(count):
        numbers = whole.request(index)
        again.append(len(numbers) - len(set(numbers) - came))
        came.update(numbers)
    requests.warm_up(0.05)
    requests.begin()
    for _ in range(2 * count):
        requests()
    begin = instance * count // 3
    assert requests.hits(2 * count) == tuple((again * 3)[begin : begin + 2 * count])
    requests.check()


@pytest.mark.parametrize(("batching", "size"), [("arrival", 1), ("sorted", 64), ("tokens", 64)])
def test_few_sequences_are_answered_for_the_cache_before_anything_is_measured(
    make: Any, batching: str, size: int
) -> None:
    stream = Stream(make("none", batching, batch_size=size, lengths=LOGNORMAL, cache={"hit_rate": 0.9}))
    places = range(0, stream.description.requests, max(1, stream.description.requests // 64))
    assert 0 < max(len(stream.coming_again(place)) for place in places) <= 64


def test_a_short_window_has_the_hit_rate_that_was_asked_in_every_instance(make: Any) -> None:
    directory = make(batch_size=1, lengths=LOGNORMAL, cache={"hit_rate": 0.4})
    for instance in range(8):
        requests, _ = streamed(directory, instance=instance, instances=8)
        requests.warm_up(0.05)
        requests.begin()
        for _ in range(75):
            requests()
        assert sum(requests.hits(75)) / 75 == pytest.approx(0.4, abs=0.06)


def test_instances_begin_at_other_places_and_serve_the_same(make: Any) -> None:
    directory = make(lengths={"values": [3, 5]})
    first, second = (streamed(directory, instance=index, instances=2)[0] for index in range(2))
    for requests in (first, second):
        requests()
    half = Stream(directory).description.requests // 2
    one, other = first.answers(), second.answers()
    assert [a.tolist() for a in one] != [a.tolist() for a in other]
    for _ in range(half):
        first()
    assert [a.tolist() for a in first.answers()] == [a.tolist() for a in other]


def test_a_block_counts_its_own_requests_and_goes_on_where_the_last_one_stopped(make: Any) -> None:
    directory = make("none", "tokens", lengths=LOGNORMAL)
    stream, (requests, _) = Stream(directory), streamed(directory)
    sizes = [len(stream.request(index)) for index in range(6)]
    assert len(set(sizes)) > 1
    for block in (sizes[:2], sizes[2:6]):
        requests.begin()
        for _ in block:
            requests()
        assert requests.samples(len(block)) == tuple(block)
        assert requests.samples(1) == tuple(block[:1])
        assert requests.hits(len(block)) == ()


def test_the_warm_up_meets_every_shape_and_leaves_no_trace(make: Any) -> None:
    directory = make("bucket", "sorted", lengths=LOGNORMAL)
    requests, engine = streamed(directory)
    warm = requests.warm_up(2.0)
    assert set(Stream(directory).description.shapes) <= set(engine.shapes)
    assert warm.request_s > 0
    requests()
    fresh, _ = streamed(directory)
    fresh()
    assert [a.tolist() for a in requests.answers()] == [a.tolist() for a in fresh.answers()]


def test_a_cache_that_finds_other_than_asked_is_refused(make: Any) -> None:
    directory = make(lengths=LOGNORMAL, cache={"hit_rate": 0.4})
    described = read_description(directory)
    (directory / "requests.json").unlink()
    write_description(directory, dataclasses.replace(described, cache_size=16))
    requests, _ = streamed(directory)
    for _ in range(16):
        requests()
    with pytest.raises(InstanceError, match=r"had \d+ of 64 answers .* where \d+\.\d% came again"):
        requests.check()


def test_an_output_that_lacks_a_sequence_is_refused(make: Any) -> None:
    requests, engine = streamed(make("max", lengths=LOGNORMAL))
    requests()
    requests.check()
    engine.spoiled = 1
    requests()
    with pytest.raises(InstanceError, match="first axis should be 4"):
        requests.check()


def test_texts_are_tokenised_in_the_worker_and_cached_by_text(make: Any, texts: Any) -> None:
    found = texts("a good day", "day", "a good day", "a good day a good day")
    directory = make(batch_size=2, max_length=4, include=("tokenization",), cache={"size": 10}, **found)
    encoder = TextEncoder(directory / "tokenizer.json", longest=4)
    requests, engine = streamed(directory, encoder=encoder)
    requests.begin()
    requests()
    assert [answer[:, 0].tolist() for answer in requests.answers()] == [[1, 2, 3], [3]]
    requests()
    assert [answer[:, 0].tolist() for answer in requests.answers()] == [[1, 2, 3], [1, 2, 3, 1]]
    assert requests.hits(2) == (0, 1)
    assert engine.shapes == [(2, 3), (1, 4)]


def test_pairs_are_tokenised_in_the_worker_as_one_sequence_each(make: Any, texts: Any) -> None:
    pairs = ('{"query": "a", "passage": "good day"}', '{"query": "day", "passage": "a"}')
    directory = make(batch_size=2, include=("tokenization",), cache={"size": 10}, **texts(*pairs))
    requests, _ = streamed(directory, encoder=TextEncoder(directory / "tokenizer.json", longest=8))
    requests.begin()
    requests()
    assert sorted(answer[:, 0].tolist() for answer in requests.answers()) == [[1, 2, 3], [3, 1]]


def test_a_sequence_that_comes_twice_in_a_request_is_run_once(make: Any, texts: Any) -> None:
    directory = make(batch_size=3, cache={"size": 1}, **texts("a", "a", "a a"))
    requests, engine = streamed(directory)
    requests.begin()
    requests()
    assert engine.shapes == [(2, 2)]
    assert requests.hits(1) == (1,)
    assert [len(answer) for answer in requests.answers()] == [1, 1, 2]


def test_the_least_recently_used_answer_is_dropped_first() -> None:
    cache = AnswerCache(2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (1, None, 3)


def test_answers_of_a_head_are_one_row_a_sequence(make: Any) -> None:
    class Head(Echo):
        def run(self, inputs: Mapping[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
            return np.stack([super().run(inputs)[:, 0, 0]] * 3, axis=1)

    directory = make("max", lengths=LOGNORMAL)
    requests = StreamedRequests(Head(), Stream(directory))
    requests()
    assert [answer.shape for answer in requests.answers()] == [(3,)] * 4
    assert all(math.isfinite(float(answer[0])) for answer in requests.answers())
