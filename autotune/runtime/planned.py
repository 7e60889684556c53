"""Reads what a process that serves needs of a plan's document, with the standard library alone.

The whole document, with its evidence, is `autotune.plan.document`'s.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, cast, get_args

from autotune.errors import PlanError
from autotune.placement.knobs import PRELOAD_VARIABLE
from autotune.spec.configuration import PRECISIONS, Batching, Padding, Precision
from autotune.spec.launched import INSTANCE_VARIABLE, PLAN_VARIABLE, UNBOUND_WORDS

SCHEMA: Final = "autotune.plan/5"
PLAN_FILE: Final = "plan.json"

_START: Final = "start this process by a launch of the plan, or name the plan: autotune.runtime.load(PLAN)"
_NAME: Final = "name a plan's document, as from: autotune export latest --to json > plan.json"
_WRITE: Final = "write it anew: autotune export REF --to json"

Value = TypeVar("Value")


@dataclass(frozen=True)
class PlannedInstance:
    """One instance of a plan: what it loads, and the process that it was measured in.

    Attributes:
        file: the plan's document, absolute.
        plan: the plan's id.
        index: of the instance, among `instances`.
        is_launched: whether a launch of the plan started this process.
        is_bundled: whether the document is that of a bundle, whose paths start from there.
        cpus, memory_nodes: empty = left alone.
        was_unbound: whether the kernel refused to bind memory when it was measured.
        environment: the whole environment that it was measured in.
        threads: intra-op threads; 0 = the engine's default.
        batch_size: sequences of a request of its own.
        sequence_length: tokens of each; 0 where they differ.
        requests: the folder of the requests that it was measured with; None where they were of one length.
        knobs: settings that differ from what is usual, as `autotune.spec.knobs` writes them.
        served: what is served beside the encoder, in words; empty where there is nothing.
        folder: of the model, with its tokenizer; None where the plan does not say.
        versions: of everything that decided what was measured.
        cpu_model: of the machine that it was measured on; empty where the plan does not say.
    """

    file: Path
    plan: str
    index: int
    instances: int
    is_launched: bool
    is_bundled: bool
    cpus: tuple[int, ...]
    memory_nodes: tuple[int, ...]
    was_unbound: bool
    environment: Mapping[str, str]
    backend: str
    precision: Precision
    artifact: Path
    threads: int
    batch_size: int
    sequence_length: int
    requests: Path | None
    knobs: str
    padding: Padding
    batching: Batching
    served: str
    folder: Path | None
    model_digest: str
    versions: Mapping[str, str]
    cpu_model: str


def find_planned(plan: Path | str | None, instance: int | None) -> PlannedInstance:
    """Find the plan that is meant, and read one of its instances.

    Args:
        plan, instance: as for `autotune.runtime.load`.

    Raises:
        PlanError: there is no plan, it is wrong, or it has no such instance.
    """
    is_launched = plan is None
    if instance is not None and (not isinstance(instance, int) or isinstance(instance, bool)):
        raise PlanError(f"the instance {instance!r:.80} is not a number", remedy="count instances from 0")
    if plan is None:
        plan = os.environ.get(PLAN_VARIABLE)
        if not plan:
            raise PlanError(f"no plan started this process: {PLAN_VARIABLE} is not set", remedy=_START)
        instance = _stated_instance() if instance is None else instance
    return read_planned(Path(plan), instance or 0, is_launched=is_launched)


def read_planned(plan: Path, index: int, *, is_launched: bool = False) -> PlannedInstance:
    """Read one instance of the plan in a file, or in a folder's `plan.json`; paths in it start from there.

    Raises:
        PlanError: it cannot be read, is wrong or of another version, or has no such instance.
    """
    file = (plan / PLAN_FILE if plan.is_dir() else plan).absolute()
    document = _Part(_read(file), "")
    schema = document.take("schema", str)
    if schema != SCHEMA:
        raise PlanError(
            f"{file} has the schema {schema!r:.80}, and this autotune serves {SCHEMA!r}", remedy=_WRITE
        )
    instances = document.take("instances", list)
    if not 0 <= index < len(instances):
        raise PlanError(
            f"{file} has no instance {index}: it has {len(instances)}, counted from 0",
            remedy=f"name one of them: {INSTANCE_VARIABLE} in the environment, or load(PLAN, instance=0)",
        )
    return _planned(file, document, _Part(instances[index], f"instances.{index}"), index, is_launched)


def _planned(file: Path, document: _Part, instance: _Part, index: int, is_launched: bool) -> PlannedInstance:
    worker, model = _Part(instance.take("worker", dict), instance.place("worker")), document.part("model")
    configuration = document.part("configuration")
    here = file.parent
    artifact = Path(worker.take("artifact", str))
    requests, folder = worker.find("requests", str), model.find("folder", str)
    return PlannedInstance(
        file=file,
        plan=document.take("id", str),
        index=index,
        instances=len(document.take("instances", list)),
        is_launched=is_launched,
        is_bundled=not artifact.is_absolute(),
        cpus=instance.numbers("cpus"),
        memory_nodes=instance.numbers("memory_nodes"),
        was_unbound=UNBOUND_WORDS in (document.find("warnings", list) or ()),
        environment=_moved(instance.texts("env"), here),
        backend=worker.take("backend", str),
        precision=cast(Precision, worker.choice("precision", PRECISIONS)),
        artifact=here / artifact,
        threads=worker.take("threads", int),
        batch_size=worker.take("batch_size", int),
        sequence_length=worker.find("sequence_length", int) or 0,
        requests=None if requests is None else here / requests,
        knobs=worker.find("knobs", str) or "",
        padding=cast(Padding, configuration.choice("padding", get_args(Padding), "")),
        batching=cast(Batching, configuration.choice("batching", get_args(Batching), "")),
        served=model.find("served", str) or "",
        folder=None if folder is None else here / folder,
        model_digest=model.find("digest", str) or "",
        versions=document.texts("versions"),
        cpu_model=_Part(document.find("machine", dict) or {}, "machine").find("model_name", str) or "",
    )


def _moved(environment: Mapping[str, str], here: Path) -> dict[str, str]:
    """The environment, with libraries that lie beside the plan where they lie now."""
    libraries = environment.get(PRELOAD_VARIABLE)
    if not libraries:
        return dict(environment)
    return {**environment, PRELOAD_VARIABLE: ":".join(str(here / word) for word in libraries.split(":"))}


def _stated_instance() -> int:
    stated = os.environ.get(INSTANCE_VARIABLE, "0")
    if not (stated.isascii() and stated.isdigit() and len(stated) <= 9):
        raise PlanError(f"{INSTANCE_VARIABLE}={stated!r:.80} is not the number of an instance", remedy=_START)
    return int(stated)


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except OSError as error:
        raise PlanError(f"the plan {file} cannot be read: {error.strerror}", remedy=_NAME) from error
    except (ValueError, RecursionError) as error:
        hint = "; a bundle that is packed is unpacked first: tar -xf" if file.suffix == ".tar" else ""
        raise PlanError(f"{file} is not a JSON document: {error}", remedy=f"{_WRITE}{hint}") from error


class _Part:
    """A mapping of the document, whose values are asked for by name and kind."""

    def __init__(self, values: Any, path: str) -> None:
        if not isinstance(values, dict):
            raise PlanError(f"{path or 'the plan'}: not a mapping, but {values!r:.80}", remedy=_WRITE)
        self._values, self._path = values, path

    def place(self, name: str) -> str:
        """Give a value's path in the document."""
        return f"{self._path}.{name}".lstrip(".")

    def find(self, name: str, kind: type[Value]) -> Value | None:
        """Give a value of this kind; None where there is none, or null."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, kind) or isinstance(value, bool):
            raise self._wrong(name, value, kind.__name__)
        return value

    def take(self, name: str, kind: type[Value]) -> Value:
        """Give a value of this kind, which must be there."""
        value = self.find(name, kind)
        if value is None:
            raise PlanError(f"{self.place(name)} is missing", remedy=_WRITE)
        return value

    def part(self, name: str) -> _Part:
        """Give a mapping of this one."""
        return _Part(self.take(name, dict), self.place(name))

    def choice(self, name: str, choices: tuple[str, ...], usual: str | None = None) -> str:
        """Give one of these texts; where it is missing the usual one."""
        value = self.take(name, str) if usual is None else self.find(name, str) or usual
        if value not in choices:
            raise self._wrong(name, value, " or ".join(filter(None, choices)))
        return value

    def numbers(self, name: str) -> tuple[int, ...]:
        """Give a list of numbers from 0."""
        values = self.take(name, list)
        if not all(type(value) is int and value >= 0 for value in values):
            raise self._wrong(name, values, "a list of numbers from 0")
        return tuple(values)

    def texts(self, name: str) -> dict[str, str]:
        """Give a mapping of texts."""
        values = self.take(name, dict)
        if not all(isinstance(value, str) for value in values.values()):
            raise self._wrong(name, values, "a mapping of texts")
        return values

    def _wrong(self, name: str, value: object, expected: str) -> PlanError:
        return PlanError(f"{self.place(name)}: {value!r:.80} is not {expected}", remedy=_WRITE)
