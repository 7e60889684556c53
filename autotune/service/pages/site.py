"""All pages, put into an application."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from autotune.service.pages import compare, exports, fleet, home, job, machine, new, plan, study
from autotune.service.pages.forms import InForm
from autotune.service.pages.rendering import STATIC, THEME_COOKIE, THEMES, asset, asset_address, render
from autotune.service.pages.routing import install_page_problems, page_router, see

_YEAR_S = 31_536_000

_router = page_router()


def include_pages(app: FastAPI) -> None:
    """Put the pages into an application, after its problems are installed."""
    install_page_problems(app)
    app.include_router(_router)
    for part in (home, job, study, plan, exports, compare, fleet, new, machine):
        app.include_router(part.router)


@_router.get("/static/{name}")
def static(name: str, v: str = "") -> Response:
    """Give a file of the pages; under the address that they name, for as long as a browser likes."""
    if name not in STATIC:
        raise HTTPException(404)
    is_current = bool(v) and asset_address(name).endswith(f"={v}")
    kept = f"public, max-age={_YEAR_S}, immutable" if is_current else "no-cache"
    return Response(asset(name), media_type=STATIC[name], headers={"Cache-Control": kept})


@_router.get("/favicon.ico")
def favicon() -> Response:
    """Give the icon where a page names none, as browsers ask for it then."""
    return static("icon.svg")


@_router.get("/login")
def login(request: Request, next: str = "/", failed: str = "") -> Response:
    """Show the form that takes a token."""
    return render(request, "login.html", next=next[:500], has_failed=bool(failed))


@_router.post("/theme")
def choose_theme(request: Request, form: InForm) -> Response:
    """Keep a theme in a cookie, and go back."""
    theme, back = form.get("theme", ""), form.get("back", "/")
    response = see(back if back.startswith("/") and not back.startswith("//") else "/")
    if theme in THEMES:
        secure = request.url.scheme == "https"
        response.set_cookie(
            THEME_COOKIE, theme, max_age=_YEAR_S, httponly=True, samesite="strict", secure=secure
        )
    else:
        response.delete_cookie(THEME_COOKIE)
    return response
