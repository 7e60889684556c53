"""Compares the answers of configurations with the fp32 reference's, and says what is too far from them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from autotune.bench.artifacts import PREPARATION_TIMEOUT_S
from autotune.bench.starting import Starting
from autotune.events import AssessmentBegan, Emit
from autotune.model.assessment import Assessment, LabelledScore, refuse_void_limits, shortfalls
from autotune.preflight.setup import Setup
from autotune.preparation.preparing import prepare_assessment, reference_score
from autotune.spec.configuration import Configuration
from autotune.spec.knobs import answering


@dataclass(frozen=True)
class Answers:
    """What is known of answers in one call.

    Attributes:
        assessments: how near artifacts' answers are to the reference's, by the knobs that change answers too.
        scores: what the fp32 references of variants reach on labelled texts.
    """

    setup: Setup
    starting: Starting
    emit: Emit
    assessments: dict[tuple[str, str], Assessment] = field(default_factory=dict)
    scores: dict[str, LabelledScore] = field(default_factory=dict)

    def refusal(self, assessment: Assessment) -> str:
        """Say in what answers are too far from the reference's; nothing if they are near enough.

        Raises:
            AutotuneError: a limit is on what they do not have.
        """
        refuse_void_limits(assessment, self.setup.spec.quality)
        missed = list(shortfalls(assessment, self.setup.spec.quality))
        return f"too far from the fp32 reference: {'; '.join(missed)}" if missed else ""

    def variant_refusal(self, variant: str) -> str:
        """Say why no configuration of one of several models may be measured; nothing if they may.

        On labelled texts its fp32 reference must be nearly as good as the first model's.

        Raises:
            AutotuneError: that cannot be found out.
        """
        if self.is_first(variant) or self.setup.variants[variant].evaluation is None:
            return ""
        scored = self._against_first(self._reference_score(variant))
        missed = list(shortfalls(Assessment("texts", scored.rows, labelled=scored), self.setup.spec.quality))
        return f"{variant} is too much worse than {scored.of} at fp32: {'; '.join(missed)}" if missed else ""

    def is_first(self, variant: str) -> bool:
        """Tell whether it is the model that the others are compared with."""
        return variant == self.setup.spec.variants[0]

    def assessment(self, configuration: Configuration) -> Assessment:
        """Find out how near a model's answers, with an engine at a precision, are to the reference's.

        Those of its knobs count that change answers. Found out once, with a thread on every core; kept in the
        cache. A metric on labelled texts is compared with the first model's.

        Raises:
            AutotuneError: they cannot be compared.
        """
        knobs, machine = answering(configuration.knobs), self.setup.machine
        artifact = self.starting.artifact(configuration)
        if (key := (artifact.key, knobs)) not in self.assessments:
            self.emit(AssessmentBegan(str(configuration.prepared)))
            variant = self.setup.variant(configuration)
            assessment = prepare_assessment(
                variant.model,
                artifact,
                variant.calibration,
                variant.evaluation,
                self.starting.artifacts.cache,
                threads=min(machine.thread_budget, len(machine.allowed_cores)),
                timeout_s=PREPARATION_TIMEOUT_S,
                knobs=knobs,
            )
            if assessment.labelled is not None and not self.is_first(configuration.model):
                assessment = replace(assessment, labelled=self._against_first(assessment.labelled))
            self.assessments[key] = assessment
        return self.assessments[key]

    def _reference_score(self, variant: str) -> LabelledScore:
        """Find out what the fp32 reference of a model reaches on labelled texts; there must be some."""
        model = self.setup.variants[variant]
        assert model.evaluation is not None
        if variant not in self.scores:
            self.scores[variant] = reference_score(
                model.model,
                model.evaluation,
                self.starting.artifacts.cache,
                timeout_s=PREPARATION_TIMEOUT_S,
            )
        return self.scores[variant]

    def _against_first(self, scored: LabelledScore) -> LabelledScore:
        """Put the score of one of several models beside that of the first one's fp32 reference."""
        first = self.setup.spec.variants[0]
        return replace(scored, reference=self._reference_score(first).reference, of=first)
