"""Dags from a file of archives."""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, BaseNotifier
from airflow.sdk.exceptions import AirflowException

from airflow_provider_chista.config.document import Item
from airflow_provider_chista.config.models import Archive, Notifier
from airflow_provider_chista.config.problems import ArchivesError, Problem
from airflow_provider_chista.config.reading import read_archives
from airflow_provider_chista.dag import ArchiveTable, archive_dag
from airflow_provider_chista.errors import FatalError

_CALLBACKS = {
    "failure": "on_failure_callback",
    "success": "on_success_callback",
    "approval": "approval_notifiers",
}
"""Argument of ``archive_dag`` by event."""


def load_dags(path: str | os.PathLike[str]) -> dict[str, DAG]:
    """The Dags of a file such as ``archives.yaml`` (docs/yaml.md), one for each of its archives.

    Called in a Dag file it is all that the file needs: ``load_dags(Path(__file__).with_name("archives.yaml"))``. It opens no
    connection.

    :param path: the file, absolute, because where Airflow runs says nothing about where its Dag files are.
    :return: the Dags by id.
    :raises ArchivesError: something in the file is wrong; the message has a line for each problem, with its place.
    :raises FatalError: the path is relative.
    """
    file = Path(path)
    if not file.is_absolute():
        raise FatalError(
            f'{file} is a relative path; write load_dags(Path(__file__).with_name("{file.name}"))'
        )
    archives, document = read_archives(file, os.environ)
    dags: dict[str, DAG] = {}
    problems: list[Problem] = []
    for dag_id, archive in archives.items():
        place = document.at(("archives", dag_id))
        callbacks = _callbacks(archive, place, problems)
        try:
            dags[dag_id] = archive_dag(
                dag_id,
                tables=[ArchiveTable(**table.given()) for table in archive.tables],
                **archive.given("tables", "table_defaults", "notifications"),
                **callbacks,
            )
        except (AirflowException, FatalError, TypeError, ValueError) as error:
            problems.append(place.problem(f"no Dag can be made of {dag_id}: {error}", at_key=True))
    if problems:
        raise ArchivesError(file, problems)
    return dags


def _callbacks(archive: Archive, place: Item, problems: list[Problem]) -> dict[str, Any]:
    """Notifiers by the argument that takes them."""
    if archive.notifications is None:
        return {}
    made: dict[str, Any] = {}
    for event in archive.notifications.model_fields_set:
        notifiers: Iterable[Notifier] = getattr(archive.notifications, event)
        made[_CALLBACKS[event]] = []
        for number, notifier in enumerate(notifiers):
            item = place.at(("notifications", event, number, "classpath"))
            try:
                made[_CALLBACKS[event]].append(_notifier(notifier))
            except (AttributeError, ImportError, TypeError, ValueError) as error:
                problems.append(item.problem(f"classpath is {notifier.classpath!r}: {error}"))
    return made


def _notifier(given: Notifier) -> BaseNotifier:
    module, _, name = given.classpath.rpartition(".")
    found = getattr(import_module(module), name)
    if not (isinstance(found, type) and issubclass(found, BaseNotifier)):
        raise TypeError(
            "this is no BaseNotifier of Airflow; name a class of a module airflow.providers.….notifications"
        )
    return found(**(given.kwargs if "kwargs" in given.model_fields_set else {}))
