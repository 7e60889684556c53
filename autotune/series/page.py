"""The page of a series' result: machine, figures, picture, and what agrees with the source or does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from autotune.machine.cpus import parse_cpu_list
from autotune.series.judging import ClaimVerdict, Judgement
from autotune.series.standing import Standings
from autotune.series.table import columns, format_interval, markdown, rows
from autotune.series.values import Series
from autotune.units import format_bytes, format_duration

TABLE, PICTURE = "table.md", "picture.svg"

_CLAIMS: Mapping[ClaimVerdict, str] = {
    "agrees": "Agrees with the source",
    "differs": "Does not agree with the source",
    "unknown": "Cannot be told here",
}
_BESIDE: Mapping[ClaimVerdict, str] = {
    "agrees": "So it is here",
    "differs": "Not so here",
    "unknown": "Cannot be told here",
}
_TARGETS: Mapping[ClaimVerdict, str] = {
    "agrees": "Met",
    "differs": "Missed",
    "unknown": "Cannot be told here",
}
_NO_FEATURES = "none of those that engines choose by"
_FEATURES = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "amx_bf16",
    "amx_int8",
    "asimddp",
    "i8mm",
)


def table_page(standings: Standings) -> str:
    """The table alone."""
    return markdown(columns(standings), rows(standings))


def result_page(
    series: Series,
    standings: Standings,
    claims: Sequence[Judgement],
    beside: Sequence[Judgement],
    targets: Sequence[Judgement],
    *,
    has_picture: bool,
) -> str:
    """All of the result as Markdown; everything in it follows from the series and what was measured."""
    record = standings.record
    about = [series.about.strip(), ""] if series.about.strip() else []
    picture = [f"![{series.title}]({PICTURE})", ""] if has_picture else []
    lines = [
        f"# {series.title}",
        "",
        *about,
        f"Source: {series.source}",
        "",
        f"Written by `autotune series run`; run it again rather than edit this page. {_how(standings)}",
        "",
        "## Machine and versions",
        "",
        markdown(("", ""), _provenance(standings)),
        "## Figures",
        "",
        table_page(standings),
        *picture,
        *_legend(standings),
        "",
        *_section("What agrees with the source, and what does not", claims, _CLAIMS),
        *_section("Asked beside it, of which the source says nothing", beside, _BESIDE),
        *_section("What this project asks of itself", targets, _TARGETS),
        "## Again",
        "",
        f"`autotune series run studies/{record.name} -o FOLDER` measures it on your machine.",
    ]
    return "\n".join(lines) + "\n"


def in_words(judgement: Judgement) -> str:
    """What was found, beside what was asked."""
    claim = judgement.claim
    if judgement.found is None or claim.check is None:
        return judgement.reason
    check = claim.parsed()
    found = judgement.found
    is_time = check is not None and check.figure == "median" and not check.is_ratio
    shown = format_interval(found.scaled(1000) if is_time else found)
    return f"{shown}{' ms' if is_time else ''}, asked is `{claim.check}`."


def _how(standings: Standings) -> str:
    record = standings.record
    full = len(record.full_rounds)
    rounds = "In one round" if full == 1 else f"In each of {full} rounds"
    started = "every point that runs here was started in fresh processes, in random order"
    return " ".join([*([f"{rounds}, {started}."] if full else []), *_left(standings)])


def _left(standings: Standings) -> Iterator[str]:
    """What the same command would measure again or more."""
    record = standings.record
    if not record.is_complete:
        yield f"Unfinished: {record.rounds} rounds were asked for."
    elif record.rounds_left:
        numbers = ", ".join(map(str, record.rounds_left))
        yield f"Disturbed or interrupted, so that the same command measures it again: round {numbers}."


def _legend(standings: Standings) -> Iterator[str]:
    yield (
        "`median`: geometric mean of the rounds' medians. `p99`: of all rounds' requests together, and in "
        "brackets what it does not exceed with 95 % confidence. `x first`: throughput over the first "
        "point's, round by round (randomised block design). Intervals hold with 95 % confidence each."
    )
    if (price := standings.price) is not None:
        yield ""
        yield (
            f"A core costs {price.of_core_hour:g} {price.currency} an hour; those that a point was given "
            "are paid for, busy or not."
        )
    if standings.left_out:
        yield ""
        yield " ".join(standings.left_out)
    if standings.quietness:
        yield ""
        yield standings.quietness


def _provenance(standings: Standings) -> Iterator[tuple[str, str]]:
    record = standings.record
    machine = record.machine
    yield "measured", _when(standings)
    yield "machine", f"{machine.get('model_name') or 'unknown model'} ({machine.get('architecture')})"
    cpus = len(parse_cpu_list(str(machine.get("allowed") or "0")))
    yield (
        "sockets, cores",
        f"{len(machine.get('packages', ()))}, {len(machine.get('cores', ()))}; {cpus} cpus allowed",
    )
    if machine.get("quota_cpus") is not None:
        yield "CPU quota", f"{machine['quota_cpus']:g} cpus"
    yield "features", " ".join(one for one in _FEATURES if one in machine.get("isa", ())) or _NO_FEATURES
    if machine.get("memory_bytes"):
        yield "memory", format_bytes(machine["memory_bytes"])
    yield "versions", ", ".join(f"{name} {version}" for name, version in record.versions.items())
    models = dict.fromkeys(
        (point.study.get("model"), point.model_digest[:12]) for point in record.points if point.model_digest
    )
    yield "models", ", ".join(f"{name} (sha256 {digest})" for name, digest in models)


def _when(standings: Standings) -> str:
    record = standings.record
    day = datetime.fromtimestamp(record.created_s, UTC).strftime("%Y-%m-%d")
    measured_s = sum(run.ended_s - run.started_s for run in record.runs)
    return f"{day}, {format_duration(measured_s)} in all"


def _section(title: str, judgements: Sequence[Judgement], names: Mapping[ClaimVerdict, str]) -> Iterator[str]:
    if not judgements:
        return
    yield f"## {title}"
    yield ""
    for verdict, name in names.items():
        own = [one for one in judgements if one.verdict == verdict]
        if own:
            yield f"**{name}**"
            yield ""
            yield from (_item(one) for one in own)
            yield ""


def _item(judgement: Judgement) -> str:
    stated = f" ({judgement.claim.stated})" if judgement.claim.stated else ""
    return f"- {judgement.claim.claim}{stated}: here {in_words(judgement)}"
