"""`autotune verify --launched`: whether what runs of a plan is as planned, and what it gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autotune.cli import exits, output
from autotune.cli.asked_fleet import read_rate

if TYPE_CHECKING:
    from autotune.jobs.launched import AskedLoad, LaunchedVerification
    from autotune.launched.served import ServedLatency, ServedLoad
    from autotune.plan.document import Plan

LaunchedOption = Annotated[
    bool, typer.Option("--launched", help="Look at the plan's running processes, and start none.")
]
PidOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--pid", metavar="INSTANCE=PID", help="With --launched: a process of an instance; may be repeated."
    ),
]
UrlOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--url", metavar="URL", help="With --launched: put the server under load there; may be repeated."
    ),
]
BodiesOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="With --url: bodies to send, one JSON value to a line.")
]
RateOption = Annotated[
    str | None,
    typer.Option(
        "--rate",
        metavar="RATE",
        help="With --url: requests to send: 100, 100/s, 6000/min.",
        show_default="60% of what the plan bears",
    ),
]
SecondsOption = Annotated[
    float | None, typer.Option("--seconds", metavar="S", help="With --url: for so long.", show_default="10")
]

CODES = {"as planned": 0, "differs": exits.DIFFERS, "stale": exits.STALE, "undecided": exits.UNDECIDED}
SERVED_CODES = {"keeps up": 0, "falls short": exits.WORSE, "undecided": exits.UNDECIDED}
"""By verdict on what runs, and on what it gives; the first that is not 0 is the command's."""


def refuse_without_launched(given: Mapping[str, object]) -> None:
    """Refuse options that only belong to `--launched`."""
    for option, value in given.items():
        if value not in (None, []):
            raise typer.BadParameter(
                "it is of processes that run already: give --launched, too", param_hint=option
            )


def refuse_of_trials(context: typer.Context, options: Sequence[str]) -> None:
    """Refuse options of the rounds, which are not run."""
    for option in options:
        source = context.get_parameter_source(option)
        if source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter(
                "it is of rounds, and --launched runs none: leave it out",
                param_hint=f"--{option.replace('_', '-')}",
            )


def read_pids(texts: Sequence[str], instances: int) -> dict[int, list[int]]:
    """Read `0=1234`, several of one instance too."""
    named: dict[int, list[int]] = {}
    for text in texts:
        index, mark, pid = text.partition("=")
        if not (mark and _is_number(index) and _is_number(pid) and int(pid)):
            raise typer.BadParameter(
                f"{text!r} names no process of an instance: write such as 0=1234", param_hint="--pid"
            )
        if int(index) >= instances:
            raise typer.BadParameter(
                f"{text!r}: the plan has {instances} instances, counted from 0", param_hint="--pid"
            )
        named.setdefault(int(index), []).append(int(pid))
    return named


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9


def read_load(
    urls: Sequence[str], requests: Path | None, rate: str | None, seconds: float | None
) -> AskedLoad | None:
    """Read what is to be sent; None where nothing is."""
    from autotune.jobs import launched
    from autotune.launched.bodies import read_bodies
    from autotune.launched.sending import check_url

    if not urls:
        for option, value in (("--requests", requests), ("--rate", rate), ("--seconds", seconds)):
            if value is not None:
                raise typer.BadParameter(
                    "it is of a load: say where to send it with --url", param_hint=option
                )
        return None
    bounds = launched.LOWEST_RATE_PER_S, launched.HIGHEST_RATE_PER_S
    rate_per_s = None if rate is None else read_rate(rate, bounds=bounds)
    length_s = launched.USUAL_SECONDS if seconds is None else seconds
    least_s, most_s = launched.LEAST_SECONDS, launched.MOST_SECONDS
    if not least_s <= length_s <= most_s:
        raise typer.BadParameter(
            f"{length_s:g} seconds: give from {least_s:g} to {most_s:g}", param_hint="--seconds"
        )
    try:
        checked = tuple(check_url(url) for url in dict.fromkeys(urls))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--url") from error
    try:
        bodies = () if requests is None else read_bodies(requests)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--requests") from error
    return launched.AskedLoad(checked, bodies, rate_per_s, length_s)


def verify_running(plan: Plan, named: dict[int, list[int]], load: AskedLoad | None, *, as_json: bool) -> int:
    """Look at what runs of a plan in the terminal's sight; give the exit code."""
    from autotune.cli.progress import show
    from autotune.jobs.interruption import Interruption
    from autotune.jobs.launched import verify_launched
    from autotune.stop import Stop

    stop = Stop()
    with Interruption(stop, on_first=output.stopping):
        verification = verify_launched(plan, named=named, load=load, emit=show, stop=stop)
    _print(verification, as_json=as_json)
    if verification.stopped:
        return exits.INTERRUPTED
    served = 0 if verification.served is None else SERVED_CODES[verification.served.verdict]
    return CODES[verification.verdict] or served


def _print(verification: LaunchedVerification, *, as_json: bool) -> None:
    from autotune.documents.launched import launched_document

    if as_json:
        output.result_json(launched_document(verification))
        return
    output.result_text(f"{verification.verdict}: plan {verification.plan.id}: {_headline(verification)}")
    for sentence in verification.stale:
        output.result_text(sentence)
    if verification.findings:
        output.result_table("", ("instance", "", "", ""), _rows(verification))
    for remedy in dict.fromkeys(finding.remedy for finding in verification.findings if finding.remedy):
        output.result_text(f"What helps: {remedy}.")
    for sentence in _beside(verification):
        output.result_text(sentence)
    if verification.served is not None:
        _print_served(verification.served)


def _headline(verification: LaunchedVerification) -> str:
    from autotune.units import format_count

    if verification.verdict == "stale":
        return "it was made on another machine, so there is nothing to compare"
    instances, running = len(verification.plan.instances), len(verification.found.instances)
    if not running:
        return "nothing of it runs here, as far as can be seen"
    runs = f"{running} of its {instances} instances run{'s' if running == 1 else ''}"
    likenesses = [finding.likeness for finding in verification.findings]
    wrong, untold = likenesses.count("differs"), likenesses.count("cannot be told")
    differs = (
        f"{format_count(wrong, 'thing')} differ{'s' if wrong == 1 else ''}" if wrong else "nothing differs"
    )
    return f"{runs}; {differs}" + (f", and {format_count(untold, 'thing')} cannot be told" if untold else "")


def _rows(verification: LaunchedVerification) -> Iterator[tuple[str, str, str, str]]:
    from autotune.launched.findings import listed

    for finding in verification.findings:
        who = f" (process {listed(finding.pids)})" if finding.pids else ""
        instance = "all" if finding.instance is None else str(finding.instance)
        yield instance, finding.aspect, finding.likeness, f"{finding.said}{who}"


def _beside(verification: LaunchedVerification) -> Iterator[str]:
    """Say what else runs that may explain what is missing."""
    from autotune.launched.findings import listed

    found, instances = verification.found, len(verification.plan.instances)
    if len(found.instances) == instances or verification.verdict == "stale":
        return
    if found.hidden and not found.instances:
        yield f"May not be looked at: process {listed([process.in_words for process in found.hidden])}."
    for other in found.others:
        which = f"the plan {other.id}" if other.id else f"a plan that cannot be read ({other.reason})"
        yield f"Of {which}, {other.path}: process {listed(other.pids)}."
    if found.others:
        yield "To look at those, name that file in the place of this plan."
    if found.measuring:
        pids = listed(found.measuring)
        yield f"autotune's own workers measure now (process {pids}); they are no launch of a server."
    yield (
        "Processes are found by AUTOTUNE_PLAN and AUTOTUNE_INSTANCE in their environment. Of a container, "
        "run this on the host as root, or inside it; where the variables are not passed on, give "
        "--pid INSTANCE=PID."
    )


def _print_served(served: ServedLoad) -> None:
    from autotune.units import format_rate

    rate = format_rate(served.stated.rate_per_s)
    output.result_text(f"{served.verdict}: {rate} to {', '.join(served.urls)}: {served.in_words}")
    columns = ("latency", "the plan states", "the server gives", "95 % interval")
    output.result_table("", columns, (_latency_row(latency) for latency in served.latencies))
    for reason in served.reasons:
        output.result_text(reason)


def _latency_row(latency: ServedLatency) -> tuple[str, str, str, str]:
    from autotune.units import format_latency

    stated = "" if latency.stated_s is None else format_latency(latency.stated_s)
    if latency.value_s is None:
        return f"p{latency.percentile:g}", stated, f"needs {latency.needed} answered requests", ""
    interval = latency.interval
    surely = "" if interval is None else f"{format_latency(interval.low)} to {format_latency(interval.high)}"
    return f"p{latency.percentile:g}", stated, format_latency(latency.value_s), surely
