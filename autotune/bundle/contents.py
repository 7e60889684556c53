"""What lies in a bundle: the plan's document with paths that start from there, and the files behind them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from autotune.backends.protocol import LoadsWith
from autotune.backends.registry import get_backend
from autotune.errors import ExportError
from autotune.placement.knobs import PRELOAD_VARIABLE
from autotune.placement.variables import PASSED_ON
from autotune.plan.document import Plan, plan_values
from autotune.plan.prepared import refuse_changed
from autotune.runtime.differences import BESIDE_ENGINES

ARTIFACT, REQUESTS, MODEL, LIBRARIES = "artifact", "requests", "model", "lib"
"""Folders of a bundle."""

MODEL_FILES: Final = (
    *("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"),
    *("modules.json", "config_sentence_transformers.json", "sentence_*_config.json", "*/config.json"),
)
"""Of the model's folder: what says how texts are read and answers are named. No weights."""

GONE: Final = "run: autotune tune, which prepares it again"


@dataclass(frozen=True)
class BundleContents:
    """What a bundle is made of.

    Attributes:
        plan: the document, with paths relative to the bundle.
        files: where each file comes from, by its path in the bundle.
        packages: distributions that it is served with.
    """

    plan: Mapping[str, Any]
    files: Mapping[str, Path]
    packages: tuple[str, ...]


def contents_of(plan: Plan) -> BundleContents:
    """Find all that a plan is served with.

    Raises:
        ExportError: something of it is gone, or was changed.
        BackendError: the plan's engine is unknown.
    """
    document = plan_values(plan)
    worker = document["instances"][0]["worker"]
    artifact, requests = Path(worker["artifact"]), worker.get("requests")
    folders = {ARTIFACT: artifact, **({REQUESTS: Path(requests)} if requests else {})}
    files = dict(_files_of(folders))
    folder = document["model"].get("folder")
    files |= _model_files(None if folder is None else Path(folder))
    libraries = _libraries(document["instances"][0]["env"])
    files |= {f"{LIBRARIES}/{library.name}": library for library in libraries}
    for name, file in files.items():
        if not file.is_file():
            raise ExportError(f"{name} of the plan {plan.id} is gone: {file}", remedy=GONE)
    refuse_changed(plan, digests=True)  # every byte is copied anyway
    for instance in document["instances"]:
        _move(instance)
    document["model"] |= {"artifact": ARTIFACT, **({"requests": REQUESTS} if requests else {})}
    if folder is not None:
        document["model"]["folder"] = MODEL
    backend = get_backend(worker["backend"])
    computing = backend.loads_with if isinstance(backend, LoadsWith) else backend.packages
    return BundleContents(document, files, tuple(dict.fromkeys((*computing, *BESIDE_ENGINES))))


def _files_of(folders: Mapping[str, Path]) -> Iterator[tuple[str, Path]]:
    for name, folder in folders.items():
        found = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        if not found:
            raise ExportError(f"the prepared {name} of the plan is gone: {folder}", remedy=GONE)
        yield from ((f"{name}/{path.relative_to(folder).as_posix()}", path) for path in found)


def _model_files(folder: Path | None) -> Iterator[tuple[str, Path]]:
    if folder is None:
        return
    found = (path for pattern in MODEL_FILES for path in sorted(folder.glob(pattern)))
    yield from ((f"{MODEL}/{path.relative_to(folder).as_posix()}", path) for path in found)


def _libraries(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Libraries that the processes are started with in the place of others."""
    return tuple(Path(word) for word in environment.get(PRELOAD_VARIABLE, "").split(":") if word)


def _move(instance: dict[str, Any]) -> None:
    """Have an instance start from the bundle, and take nothing of whoever tuned."""
    libraries = _libraries(instance["env"])
    instance["env"] = {name: value for name, value in instance["env"].items() if name not in PASSED_ON}
    if libraries:
        instance["env"][PRELOAD_VARIABLE] = ":".join(f"{LIBRARIES}/{library.name}" for library in libraries)
    worker = instance["worker"]
    worker |= {"interpreter": "python3", "artifact": ARTIFACT}
    if worker.get("requests"):
        worker["requests"] = REQUESTS


def plan_text(contents: BundleContents) -> str:
    """Write the plan's document."""
    return json.dumps(contents.plan, indent=2) + "\n"
