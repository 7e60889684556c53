"""A stored study of an older version, which knew less, goes on as long as nothing that it knew differs."""

from __future__ import annotations

import json
from typing import Any

from autotune.model.stored_study import study_document
from autotune.search.resume import study_differences
from autotune.spec.load import parse_study

STUDY = {"model": "fake:m.json", "problem": {"batch_size": 8, "sequence_length": 128}}


def document(**more: Any) -> dict[str, Any]:
    return study_document(parse_study(json.dumps({**STUDY, **more}), name="x"))


def older(**more: Any) -> dict[str, Any]:
    """As it was stored before problems had distributions."""
    stored = document(**more)
    kept = {name: stored["problem"][name] for name in ("batch_size", "sequence_length")}
    search = {name: value for name, value in stored["search"].items() if name not in ("padding", "batching")}
    return {**stored, "problem": kept, "search": search}


def test_what_it_did_not_know_has_its_default() -> None:
    assert study_differences(older(), document()) == []


def test_what_it_knew_is_compared() -> None:
    assert study_differences(older(), document(seed=1)) == ["seed: 0 -> 1"]
    other = {"problem": {"batch_size": 8, "lengths": {"values": [8, 128]}}}
    assert "problem.sequence_length: 128 -> None" in study_differences(older(), document(**other))


def test_a_price_may_be_stated_later() -> None:
    old = {name: value for name, value in document().items() if name != "price"}
    assert study_differences(old, document(price={"per_core_hour": 0.1})) == []


def test_files_are_compared_by_their_digests_alone() -> None:
    def texts(name: str, digest: str) -> dict[str, Any]:
        stored = document(problem={"batch_size": 8, "texts": name})
        stored["problem"]["texts_digest"] = digest
        return stored

    assert study_differences(texts("a.txt", "00"), texts("b.txt", "00")) == []
    stated = texts("a.txt", "00")
    stated["problem"]["texts"] = {"path": "b.jsonl", "key": "body.text"}
    assert study_differences(texts("a.txt", "00"), stated) == [], "the digest has what the key does"
    assert study_differences(texts("a.txt", "00"), texts("a.txt", "11")) == ["problem.texts_digest: 00 -> 11"]


def test_the_price_of_a_study_for_cost_stays() -> None:
    old = document(objective="cost", price={"per_core_hour": 0.1})
    new = document(objective="cost", price={"per_core_hour": 0.2})
    assert study_differences(old, old) == []
    assert study_differences(old, new) == ["price.per_core_hour: 0.1 -> 0.2"]
    assert study_differences(document(), new) != []
