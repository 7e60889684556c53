"""A new study: a form, the file that it stands for, what is wrong with it, and the job that it becomes."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Final

from fastapi import Request, Response

from autotune.errors import AutotuneError, FileFault, RequestError, StudyFileError
from autotune.service.access import MayTune
from autotune.service.admission import admit
from autotune.service.ahead import look_ahead
from autotune.service.api.event_stream import InFeeds
from autotune.service.asking import Asker, ask_tune, read_key
from autotune.service.context import Context, InContext
from autotune.service.models import models_document
from autotune.service.pages.form.fields import FIELD, form_sections
from autotune.service.pages.form.written import fault_field, read_typed, study_text
from autotune.service.pages.forms import InForm
from autotune.service.pages.job import read_priority
from autotune.service.pages.rendering import render
from autotune.service.pages.routing import page_router, see
from autotune.service.runnable import check_runs
from autotune.spec.study import StudySpec

router = page_router()

BEGIN: Mapping[str, str] = {
    f"{FIELD}model": "random:minilm-l6",
    f"{FIELD}problem.batch_size": "8",
    f"{FIELD}problem.sequence_length": "64",
    f"{FIELD}objective": "throughput",
    f"{FIELD}budget.minutes": "5",
}
"""What the form begins with: the first study of the manual, which needs no download."""

PRIORITY: Final = "priority"
"""The field of the job itself; all others are of the study."""


@router.get("/new")
def new(request: Request, context: InContext, _: MayTune, as_text: bool = False) -> Response:
    """Show the form, or a field for the text of a study file."""
    begin_with = {f"{FIELD}name": f"study-{secrets.token_hex(3)}", **BEGIN}
    typed = {"text": study_text(begin_with)} if as_text else begin_with
    return _page(request, context, _shown(context, typed, is_text=as_text))


@router.post("/new/check")
def check(request: Request, context: InContext, _: MayTune, form: InForm) -> Response:
    """Give what the command line would say of what is typed so far, and the file that it stands for."""
    return render(request, "parts/check.html", **_shown(context, form, is_text="text" in form))


@router.post("/new")
def begin(request: Request, context: InContext, feeds: InFeeds, _: MayTune, form: InForm) -> Response:
    """Ask for the study, and show its job; or look ahead; or show what is wrong with it."""
    if "to_text" in form:
        return _page(request, context, _shown(context, {"text": study_text(form)}, is_text=True))
    shown = _shown(context, form, is_text="text" in form)
    spec: StudySpec | None = shown["spec"]
    if spec is None:
        return _page(request, context, shown | {"is_refused": True}, status=422)
    try:
        if "look" in form:
            ahead = look_ahead(context, admit(spec, context.settings))
            return _page(request, context, shown | {"ahead": ahead})
        job, is_new = ask_tune(context, spec, _asker(request, form))
    except AutotuneError as error:
        return _page(request, context, _refused(shown, error), status=422)
    if is_new:
        feeds.changed(job.id)
    return see(f"/jobs/{job.id}")


def _asker(request: Request, form: InForm) -> Asker:
    return Asker(
        getattr(request.state, "token_name", ""),
        read_priority(form.get("priority") or "0"),
        read_key(form.get("key") or None),
    )


def _page(request: Request, context: Context, shown: dict[str, Any], *, status: int = 200) -> Response:
    """Show the form, with the models that may be named."""
    models = models_document(context.settings)["models"]
    return render(request, "new.html", status=status, **shown, models=models)


def _shown(context: Context, typed: Mapping[str, str], *, is_text: bool) -> dict[str, Any]:
    text = typed.get("text", "").replace("\r\n", "\n") if is_text else study_text(typed)
    spec, faults = _read(context, text)
    try:
        read_priority(typed.get("priority") or "0")
    except RequestError as error:
        spec, faults = None, (*faults, FileFault(PRIORITY, 0, f"{error.problem}: {error.remedy}"))
    opened = [name for name, value in typed.items() if value] + [_field(fault) for fault in faults]
    sections = [
        section for section in form_sections() if section.name != "launch" or context.settings.commands
    ]
    further = {field.field for section in sections if not section.is_usual for field in section.fields}
    return {
        "opened": opened,
        "is_further": not further.isdisjoint(opened),
        "is_text": is_text,
        "text": text,
        "typed": typed,
        "sections": sections,
        "spec": spec,
        "key": typed.get("key") or secrets.token_hex(12),
        "priority": typed.get("priority", "0"),
        "is_refused": False,
        "refusal": None,
        "ahead": None,
        **_faults(faults),
    }


def _read(context: Context, text: str) -> tuple[StudySpec | None, tuple[FileFault, ...]]:
    """Read a study as the command line does; refuse what may not be asked for over HTTP, or cannot run."""
    spec, faults = read_typed(text)
    if spec is None:
        return None, faults
    try:
        check_runs(context, admit(spec, context.settings))
    except StudyFileError as error:
        return None, error.faults
    except AutotuneError as error:
        return None, (FileFault("", 0, error.in_one_line),)
    return spec, ()


def _faults(faults: tuple[FileFault, ...]) -> dict[str, Any]:
    """Give the faults in order, and those of each field."""
    of_field: dict[str, str] = {}
    for fault in faults:
        of_field.setdefault(_field(fault), fault.fault)
    return {"faults": [(fault, _field(fault)) for fault in faults], "of_field": of_field}


def _field(fault: FileFault) -> str:
    return PRIORITY if fault.path == PRIORITY else fault_field(fault.path)


def _refused(shown: dict[str, Any], error: AutotuneError) -> dict[str, Any]:
    faults = error.faults if isinstance(error, StudyFileError) else ()
    return shown | {"is_refused": True, "refusal": error, **_faults(faults)}
