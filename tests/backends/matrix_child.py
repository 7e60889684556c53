"""Makes the artifacts of the matrix, many in one process; see `test_matrix.py`.

    python matrix_child.py models FOLDER
    python matrix_child.py engine FOLDER BACKEND OUTCOMES NAME...

`models` writes a small random model of every architecture into FOLDER/NAME/model, and beside every model
there its reference and its calibration. `engine` makes the artifact of every named model at every precision
that the backend has here, and with what it can turn in preparation, as a preparation's child does. It appends
one JSON line for each to OUTCOMES: what was observed, or the error's class and words. It is one process for
all artifacts of an engine, as most of the time of a small model's preparation goes into imports.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from autotune.backends.knobs import turned_in_preparation
from autotune.backends.protocol import Backend, DerivesPrecisions
from autotune.backends.reference import REFERENCE
from autotune.backends.registry import get_backend
from autotune.errors import AutotuneError
from autotune.machine.read import read_machine
from autotune.model.calibration import CalibrationSource
from autotune.model.child import die_with_parent
from autotune.model.sources import resolve_model
from autotune.preparation.child import handle
from autotune.preparation.names import CALIBRATION
from autotune.preparation.requests import (
    ChildRequest,
    MakeArtifact,
    WriteCalibration,
    WriteReference,
    request_to_json,
)

SHAPE: Mapping[str, Any] = {
    "vocab_size": 1000,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "max_position_embeddings": 66,
    "initializer_range": 0.1,
}
SPREAD: Mapping[str, Any] = {"initializer_range": 0.1}
OFFSET: Mapping[str, Any] = {**SHAPE, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
ARCHITECTURES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "bert": ("Bert", SHAPE),
    "distilbert": (
        "DistilBert",
        {
            **{"vocab_size": 1000, "dim": 64, "n_layers": 2, "n_heads": 4, "hidden_dim": 128},
            **{"max_position_embeddings": 66, "initializer_range": 0.1},
        },
    ),
    "roberta": ("Roberta", {**OFFSET, "type_vocab_size": 1}),
    "electra": ("Electra", {**SHAPE, "embedding_size": 32}),
    "mpnet": ("MPNet", OFFSET),
    "albert": ("Albert", {**SHAPE, "embedding_size": 32}),
    "deberta-v2": (
        "DebertaV2",
        {
            **SHAPE,
            **{"relative_attention": True, "position_buckets": 32, "pos_att_type": ["p2c", "c2p"]},
            **{"share_att_key": True, "norm_rel_ebd": "layer_norm", "type_vocab_size": 0},
            "position_biased_input": False,
        },
    ),
    "xlm-r": ("XLMRoberta", {**OFFSET, "type_vocab_size": 1}),
    "modernbert": (
        "ModernBert",
        {
            **OFFSET,
            **{"cls_token_id": 0, "sep_token_id": 2, "global_attn_every_n_layers": 2, "local_attention": 8},
        },
    ),
    "t5": (
        "T5",
        {
            **{"vocab_size": 1000, "d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": 2},
            **{"num_heads": 4, "initializer_factor": 0.5},
        },
    ),
    "xlnet": (
        "XLNet",
        {"vocab_size": 1000, "d_model": 64, "n_layer": 2, "n_head": 4, "d_inner": 256, **SPREAD},
    ),
    "xlm": (
        "XLM",
        {
            **{"vocab_size": 1000, "emb_dim": 64, "n_layers": 2, "n_heads": 4, "init_std": 0.1},
            **{"embed_init_std": 0.1, "max_position_embeddings": 66},
        },
    ),
    "squeezebert": ("SqueezeBert", {**SHAPE, "embedding_size": 64}),
}
"""transformers' prefix of configuration and model, and what their configuration is made with."""

COARSER: Mapping[str, tuple[str, ...]] = {
    "onnxruntime": ("int8-dynamic", "int8-static"),
    "openvino": ("int8-static",),
}
"""Engines and precisions that are quantised more coarsely for a cpu whose int8 sums saturate: of every model
that is not random, they are made for such a one too, by way of `ISA_THAT_SATURATES`."""
ISA_THAT_SATURATES, SATURATING = frozenset({"avx2"}), "saturating"

CLASSES: Mapping[str, str] = {"t5": "T5EncoderModel"}
"""Of models that are not what their architecture's prefix begins; T5's configuration speaks of a decoder."""

CALIBRATED_ON = CalibrationSource(sequences=8, tokens=32, seed=0)


def write_models(folder: Path) -> None:
    """Write the random models, and the reference and calibration of them and of any other model in there."""
    import torch
    import transformers

    torch.manual_seed(0)
    for name, (prefix, shape) in ARCHITECTURES.items():
        configuration = getattr(transformers, f"{prefix}Config")(**shape)
        model = getattr(transformers, CLASSES.get(name, f"{prefix}Model"))(configuration)
        model.save_pretrained(folder / name / "model")
        if name in CLASSES:
            file = folder / name / "model" / "config.json"
            file.write_text(json.dumps({**json.loads(file.read_text()), "is_encoder_decoder": True}))
    for made in sorted(folder.iterdir()):
        _have_made(made, WriteReference())
        _have_made(made, WriteCalibration(_artifact(made, REFERENCE, "fp32"), CALIBRATED_ON))


def write_artifacts(models: Iterable[Path], engine: str, outcomes: Path) -> None:
    """Make every artifact of an engine, one model after the other."""
    backend, isa = get_backend(engine), read_machine().isa
    for model in models:
        made: dict[tuple[str, str], dict[str, Any]] = {}
        for precision, knobs in _bases_first(backend):
            if backend.unsupported(precision, isa, "path") is None:
                base = made.get((_bases(backend).get(precision, ""), knobs), {})
                found = base if "error" in base else _outcome(backend, model, precision, knobs, isa)
                made[precision, knobs] = found
                with outcomes.open("a") as lines:
                    print(json.dumps([model.name, precision, knobs, found]), file=lines)
        if model.name not in ARCHITECTURES:
            for precision in COARSER.get(engine, ()):
                found = _outcome(backend, model, precision, "", ISA_THAT_SATURATES)
                with outcomes.open("a") as lines:
                    print(json.dumps([model.name, precision, SATURATING, found]), file=lines)
        for precision, knobs in made:
            shutil.rmtree(_artifact(model, engine, precision, knobs), ignore_errors=True)


def _bases(backend: Backend) -> Mapping[Any, Any]:
    return backend.derived if isinstance(backend, DerivesPrecisions) else {}


def _bases_first(backend: Backend) -> list[tuple[Any, str]]:
    """Precisions and knobs in the order in which they can be made."""
    bases = _bases(backend)

    def depth(precision: Any) -> int:
        return 1 + depth(bases[precision]) if precision in bases else 0

    plain = [(precision, "") for precision in backend.precisions]
    return sorted((*plain, *turned_in_preparation(backend)), key=lambda one: depth(one[0]))


def _outcome(
    backend: Backend, model: Path, precision: Any, knobs: str, isa: frozenset[str]
) -> dict[str, Any]:
    base = _bases(backend).get(precision)
    work = MakeArtifact(
        backend.name,
        precision,
        tuple(sorted(isa)),
        knobs,
        reference=_artifact(model, REFERENCE, "fp32"),
        base=None if base is None else _artifact(model, backend.name, base, knobs),
        calibration=_artifact(model, CALIBRATION, "fp32"),
    )
    try:
        return _have_made(model, work)
    except AutotuneError as error:
        return {"error": type(error).__name__, "words": error.problem}


def _have_made(model: Path, work: WriteReference | WriteCalibration | MakeArtifact) -> dict[str, Any]:
    """Ask what `autotune.preparation.preparing` asks of the child."""
    resolved = resolve_model(f"path:{model / 'model'}", base=Path("/"), seed=0, offline=True)
    if isinstance(work, MakeArtifact):
        resolved = replace(resolved, path=work.reference)
        directory = _artifact(model, work.backend, work.precision, work.knobs)
    else:
        directory = _artifact(model, work.maker, "fp32")
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    return handle(request_to_json(ChildRequest(resolved, directory, model, work)))


def _artifact(model: Path, backend: str, precision: str, knobs: str = "") -> Path:
    return model / f"{backend}-{precision}{knobs and '-'}{knobs}"


def main(task: str, folder: Path, *arguments: str) -> None:
    """Do what the command line says."""
    if task == "models":
        write_models(folder)
    else:
        engine, outcomes, *names = arguments
        write_artifacts([folder / name for name in names], engine, Path(outcomes))


if __name__ == "__main__":
    die_with_parent(os.getppid())
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
