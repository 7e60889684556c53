"""A bash script that starts the plan's processes with numactl or taskset."""

from __future__ import annotations

import json
from typing import Annotated, ClassVar, Final

from pydantic import Field

from autotune.errors import ExportError, PlanError
from autotune.exporters.protocol import EVERYTHING, Exported, ExportOptions, Keeps
from autotune.exporters.serving_script import instance_values, refuse_what_env_mistakes
from autotune.exporters.shell import script_template
from autotune.plan.document import Plan
from autotune.plan.launch import Launch, Program
from autotune.plan.study import spec_of
from autotune.spec.scenario import traits_of
from autotune.trial.asked import AskedRate, ask, asked_to_json

SCRIPT = "launch.sh"

PATH_WORDS: Final = "give it a path without '=', and no '-' in front; autotune's own is that of its Python"


class NumactlOptions(ExportOptions):
    """What the script does with servers."""

    grace_s: Annotated[int, Field(ge=0, le=3_600)] = 10
    """Seconds that servers are given to end after SIGTERM, before they are killed."""


class NumactlExporter:
    """Writes `launch.sh`, for bash 4.4 or newer.

    With autotune's workers it conducts and measures them. A server is started and watched.

    Binding memory needs numactl, and cpus alone need taskset. A plan for one memory node binds no memory.
    """

    name: ClassVar[str] = "numactl"
    summary: ClassVar[str] = "launch.sh, which pins with numactl or taskset"
    programs: ClassVar[frozenset[Program]] = frozenset({"worker", "command"})
    is_starting: ClassVar[bool] = True
    keeps: ClassVar[Keeps] = EVERYTHING
    options: ClassVar[type[ExportOptions]] = NumactlOptions

    def render(self, launch: Launch, options: NumactlOptions) -> Exported:
        """Give `launch.sh`.

        Raises:
            ExportError: a program's path has `=` in it, which `env` would take for a variable.
        """
        for instance in launch.instances:
            refuse_what_env_mistakes(instance.argv[0], PATH_WORDS)
        text = _measuring(launch) if launch.program == "worker" else _serving(launch, options)
        return Exported({SCRIPT: text}, executable=frozenset({SCRIPT}))


def _measuring(launch: Launch) -> str:
    plan, commands = launch.plan, launch.plan.commands()
    return script_template("measure.sh.j2").render(
        plan=plan,
        interpreter=commands[0].worker.interpreter,
        asked=json.dumps(asked_to_json(ask(commands, plan.configuration, plan.scenario, _rate(plan)))),
        artifact=plan.model.get("artifact") or "",
        requests=plan.model.get("requests") or "",
        instances=[instance_values(instance) for instance in launch.instances],
    )


def _serving(launch: Launch, options: NumactlOptions) -> str:
    return script_template("serve.sh.j2").render(
        plan=launch.plan,
        grace_s=options.grace_s,
        instances=[instance_values(instance) for instance in launch.instances],
    )


def _rate(plan: Plan) -> AskedRate | None:
    """The load that a `server` was found to bear.

    Raises:
        ExportError: the plan does not say which latency it keeps to.
    """
    if not traits_of(plan.scenario).seeks_rate:
        return None
    try:
        spec = spec_of(plan)
    except PlanError as error:
        raise ExportError(f"the plan {plan.id} holds no study", remedy="tune again") from error
    if spec.limits.latency is None:
        raise ExportError(f"the plan {plan.id} of a server has no limit of latency", remedy="tune again")
    rate_per_s = plan.estimate.throughput_sps / spec.problem.batch_size
    return AskedRate(rate_per_s, spec.limits.latency.percentile, spec.limits.latency.max_s)
