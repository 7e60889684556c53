"""What a study has learned from its own measurements: how conditions move values, and how much noise is left.

The search's scores, the race, and the choice of finalists are of values under usual conditions; what is
stored of a trial are its raw values.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from autotune.measurement.correction import UNCORRECTED, Correction, MeasuredLaunch, learn, load_of
from autotune.measurement.covariates import COVARIATES, UNEXPLAINED, explanation, mean_explanation
from autotune.measurement.measurement import Block, Measurement, TrialResult
from autotune.measurement.statistics import block_latencies_s, block_throughput_sps, memory_bytes
from autotune.objectives.catalogue import objective_of
from autotune.objectives.outcome import Outcome, Resources
from autotune.rounds.contradiction import Earlier
from autotune.rounds.posterior import LEAST_NOISE, ContestPrior
from autotune.search.score import outcome_of, resources_of
from autotune.spec.configuration import Configuration
from autotune.spec.scenario import traits_of
from autotune.spec.study import StudySpec
from autotune.statistics.linear import TAILS, ScalePrior
from autotune.statistics.paired import t_quantile
from autotune.trial.stopping import Rival, goodness_of_blocks

RUN_BLOCKS = 2
"""Blocks of a run in the rounds of a confirmation, at most: neighbouring seconds are alike (autocorrelation
0.6 in three recordings), so that what is saved is better spent on more rounds.

Source: W. G. Cochran, Sampling Techniques, 3rd edition, 10.6: the best number within a cluster is
sqrt(cost of a cluster / cost within it x (1 - r) / r): 1.3 for a launch of 2.5 s, blocks of 1 s, r = 0.6.
"""


@dataclass(frozen=True)
class Experience:
    """What is known of a study's values.

    Attributes:
        learned: from every block; its noise counts whatever the study says of disturbed blocks.
    """

    spec: StudySpec
    learned: Correction

    @property
    def correction(self) -> Correction:
        """What is applied to values: nothing where the study says so, or where runs seek a rate."""
        return self.learned if is_corrected(self.spec) else UNCORRECTED

    @property
    def spread(self) -> float:
        """Standard deviation of the logarithm of one block's value within its launch."""
        return self.learned.noise * math.sqrt(TAILS / (TAILS - 2))

    def score(self, configuration: Configuration, measurement: Measurement) -> float:
        """The objective's value under usual conditions, in its unit."""
        return objective_of(self.spec).score(self._usually(configuration, measurement))

    def _usually(self, configuration: Configuration, measurement: Measurement) -> Outcome:
        """What a measurement would have given under usual conditions."""
        if traits_of(measurement.scenario).is_one_run:
            return outcome_of(self.spec, measurement)
        load, resources = load_of(configuration), resources_of(self.spec, measurement)
        return UsualOutcome(measurement, self.correction, load, resources)

    def half_width(self, measurement: Measurement) -> float:
        """Half of the 95 % interval of a trial's score, as a share: what one launch can say."""
        freedom = max(1.0, self.learned.freedom)
        return t_quantile(0.975, freedom) * self.run_spread(len(measurement.blocks))

    def deviations(self, configuration: Configuration, measurement: Measurement) -> tuple[float, ...]:
        """By how much a run's covariates differ from what is usual; nothing where nothing is corrected."""
        return self.correction.deviations(mean_explanation(measurement), load_of(configuration))

    def run_spread(self, blocks: int) -> float:
        """Standard deviation of the logarithm of a run of so many blocks."""
        return self.spread * math.sqrt(1 / blocks + LAUNCH_SHARE**2)

    def prior(self, blocks: int) -> ContestPrior:
        """What is known beforehand of runs of so many blocks in the rounds of a contest."""
        scale = max(LEAST_NOISE.scale, self.run_spread(blocks) * math.sqrt((TAILS - 2) / TAILS))
        slopes = self.correction.slopes
        return ContestPrior(
            noise=ScalePrior(scale, PRIOR_FREEDOM),
            slopes=slopes,
            errors=tuple(
                math.hypot(error, BETWEEN_LAUNCHES) for error in self.correction.errors[: len(slopes)]
            ),
            expected=tuple(covariate.slope for covariate in COVARIATES[: len(slopes)]),
        )

    def earlier(self, configuration: Configuration, measurement: Measurement, *, among: int = 1) -> Earlier:
        """What the rounds are compared with.

        Args:
            among: it was chosen for being the best of so many.
        """
        return Earlier(
            corrected_goodness(self, configuration, measurement),
            self.run_spread(len(measurement.blocks)),
            self.deviations(configuration, measurement),
            among,
        )

    def rival(self, configuration: Configuration, measurement: Measurement) -> Rival:
        """The best so far, for a trial to race against."""
        return Rival(
            tuple(self._goodness(configuration, measurement)),
            self.spread,
            max(1, round(self.learned.freedom)),
        )

    def _goodness(self, configuration: Configuration, measurement: Measurement) -> list[float]:
        return goodness_of_blocks(
            measurement.blocks,
            measurement.scenario,
            objective_of(self.spec),
            self.correction,
            load_of(configuration),
            resources_of(self.spec, measurement),
        )


@dataclass(frozen=True)
class UsualOutcome:
    """What a measurement would have given under usual conditions.

    Attributes:
        correction: what brings a block to them; load: threads at work.
    """

    measurement: Measurement
    correction: Correction
    load: int
    resources: Resources

    @property
    def throughput_sps(self) -> float:
        """Samples per second: the median over blocks, so that one that was hit by a spike does not decide."""
        return statistics.median(
            block_throughput_sps(block) * self._factor(block) for block in self.measurement.blocks
        )

    @property
    def latencies_s(self) -> tuple[float, ...]:
        """Every latency, as long as it would have been."""
        return tuple(
            latency / self._factor(block)
            for block in self.measurement.blocks
            for latency in block_latencies_s(block, self.measurement.scenario)
        )

    @property
    def promised_s(self) -> None:
        """Nothing: a rate that was sought is not corrected."""
        return

    @property
    def memory_bytes(self) -> int:
        """As it was: no conditions change it."""
        return memory_bytes(self.measurement)

    def _factor(self, block: Block) -> float:
        return self.correction.factor(block.conditions, self.load)


LAUNCH_SHARE = 0.7
"""Spread between launches over that of blocks within one: neighbouring seconds are alike, so that more blocks
do not tell what another launch would. Source: the autocorrelation of neighbouring blocks, 0.57 to 0.63 in
three recordings (studies/benchmarks/noise)."""


PRIOR_FREEDOM = 3.0
"""As so many runs the search's noise counts in the contest's model: it is of blocks, and says only about how
far launches differ."""

BETWEEN_LAUNCHES = 0.2
"""How far slopes between launches may differ from those within them. Source: slopes on speed of three
recordings lie within 0.56 and 0.84."""


def in_words(known: Experience) -> str:
    """How far values were corrected for the host's conditions, in a sentence; empty where they were not.

    Only what the study itself has seen is told: not the priors.
    """
    correction = known.correction
    if not correction.slopes:
        return ""
    seen = [
        f"{covariate.name} {slope:.2f} +- {error:.2f}"
        for covariate, slope, error in zip(COVARIATES, correction.slopes, correction.errors, strict=True)
        if error < SEEN * covariate.spread
    ]
    noise = f"Blocks of one launch vary by {100 * known.spread:.1f} %"
    if not seen:
        return f"{noise}."
    return f"{noise} after correction for the host's conditions (slopes of log value: {', '.join(seen)})."


SEEN = 0.7
"""A slope was learned where its standard error is below this share of its prior's."""


def is_corrected(spec: StudySpec) -> bool:
    """Whether values are brought to usual conditions."""
    return spec.measure.disturbed == "correct" and not traits_of(spec.scenario).is_one_run


def experience(spec: StudySpec, results: Iterable[tuple[Configuration, TrialResult]]) -> Experience:
    """Learn from what a study has measured, trials and rounds alike."""
    launches = [
        _launch(spec, configuration, result)
        for configuration, result in results
        if isinstance(result, Measurement) and not traits_of(result.scenario).is_one_run
    ]
    return Experience(spec, learn(launches))


def _launch(spec: StudySpec, configuration: Configuration, measurement: Measurement) -> MeasuredLaunch:
    is_used = spec.measure.disturbed != "keep"
    blocks = measurement.blocks
    return MeasuredLaunch(
        configuration,
        tuple(
            goodness_of_blocks(
                blocks, measurement.scenario, objective_of(spec), resources=resources_of(spec, measurement)
            )
        ),
        tuple(explanation(block.conditions) if is_used else UNEXPLAINED for block in blocks),
    )


def corrected_goodness(known: Experience, configuration: Configuration, measurement: Measurement) -> float:
    """What a measurement is worth under usual conditions, larger is better."""
    return objective_of(known.spec).goodness(known.score(configuration, measurement))


def run_blocks(spec: StudySpec) -> int:
    """How many blocks a run of the confirmation has, but for the sake of a percentile."""
    return min(RUN_BLOCKS, spec.measure.blocks)
