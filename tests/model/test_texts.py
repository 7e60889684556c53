"""Texts are read from the common formats, by known or stated keys, and never measured on their syntax."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autotune.errors import StudyFileError
from autotune.model.texts.texts import MAX_CHARACTERS, Texts, content_digest, read_texts, texts_digest
from autotune.spec.named_file import TextsFile

Read = Callable[..., Texts]


@pytest.fixture(autouse=True)
def cache(own_cache: Path) -> Path:
    return own_cache


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Writes a file and reads its texts: (content, name, what a study states) → the texts."""

    def texts(content: str | bytes, name: str = "texts.txt", **stated: str) -> Texts:
        file = tmp_path / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        asked = TextsFile.model_validate({"path": name, **stated}) if stated else None
        return read_texts(file, "problem.texts", asked)

    return texts


def lines(*values: Any) -> str:
    return "".join(f"{json.dumps(value)}\n" for value in values)


ROWS = [{"id": 1, "text": "one, two"}, {"id": 2, "text": "three\nfour"}]
TABLE = 'id,text\n1,"one, two"\n2,"three\nfour"\n'
OBJECTS = lines(*ROWS)


def test_every_line_that_is_not_blank_is_a_text(read: Read) -> None:
    found = read("\ufeffone\r\n\n  \ntwo\u2028still two\nthree")
    assert found.texts == ("one", "two\u2028still two", "three")
    assert (found.reading.in_words, found.reading.keys) == ("plain text", ())
    assert read("one\rtwo\r").texts == ("one", "two")


@pytest.mark.parametrize(
    ("content", "format"),
    [
        (OBJECTS, "JSON Lines"),
        (OBJECTS.replace("\n", "\r\n"), "JSON Lines"),
        (json.dumps(ROWS), "JSON"),
        (json.dumps(ROWS, indent=2), "JSON"),
        ("\n".join(json.dumps(row, indent=2) for row in ROWS), "JSON Lines"),
        (TABLE, "CSV"),
        (TABLE.replace('1,"one, two"', '1;"one, two"').replace("id,", "id;").replace("2,", "2;"), "CSV"),
        ('id\ttext\n1\tone, two\n2\t"three\nfour"\n', "TSV"),
    ],
    ids=["lines", "windows", "array", "indented", "one after the other", "commas", "semicolons", "tabs"],
)
@pytest.mark.parametrize("name", ["requests", "requests.txt", "requests.log", "requests.csv", "requests.tsv"])
def test_a_format_is_known_by_its_content(read: Read, content: str, format: str, name: str) -> None:
    found = read(content, name)
    assert found.texts == ("one, two", "three\nfour")
    assert (found.reading.in_words, found.reading.keys) == (format, ("text",))
    packed = read(gzip.compress(content.encode(), mtime=0), name)
    assert packed.texts == found.texts
    assert packed.reading.in_words == f"{format}, gzipped"


@pytest.mark.parametrize(
    ("content", "name", "texts"),
    [
        (lines("one", "two"), "a.txt", ("one", "two")),
        (json.dumps(["one", "two"]), "a.txt", ("one", "two")),
        ("Text\nhello, you\nthere", "a.csv", ("hello, you", "there")),
        ('id\ttext\n1\t"so" he said\n2\t"', "a.tsv", ('"so" he said', '"')),
        (lines({"inputs": ["one", "two"]}, {"inputs": "three"}), "a.txt", ("one", "two", "three")),
        (lines({"input": "one", "model": "m"}), "a.txt", ("one",)),
        (lines({"content": "one"}), "a.txt", ("one",)),
        (lines({"sentence": "one", "label": 1}), "a.txt", ("one",)),
        (lines({"query": "one"}), "a.txt", ("one",)),
        (lines({"query": "a", "passage": "b"}), "a.txt", (("a", "b"),)),
        (lines({"query": "a", "texts": ["b", "c"]}), "a.txt", (("a", "b"), ("a", "c"))),
        ("question1,question2\na,b\n", "a.csv", (("a", "b"),)),
        ("[Music] so\n[12]\n{{name}}, hello\n", "a.txt", ("[Music] so", "[12]", "{{name}}, hello")),
        ("so, he\nnot, she\nyes, they\n", "a.txt", ("so, he", "not, she", "yes, they")),
        ("12\n13\n", "a.txt", ("12", "13")),
    ],
    ids=str,
)
def test_what_common_files_hold(read: Read, content: str, name: str, texts: tuple[Any, ...]) -> None:
    assert read(content, name).texts == texts


@pytest.mark.parametrize(
    ("content", "name", "stated", "texts"),
    [
        (lines({"body": {"text": "one"}, "text": "no"}), "a.txt", {"key": "body.text"}, ("one",)),
        (lines({"body.text": "one"}), "a.txt", {"key": "body.text"}, ("one",)),
        (lines({"a": {"x": 1}, "a.b": {"c": "one"}}), "a.txt", {"key": "a.b.c"}, ("one",)),
        (lines({"turns": [{"said": "a"}, {"said": "b"}]}), "a.txt", {"key": "turns.said"}, ("a", "b")),
        (json.dumps({"data": [{"text": "a"}]}, indent=1), "a", {"key": "data.text"}, ("a",)),
        (lines(["a", "b"], ["c", "d"]), "a.txt", {"key": "0", "pair": "1"}, (("a", "b"), ("c", "d"))),
        ("id;comment\n1;a\n2;b\n", "a.csv", {"key": "comment"}, ("a", "b")),
        ("id;comment\n1;a\n2;b\n", "a.txt", {"key": "comment"}, ("a", "b")),
        (lines({"text": "one"}), "a.jsonl", {"format": "text"}, ('{"text": "one"}',)),
        ("great\nbad\n", "a.csv", {"format": "text"}, ("great", "bad")),
        ("text\tid\na,b\t1\n", "a.csv", {"format": "tsv"}, ("a,b",)),
    ],
    ids=str,
)
def test_what_a_study_states_wins(
    read: Read, content: str, name: str, stated: dict[str, str], texts: tuple[Any, ...]
) -> None:
    assert read(content, name, **stated).texts == texts


@pytest.mark.parametrize(
    ("content", "name", "told", "remedy"),
    [
        (lines({"text": "a", "query": "b"}), "a.jsonl", "texts under text and query", "key: text"),
        (
            lines({"query": "a", "passage": "b", "document": "c"}),
            "a",
            "under query and passage",
            "pair: NAME",
        ),
        (lines({"id": "7", "note": "a long one"}), "a.jsonl", "it has id, note", "key: note"),
        (lines({"m": [{"content": "a"}]}), "a.jsonl", "it has m.content", "key: m.content"),
        (lines({"input": [101, 7, 102]}), "a.jsonl", "no texts at all", "key: NAME"),
        (lines({"text": "a"}, {"id": 1}), "a.jsonl", "line 2: it has no 'text'", "take it out"),
        (lines({"text": "a"}, {"text": 3}), "a.jsonl", "line 2: 'text' is no text", "take it out"),
        (lines({"text": "a"}) + '{"text": "b"\n', "a.txt", "line 2: not JSON, as line 1 is", "format: text"),
        ("hello\n" + lines({"text": "b"}), "a.txt", "line 1: not JSON, as line 2 is", "format: text"),
        ('[{"text": "a"},\n{"te', "a.txt", "line 2: not JSON: Unterminated", "format: text"),
        ("{'text': 'a'}\n{'text': 'b'}", "a.txt", "Python prints single quotes", "format: text"),
        ('INFO {"text": "a"}\nINFO {"text": "b"}', "a.txt", "behind other words", "format: text"),
        ("[" * 100_000, "a.json", "nested too deeply", "mend"),
        ("hello\n", "a.json", "line 1: not JSON", "mend"),
        ("hello\n", "a.jsonl", "line 1: not JSON", "to a line"),
        ("[]", "a.json", "is an empty list", "the texts"),
        ("{}", "a.json", "no texts at all", "key: NAME"),
        (json.dumps(["a", {"text": "b"}]), "a.json", "mixes objects and texts", "alone"),
        ("[1, 2]", "a.txt", "item 1: not a text", "texts alone"),
        ("id,comment\n1,a\n2,b\n", "a.csv", "it has id, comment", "key: "),
        ("great\nbad\n", "a.csv", "none of its columns", "format: text"),
        ("0,bad\n1,great\n0,so\n", "a.txt", "looks like a table of 2 columns", "key: COLUMN"),
        ("a\tb\nc d\te\nf\tg\n", "a.txt", "looks like a table of 2 columns", "format: text"),
        ("id,text\n1,a\n2,b,c\n", "a.csv", "line 3: 3 cells, where the header has 2", "quotes"),
        ('id,text\n1,"a\n', "a.csv", "not a table", "quotes"),
        ("text,text\na,b\n", "a.csv", "two columns that are called 'text'", "name of its own"),
        ("text\n", "a.csv", "a header and a row", "header"),
        ("- a\n", "a.yaml", "is YAML", "JSON Lines"),
        (lines({"text": json.dumps({"a": 1})}), "a.jsonl", "are JSON objects themselves", "unpack"),
        (r'{"text": "\ud83d"}', "a.jsonl", "half of a character", "second half"),
        ("a" * (MAX_CHARACTERS + 1), "a.txt", "text 1 has 1048577 characters", "one by one"),
        (lines({"text": " "}, {"text": None}), "a.jsonl", "nothing but blank texts", "at least one"),
        ("", "a.txt", "nothing but blank lines", "UTF-8"),
        ("\n \n", "a.jsonl", "nothing but blank lines", "UTF-8"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_nobody_can_tell_is_refused_with_what_to_write(
    read: Read, content: str, name: str, told: str, remedy: str
) -> None:
    with pytest.raises(StudyFileError) as caught:
        read(content, name)
    assert told in caught.value.problem
    assert name in caught.value.problem
    assert caught.value.path == "problem.texts"
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("content", "stated", "told"),
    [
        ("one\ntwo\n", {"key": "text"}, "is plain text, and has no 'text'"),
        (lines("one"), {"key": "text"}, "has no 'text'"),
        (lines({"text": "a"}), {"key": "body.text"}, "line 1: it has no 'body.text', but text"),
        (lines({"q": "a", "p": []}), {"key": "q", "pair": "d"}, "it has no 'd'"),
        (lines({"q": ["a", "b"], "p": ["c"] * 3}), {"key": "q", "pair": "p"}, "2 texts under 'q' and 3"),
        ("one\ntwo\n", {"format": "json"}, "line 1: not JSON"),
        ("one\ntwo\n", {"format": "csv"}, "it has one"),
    ],
    ids=str,
)
def test_what_a_study_states_and_is_not_there_is_refused(
    read: Read, content: str, stated: dict[str, str], told: str
) -> None:
    with pytest.raises(StudyFileError) as caught:
        read(content, **stated)
    assert told in caught.value.problem
    assert caught.value.remedy


def test_records_without_text_are_left_out_and_counted(read: Read) -> None:
    found = read(lines({"text": "a"}, {"text": ""}, {"text": None}, {"text": "b"}))
    assert (found.texts, found.reading.left_out) == (("a", "b"), 2)


def test_large_files_are_read_in_no_time(read: Read) -> None:
    many = [f"line {number}, of many" for number in range(50_000)]
    assert read("\n".join(many)).texts == tuple(many)
    objects = lines(*({"text": text} for text in many))
    assert read(objects).texts == tuple(many)
    with pytest.raises(StudyFileError, match="line 50001: not JSON"):
        read(f"{objects}{{")


def test_a_digest_depends_on_the_texts_and_the_tokenizer_and_not_on_their_places(tmp_path: Path) -> None:
    for name, content in (("a", "one"), ("b", "one"), ("c", "two")):
        (tmp_path / name).write_text(content)
    a, b, c = (tmp_path / name for name in "abc")
    assert texts_digest(a, c) == texts_digest(b, c)
    assert len({texts_digest(a, c), texts_digest(c, a), texts_digest(a, a)}) == 3


def test_a_digest_depends_on_what_is_read_of_a_file(read: Read, tmp_path: Path) -> None:
    content = lines({"text": "one", "title": "two"})
    ways = [{"format": "text"}, {"key": "text"}, {"key": "title"}, {"key": "title", "pair": "text"}]
    readings = [read(content, **way).reading.how for way in ways]
    file = tmp_path / "texts.txt"
    assert len({texts_digest(file, file, how) for how in readings}) == len(ways)
    assert len({content_digest(file, how) for how in readings}) == len(ways)
    assert read(content).reading.how == readings[1], "a stated key is read like a known one"
