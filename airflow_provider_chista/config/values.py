"""Kinds of values in a file of archives: what is accepted, how an editor's schema says it, what a refusal says."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from airflow.sdk.exceptions import AirflowTimetableInvalid
from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from airflow_provider_chista.config.problems import shown
from airflow_provider_chista.config.variables import VARIABLE
from airflow_provider_chista.debezium.config import is_connector_name, is_topic_prefix
from airflow_provider_chista.debezium.secrets import is_reference
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import TableId
from airflow_provider_chista.timetables.retention import RetentionTimetable

VARIABLE_SCHEMA: dict[str, Any] = {"type": "string", "pattern": re.sub(r"\?P<\w+>", "", VARIABLE)}
"""JSON schema of a text with a variable, which may stand in place of any value."""

_UNITS = {unit: timedelta(**{f"{unit}s": 1}) for unit in ("week", "day", "hour", "minute", "second")}
_PART = rf"\d+ ?({'|'.join(_UNITS)})s?"
_DURATION = rf"{_PART}( {_PART})*"
_CONNECTION = r"[\w.-]{1,200}"
_MOMENT = r"\d{4}-\d{2}-\d{2}([T ].+)?"


def _duration(given: Any) -> timedelta:
    if not isinstance(given, str) or not re.fullmatch(_DURATION, given):
        raise ValueError("write numbers with units, such as 365 days, 12 hours or 1 day 6 hours")
    parts = re.findall(rf"(\d+) ?({'|'.join(_UNITS)})", given)
    try:
        return sum((int(number) * _UNITS[unit] for number, unit in parts), timedelta())
    except OverflowError:
        raise ValueError("that is too long; write less than 999999999 days") from None


def _moment(given: Any) -> datetime:
    if isinstance(given, str) and re.fullmatch(_MOMENT, given):
        try:
            moment = datetime.fromisoformat(given)
        except ValueError:
            pass
        else:
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    raise ValueError(
        "write a date, or date and time, in ISO 8601, such as 2024-01-31; without an offset it is UTC"
    )


def _connection(given: str) -> str:
    # Connection ids are template fields.
    if "{{" not in given and not re.fullmatch(_CONNECTION, given):
        raise ValueError("write the id of an Airflow connection: letters, digits, '_', '-' and '.'")
    return given


def _table(given: str) -> str:
    try:
        return str(TableId.parse(given))
    except FatalError as error:
        raise ValueError(
            "write it as schema.table (MySQL, MariaDB and ClickHouse: database.table)"
        ) from error


def _connector(given: str) -> str:
    if not is_connector_name(given):
        raise ValueError("write 1 to 200 printable characters without backslash and without ${")
    return given


def _prefix(given: str) -> str:
    if not is_topic_prefix(given):
        raise ValueError("write 1 to 120 letters, digits, '.', '_' or '-'")
    return given


def _cron(given: str) -> str:
    try:
        RetentionTimetable(given, timedelta(0)).validate()
    except (AirflowTimetableInvalid, ValueError) as error:
        raise ValueError(
            "write a cron expression such as 0 3 * * *, or @hourly, @daily, @weekly, @monthly, @yearly; null is no schedule"
        ) from error
    return given


def _reference(given: str) -> str:
    if not is_reference(given):
        raise ValueError("write a reference that the Connect worker resolves, such as ${env:NAME}")
    return given


def _property(given: Any) -> Any:
    if not isinstance(given, str | int | float):
        raise ValueError("write a text, a number, true or false")
    return given


def _column_type(given: Any) -> Any:
    # Only a file that names a type needs what knows them.
    from airflow_provider_chista.clickhouse.choices import Choices

    try:
        Choices.parse((), {"": given})
    except FatalError as error:
        raise ValueError(
            "write a ClickHouse type, or a mapping of type and, if need be, provable: false"
        ) from error
    return given


def _positive(given: timedelta) -> timedelta:
    if not given:
        raise ValueError("write a time above 0")
    return given


def _schema(pattern: str, *examples: str) -> WithJsonSchema:
    text: dict[str, Any] = {"type": "string", "pattern": f"^({pattern})$"}
    if examples:
        text["examples"] = list(examples)
    return WithJsonSchema({"anyOf": [text, VARIABLE_SCHEMA]})


Duration = Annotated[timedelta, BeforeValidator(_duration), _schema(_DURATION, "365 days", "12 hours")]
PositiveDuration = Annotated[Duration, AfterValidator(_positive)]
Moment = Annotated[datetime, BeforeValidator(_moment), _schema(_MOMENT, "2024-01-01")]
ConnId = Annotated[str, AfterValidator(_connection), _schema(rf"{_CONNECTION}|.*\{{\{{.*")]
TableName = Annotated[str, AfterValidator(_table), _schema(r"[^.]+\..+", "app.orders")]
ConnectorName = Annotated[str, AfterValidator(_connector)]
TopicPrefix = Annotated[str, AfterValidator(_prefix), _schema(r"[A-Za-z0-9._-]{1,120}", "orders")]
Cron = Annotated[str, AfterValidator(_cron)]
Reference = Annotated[
    str,
    AfterValidator(_reference),
    WithJsonSchema(
        {"type": "string", "pattern": r"^\$\{\w+:[^{}]+\}$", "examples": ["${env:ORDERS_CAPTURE_PASSWORD}"]}
    ),
]
Property = Annotated[
    Any, AfterValidator(_property), WithJsonSchema({"type": ["string", "number", "boolean"]})
]
ColumnType = Annotated[
    Any,
    AfterValidator(_column_type),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "properties": {"type": {"type": "string"}, "provable": {"type": "boolean"}},
                    "required": ["type"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]

_KINDS: dict[str, str] = {
    "bool_type": "write true or false",
    "string_type": "write a text; put it into quotation marks if it is one",
    "int_type": "write a whole number",
    "float_type": "write a number",
    "list_type": "write a list",
    "dict_type": "write a mapping",
    "model_type": "write a mapping",
    "finite_number": "write a finite number",
    "string_too_short": "write a text that is not empty",
    "too_short": "write at least one entry",
}
_BOUNDS: tuple[tuple[str, Callable[[Mapping[str, Any]], str]], ...] = (
    ("expected", lambda found: f"write {found['expected']}"),
    ("ge", lambda found: f"write {found['ge']} or more"),
    ("gt", lambda found: f"write more than {found['gt']}"),
    ("le", lambda found: f"write {found['le']} or less"),
    ("error", lambda found: str(found["error"])),
)


def allowed(error: Mapping[str, Any]) -> str:
    """What is allowed in place of a value that pydantic refused."""
    context = error.get("ctx") or {}
    told = _KINDS.get(error["type"]) or next((say(context) for name, say in _BOUNDS if name in context), None)
    return told or str(error["msg"])


def refusal(key: str, error: Mapping[str, Any]) -> str:
    """What was found under a key, and what is allowed."""
    return f"{key} is {shown(error['input'])}; {allowed(error)}"
