"""Logs, streams, numbered lists and markup are no texts as they are; a text may mention any of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.errors import StudyFileError
from autotune.model.texts.labelled import read_labelled
from autotune.model.texts.texts import Texts, read_texts
from autotune.spec.named_file import DataFile, TextsFile
from autotune.spec.quality import Metric

Read = Callable[..., Texts]

SENTENCES = (
    "how do I reset my password?",
    "The weather in Berlin is fine today; nobody complains.",
    "great phone, bad battery",
    "Is 3.5 more than 3?",
    "I paid $1,200 for it",
    "call me at 12:30",
    "c'est la vie",
    "see https://example.com/a?b=c&d=e for more",
    "x = 5, so 2 x = 10",
    "re: your invoice of 2026-01-01",
)


@pytest.fixture(autouse=True)
def cache(own_cache: Path) -> Path:
    return own_cache


def texts_of(folder: Path, lines: Sequence[str], name: str = "texts.txt", **stated: str) -> Texts:
    (folder / name).write_text("\n".join(lines))
    asked = TextsFile.model_validate({"path": name, **stated}) if stated else None
    return read_texts(folder / name, "problem.texts", asked)


def of(form: str) -> list[str]:
    """A line of this form for each of the sentences."""
    quoted = [sentence.replace('"', "'") for sentence in SENTENCES]
    return [form.format(text=text, number=place, next=place + 1) for place, text in enumerate(quoted)]


LOGGED = [
    '2026-01-01 12:00:0{number} INFO request {{"text": "{text}"}}',
    '2026-01-01 12:00:0{number},123 INFO request {{"text": "{text}", "id": {number}}} took 12 ms',
    "2026-01-01T12:00:00.123Z - {text}",
    "[2026/01/01 12:00:00] {text}",
    "Jan  1 12:00:00 host server[17]: {text}",
    "<34>Jan  1 12:00:00 host server: {text}",
    "<34>1 2026-01-01T12:00:00Z host server - - - {text}",
    "31/12/25, 9:41 PM - Alice: {text}",
    "I0101 12:00:00.123456 17 server.cc:12] {text}",
    "1767225600.123 {text}",
    "INFO:root:{text}",
    "[INFO] {text}",
    "WARNING - {text}",
    "12:00:00 INFO {text}",
    "2026-01-01 {text}",
    "[01/Jan/2026:12:00:00 +0000] {text}",
    "Thu Jan  1 12:00:00 2026 {text}",
    "Thu, 01 Jan 2026 12:00:00 GMT {text}",
    "[12:00] <alice> {text}",
    "[31/12/25, 21:41:00] Alice: {text}",
    "2026-01-01T12:00:00.000Z stdout F {text}",
]


@pytest.mark.parametrize("form", LOGGED)
def test_lines_of_logs_are_told(tmp_path: Path, form: str) -> None:
    lines = of(form)
    with pytest.raises(StudyFileError) as caught:
        texts_of(tmp_path, ["Server starts", *lines])
    assert any(word in caught.value.problem for word in ("is a log", "has a JSON object"))
    assert "line 2:" in caught.value.problem
    assert "or, if its lines are texts as they are, write `format: text`" in caught.value.remedy
    assert texts_of(tmp_path, lines, format="text").texts == tuple(lines)


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ('request {{"text": "{text}"}} done', "has a JSON object in its lines"),
        ('body={{ "text": "{text}" }}', "has a JSON object in its lines"),
        ("body {{'text': 'a', 'n': {number}}}", "has a JSON object in its lines"),
        ('line "{{\\"text\\": \\"a {number}\\"}}"', "has a JSON object in its lines"),
        ('curl -d \'{{"text": "{text}"}}\' localhost', "has a JSON object in its lines"),
        ('data: {{"text": "{text}"}}', "has a JSON object in its lines"),
        ('127.0.0.1 - - [01/Jan/2026:12:00:00 +0000] "GET /embed?q={number} HTTP/1.1" 200 7', "of requests"),
        ('level=info msg="{text}" n={number}', "of names and values"),
        ("text=a+b+{number}&model=x", "of encoded forms"),
        ("q=a+b+{number}", "of encoded forms"),
        ("POST /embed/{number}", "of requests"),
        ('INFO:     127.0.0.1:5{number} - "POST /embed HTTP/1.1" 200 OK', "of requests"),
        ("101 7592 {number} 102", "has numbers alone"),
        ("1 3:0.5 {next}:1", "has numbers alone"),
        ("DESC:manner {text}", "has a class before each text"),
        ("(3 (2 {text}) (1 so))", "is of parse trees"),
        ("{text} ||| {number} d'autres", "has cells between strokes"),
        ("<p>{text}</p>", "is HTML or XML"),
        ("<doc>{text}</doc>", "is HTML or XML"),
        ("| {number} | {text} |", "is a table of Markdown"),
        ('"{text}",', "is the inside of a list"),
        ("INSERT INTO t VALUES ({number}, '{text}');", "is of SQL statements"),
        ("{next}\t{text}", "has its lines numbered"),
        ("  {next}. {text}", "has its lines numbered"),
        ("({next}) {text}", "has its lines numbered"),
        ("{number}3:{text}", "has its lines numbered"),
        ("12{number}7\t{text}", "table of 2 columns"),
        ("D12{number}\t{text}\tmore, \tand more", "table of 4 columns"),
        ("{number}|{text}", "table of 2 columns"),
        ("{text}\t1", "table of 2 columns"),
        ("{text},1", "has a number behind each text"),
        ("0,{text}", "has a number before each text"),
    ],
)
def test_lines_of_other_shapes_are_told(tmp_path: Path, form: str, told: str) -> None:
    lines = of(form)
    with pytest.raises(StudyFileError) as caught:
        texts_of(tmp_path, lines)
    assert told in caught.value.problem
    assert "`format: text`" in caught.value.remedy
    assert texts_of(tmp_path, lines, format="text").texts == tuple(lines)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["event: message", 'data: {"a": 1}', "data: [DONE]"], "is a stream of server-sent events"),
        (["request", '{"id": 1} x', "done", 'request {"text": "a"}', 'request {"text": "b"}'], "JSON object"),
        (
            ["1", "00:00:01,000 --> 00:00:02,000", "Hello.", "2", "00:00:03,000 --> 00:00:04,000", "So?"],
            "sub",
        ),
        (["<!DOCTYPE html>", "<html>", "Hello."], "is HTML or XML"),
        (["<html>", "<body>", "<p>Hello.</p>", "</body>", "</html>"], "is HTML or XML"),
        (["# A title", "Some words.", "## Below it", "More words."], "is a document of Markdown"),
        (["# A title", "Some words.", "```", "code", "```"], "is a document of Markdown"),
        (["EU B-ORG", "rejects O", "German B-MISC", "call O", ". O"], "has a word to a line, with a tag"),
        (["- text: hello", "  label: 1", "- text: so", "  label: 0"], "is YAML"),
        (["a\tb\tc", "d e", "f\tg", "h\ti\tj", "k\tl"], "has cells between tabs"),
        (["7\tso\ta", "3\tno", "12\tyes \t here\tx"], "has cells between tabs"),
    ],
    ids=str,
)
def test_files_of_other_kinds_are_told(tmp_path: Path, lines: list[str], told: str) -> None:
    with pytest.raises(StudyFileError) as caught:
        texts_of(tmp_path, lines)
    assert told in caught.value.problem
    assert texts_of(tmp_path, lines, format="text").texts == tuple(lines)


@pytest.mark.parametrize("name", ["a.md", "a.html"])
def test_documents_are_told_by_their_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(StudyFileError, match=rf"{name} is (Markdown|HTML), by its name"):
        texts_of(tmp_path, SENTENCES, name)


def test_texts_of_nested_objects_are_named_by_their_path(tmp_path: Path) -> None:
    """As SQuAD has them."""
    asked = [{"id": str(number), "question": f"Where is {number}?"} for number in range(3)]
    paragraphs = [{"context": "Somewhere.", "qas": asked}]
    lines = [json.dumps({"version": "2.0", "data": [{"title": "A", "paragraphs": paragraphs}]})]
    with pytest.raises(StudyFileError) as caught:
        texts_of(tmp_path, lines, "squad.json")
    assert "data.paragraphs.context, data.paragraphs.qas.id, data.paragraphs.qas.question" in (
        caught.value.problem
    )
    found = texts_of(tmp_path, lines, "squad.json", key="data.paragraphs.qas.question")
    assert found.texts == ("Where is 0?", "Where is 1?", "Where is 2?")


PLAIN = [
    ["query: how much protein is in an egg", "passage: An egg has 6 g.", "query: who?"],
    ["Alice: hi there", "Bob: hello", "Alice: so?", "Bob: well"],
    ["- Bonjour, dit-il.", "- Salut !", "- Alors ?"],
    ["2026 was a good year", "1984 is a novel", "42 is the answer"],
    ["1,000 people came", "The price is 5,000", "In 2026, 7 died"],
    ["#1 in the charts", "# is a sign", "#blessed"],
    ["I live in Paris, France", "So, he said, go", "Then, well"],
    ['He said "yes", and left', '"No", she said', "'Tis so"],
    ["<user> hello", "<user> and then?", "<bot> so"],
    ["I <3 you", "a < b > c", "x <- 5"],
    ["error: cannot open file", "Info about trains?", "Warning signs of a stroke", "DEBUG is a word"],
    ["12:30 is fine", "9 o'clock?", "at 7:15 then"],
    ["x=5 solve for y", "y=mx+b", "what is a=b?"],
    ["get /etc/hosts", "GET THIS NOW", "post it"],
    ["GET is idempotent, POST is not", "what does HTTP/1.1 mean?", "PUT or PATCH?"],
    ["data: what is it?", "data: the new oil", "event: a party"],
    ["3. Liga", "7. Himmel", "1. FC Nuremberg"],
    ["insert into what?", "select a book", "drop the table on the floor"],
    ["def f(x): return x", "for x in y: print(x)", "import os"],
    ["[Music]", "(laughs)", "{{name}}, hello"],
    ["text with a\ttab", "and none", "here none", "nor here", "nor there"],
    ["\tindented", "\tlikewise", "\tand so"],
    ["What is JSON?", 'Is {"a": 1} JSON?', "And YAML?", "what of {'b': 2}?", "or CSV?"],
    ["__label__ is how fastText marks labels", "what is __label__x?", "so", "and so on"],
    ["BERT is O", "O", "K"],
    ["I'd say yes,", "and no,", "but so"],
    ["(so it goes)", "(a (b) c)", "no more"],
    ["12 monkeys", "1 2 3 go", "3 4", "7", "10 9 8 lift off"],
    ["NOTE: see below", "NASA: we have a problem", "FAQ: what is it?"],
    ["May 5 is a holiday", "Mon dieu", "Jan 1 comes"],
    ["a || b", "true ||| false?", "so", "or"],
]


@pytest.mark.parametrize("lines", PLAIN, ids=lambda lines: lines[0])
def test_texts_are_texts(tmp_path: Path, lines: list[str]) -> None:
    found = texts_of(tmp_path, lines)
    assert (found.texts, found.reading.format) == (tuple(lines), "text")


WORDS = st.text(st.characters(categories=("Ll", "Lu", "Lo", "Nd")), min_size=1, max_size=9)
MARKS = st.sampled_from(("", "", "", ".", ",", "?", "!", ";", ":", " -", "'", "/", "%", "&", "=", "#"))
WORD = st.tuples(WORDS, MARKS).map("".join)
SENTENCE = st.lists(WORD, min_size=4, max_size=12).map(" ".join).map(lambda text: f"So {text} it is.")
STRUCTURED = st.sampled_from([line for form in LOGGED for line in of(form)])


@settings(max_examples=40)
@given(st.lists(SENTENCE, min_size=1, max_size=20))
def test_sentences_are_always_texts(lines: list[str]) -> None:
    with TemporaryDirectory() as folder:
        assert texts_of(Path(folder), lines).texts == tuple(lines)


@settings(max_examples=40)
@given(st.lists(SENTENCE, min_size=8, max_size=20), st.lists(STRUCTURED, min_size=1, max_size=2), st.data())
def test_a_few_lines_of_a_log_are_quotations(
    lines: list[str], quoted: list[str], data: st.DataObject
) -> None:
    mixed = data.draw(st.permutations([*lines, *quoted]))
    with TemporaryDirectory() as folder:
        assert texts_of(Path(folder), mixed).texts == tuple(mixed)


@settings(max_examples=40)
@given(st.lists(SENTENCE, min_size=3, max_size=20), st.sampled_from(LOGGED))
def test_whatever_is_logged_a_log_is_told(texts: list[str], form: str) -> None:
    lines = [form.format(text=text, number=place % 10) for place, text in enumerate(texts)]
    with TemporaryDirectory() as folder, pytest.raises(StudyFileError):
        texts_of(Path(folder), lines)


FASTTEXT = ["__label__pos good, really", "__label__neg bad", "__label__pos __label__long so\tso"]


def test_lines_of_fasttext_are_read_without_their_labels(tmp_path: Path) -> None:
    found = texts_of(tmp_path, FASTTEXT)
    assert found.texts == ("good, really", "bad", "so\tso")
    assert (found.reading.in_words, found.reading.keys) == ("fastText", ("text",))
    behind = texts_of(tmp_path, ["good one __label__pos", "bad\t__label__neg"])
    assert behind.texts == ("good one", "bad")
    assert texts_of(tmp_path, FASTTEXT, "texts.csv").texts == found.texts
    with pytest.raises(StudyFileError, match="line 1: it has no word that begins with __label__"):
        texts_of(tmp_path, ["text", *FASTTEXT])
    assert texts_of(tmp_path, ["text,label", "good,__label__a"], "texts.csv").texts == ("good",)
    assert texts_of(tmp_path, FASTTEXT, format="text").texts == tuple(FASTTEXT)
    assert texts_of(tmp_path, ["a __label__x b"], format="fasttext").texts == ("a b",)


def test_a_line_of_fasttext_without_a_label_is_told(tmp_path: Path) -> None:
    with pytest.raises(StudyFileError, match="line 2: it has no word that begins with __label__") as caught:
        texts_of(tmp_path, [FASTTEXT[0], "bad", FASTTEXT[1]])
    assert "`format: text`" in caught.value.remedy


@pytest.mark.parametrize(
    ("metric", "lines", "label", "score"),
    [
        ("f1", FASTTEXT[:2], "pos", None),
        ("accuracy", ["__label__1 good", "__label__0 bad"], "1", None),
        ("spearman", ["__label__0.5 good", "__label__1 bad"], None, 0.5),
    ],
)
def test_labels_of_fasttext_are_those_of_data(
    tmp_path: Path, metric: Metric, lines: list[str], label: str | None, score: float | None
) -> None:
    (tmp_path / "data.txt").write_text("\n".join(lines))
    found = read_labelled(tmp_path / "data.txt", metric, DataFile(path="data.txt"))
    first = found.rows[0]
    assert first.text.startswith("good")
    assert (first.label, first.score) == (label, score)
    assert found.reading.in_words == "fastText"


def test_data_with_several_labels_of_a_text_are_told(tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("\n".join(FASTTEXT))
    with pytest.raises(StudyFileError, match="line 3: 'label' holds 2 values"):
        read_labelled(tmp_path / "data.txt", "f1")
