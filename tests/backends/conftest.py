"""Models small enough to prepare in a moment, made by child processes: tests import no engine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

WRITE_TINY_CLASSIFIER = """
import sys
import torch
from transformers import BertConfig, BertForSequenceClassification

torch.manual_seed(0)
config = BertConfig(
    vocab_size=1000, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128,
    max_position_embeddings=64, num_labels=3, initializer_range=0.2,
)
BertForSequenceClassification(config).save_pretrained(sys.argv[1])
"""


@pytest.fixture(scope="session")
def tiny_classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a BERT of two layers and three labels."""
    directory = tmp_path_factory.mktemp("models") / "tiny classifier"
    subprocess.run([sys.executable, "-P", "-c", WRITE_TINY_CLASSIFIER, str(directory)], check=True)
    return directory


@pytest.fixture(scope="session")
def contract_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def install_backend(tmp_path: Path) -> Callable[[str, str, str], Path]:
    """Installs a distribution with one backend, as pip would: (distribution, backend, code) → its folder."""
    folder = tmp_path / "plugins"

    def install(distribution: str, backend: str, code: str) -> Path:
        described = folder / f"{distribution}-1.0.dist-info"
        described.mkdir(parents=True)
        (folder / f"{distribution}.py").write_text(code)
        (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        entry = f"[autotune.backends]\n{backend} = {distribution}:Backend\n"
        (described / "entry_points.txt").write_text(entry)
        return folder

    return install
