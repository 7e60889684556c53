"""From a launch to what is written: refuses what a target cannot start or must not lose, adds the plan."""

from __future__ import annotations

from dataclasses import replace

from autotune.errors import AutotuneError, ExportError
from autotune.exporters.protocol import PARTS, Exported, Exporter, ExportOptions, parts_of
from autotune.plan.document import Plan, format_plan
from autotune.plan.launch import PLAN_FILE, Launch, launch_of
from autotune.plugins import OWN, error_in_words
from autotune.spec.launch import FORM, LaunchSpec


def launch_for(
    exporter: Exporter, plan: Plan, server: LaunchSpec | None, *, plan_path: str = "", workers: bool = False
) -> Launch:
    """Give what a target is to start of a plan: the server where there is one and the target can start it.

    Args:
        server: the user's; None = none is known.
        plan_path: of plan.json, where the instances run; empty where it is not written anywhere.
        workers: autotune's workers are asked for, though there may be a server.

    Raises:
        ExportError: the target starts no workers, or needs a server, and there is none.
    """
    if workers and "worker" not in exporter.programs:
        raise ExportError(
            f"{exporter.name} starts no workers of autotune: they are conducted by launch.sh alone",
            remedy="export --to numactl, or leave --workers out",
        )
    has_command = server is not None and server.command is not None
    if "command" not in exporter.programs or workers or ("worker" in exporter.programs and not has_command):
        return launch_of(plan)
    if exporter.is_starting and not has_command:
        raise ExportError(
            f"{exporter.name} starts your server, and the plan {plan.id} does not say how",
            remedy="give --command 'uvicorn app:app --port {port}', or write into the study: "
            f"launch: {{command: {FORM}}}",
        )
    return launch_of(plan, server or LaunchSpec(), plan_path=plan_path)


def export(
    exporter: Exporter, launch: Launch, options: ExportOptions, *, allow_loss: bool = False
) -> Exported:
    """Render a launch for a target, with plan.json beside.

    Raises:
        ExportError: the target cannot express the launch, or loses what the plan depends on.
    """
    exported = _rendered(exporter, launch, options)
    lost = [
        loss
        for loss in exported.losses
        if loss.part in parts_of(launch) and exporter.keeps.of(loss.part) == "lost"
    ]
    if lost and exporter.is_starting and not allow_loss:
        parts = " and ".join(dict.fromkeys(PARTS[loss.part] for loss in lost))
        raise ExportError(
            f"{exporter.name} would lose the plan's {parts}: {' '.join(loss.words for loss in lost)}",
            remedy="give --allow-loss to export all the same, or export to another target",
        )
    return replace(exported, files={**exported.files, PLAN_FILE: format_plan(launch.plan)})


def _rendered(exporter: Exporter, launch: Launch, options: ExportOptions) -> Exported:
    """Have an exporter render; one of another distribution may fail in any way, which is no fault of ours."""
    try:
        exported: object = exporter.render(launch, options)
    except AutotuneError:
        raise
    except Exception as error:
        if type(exporter).__module__.partition(".")[0] == OWN:
            raise
        raise _broken(exporter, error_in_words(error)) from error
    if not isinstance(exported, Exported):
        raise _broken(exporter, f"it gives {exported!r:.80} in the place of files")
    return exported


def _broken(exporter: Exporter, how: str) -> ExportError:
    return ExportError(
        f"the exporter {exporter.name} of {type(exporter).__module__} breaks: {how}",
        remedy="update or uninstall the package that brings it",
    )


def single_text(exported: Exported, name: str) -> str:
    """Give the text of a target's only file beside plan.json, for stdout.

    Raises:
        ExportError: there are more.
    """
    own = [text for path, text in exported.files.items() if path != PLAN_FILE]
    if len(own) > 1:
        raise ExportError(f"{name} has {len(own)} files, too many for stdout", remedy="give a folder: -o DIR")
    return own[0] if own else exported.files[PLAN_FILE]
