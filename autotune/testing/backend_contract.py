"""The contract of every backend, as a test class to inherit from.

```python
class TestMyBackend(BackendContract):
    name = "my-engine"
```
"""

# The names of tests are sentences.
# ruff: noqa: D102

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any, ClassVar

import pytest

from autotune.backends.knobs import turned_in_preparation
from autotune.backends.protocol import Documented, TakesKnobs
from autotune.backends.registry import backends, get_backend, package_versions
from autotune.machine.read import read_machine
from autotune.model.artifacts.artifact import Artifact
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.artifacts.manifest import read_manifest
from autotune.model.child import run_child
from autotune.model.sources import resolve_model
from autotune.preparation.making import MadeFor
from autotune.preparation.preparing import prepare_artifact
from autotune.spec.configuration import Precision
from autotune.spec.model_source import kind_of
from autotune.testing.backend_probe import Probed, ProbeRequest


@cache
def engine_modules() -> frozenset[str]:
    """Give the top-level modules of every distribution that a registered engine needs, autotune aside."""
    needed = {name.lower() for backend in backends().values() for name in backend.packages} - {"autotune"}
    return frozenset(
        module
        for module, distributions in packages_distributions().items()
        if needed & {name.lower() for name in distributions}
    )


@dataclass(frozen=True)
class Probe:
    """What a child saw of one prepared artifact; see `autotune.testing.backend_probe`."""

    artifact: Artifact
    imported: frozenset[str]
    runs: tuple[dict[str, Any], ...]
    report: dict[str, Any]


class BackendContract:
    """Every backend passes this; each of its precisions is prepared once, and loaded once in a child.

    A fixture `contract_cache: Path` names the folder to prepare into, and `contract_model: str` the
    model's source, with an absolute path in it.
    """

    name: ClassVar[str]
    requests: ClassVar[tuple[tuple[int, int], ...]] = ((1, 1), (2, 16), (5, 7))
    """`(batch, tokens)` that one session must answer."""
    threads: ClassVar[int] = 2
    least_cosine: ClassVar[float | None] = 0.98
    """Agreement with the fp32 reference; None for a backend that computes nothing."""
    least_cosine_of_int4: ClassVar[float] = 0.9
    """The same of `int4-weights`: sixteen levels are coarse in layers as small as a test's."""
    timeout_s: ClassVar[float] = 240

    @pytest.fixture(scope="class")
    @classmethod
    def refusals(cls, contract_model: str) -> dict[Precision, str | None]:
        backend, isa = get_backend(cls.name), read_machine().isa
        kind = kind_of(contract_model)
        return {precision: backend.unsupported(precision, isa, kind) for precision in backend.precisions}

    @pytest.fixture(scope="class")
    @classmethod
    def probes(
        cls, contract_model: str, contract_cache: Path, refusals: Mapping[Precision, str | None]
    ) -> dict[Precision, Probe]:
        model = resolve_model(contract_model, base=Path("/"), seed=0, offline=True)
        isa, cache = read_machine().isa, ArtifactCache(contract_cache)
        artifacts = {
            precision: prepare_artifact(model, cls.name, precision, isa, cache, timeout_s=cls.timeout_s)
            for precision, refusal in refusals.items()
            if refusal is None
        }
        return {precision: cls._probe(artifact) for precision, artifact in artifacts.items()}

    @classmethod
    def _probe(cls, artifact: Artifact) -> Probe:
        request = ProbeRequest(
            cls.name, artifact.precision, artifact.directory, cls.threads, tuple(cls.requests)
        )
        result = run_child(
            "autotune.testing.backend_probe",
            request.to_json(),
            timeout_s=cls.timeout_s,
            variables=get_backend(cls.name).environment(cls.threads),
        )
        result.raise_error()
        assert result.reply is not None, result.stderr_tail
        assert result.returncode == 0, result.stderr_tail
        seen = Probed(**result.reply)
        return Probe(artifact, frozenset(seen.imported), tuple(seen.runs), seen.report)

    def test_what_its_documentation_starts_is_among_its_precisions(self) -> None:
        backend = get_backend(self.name)
        if isinstance(backend, Documented):
            assert set(backend.documented) <= set(backend.precisions)

    def test_it_is_found_under_its_own_name(self) -> None:
        assert backends()[self.name].name == self.name

    def test_its_packages_are_installed_and_named_as_distributions(self) -> None:
        packages = get_backend(self.name).packages
        assert set(package_versions(packages)) == set(packages)

    def test_a_precision_that_it_refuses_is_refused_in_words(
        self, refusals: Mapping[Precision, str | None]
    ) -> None:
        assert None in refusals.values()
        assert all(refusal is None or refusal.strip() for refusal in refusals.values())

    def test_it_refuses_models_of_the_other_sort(self, contract_model: str) -> None:
        other = "random" if contract_model.startswith("fake:") else "fake"
        backend = get_backend(self.name)
        assert all(backend.unsupported(precision, frozenset(), other) for precision in backend.precisions)

    def test_importing_it_imports_no_engine(self, probes: Mapping[Precision, Probe]) -> None:
        assert [probe.imported & engine_modules() for probe in probes.values()] == [frozenset()] * len(probes)

    def test_one_session_answers_every_shape_with_one_finite_row_per_sequence(
        self, probes: Mapping[Precision, Probe]
    ) -> None:
        for probe in probes.values():
            assert [run["shape"][0] for run in probe.runs] == [batch for batch, _ in self.requests]
            assert all(map(math.isfinite, (value for run in probe.runs for value in run["extremes"])))

    def test_the_same_request_has_the_same_answer(self, probes: Mapping[Precision, Probe]) -> None:
        for probe in probes.values():
            assert all(first == second for first, second in (run["digests"] for run in probe.runs))

    def test_it_reports_the_precision_and_threads_asked_for(self, probes: Mapping[Precision, Probe]) -> None:
        reported = {
            precision: (probe.report["precision"], probe.report["threads"])
            for precision, probe in probes.items()
        }
        assert reported == {precision: (precision, self.threads) for precision in probes}

    def test_it_reports_the_usual_value_of_every_knob_that_the_process_does_not_show(
        self, probes: Mapping[Precision, Probe]
    ) -> None:
        backend = get_backend(self.name)
        told = backend.knobs if isinstance(backend, TakesKnobs) else {}
        for precision, probe in probes.items():
            own = [knob for knob in told if knob.in_force is None and precision in told[knob]]
            assert {knob.name: probe.report["knobs"].get(knob.name) for knob in own} == {
                knob.name: knob.usual for knob in own
            }

    def test_it_reports_its_name_and_a_version(self, probes: Mapping[Precision, Probe]) -> None:
        assert all(probe.report["engine"] == self.name for probe in probes.values())
        assert all(probe.report["version"] for probe in probes.values())

    def test_its_answers_agree_with_the_reference(self, probes: Mapping[Precision, Probe]) -> None:
        for precision, probe in probes.items():
            manifest = read_manifest(probe.artifact.directory)
            assert manifest is not None
            if self.least_cosine is None:
                assert manifest.agreement is None
            else:
                assert manifest.agreement is not None
                least = self.least_cosine_of_int4 if precision == "int4-weights" else self.least_cosine
                assert manifest.agreement.cosine >= least

    def test_what_it_turns_in_preparation_is_another_artifact_that_agrees(
        self, contract_model: str, contract_cache: Path, probes: Mapping[Precision, Probe]
    ) -> None:
        model = resolve_model(contract_model, base=Path("/"), seed=0, offline=True)
        isa, cache = read_machine().isa, ArtifactCache(contract_cache)
        every = turned_in_preparation(get_backend(self.name), frozenset({model.kind}))
        turned = [(precision, knobs) for precision, knobs in every if precision in probes]
        if not turned:
            pytest.skip(f"{self.name} turns nothing in preparation here")
        for precision, knobs in turned:
            made = prepare_artifact(
                model,
                self.name,
                precision,
                isa,
                cache,
                timeout_s=self.timeout_s,
                made_for=MadeFor(knobs=knobs),
            )
            manifest = read_manifest(made.directory)
            assert manifest is not None
            assert (manifest.knobs, made.key != probes[precision].artifact.key) == (knobs, True)
            assert manifest.agreement is None or manifest.agreement.cosine >= (self.least_cosine or 0.0)

    def test_running_leaves_the_artifact_as_it_was(self, probes: Mapping[Precision, Probe]) -> None:
        assert all(read_manifest(probe.artifact.directory) is not None for probe in probes.values())
