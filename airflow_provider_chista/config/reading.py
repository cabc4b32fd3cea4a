"""A file of archives, read and checked: every problem that it has is found in one go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from airflow_provider_chista.config.document import Item, read
from airflow_provider_chista.config.models import (
    Archive,
    ArchivesFile,
    Defaults,
    Notifications,
    Table,
    TaskDefaults,
    Throttle,
)
from airflow_provider_chista.config.problems import ArchivesError, Problem, shown
from airflow_provider_chista.config.values import refusal
from airflow_provider_chista.config.variables import interpolated, secrets_in
from airflow_provider_chista.dag import ArchiveTable

_HOMES: dict[type[BaseModel], str] = {
    Table: "a table",
    Archive: "an archive or defaults",
    Throttle: "throttle",
    TaskDefaults: "default_args",
    Notifications: "notifications",
    ArchivesFile: "the file",
}
"""Where a key belongs that was found elsewhere."""

_OTHER_NAMES = {
    "schedule": "cron",
    "schedule_interval": "cron",
    "approval": "approval_timeout",
    "on_failure_callback": "notifications",
    "on_success_callback": "notifications",
}
"""What people write who know other tools."""

_OWN = ("connector", "topic_prefix", "slot", "tables")


def read_archives(path: Path, environment: Mapping[str, str]) -> tuple[dict[str, Archive], Item]:
    """The archives of a file by Dag id, and the document that they were made of, with the defaults in each archive.

    :param environment: variables for ``${NAME}``.
    :raises ArchivesError: with all that is wrong.
    """
    raw = read(path)
    problems = list(secrets_in(raw))
    document = _with_defaults(interpolated(raw, environment, problems))
    # A value that must not be shown, or is not known, is in no further message.
    places = {(each.line, each.column) for each in problems}
    further = (*_invalid(document), *_clashes(document), *_purgers(document))
    problems += [each for each in further if (each.line, each.column) not in places]
    if problems:
        raise ArchivesError(path, problems)
    return ArchivesFile.model_validate(document.data).archives, document


def _with_defaults(document: Item) -> Item:
    """The defaults merged into each archive, and those of tables into each table."""
    defaults, archives = _entry(document, "defaults"), _entry(document, "archives")
    if archives is None or not isinstance(archives.value, dict):
        return document
    merged = {name: _with_tables(_merged(defaults, archive)) for name, archive in archives.value.items()}
    return replace(document, value={**document.value, "archives": replace(archives, value=merged)})


def _with_tables(archive: Item) -> Item:
    defaults, tables = _entry(archive, "table_defaults"), _entry(archive, "tables")
    if tables is None or not isinstance(tables.value, list):
        return archive
    merged = [_merged(defaults, table) for table in tables.value]
    return replace(archive, value={**archive.value, "tables": replace(tables, value=merged)})


def _entry(item: Item, key: str) -> Item | None:
    found = item.value.get(key) if isinstance(item.value, dict) else None
    return found if isinstance(found, Item) else None


def _merged(base: Item | None, own: Item) -> Item:
    """Mappings merged, everything else as the nearer one says; each value keeps its own place."""
    if base is None or not isinstance(base.value, dict) or not isinstance(own.value, dict):
        return own
    inside = {name: _merged(base.value.get(name), each) for name, each in own.value.items()}
    return replace(own, value={**base.value, **inside})


def _invalid(document: Item) -> Iterator[Problem]:
    try:
        ArchivesFile.model_validate(document.data)
    except ValidationError as error:
        for each in error.errors():
            yield _problem(document, each)


def _problem(document: Item, error: Mapping[str, Any]) -> Problem:
    path = tuple(error["loc"])
    item = document.at(path)
    key = next((part for part in reversed(path) if isinstance(part, str)), "the file")
    if error["type"] == "missing":
        return item.problem(_missing(key, path), at_key=True)
    if error["type"] == "extra_forbidden":
        return item.problem(_unknown(key, _model_at(path)), at_key=True)
    if path and isinstance(path[-1], int):
        key = f"an entry of {key}"
    return item.problem(refusal(key, error))


def _missing(key: str, path: tuple[str | int, ...]) -> str:
    model = _model_at(path)
    where = f"the archive {path[1]}" if model is Archive else _HOMES.get(model, "this")
    or_defaults = ", here or in defaults" if model is Archive and key in Defaults.model_fields else ""
    return f"{where} lacks {key}; add it{or_defaults}"


def _unknown(key: str, model: type[BaseModel]) -> str:
    known = list(model.model_fields)
    if model is Defaults and key in _OWN:
        return f"{key} cannot be a default; each archive has its own"
    near = get_close_matches(key, known, n=1, cutoff=0.7)
    if not near and _OTHER_NAMES.get(key) in known:
        near = [_OTHER_NAMES[key]]
    if near:
        return f"{key} is not known here; did you mean {near[0]}?"
    home = next((name for other, name in _HOMES.items() if key in other.model_fields), None)
    if home:
        return f"{key} is not known here; it belongs to {home}"
    return f"{key} is not known here; known are {', '.join(known)}"


def _model_at(path: tuple[str | int, ...]) -> type[BaseModel]:
    """The model of the mapping that the last part of a path is in."""
    model: type[BaseModel] = ArchivesFile
    parts = iter(path[:-1])
    for part in parts:
        field = model.model_fields.get(part) if isinstance(part, str) else None
        if field is not None:
            model = _inner(field.annotation) or model
            if get_origin(field.annotation) is dict:
                next(parts, None)
    return model


def _inner(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in get_args(annotation) if (found := _inner(each))), None)


def _archives(document: Item) -> Iterator[tuple[str, Item, list[Item]]]:
    """Each archive by its id, with its tables."""
    archives = _entry(document, "archives")
    for dag_id, archive in (archives.value if archives and isinstance(archives.value, dict) else {}).items():
        tables = _entry(archive, "tables")
        yield dag_id, archive, tables.value if tables and isinstance(tables.value, list) else []


def _purgers(document: Item) -> Iterator[Problem]:
    """Archives that delete need a user who may."""
    for dag_id, archive, tables in _archives(document):
        stay = [(kept := _entry(table, "purge")) is not None and kept.value is False for table in tables]
        if not all(stay) and _entry(archive, "purge_conn_id") is None:
            text = f"the archive {dag_id} lacks purge_conn_id; add it, here or in defaults, or purge: false to each table"
            yield archive.problem(text, at_key=True)


def _clashes(document: Item) -> Iterator[Problem]:
    """Names that two archives, or two tables, must not share."""
    seen: dict[tuple[str, ...], Item] = {}
    for dag_id, archive, tables in _archives(document):
        for key in ("connector", "topic_prefix", "slot"):
            # Without a connector and a topic prefix of its own an archive takes its id for both.
            item = _entry(archive, key)
            if item is None and key != "slot":
                item = replace(archive, value=dag_id, line=archive.key[0], column=archive.key[1])
            yield from _clash(seen, item, (key,), f"{key} %s is taken by another archive in line %d; ")
        for table in tables:
            source, target = _entry(table, "source"), _entry(table, "target")
            yield from _clash(seen, target, ("target",), "target %s is taken by another table in line %d; ")
            if source and isinstance(source.value, str):
                group = replace(source, value=ArchiveTable(source.value, "").group)
                yield from _clash(
                    seen, group, ("group", dag_id), "a table with the task group %s is in line %d already; "
                )


def _clash(
    seen: dict[tuple[str, ...], Item], item: Item | None, kind: tuple[str, ...], text: str
) -> Iterator[Problem]:
    if item is None or not isinstance(item.value, str):
        return
    other = seen.setdefault((*kind, item.value), item)
    if other is not item:
        yield item.problem(text % (shown(item.value), other.line) + "each needs its own")
