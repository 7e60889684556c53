"""Plans of a fake model that can be started on this machine, and that state whatever they are told to."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from autotune.backends.registry import get_backend
from autotune.machine.read import read_machine
from autotune.measurement.measurement import Measurement
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.sources import ResolvedModel, resolve_model
from autotune.placement.command import Service, worker_commands
from autotune.placement.place import place
from autotune.plan.document import Plan
from autotune.plan.evidence import Confirmation
from autotune.plan.make import Deployment, Gain, Measured, make_plan
from autotune.preparation.preparing import prepare_artifact
from autotune.search.space import baseline_configuration
from autotune.spec.configuration import Configuration
from autotune.spec.study import StudySpec
from autotune.statistics.paired import CONFIDENCE, Interval
from autotune.testing.fake_model import SCHEMA
from autotune.testing.plans import build_measurement

MODEL_FILE = "model.json"

PREPARATION_TIMEOUT_S = 60.0

ONE = Configuration(1, 1, "close", "0", smt=False, backend="fake", precision="int8-dynamic")
"""One pinned thread, at the precision at which the model is fast."""


class FakeStudy:
    """A study of a fake model in a folder; its trials take a fraction of a second.

    Attributes:
        folder: with the model's file.
        spec: the study's values.
    """

    def __init__(
        self, folder: Path, model: Mapping[str, Any] | None = None, *, file: str = MODEL_FILE, **spec: Any
    ) -> None:
        """Write the model: 40 ms for a request at fp32 and 20 ms at int8, unless `model` says otherwise.

        Args:
            file: name of the model's file.
            spec: values of the study file in the place of the usual ones.
        """
        self.folder = folder
        self.spec = StudySpec.model_validate_json(json.dumps({**_STUDY, "model": f"fake:{file}", **spec}))
        self._file = folder / file
        self.write_model(**(model or {}))

    def write_model(self, **model: Any) -> None:
        """Write the model's file with these values."""
        self._file.write_text(json.dumps({"schema": SCHEMA, **_MODEL, **model}))

    def model(self) -> ResolvedModel:
        """The model as it is now."""
        return resolve_model(self.spec.models[0], base=self.folder, seed=self.spec.seed, offline=True)

    def plan(self, stated: Interval | float | None, configuration: Configuration = ONE) -> Plan:
        """A plan of the baseline (10 samples/s) and this configuration, prepared in the user's cache.

        Args:
            stated: the gain that it claims, with its interval if it is one; None = it has no baseline.
        """
        spec, machine, model = self.spec, read_machine(), self.model()
        artifact = prepare_artifact(
            model, "fake", configuration.precision, machine.isa, ArtifactCache(),
            timeout_s=PREPARATION_TIMEOUT_S,
        )  # fmt: skip
        commands = worker_commands(
            configuration,
            place(configuration, machine),
            artifact,
            get_backend("fake"),
            Service(spec.problem, spec.scenario, spec.seed, spec.measure.warmup_s),
        )
        gain = _interval(stated)
        value = 1.0 if gain is None else gain.estimate
        baseline = Measured(baseline_configuration(spec, machine), 0, (_measurement(1.0),))
        return make_plan(
            spec=spec,
            machine=machine,
            winner=Deployment(
                Measured(configuration, 1, (_measurement(value),)), commands, _versions(), model
            ),
            baseline=None if gain is None else baseline,
            gain=Gain(gain),
            confirmation=Confirmation(verdict="unopposed" if gain is None else "better", rounds=3),
        )


_MODEL: Mapping[str, Any] = {"parallel_s_per_token": 0.04, "speed": {"fp32": 1.0, "int8-dynamic": 2.0}}

_STUDY: Mapping[str, Any] = {
    "name": "fake",
    "problem": {"batch_size": 1, "sequence_length": 1},
    "objective": {"kind": "throughput"},
    "measure": {"warmup_s": 0.2, "block_s": 0.1, "blocks": 2, "trial_timeout_s": 20.0, "disturbed": "keep"},
}


def _interval(stated: Interval | float | None) -> Interval | None:
    if isinstance(stated, float):
        return Interval(stated, 0.0, float("inf"), CONFIDENCE, 1)
    return stated


def _measurement(gain: float) -> Measurement:
    """A measurement of 10 samples per second, times the gain."""
    return build_measurement(request_s=0.1 / gain, samples_per_request=1)


def _versions() -> dict[str, str]:
    own, python, kernel = version("autotune"), platform.python_version(), platform.release()
    return {"autotune": own, "python": python, "kernel": kernel}
