"""The routes of the page: its files, and what they show as JSON. Every route reads only, and asks for a login.

No ``from __future__ import annotations``: FastAPI reads the annotations of handlers when the module is loaded.
"""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse

from airflow_provider_chista.archive.openitems import OpenItems
from airflow_provider_chista.archive.overview import WINDOWS, Focus, Overview
from airflow_provider_chista.errors import ChistaError, TransientError
from airflow_provider_chista.hooks import options
from airflow_provider_chista.web import reading
from airflow_provider_chista.web.access import LOGGED_IN, ReadableDags

_STATIC = Path(__file__).parent / "static"

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

_HEADERS = {
    # Nothing from another host, nothing inline, and in no frame but Airflow's.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-cache, private",
}

ACTIVITY_DAYS = 90

DRAIN_HOURS = 7 * 24
"""What the drains' leases are kept for."""

Text = Annotated[str, Query(max_length=1_000)]

router = APIRouter(dependencies=[LOGGED_IN])


class Answer(Response):
    """JSON of plain values; times as milliseconds since 1970, days as ISO texts.

    FastAPI's own conversion takes a tenth of a second for some thousand windows.
    """

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The content as compact JSON."""
        return json.dumps(content, default=_plain, ensure_ascii=False, separators=(",", ":")).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return round(value.astimezone(UTC).timestamp() * 1000)
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in an answer")


@router.get("/page")
def page() -> FileResponse:
    """The page itself; its address says what it shows."""
    return FileResponse(_STATIC / "page.html", media_type="text/html")


@router.get("/static/{name}")
def static(name: str) -> FileResponse:
    """One of the page's files."""
    if name not in FILES:
        raise HTTPException(404, "no such file")
    return FileResponse(FILES[name], media_type=_TYPES[FILES[name].suffix])


FILES = {path.name: path for path in _STATIC.iterdir() if path.suffix in _TYPES}


@router.get("/api/tables")
def tables(dags: ReadableDags, connection: Text = "", dag_id: Text = "", run_id: Text = "") -> Answer:
    """Archive tables with what is in them; only those of a DAG or of a run, where one is named."""
    known = reading.connections()
    about = {
        "connections": known,
        "connection": connection or next(iter(known), ""),
        "now": datetime.now(UTC),
    }
    try:
        with reading.opened(connection, dags) as overview:
            return Answer({**about, "tables": overview.tables(Focus(dag_id, run_id))})
    except reading.NothingYetError as nothing:
        return Answer({**about, "tables": [], "note": str(nothing)})


@router.get("/api/windows")
def windows(
    dags: ReadableDags, target: Text, connection: Text = "", dag_id: Text = "", run_id: Text = ""
) -> Answer:
    """The windows of an archive table: a list of values for each, in the order of ``columns``."""
    with reading.opened(connection, dags) as overview:
        found = overview.windows(target, Focus(dag_id, run_id))
    columns = list(found[0]) if found else []
    return Answer(
        {
            "columns": columns,
            "windows": [list(each.values()) for each in found],
            "cut": len(found) == WINDOWS,
        }
    )


@router.get("/api/entries")
def entries(dags: ReadableDags, target: Text, window: Text, connection: Text = "") -> Answer:
    """The ledger entries of one window."""
    with reading.opened(connection, dags) as overview:
        return Answer({"entries": overview.entries(target, window)})


def items(overview: Overview, target: str) -> OpenItems:
    """What lies open around a table, with values or without them, as ``[chista] mask_values`` says."""
    return OpenItems(overview, target, options.masked())


def _of_table(name: str, read: Callable[[Overview, str], Any]) -> None:
    """A route for something that belongs to an archive table."""

    def answer(dags: ReadableDags, target: Text, connection: Text = "") -> Answer:
        with reading.opened(connection, dags) as overview:
            if not overview.may_see(target):
                raise HTTPException(
                    404, f"there is no archive table {target}, or you may read none of its DAGs"
                )
            return Answer(read(overview, target))

    router.add_api_route(f"/api/{name}", answer, methods=["GET"], name=name)


_of_table("letters", lambda overview, target: items(overview, target).letters())
_of_table("quarantine", lambda overview, target: items(overview, target).quarantine())
_of_table("mismatches", lambda overview, target: items(overview, target).mismatches())
_of_table("space", lambda overview, target: items(overview, target).space())
_of_table("positions", lambda overview, target: {"positions": items(overview, target).positions()})
_of_table(
    "drains",
    lambda overview, target: {
        "hours": DRAIN_HOURS,
        "drains": items(overview, target).drains(DRAIN_HOURS),
    },
)
_of_table("audits", lambda overview, target: {"audits": overview.audits(target)})
_of_table(
    "activity",
    lambda overview, target: {"days": ACTIVITY_DAYS, "activity": overview.activity(target, ACTIVITY_DAYS)},
)


def build_app() -> FastAPI:
    """The application that Airflow's API server mounts."""
    app = FastAPI(title="Chista archive", docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(router)

    @app.middleware("http")
    async def with_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        response.headers.update(_HEADERS)
        return response

    @app.exception_handler(ChistaError)
    def failed(request: Request, error: ChistaError) -> Answer:
        """A message with its remedy; 503 where a retry can help."""
        return Answer({"error": str(error)}, 503 if isinstance(error, TransientError) else 502)

    return app
