"""The fake model's file, and its closed form.

A JSON object; every key is optional but `schema`:

```
{
  "schema": "autotune.fake/1",
  "timing": "sleep",              or "busy": as much CPU time, on one thread, instead of sleeping
  "serial_s": 0.001,              of every request, whatever its size and threads
  "parallel_s_per_token": 1e-6,   divided among the threads
  "thread_efficiency": 1.0,       n threads are 1 + thread_efficiency * (n - 1) times as fast as one
  "sync_s_per_thread": 0.0,       added for each thread after the first
  "speed": {"fp32": 1.0, "int8-dynamic": 2.5},    absent precisions are unsupported
  "contention": 0.0,              share by which each other instance slows this one
  "knobs": {"spinning": {"off": 1.3}},            how many times as fast with a knob's value; absent = once
  "default_threads": 1,           what `threads` 0 stands for
  "load_s": 0.0,
  "memory_bytes": 0,              held by every loaded session
  "noise": {                      every key is optional; absent = none
    "launch": 0.03, "block": 0.03, "block_s": 1.0, "request": 0.01, "drift": 0.05, "drift_period_s": 60.0,
    "spikes": {"share": 0.02, "factor": 2.0, "mean_s": 0.5}
  },
  "faults": [
    {"fault": "crash", "at": "load", "instance": 0, "when": {"instances": 2, "precision": "fp32"}}
  ]
}
```

One request of `[batch, tokens]` takes

    (serial_s
     + parallel_s_per_token * batch * tokens / (speed[precision] * (1 + thread_efficiency * (threads - 1)))
     + sync_s_per_thread * (threads - 1)
    ) * (1 + contention * (instances - 1)) / (the product of what `knobs` says of the configuration's)

times the factor of `autotune.testing.noise`, whose `Noise` and `Spikes` say what the keys of `noise` are.
Block, drift and spikes strike all workers of a seed alike, by CLOCK_MONOTONIC; launch and request are each
worker's own.

A fault strikes the worker `instance` (absent: every one) when all of `when` holds (of `instances`,
`threads`, `batch_size`, `sequence_length`, `precision`), at one of `FaultPoint`: `load` (the default),
`warmup`, or `measure` (the first request after the worker has reported). With `while` it does so only while
the file of that absolute path is there: so neighbours come and go. The faults are those of `FAULTS`, some of
which take `bytes` or `factor`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args

from autotune.errors import ModelError
from autotune.spec.configuration import Precision
from autotune.spec.knobs import NO_KNOBS, Knobs
from autotune.spec.known_knobs import known_knobs
from autotune.testing.noise import Noise, Spikes

SCHEMA = "autotune.fake/1"

FAKE_PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "int8-dynamic")
"""What a fake model may have."""

Timing = Literal["sleep", "busy"]
FaultPoint = Literal["load", "warmup", "measure"]

FAULTS: Mapping[str, str] = {
    "crash": "ends with exit status 70 and a message on stderr",
    "abort": "ends with SIGABRT",
    "exit_without_result": "ends with exit status 0",
    "hang_ignoring_sigterm": "sleeps for ever and ignores SIGTERM",
    "flood": "prints `bytes` (100 MB if absent), then goes on",
    "allocate_bytes": "allocates and touches `bytes`, then goes on",
    "memory_error": "raises MemoryError",
    "unsupported": "raises UnsupportedError",
    "nan": "answers NaN from here on",
    "wrong_batch": "answers one row too many from here on",
    "slow": "takes `factor` times as long from here on",
    "wrong_affinity": "lets a thread run on every cpu it can get",
    "wrong_threads": "reports one thread more",
    "wrong_precision": "reports another precision",
    "wrong_knobs": "reports that all of its knobs are as usual",
}
"""Every fault and what it does."""

_CONDITIONS = ("instances", "threads", "batch_size", "sequence_length", "precision")


@dataclass(frozen=True)
class Fault:
    """What goes wrong, where and when.

    Attributes:
        instance: index of the worker that it strikes; None = every one.
        when: what must hold, by name.
        amount: `bytes` or `factor`, as the fault takes it.
        marker: path of the file that must be there; empty = it strikes whatever is there.
    """

    fault: str
    at: FaultPoint = "load"
    instance: int | None = None
    when: Mapping[str, int | str] = field(default_factory=dict)
    amount: float | None = None
    marker: str = ""


@dataclass(frozen=True)
class FakeModel:
    """The constants of the closed form, as in the file."""

    timing: Timing = "sleep"
    serial_s: float = 0.0
    parallel_s_per_token: float = 0.0
    thread_efficiency: float = 1.0
    sync_s_per_thread: float = 0.0
    speed: Mapping[Precision, float] = field(default_factory=lambda: {"fp32": 1.0})
    contention: float = 0.0
    knobs: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    default_threads: int = 1
    load_s: float = 0.0
    memory_bytes: int = 0
    noise: Noise = field(default_factory=Noise)
    faults: tuple[Fault, ...] = ()


def request_seconds(
    model: FakeModel,
    batch: int,
    tokens: int,
    threads: int,
    instances: int,
    precision: Precision,
    knobs: Knobs = NO_KNOBS,
) -> float:
    """The closed form: seconds of one instance's request, for simulations without processes.

    Raises:
        ModelError: the model does not have this precision.
    """
    if precision not in model.speed:
        raise ModelError(
            f"the fake model has no precision {precision!r}", remedy=f"it has {', '.join(model.speed)}"
        )
    more = (threads or model.default_threads) - 1
    speed = model.speed[precision] * (1 + model.thread_efficiency * more)
    alone = (
        model.serial_s + model.parallel_s_per_token * batch * tokens / speed + model.sync_s_per_thread * more
    )
    turned = math.prod(model.knobs.get(name, {}).get(value, 1.0) for name, value in knobs.items())
    return alone * (1 + model.contention * (instances - 1)) / turned


def read_fake_model(path: Path) -> FakeModel:
    """Read the file.

    Raises:
        ModelError: it cannot be read or is wrong; says where.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"the fake model {path} cannot be read: {error}") from error
    return parse_fake_model(text, name=str(path))


def parse_fake_model(text: str, *, name: str) -> FakeModel:
    """Read the document; `name` stands for it in errors.

    Raises:
        ModelError: it is wrong; says where.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"the fake model {name} is not JSON: {error}") from error
    try:
        return _model(document)
    except _WrongError as error:
        raise ModelError(
            f"the fake model {name} is wrong: {error}",
            remedy="the format is described in autotune.testing.fake_model",
        ) from None


class _WrongError(Exception):
    """A value in the file is wrong; the text says which and what is allowed."""


def _model(document: object) -> FakeModel:
    fields = dict(_object(document, "the file"))
    if fields.pop("schema", None) != SCHEMA:
        raise _WrongError(f"schema must be {SCHEMA!r}")
    _refuse_unknown(fields, _FIELDS, "the file")
    return FakeModel(**{key: _FIELDS[key](value, key) for key, value in fields.items()})


def _fault(value: object, path: str) -> Fault:
    fields = dict(_object(value, path))
    _refuse_unknown(fields, ("fault", "at", "instance", "when", "while", "bytes", "factor"), path)
    amounts = [fields[key] for key in ("bytes", "factor") if key in fields]
    instance = fields.get("instance")
    return Fault(
        fault=_one_of(fields.get("fault"), f"{path}.fault", tuple(FAULTS)),
        at=cast(FaultPoint, _one_of(fields.get("at", "load"), f"{path}.at", get_args(FaultPoint))),
        instance=None if instance is None else _whole(instance, f"{path}.instance"),
        when=_when(fields.get("when", {}), f"{path}.when"),
        amount=_number(amounts[0], f"{path}.bytes or .factor") if amounts else None,
        marker=_absolute_path(fields["while"], f"{path}.while") if "while" in fields else "",
    )


def _absolute_path(value: object, path: str) -> str:
    if not isinstance(value, str) or not value.startswith("/"):
        raise _WrongError(f"{path} must be the absolute path of a file, not {value!r:.80}")
    return value


def _faults(value: object, path: str) -> tuple[Fault, ...]:
    if not isinstance(value, list):
        raise _WrongError(f"{path} must be a list, not {value!r}")
    return tuple(_fault(item, f"{path}[{index}]") for index, item in enumerate(value))


def _noise(value: object, path: str) -> Noise:
    return Noise(**_fields(value, path, _NOISE))


def _spikes(value: object, path: str) -> Spikes:
    return Spikes(**_fields(value, path, _SPIKES))


def _fields(value: object, path: str, known: Mapping[str, Callable[[object, str], Any]]) -> dict[str, Any]:
    fields = _object(value, path)
    _refuse_unknown(fields, known, path)
    return {key: known[key](entry, f"{path}.{key}") for key, entry in fields.items()}


def _when(value: object, path: str) -> dict[str, int | str]:
    conditions = _object(value, path)
    _refuse_unknown(conditions, _CONDITIONS, path)
    return {
        key: _one_of(wanted, f"{path}.{key}", FAKE_PRECISIONS)
        if key == "precision"
        else _whole(wanted, f"{path}.{key}")
        for key, wanted in conditions.items()
    }


def _speed(value: object, path: str) -> dict[Precision, float]:
    speeds = _object(value, path)
    _refuse_unknown(speeds, FAKE_PRECISIONS, path)
    if not speeds:
        raise _WrongError(f"{path} must name at least one of {', '.join(FAKE_PRECISIONS)}")
    return {cast(Precision, key): _positive(speed, f"{path}.{key}") for key, speed in speeds.items()}


def _knobs(value: object, path: str) -> dict[str, Mapping[str, float]]:
    knobs = _object(value, path)
    _refuse_unknown(knobs, known_knobs() if knobs else {}, path)
    return {
        name: {key: _positive(speed, f"{path}.{name}.{key}") for key, speed in _object(speeds, path).items()}
        for name, speeds in knobs.items()
    }


def _object(value: object, path: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _WrongError(f"{path} must be an object, not {value!r:.80}")
    return value


def _refuse_unknown(fields: Mapping[str, Any], known: Mapping[str, Any] | tuple[str, ...], path: str) -> None:
    for key in fields:
        if key not in known:
            raise _WrongError(f"{path} has no key {key!r}; allowed are {', '.join(known)}")


def _one_of(value: object, path: str, allowed: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise _WrongError(f"{path} must be one of {', '.join(allowed)}, not {value!r:.80}")
    return value


def _number(value: object, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise _WrongError(f"{path} must be a number of at least 0, not {value!r:.80}")
    return float(value)


def _positive(value: object, path: str) -> float:
    if _number(value, path) == 0:
        raise _WrongError(f"{path} must be more than 0")
    return _number(value, path)


def _share(value: object, path: str) -> float:
    if _number(value, path) >= 1:
        raise _WrongError(f"{path} must be less than 1, not {value!r:.80}")
    return _number(value, path)


def _slowdown(value: object, path: str) -> float:
    if _number(value, path) < 1:
        raise _WrongError(f"{path} must be at least 1, as spikes slow down, not {value!r:.80}")
    return _number(value, path)


def _whole(value: object, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _WrongError(f"{path} must be a whole number of at least 0, not {value!r:.80}")
    return value


def _timing(value: object, path: str) -> Timing:
    return cast(Timing, _one_of(value, path, get_args(Timing)))


def _threads(value: object, path: str) -> int:
    if _whole(value, path) == 0:
        raise _WrongError(f"{path} must be at least 1")
    return _whole(value, path)


_SPIKES: Mapping[str, Callable[[object, str], Any]] = {
    "share": _share,
    "factor": _slowdown,
    "mean_s": _positive,
}
_NOISE: Mapping[str, Callable[[object, str], Any]] = {
    "launch": _number,
    "block": _number,
    "block_s": _positive,
    "request": _number,
    "drift": _number,
    "drift_period_s": _positive,
    "spikes": _spikes,
}
_FIELDS: Mapping[str, Callable[[object, str], Any]] = {
    "timing": _timing,
    "serial_s": _number,
    "parallel_s_per_token": _number,
    "thread_efficiency": _number,
    "sync_s_per_thread": _number,
    "speed": _speed,
    "contention": _number,
    "knobs": _knobs,
    "default_threads": _threads,
    "load_s": _number,
    "memory_bytes": _whole,
    "noise": _noise,
    "faults": _faults,
}
