"""The key of an artifact changes with everything that decides its content, and with nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from autotune.model.artifacts.artifact import ArtifactName, deciding_isa

NAME = ArtifactName("d" * 64, "pytorch", "fp32", {"torch": "2.13", "transformers": "5"}, ("avx2",))


@pytest.mark.parametrize(
    "change",
    [
        {"model_digest": "e" * 64},
        {"backend": "onnxruntime"},
        {"precision": "bf16"},
        {"versions": {"torch": "2.14", "transformers": "5"}},
        {"isa": ("avx2", "avx512f")},
        {"shapes": ((1, 16),)},
    ],
)
def test_the_key_changes_with_each_part(change: dict[str, Any]) -> None:
    assert replace(NAME, **change).key() != NAME.key()


def test_the_order_of_versions_does_not_matter() -> None:
    assert replace(NAME, versions={"transformers": "5", "torch": "2.13"}).key() == NAME.key()


def test_flags_that_no_engine_chooses_kernels_by_do_not_matter() -> None:
    assert deciding_isa(frozenset({"avx2", "hypervisor", "fpu"})) == ("avx2",)
