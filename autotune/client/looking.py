"""What a service shows: its studies, plans and machine."""

from __future__ import annotations

from typing import Any

from autotune.client.asking import Asking, Json, segment
from autotune.client.connection import PREFIX


class Looking(Asking):
    """Looks at what a service has, and computes with it; changes nothing."""

    def queue(self) -> Json:
        """Give what runs on the service's machine, and what waits in its order.

        Raises:
            AutotuneError: the service refuses, or stays out of reach.
        """
        return self._get("/queue")

    def studies(self) -> list[Json]:
        """List the studies.

        Raises:
            AutotuneError: the service refuses, or stays out of reach.
        """
        return self._list("/studies", "studies")

    def study(self, name: str) -> Json:
        """Give a study.

        Raises:
            AutotuneError: there is none; the service refuses, or stays out of reach.
        """
        return self._get(f"/studies/{segment(name)}")

    def trials(self, study: str) -> list[Json]:
        """List the trials of a study, by number.

        Raises:
            AutotuneError: there is no such study; the service refuses, or stays out of reach.
        """
        return self._list(f"/studies/{segment(study)}/trials", "trials", following="after")

    def plans(self, study: str | None = None) -> list[Json]:
        """List the plans, newest first.

        Raises:
            AutotuneError: the service refuses, or stays out of reach.
        """
        return self._list("/plans", "plans", study=study)

    def plan(self, plan_id: str) -> Json:
        """Give a plan's document, which `autotune.plan.document.parse_plan` reads.

        Raises:
            AutotuneError: there is none; the service refuses, or stays out of reach.
        """
        return self._get(f"/plans/{segment(plan_id)}")

    def export(self, plan_id: str, target: str, **options: Any) -> bytes:
        """Give a plan's files for a target: a file, or several as a tar.gz.

        Args:
            target: as of `autotune export --to`.
            options: of the target.

        Raises:
            ExportError: the target is unknown, an option is wrong, or it cannot express the plan.
            AutotuneError: the service refuses, or stays out of reach.
        """
        asked = {"to": target, "download": "true", **options}
        path = f"{PREFIX}/plans/{segment(plan_id)}/export"
        return self._connection.request("GET", path, params=asked).content

    def preview(self, plan_id: str, target: str, **options: Any) -> Json:
        """Give what `export` would, as texts, and what the target cannot express.

        Raises:
            AutotuneError: as for `export`.
        """
        return self._get(f"/plans/{segment(plan_id)}/export", to=target, **options)

    def cost(self, plan_id: str, **asked: Any) -> Json:
        """Say what a plan costs.

        Args:
            asked: `rate`, `type`, `region` and `prices`, as the service describes them.

        Raises:
            AutotuneError: there is no price; the service refuses, or stays out of reach.
        """
        return self._post(f"/plans/{segment(plan_id)}/cost", asked)

    def fleet(self, **asked: Any) -> Json:
        """Count the machines that serve a rate within a latency, and say what they cost.

        Args:
            asked: `plan`, `rate`, `p99` and others, as the service describes them.

        Raises:
            FleetError: no number of machines does.
            AutotuneError: the service refuses, or stays out of reach.
        """
        return self._post("/fleet", asked)

    def choose(self, **asked: Any) -> Json:
        """Choose the cheapest plan for a rate and a latency.

        Args:
            asked: `rate`, `p99` and others, as the service describes them.

        Raises:
            FleetError: none of them does.
            AutotuneError: the service refuses, or stays out of reach.
        """
        return self._post("/choose", asked)

    def machine(self) -> Json:
        """Give the service's machine.

        Raises:
            AutotuneError: the service refuses, or stays out of reach.
        """
        return self._get("/machine")

    def engines(self) -> Json:
        """Give the engines of the service's machine.

        Raises:
            AutotuneError: the service refuses, or stays out of reach.
        """
        return self._get("/engines")

    def models(self) -> Json:
        """Give the models that a study may name there.

        Raises:
            AutotuneError: the service refuses, or stays out of reach.
        """
        return self._get("/models")

    def doctor(self) -> Json:
        """Give what the service's machine lacks for good measurements.

        Raises:
            AutotuneError: the service refuses, or stays out of reach.
        """
        return self._get("/doctor")
