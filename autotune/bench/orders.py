"""Writes the orders of one study: numbered, and with what earlier results say of where to begin."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from autotune.bench.host import Host
from autotune.bench.order import Order, Purpose
from autotune.measurement.correction import UNCORRECTED, Correction
from autotune.measurement.measurement import Measurement, TrialResult
from autotune.measurement.steps import kept_step
from autotune.rounds.running import Entrant
from autotune.search.second_stage import without_knobs
from autotune.spec.configuration import Configuration
from autotune.trial.stopping import Rival


@dataclass
class Orders:
    """The orders of one study, earlier calls' included.

    Attributes:
        study: its name.
        launches: how many were ordered until now: each has arrivals of its own.
        rates: requests per second that configurations were last found to bear, of scenario `server`.
    """

    study: str
    launches: int = 0
    rates: dict[Configuration, float] = field(default_factory=dict)

    def search(
        self,
        configuration: Configuration,
        *,
        rival: Rival | None = None,
        correction: Correction = UNCORRECTED,
        max_measuring_s: float | None = None,
        preparation_s: float | None = None,
    ) -> Order:
        """Order a trial of the search, measured for as long as the decision about it needs; see `Order`."""
        return replace(
            self._numbered(configuration, "search"),
            rival=rival,
            correction=correction,
            max_measuring_s=max_measuring_s,
            preparation_s=preparation_s,
        )

    def confirm(self, entrant: Entrant) -> Order:
        """Order a run of a round, measured for as long as every other: nothing that it shows ends it."""
        return replace(self._numbered(entrant.configuration, "confirm"), commands=entrant.commands)

    def learn(self, order: Order, result: TrialResult) -> None:
        """Begin the next run of this configuration at the rate of this one, if it bears that."""
        if isinstance(result, Measurement) and result.rates and kept_step(result).met:
            self.rates[order.configuration] = kept_step(result).rate_per_s

    def run_confirming(self, host: Host, entrant: Entrant) -> TrialResult:
        """Have a host run an entrant of a round, and learn from it.

        Raises:
            ChangedMachineError, HostLostError: see `Host.run`.
        """
        order = self.confirm(entrant)
        result = host.run(order)
        self.learn(order, result)
        return result

    def _numbered(self, configuration: Configuration, purpose: Purpose) -> Order:
        self.launches += 1
        plain_rate = self.rates.get(without_knobs(configuration))
        return Order(
            id=f"{self.study}-{self.launches}",
            study=self.study,
            configuration=configuration,
            purpose=purpose,
            launch=self.launches,
            start_rate_per_s=self.rates.get(configuration, plain_rate),
        )
