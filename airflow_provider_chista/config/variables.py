"""``${NAME}`` in a file of archives, and secrets, which have no place there.

``${NAME}`` is the environment's value, ``${NAME:-text}`` has a default for a variable that is unset or empty, ``$${`` is a
literal ``${``. What goes to the connector is left as it is: ``${env:NAME}`` there is resolved by the Connect worker. Jinja is
Airflow's and stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from airflow_provider_chista.config.document import Item, scalar
from airflow_provider_chista.config.problems import Problem
from airflow_provider_chista.debezium.secrets import is_reference, is_sensitive

UNTOUCHED = frozenset({"capture_password", "connector_overrides"})
"""Keys whose values belong to the Connect worker."""

VARIABLE = r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^{}]*))?\}"
_DOLLAR = re.compile(rf"\$(?P<literal>\$\{{)|{VARIABLE}|\$\{{(?P<other>[^{{}}]*)\}}?")
_CREDENTIALS = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@", re.IGNORECASE)

_CONNECTION = "name an Airflow connection, which keeps it"
_WORKER = "write a reference that the Connect worker resolves, such as ${env:NAME}"
_COLUMNS = "column_types"
"""Its keys are columns, which may have any name."""


def secrets_in(document: Item) -> Iterator[Problem]:
    """Values that are secrets, or would become some; none of them is in a message."""
    yield from _secrets(document, "", sensitive=False, worker=False)


def _secrets(item: Item, key: str, sensitive: bool, worker: bool) -> Iterator[Problem]:
    if isinstance(item.value, dict):
        for name, each in item.value.items():
            yield from _secrets(
                each, name, key != _COLUMNS and (sensitive or _secret(name)), worker or name in UNTOUCHED
            )
    elif isinstance(item.value, list):
        for each in item.value:
            yield from _secrets(each, key, sensitive, worker)
    elif item.value is not None and not isinstance(item.value, bool):
        text = str(item.value)
        if sensitive and worker:
            if not is_reference(text) or re.fullmatch(VARIABLE, text):
                yield item.problem(
                    f"{key} holds a secret, which must not be in this file nor in Airflow; {_WORKER}"
                )
        elif sensitive:
            yield item.problem(f"{key} holds a secret, which must not be in this file; {_CONNECTION}")
        elif _CREDENTIALS.search(text):
            yield item.problem(
                f"{key} has a password in an address, which must not be in this file; {_CONNECTION}"
            )
        elif not worker and (
            named := [m["name"] for m in _DOLLAR.finditer(text) if is_sensitive(m["name"] or "")]
        ):
            yield item.problem(f"{key} would get a secret from ${{{named[0]}}}; {_CONNECTION}")


def _secret(key: str) -> bool:
    return is_sensitive(key) and not key.endswith("_conn_id")


def interpolated(item: Item, environment: Mapping[str, str], problems: list[Problem]) -> Item:
    """The document with the environment's values in place of ``${NAME}``; what cannot be resolved becomes a problem.

    A value without quotation marks gets the type that its text has then.
    """
    if isinstance(item.value, dict):
        inside: Any = {
            name: each if name in UNTOUCHED else interpolated(each, environment, problems)
            for name, each in item.value.items()
        }
    elif isinstance(item.value, list):
        inside = [interpolated(each, environment, problems) for each in item.value]
    elif isinstance(item.value, str) and "${" in item.value:
        text = _DOLLAR.sub(lambda found: _resolved(found, item, environment, problems), item.value)
        inside = scalar(text) if item.plain else text
    else:
        return item
    return replace(item, value=inside)


def _resolved(
    found: re.Match[str], item: Item, environment: Mapping[str, str], problems: list[Problem]
) -> str:
    if found["literal"]:
        return "${"
    name, default = found["name"], found["default"]
    if name is None:
        problems.append(
            item.problem(
                f"{found[0]!r} is no variable; write ${{NAME}} or ${{NAME:-default}}, or $${{ for a literal ${{"
            )
        )
    elif default is None and name not in environment:
        problems.append(
            item.problem(
                f"${{{name}}} is not set where Airflow parses this file; set it, or write ${{{name}:-default}}"
            )
        )
    elif default is None:
        return environment[name]
    else:
        return environment.get(name) or default
    return ""
