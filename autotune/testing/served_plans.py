"""Plans of real models that can be served on this machine. Their figures are made up: nothing is measured."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path

from autotune.backends.registry import get_backend, package_versions
from autotune.machine.read import read_machine
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.found import find_study
from autotune.model.sources import resolve_model
from autotune.model.stream import read_description
from autotune.placement.command import Service, worker_commands
from autotune.placement.place import place
from autotune.plan.document import Plan
from autotune.plan.evidence import Confirmation
from autotune.plan.make import Deployment, Gain, Measured, make_plan
from autotune.preparation.making import MadeFor
from autotune.preparation.preparing import prepare_artifact, prepare_stream
from autotune.spec.configuration import Configuration
from autotune.spec.study import StudySpec
from autotune.testing.plans import build_measurement

TIMEOUT_S = 600.0


def build_served_plan(spec: StudySpec, base: Path, configuration: Configuration) -> Plan:
    """Prepare what a configuration is served with, in the user's cache, and give the plan that starts it.

    Args:
        spec: a study of one model.
        base: folder that relative paths start from.
    """
    cache, machine = ArtifactCache(), read_machine()
    model = resolve_model(spec.models[0], base=base, seed=spec.seed, offline=True, head=spec.head)
    found = find_study(spec, {"": model}, base)
    variant = found.variants[""]
    source = variant.stream(configuration)
    stream = None if source is None else prepare_stream(model, source, cache, timeout_s=TIMEOUT_S)
    artifact = prepare_artifact(
        model,
        configuration.backend,
        configuration.precision,
        machine.isa,
        cache,
        timeout_s=TIMEOUT_S,
        made_for=MadeFor(calibration=variant.calibration, knobs=configuration.prepared.knobs),
    )
    service = Service(spec.problem, spec.scenario, spec.seed, spec.measure.warmup_s, stream)
    backend = get_backend(configuration.backend)
    measured = Measured(configuration, 1, (build_measurement(instances=configuration.instances),))
    return make_plan(
        spec=found.stored,
        machine=machine,
        winner=Deployment(
            measured,
            worker_commands(configuration, place(configuration, machine), artifact, backend, service),
            {
                "autotune": version("autotune"),
                "python": platform.python_version(),
                "kernel": platform.release(),
                **package_versions((*backend.packages, "numpy", "tokenizers")),
            },
            model,
            requests=None if stream is None else read_description(stream.directory),
        ),
        baseline=None,
        gain=Gain(missing="nothing was measured"),
        confirmation=Confirmation(verdict="unopposed", rounds=1),
    )
