"""A request stream has what the study says: lengths, texts, what comes again, and how it is filled up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from autotune.errors import ChangedFileError, ModelError, StudyFileError
from autotune.model.arranging import HORIZON
from autotune.model.digests import digest_file
from autotune.model.inputs import InputsDescription, write_inputs
from autotune.model.stored_study import StoredProblem
from autotune.model.stream import Stream
from autotune.model.stream_source import StreamSource, source_from_json, source_to_json
from autotune.model.texts.texts import read_texts, texts_digest
from autotune.preparation.streams import DRAWN, write_stream
from autotune.worker.streaming import TextEncoder

WORDS = ("[PAD]", "[UNK]", "a", "good", "day", "bad")
LOGNORMAL = {"lognormal": {"median": 24, "sigma": 0.5, "max": 128}}


@pytest.fixture
def make(tmp_path: Path, own_cache: Path) -> Any:
    """Makes a stream of a fake model: (padding, batching, the problem's values, ...) → the stream."""

    def stream(
        padding: str = "none",
        batching: str = "arrival",
        *,
        parts: int = 1,
        whole: bool = False,
        part: int = 0,
        reference: Path | None = None,
        **problem: Any,
    ) -> Stream:
        written = StoredProblem(**{"batch_size": 8, **problem})
        found = StoredProblem.model_validate_json(written.model_dump_json())
        name = found.texts or (found.lengths and found.lengths.file)
        tokenizer = tmp_path / "tokenizer.json" if found.texts else None
        file = tmp_path / name.path if name else None
        source = StreamSource(found, padding, batching, whole, parts, 0, file, tokenizer)  # type: ignore[arg-type]
        assert source_from_json(source_to_json(source)) == source
        directory = tmp_path / source.digest[:8]
        directory.mkdir()
        write_stream(source, reference, directory)
        return Stream(directory, part)

    return stream


@pytest.fixture
def texts(tmp_path: Path, own_cache: Path) -> Any:
    """Writes texts and a tokenizer of whole words: texts → the problem's values."""

    def write(*lines: str) -> dict[str, Any]:
        tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, "[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        tokenizer.enable_padding(pad_id=0)
        tokenizer.save(str(tmp_path / "tokenizer.json"))
        (tmp_path / "texts.txt").write_text("\n".join(lines))
        how = read_texts(tmp_path / "texts.txt", "problem.texts").reading.how
        digest = texts_digest(tmp_path / "texts.txt", tmp_path / "tokenizer.json", how)
        return {"texts": "texts.txt", "texts_digest": digest}

    return write


def all_numbers(stream: Stream) -> list[int]:
    return [number for index in range(stream.description.requests) for number in stream.request(index)]


def shapes(stream: Stream) -> set[tuple[int, ...]]:
    requests = (stream.request(index) for index in range(stream.description.requests))
    filled = (stream.collate([stream.tokens(number) for number in request]) for request in requests)
    return {arrays["input_ids"].shape for arrays in filled}


def test_drawn_lengths_fill_whole_requests_and_come_once_each(make: Any) -> None:
    stream = make("none", "sorted", batch_size=6, lengths=LOGNORMAL)
    described = stream.description
    assert described.sequences == described.distinct == 6 * described.requests >= DRAWN
    assert sorted(all_numbers(stream)) == [*range(described.distinct)]
    assert (described.median_tokens, described.most_tokens <= 128) == (24, True)
    assert described.mean_tokens == pytest.approx(27.2, abs=0.2)


@pytest.mark.parametrize("padding", ["max", "bucket", "none"])
def test_requests_are_filled_up_as_far_as_asked_and_what_fills_them_is_not_attended_to(
    make: Any, padding: str
) -> None:
    stream = make(padding, lengths={"values": [5, 20]}, max_length=64)
    assert (
        shapes(stream) <= {"max": {(8, 64)}, "bucket": {(8, 16), (8, 32)}, "none": {(8, 5), (8, 20)}}[padding]
    )
    sequences = [stream.tokens(number) for number in stream.request(0)]
    arrays = stream.collate(sequences)
    assert arrays["attention_mask"].sum(axis=1).tolist() == [len(one) for one in sequences]
    for row, mask, sequence in zip(arrays["input_ids"], arrays["attention_mask"], sequences, strict=True):
        assert row[mask == 1].tolist() == sequence.tolist()
        assert not row[mask == 0].any()


def test_the_share_of_padding_is_told(make: Any) -> None:
    assert make("max", lengths={"values": [32, 96]}).description.padding == pytest.approx(1 / 3)
    assert make("none", batch_size=1, lengths={"values": [32, 96]}).description.padding == 0


def test_all_shapes_are_told_where_they_are_few_and_one_request_of_each(make: Any) -> None:
    stream = make("bucket", "sorted", lengths=LOGNORMAL)
    assert set(stream.description.shapes) == shapes(stream)
    assert stream.description.shape_count == len(shapes(stream)) == len(stream.one_of_every_shape())
    many = make("none", "tokens", lengths=LOGNORMAL)
    assert many.description.shapes == ()
    assert many.description.shape_count > 16


def test_a_hit_rate_is_the_share_of_sequences_that_come_again(make: Any) -> None:
    described = make(lengths=LOGNORMAL, cache={"hit_rate": 0.4}).description
    assert 1 - described.distinct / described.sequences == pytest.approx(0.4, abs=0.001)
    assert 0 < described.cache_size < described.distinct
    assert described.hit_rate == 0.4
    assert described.sequences % 8 == 0


def test_a_hit_rate_of_nothing_is_one_too_where_a_file_has_texts_twice(make: Any, texts: Any) -> None:
    stream = make(batch_size=1, cache={"hit_rate": 0}, **texts("a", "bad", "a", "a"))
    assert sorted(all_numbers(stream)) == [0, 1]
    assert stream.description.hit_rate == 0


@pytest.fixture
def lengths(tmp_path: Path, own_cache: Path) -> Any:
    """Writes lengths: lengths → the problem's values."""

    def write(*lengths: int) -> dict[str, Any]:
        file = tmp_path / "lengths.txt"
        file.write_text("\n".join(map(str, lengths)))
        digests = {"lengths_digest": digest_file(file), "longest_in_file": max(lengths)}
        return {"lengths": {"file": file.name}, **digests}

    return write


def test_lengths_of_a_file_are_cut_to_the_longest(make: Any, lengths: Any) -> None:
    stream = make("max", batch_size=3, max_length=20, **lengths(3, 9, 30, 4))
    assert sorted(len(stream.tokens(number)) for number in all_numbers(stream)) == [3, 4, 9, 20]
    assert shapes(stream) == {(3, 20), (1, 20)}


def test_lengths_that_have_changed_since_they_were_checked_are_refused(
    make: Any, lengths: Any, tmp_path: Path
) -> None:
    found = lengths(3, 9)
    (tmp_path / "lengths.txt").write_text("3\n90\n")
    with pytest.raises(ChangedFileError, match="has changed meanwhile"):
        make(**found)


def test_a_stretch_of_a_file_that_is_sorted_is_like_all_of_it(make: Any, lengths: Any, texts: Any) -> None:
    for found in (lengths(*range(1, 641)), texts(*("a " * count for count in range(1, 641)))):
        stream = make(batch_size=1, max_length=640, **found)
        assert stream.description.cycle == 64
        for start in (0, 320):
            stretch = [len(stream.tokens(stream.request(index)[0])) for index in range(start, start + 64)]
            assert sum(stretch) / 64 == pytest.approx(320.5, rel=0.03)
            assert [sum(length > 640 * part / 4 for length in stretch) for part in (1, 2, 3)] == [48, 32, 16]


def test_texts_come_in_their_order_where_it_decides_what_a_cache_finds(make: Any, texts: Any) -> None:
    found = texts("a", "a good", "bad", "a good day", "a", "day", "good")
    stream = make(batch_size=1, cache={"size": 3}, **found)
    assert all_numbers(stream) == [0, 1, 2, 3, 0, 4, 5]
    assert stream.description.cycle == stream.description.requests == 7


def test_texts_are_tokenised_and_those_that_come_twice_are_one(make: Any, texts: Any) -> None:
    stream = make(batch_size=2, cache={"size": 1}, **texts("a good day", "bad", "a good day"))
    assert all_numbers(stream) == [0, 1, 0]
    assert stream.tokens(0).tolist() == [2, 3, 4]
    assert (stream.description.distinct, stream.description.sequences) == (2, 3)
    assert not stream.description.tokenizes


def test_texts_that_are_the_same_to_the_model_are_one_unless_workers_tokenise(make: Any, texts: Any) -> None:
    found = texts("a good day", "a good bad")
    assert make(max_length=2, **found).description.distinct == 1
    stream = make(max_length=2, include=("tokenization",), **found)
    assert stream.description.distinct == 2
    assert {stream.text(number) for number in (0, 1)} == {"a good day", "a good bad"}
    assert stream.description.longest == 2


def test_how_many_texts_are_cut_is_told_and_where(make: Any, texts: Any) -> None:
    found = texts("a good day", "bad", "a good bad", "a good")
    described = make(batch_size=1, max_length=2, **found).description
    assert (described.cut, described.cut_to) == (2, 2)
    assert make(batch_size=1, **found).description.cut == 0
    assert make(lengths={"values": [8]}, max_length=4).description.cut is None


@pytest.fixture
def reading(tmp_path: Path) -> Any:
    """Writes a reference that reads texts in a way of its own: (the description's values) → its folder."""

    def write(**values: Any) -> Path:
        folder = tmp_path / "reference"
        folder.mkdir(exist_ok=True)
        arrays: dict[str, Any] = {"input_ids": "tokens", "attention_mask": "ones"}
        write_inputs(folder, InputsDescription(len(WORDS), (), 64, arrays, **values))
        return folder

    return write


def test_texts_are_cut_where_the_models_folder_says_so_unless_the_study_does(
    make: Any, texts: Any, reading: Any
) -> None:
    found = texts("a good day", "bad", "a good bad day")
    described = make(batch_size=1, reference=reading(longest_text=2), **found).description
    assert (described.cut, described.cut_to, described.most_tokens) == (2, 2, 2)
    described = make(batch_size=1, reference=reading(longest_text=2), max_length=3, **found).description
    assert (described.cut, described.cut_to) == (1, 3)
    described = make(batch_size=2, reference=reading(longest_text=100), **found).description
    assert (described.cut, described.cut_to) == (0, 64)


def test_a_prompt_is_put_before_texts_wherever_they_are_tokenised(
    make: Any, texts: Any, reading: Any, tmp_path: Path
) -> None:
    found = texts("day", "bad day")
    reference = reading(prompt="a good ", lower_case=True)
    stream = make(batch_size=1, reference=reference, **found)
    assert sorted(stream.tokens(number).tolist() for number in (0, 1)) == [[2, 3, 4], [2, 3, 5, 4]]
    stream = make(batch_size=1, reference=reference, include=("tokenization",), **texts("DAY", "Bad day"))
    assert {stream.text(number) for number in (0, 1)} == {"a good DAY", "a good Bad day"}
    (kept,) = tmp_path.glob("*/tokenizer.json")
    encoder = TextEncoder(kept, stream.description.longest)
    (tokens,) = encoder.encode(["a good DAY"])
    assert tokens.tolist() == [2, 3, 4]


def test_a_prompt_is_put_before_the_first_of_a_pair(make: Any, texts: Any, reading: Any) -> None:
    pair = texts('{"query": "day", "passage": "bad"}')
    stream = make(batch_size=1, reference=reading(prompt="good "), **pair)
    assert stream.tokens(0).tolist() == [3, 4, 5]


def test_objects_are_served_by_their_texts_as_lines_are(make: Any, texts: Any) -> None:
    lines = make(batch_size=1, **texts("a good day", "bad"))
    objects = make(batch_size=1, **texts('{"id": 7, "text": "a good day"}', '{"id": 8, "text": "bad"}'))
    assert [objects.tokens(number).tolist() for number in (0, 1)] == [
        lines.tokens(number).tolist() for number in (0, 1)
    ]
    assert objects.description == lines.description


def test_pairs_are_one_sequence_each(make: Any, texts: Any) -> None:
    pairs = ('{"query": "a good day", "passage": "bad"}', '{"query": "a", "passage": "day"}')
    stream = make(batch_size=1, max_length=3, include=("tokenization",), **texts(*pairs))
    assert {stream.text(number) for number in (0, 1)} == {("a good day", "bad"), ("a", "day")}
    assert sorted(len(stream.tokens(number)) for number in (0, 1)) == [2, 3]
    assert stream.description.cut == 1


def test_texts_that_have_changed_since_they_were_checked_are_refused(
    make: Any, texts: Any, tmp_path: Path
) -> None:
    found = texts("a good day")
    (tmp_path / "texts.txt").write_text("a bad day")
    with pytest.raises(ChangedFileError, match="has changed meanwhile"):
        make(**found)


@pytest.mark.parametrize(
    ("gone", "words"),
    [("texts.txt", r"texts\.txt does not exist"), ("tokenizer.json", r"tokenizer\.json cannot be read")],
)
def test_texts_or_a_tokenizer_that_are_gone_are_named(
    make: Any, texts: Any, tmp_path: Path, gone: str, words: str
) -> None:
    found = texts("a good day")
    (tmp_path / gone).unlink()
    with pytest.raises(StudyFileError, match=words) as caught:
        make(**found)
    assert caught.value.remedy


def test_large_batches_have_a_horizon_of_requests_to_be_sorted_in(make: Any) -> None:
    described = make("none", "sorted", batch_size=200, lengths=LOGNORMAL).description
    assert described.requests == HORIZON
    assert described.sequences == 200 * HORIZON


def test_where_requests_are_whole_what_is_left_over_is_not_served(make: Any, texts: Any) -> None:
    stream = make(batch_size=2, whole=True, **texts("a", "bad", "day"))
    assert (stream.description.requests, stream.description.sequences) == (1, 2)
    with pytest.raises(StudyFileError, match="2 sequences are fewer than one request of batch_size 4"):
        make(batch_size=4, whole=True, **texts("a", "bad"))


def test_instances_share_every_request(make: Any, tmp_path: Path) -> None:
    first = make(parts=3, whole=True, lengths=LOGNORMAL)
    (directory,) = {file.parent for file in tmp_path.glob("*/requests.json")}
    parts = [first, Stream(directory, 1), Stream(directory, 2)]
    assert [len(part.request(0)) for part in parts] == [3, 3, 2]
    shared = [number for part in parts for number in part.request(0)]
    assert len(set(shared)) == 8


def test_every_shape_of_every_part_is_in_the_requests_that_warm_up(make: Any, tmp_path: Path) -> None:
    make("bucket", batch_size=3, parts=2, whole=True, lengths={"values": [3, 20, 60]}, max_length=64)
    (directory,) = {file.parent for file in tmp_path.glob("*/requests.json")}
    for stream in (Stream(directory, 0), Stream(directory, 1)):
        warming, everything = (
            {
                stream.collate([stream.tokens(number) for number in stream.request(index)])["input_ids"].shape
                for index in indices
            }
            for indices in (stream.one_of_every_shape(), range(stream.description.requests))
        )
        assert warming == everything
        assert len(warming) == 3


def test_a_model_without_a_mask_is_given_nothing_that_is_filled_up(make: Any, tmp_path: Path) -> None:
    reference = tmp_path / "reference"
    reference.mkdir()
    write_inputs(reference, InputsDescription(100, (), 64, {"words": "tokens"}))
    with pytest.raises(ModelError, match="no attention mask"):
        make("max", reference=reference, lengths={"values": [5, 20]})
    stream = make("none", batch_size=1, reference=reference, lengths={"values": [5, 20]})
    assert stream.collate([stream.tokens(0)])["words"].dtype == np.int64


def test_the_models_own_token_fills_up(make: Any, tmp_path: Path) -> None:
    reference = tmp_path / "reference"
    reference.mkdir()
    arrays: dict[str, Any] = {"input_ids": "tokens", "mask": "ones", "types": "zeros"}
    write_inputs(reference, InputsDescription(100, (1,), 64, arrays, {"input_ids": "int32"}))
    (reference / "config.json").write_text('{"pad_token_id": 1}')
    stream = make("max", reference=reference, lengths={"values": [2, 4]})
    filled = stream.collate([np.array([7, 8])])
    assert {name: (str(array.dtype), array.tolist()) for name, array in filled.items()} == {
        "input_ids": ("int32", [[7, 8, 1, 1]]),
        "mask": ("int64", [[1, 1, 0, 0]]),
        "types": ("int64", [[0, 0, 0, 0]]),
    }
    assert not any(1 in stream.tokens(number) for number in range(64))
