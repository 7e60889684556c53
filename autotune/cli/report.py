"""`autotune report`: one plan as a page with its figures, and the figures as files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from autotune.cli import output
from autotune.cli.asked_plan import PlanRef, StoreUrl
from autotune.errors import StoreError

if TYPE_CHECKING:
    from autotune.report.dossier import Dossier

STDOUT = "-"


def report(
    ref: PlanRef = "latest",
    *,
    page: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="The page to write; - for stdout.")
    ] = "report.html",
    figures: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write the figures as files into this folder, too."),
    ] = None,
    form: Annotated[Literal["svg", "png"], typer.Option("--format", help="Of the figures' files.")] = "svg",
    force: Annotated[bool, typer.Option("--force", help="Replace files that no report wrote.")] = False,
    store: StoreUrl = "sqlite:///autotune.db",
    as_json: Annotated[bool, typer.Option("--json", help="Print the written paths as JSON.")] = False,
) -> None:
    """Show a plan and what it stands on as one page that needs no network, with figures.

    A plan file is shown with the trials of the store where that holds the same plan, else alone.
    """
    if as_json and page == STDOUT:
        raise typer.BadParameter("the page itself goes to stdout: give -o FILE with it", param_hint="--json")
    targets = _Targets(None if page == STDOUT else Path(page), figures, form)
    targets.check(force=force)
    dossier = _dossier(ref, store)
    targets.check_figures(dossier.plan.id, force=force)
    text, files = _rendered(dossier, targets)
    if page == STDOUT:
        output.result_text(text.removesuffix("\n"))
    elif as_json:
        output.result_json([str(path) for path in files])
    else:
        output.result_text("\n".join(str(path) for path in files))


@dataclass(frozen=True)
class _Targets:
    """Where a report goes; `page` None = stdout, `figures` None = nowhere."""

    page: Path | None
    figures: Path | None
    form: Literal["svg", "png"]

    def check(self, *, force: bool) -> None:
        """Refuse paths that cannot be written, before anything is read."""
        from autotune.report.write import check_folder_to_make, check_targets

        check_targets([self.page] if self.page else [], force=force)
        if self.figures is not None:
            check_folder_to_make(self.figures)

    def check_figures(self, plan_id: str, *, force: bool) -> None:
        """Refuse to replace somebody else's files, before anything is drawn."""
        from autotune.report.figures.catalogue import NAMES
        from autotune.report.write import check_targets

        if self.figures is not None and self.figures.is_dir():
            check_targets([self.figure(plan_id, name) for name in NAMES], force=force)

    def figure(self, plan_id: str, name: str) -> Path:
        """The file of a figure; it has the plan's id, so that no other plan's is taken for it."""
        return (self.figures or Path()) / f"{plan_id}-{name}.{self.form}"


def _rendered(dossier: Dossier, targets: _Targets) -> tuple[str, dict[Path, bytes]]:
    """Draw and write everything; the page's text, and what was written."""
    from autotune.report.figures.catalogue import draw_all
    from autotune.report.figures.picture import Missing, encoded
    from autotune.report.page import page
    from autotune.report.write import write_files

    pictures = draw_all(dossier)
    text = page(dossier, pictures)
    files = {targets.page: text.encode()} if targets.page else {}
    if targets.figures is not None:
        files |= {
            targets.figure(dossier.plan.id, one.name): encoded(one, targets.form)
            for one in pictures
            if not isinstance(one, Missing)
        }
    write_files(files)
    return text, files


def _dossier(ref: str, store: str) -> Dossier:
    """The plan that is meant, with what the store holds of its study."""
    from autotune.report.dossier import Dossier, gather
    from autotune.store.reference import find_plan, is_file
    from autotune.store.store import read_store

    plan = find_plan(ref, store)
    try:
        with read_store(store) as opened:
            if not is_file(ref) or opened.plan(plan.id) == plan:
                return gather(plan, opened)
        reason = f"the store {store} holds another plan {plan.id}"
    except StoreError as error:
        if not is_file(ref):
            raise
        reason = error.problem
    output.message(f"{reason}: the report shows what the plan file carries")
    return Dossier(plan)
