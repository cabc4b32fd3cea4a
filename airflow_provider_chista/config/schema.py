"""JSON schema of a file of archives, for editors: ``python -m airflow_provider_chista.config --schema``."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from airflow_provider_chista.config.models import (
    Archive,
    ArchivesFile,
    Defaults,
    Table,
    TableDefaults,
    TaskDefaults,
    Throttle,
)
from airflow_provider_chista.config.values import VARIABLE_SCHEMA
from airflow_provider_chista.dag import ArchiveTable, archive_dag
from airflow_provider_chista.operators.connector import RegisterConnectorOperator
from airflow_provider_chista.operators.drain import DrainTopicOperator
from airflow_provider_chista.operators.purge import PurgeSourceOperator
from airflow_provider_chista.operators.table import CreateArchiveTableOperator
from airflow_provider_chista.operators.verify import VerifyArchiveOperator
from airflow_provider_chista.sensors.base import CheckSensor

STORED = Path(__file__).with_name("archives.schema.json")
"""The schema as the package has it."""

HANDED_TO: dict[type[BaseModel], tuple[type[Any] | Callable[..., Any], ...]] = {
    TableDefaults: (ArchiveTable,),
    Table: (ArchiveTable,),
    Defaults: (archive_dag,),
    Archive: (archive_dag,),
    Throttle: (PurgeSourceOperator,),
    TaskDefaults: (
        CheckSensor,
        RegisterConnectorOperator,
        CreateArchiveTableOperator,
        DrainTopicOperator,
        VerifyArchiveOperator,
        PurgeSourceOperator,
    ),
}
"""Whose arguments the fields of a mapping are; there they are described, and have their defaults."""


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """A field of a mapping.

    :param text: what it means, in Markdown.
    :param default: what it is when the file leaves it out, as YAML has it; None: nothing, or as the text says.
    :param required: whether there is none.
    """

    text: str
    default: Any
    required: bool


def settings(model: type[BaseModel]) -> dict[str, Setting]:
    """Every field of a mapping of the file."""
    found = {}
    for name, field in model.model_fields.items():
        default: Any = None
        text = _clause(field.description or "")
        for each in HANDED_TO.get(model, ()):
            parameter = inspect.signature(each).parameters.get(name)
            if parameter is not None:
                text = text or _described(each).get(name, "")
                default = None if parameter.default is inspect.Parameter.empty else _yaml(parameter.default)
                break
        found[name] = Setting(text, default, field.is_required())
    return found


def schema() -> dict[str, Any]:
    """The schema, draft 2020-12. A connection that an archive needs may come from the defaults: it is not required there."""
    made = ArchivesFile.model_json_schema(schema_generator=_Generator)
    for model in HANDED_TO:
        part = made["$defs"][model.__name__]
        for name, setting in settings(model).items():
            about = {"description": setting.text, "default": setting.default}
            part["properties"][name] |= {key: value for key, value in about.items() if value is not None}
    needed = made["$defs"][Archive.__name__]["required"]
    made["$defs"][Archive.__name__]["required"] = [
        name for name in needed if name not in Defaults.model_fields
    ]
    return {"$schema": _Generator.schema_dialect, **_plain(made)}


class _Generator(GenerateJsonSchema):
    """Without titles and defaults, and with ``${NAME}`` in place of numbers, booleans and words of a list."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: Any) -> dict[str, Any]:
        return self.generate_inner(schema["schema"])

    def int_schema(self, schema: Any) -> dict[str, Any]:
        return _or_variable(super().int_schema(schema))

    def float_schema(self, schema: Any) -> dict[str, Any]:
        return _or_variable(super().float_schema(schema))

    def bool_schema(self, schema: Any) -> dict[str, Any]:
        return _or_variable(super().bool_schema(schema))

    def literal_schema(self, schema: Any) -> dict[str, Any]:
        return _or_variable(super().literal_schema(schema))


def _clause(sentence: str) -> str:
    """A docstring as the descriptions of parameters are."""
    return sentence[:1].lower() + sentence[1:].removesuffix(".")


def _or_variable(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, VARIABLE_SCHEMA]}


def _described(what: Any) -> dict[str, str]:
    """Parameters of a docstring, and what it says of them."""
    text = re.sub(
        r"\s+", " ", re.sub(r"\n\s*\n.*?(?=:param|\Z)", " ", inspect.getdoc(what) or "", flags=re.DOTALL)
    )
    found = re.findall(r":param (\w+): (.*?)[;.]?(?= :param| :raises| :ivar|$)", text)
    return {name: _markdown(said) for name, said in found}


def _markdown(text: str) -> str:
    words = {"None": "null", "True": "true", "False": "false"}
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text).replace("``", "`")
    return re.sub(rf"\b({'|'.join(words)})\b", lambda found: words[found[0]], text)


def _yaml(value: Any) -> Any:
    """A default as the file would have it."""
    if isinstance(value, timedelta):
        return f"{value.days} days"
    if isinstance(value, date):
        return f"{value:%Y-%m-%d}"
    return list(value) if isinstance(value, tuple) else value


def _plain(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Without the titles of mappings, and with Markdown in their descriptions."""
    parts = {
        name: part | {"description": _markdown(part["description"])} for name, part in schema["$defs"].items()
    }
    for part in parts.values():
        part.pop("title", None)
    return {**{key: value for key, value in schema.items() if key != "title"}, "$defs": parts}
