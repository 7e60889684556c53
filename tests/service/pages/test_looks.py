"""Every page in both themes, on a phone and on a desk: accessible, and within the width of the screen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.service.pages.site import SCREENSHOTS, Visitor, pages_of, visiting
from tests.service.serving import Served

pytestmark = pytest.mark.slow

WIDTHS: Mapping[str, int] = {"phone": 390, "desk": 1280}
SERIOUS = ("moderate", "serious", "critical")


@pytest.fixture(scope="module", params=["light", "dark"])
def theme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=[*WIDTHS])
def looker(request: pytest.FixtureRequest, theme: str, served: Served, browser: Any) -> Iterator[Visitor]:
    size = {"width": WIDTHS[request.param], "height": 900}
    with visiting(served, browser, viewport=size, color_scheme=theme) as visitor:
        visitor.name = f"{theme}-{request.param}"
        yield visitor


@pytest.fixture(scope="module")
def axe() -> str:
    packages = pytest.importorskip("axe_core_python", reason="axe-core-python is not installed")
    return (Path(packages.__path__[0]) / "axe.min.js").read_text(encoding="utf-8")


def _shoot(visitor: Visitor, name: str) -> None:
    if SCREENSHOTS:
        target = Path(SCREENSHOTS)
        target.mkdir(parents=True, exist_ok=True)
        visitor.page.screenshot(path=str(target / f"{name}-{visitor.name}.png"), full_page=True)


def test_every_page_is_accessible_fits_its_screen_and_makes_no_browser_complain(
    looker: Visitor, folder: Path, jobs: Mapping[str, str], axe: str
) -> None:
    faults: dict[str, Any] = {}
    for name, path in pages_of(folder, jobs).items():
        looker.visit(path)
        _shoot(looker, name)
        too_wide = looker.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        if too_wide > 0:
            faults[name] = f"{too_wide} pixels too wide"
        if looker.page.title() == "taken":
            faults[f"{name}: script"] = "a text ran as a script"
        looker.page.evaluate(axe)
        found = looker.page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        for violation in found:
            if violation["impact"] in SERIOUS:
                faults[f"{name}: {violation['id']}"] = [node["html"][:200] for node in violation["nodes"]][:4]
    assert faults == {}
    not_found = "the server responded with a status of 404"
    assert [words for words in looker.complaints if not_found not in words] == []
