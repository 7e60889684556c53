"""How pages answer what goes wrong: a page in words in the place of a problem document."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from autotune.documents.remote_words import remote_words
from autotune.errors import AccessError, AutotuneError
from autotune.service.pages.rendering import render
from autotune.service.problems import problem_status

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class PageRoute(APIRoute):
    """A route whose refusals are pages."""

    def get_route_handler(self) -> Handler:
        """Give the handler, with what it raises turned into a page."""
        handle = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await handle(request)
            except AutotuneError as error:
                return _error_page(request, error)
            except RequestValidationError as error:
                first = error.errors()[0]
                told = f"{'.'.join(map(str, first['loc'][1:]))}: {first['msg']}"
                remedy = "Take out what stands after the ? in the address, or go back."
                return problem_page(
                    request, HTTPStatus.BAD_REQUEST, "This address is not right", told, remedy
                )

        return answered


def page_router() -> APIRouter:
    """Give a router of pages, which the description of the API leaves out."""
    return APIRouter(route_class=PageRoute, include_in_schema=False)


def see(path: str, **parameters: str) -> RedirectResponse:
    """Send the browser to a page, after a form."""
    asked = f"?{urlencode(parameters)}" if parameters else ""
    return RedirectResponse(f"{path}{asked}", HTTPStatus.SEE_OTHER)


def problem_page(request: Request, status: int, title: str, problem: str, remedy: str = "") -> Response:
    """Answer with a page that says what went wrong, and what to do next."""
    return render(
        request, "problem.html", status=status, code=status, title=title, problem=problem, remedy=remedy
    )


def _error_page(request: Request, error: AutotuneError) -> Response:
    if isinstance(error, AccessError) and getattr(request.state, "role", None) is None:
        target = request.url.path if request.method == "GET" else "/"
        return see("/login", next=target)
    status = problem_status(error)
    told, remedy = remote_words(error.problem, "page"), remote_words(error.remedy, "page")
    return problem_page(request, status, _TITLES.get(status, status.phrase), told, remedy)


_TITLES = {
    HTTPStatus.NOT_FOUND: "This is not here",
    HTTPStatus.FORBIDDEN: "You may not do this",
    HTTPStatus.CONFLICT: "This cannot be done now",
    HTTPStatus.UNPROCESSABLE_ENTITY: "This is not right",
    HTTPStatus.SERVICE_UNAVAILABLE: "This does not answer now",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Something is broken",
}


def install_page_problems(app: FastAPI) -> None:
    """Answer browsers that ask for an address that there is none of with a page; all others as before."""
    before = app.exception_handlers.get(HTTPException)

    async def answer(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == HTTPStatus.NOT_FOUND and _is_for_people(request):
            title, told = _TITLES[HTTPStatus.NOT_FOUND], f"There is no page at {request.url.path[:200]}."
            return problem_page(request, error.status_code, title, told, "Begin at the list of studies.")
        if _is_for_people(request):
            phrase, told = HTTPStatus(error.status_code).phrase, "This address is for forms alone."
            is_method = error.status_code == HTTPStatus.METHOD_NOT_ALLOWED
            return problem_page(
                request, error.status_code, phrase, told if is_method else "", "Begin at the list of studies."
            )
        answered = before(request, error) if before is not None else None
        if answered is None:
            return problem_page(request, error.status_code, HTTPStatus(error.status_code).phrase, "", "")
        return await answered if isinstance(answered, Coroutine) else answered

    app.add_exception_handler(HTTPException, answer)


def _is_for_people(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/api/")
