"""The trigger of all sensors: calls one check again and again, off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from airflow_provider_chista.errors import FatalError, TransientError

if TYPE_CHECKING:
    from airflow_provider_chista.hooks.services import Connections


class CheckTrigger(BaseTrigger):
    """Waits until a check of :mod:`airflow_provider_chista.triggers.checks` says that it is done.

    The check runs in a thread of its own, because the drivers block. A transient error is waited out; a fatal one ends
    the wait and is raised in the task.

    :param check: name of the check.
    :param connections: Airflow connection ids (:class:`airflow_provider_chista.hooks.services.Connections`), as a dictionary.
    :param arguments: the check's arguments; JSON values, no secrets.
    :param poll_interval: seconds between two looks.
    """

    def __init__(
        self, check: str, connections: dict[str, Any], arguments: dict[str, Any], poll_interval: float
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.check = check
        self.connections = connections
        self.arguments = arguments
        self.poll_interval = poll_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and constructor arguments."""
        return (
            "airflow_provider_chista.triggers.check.CheckTrigger",
            {
                "check": self.check,
                "connections": self.connections,
                "arguments": self.arguments,
                "poll_interval": self.poll_interval,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """One event: ``{"value": …}``, or ``{"fatal": message}`` or ``{"failed": message}`` when waiting is of no use."""
        from airflow_provider_chista.archive.barrier import ConnectorFailedError
        from airflow_provider_chista.hooks.services import Connections
        from airflow_provider_chista.triggers.checks import CHECKS

        look = sync_to_async(CHECKS[self.check], thread_sensitive=False)
        connections = Connections(**self.connections)
        while True:
            try:
                checked = await look(connections, **self.arguments)
            except ConnectorFailedError as error:
                yield TriggerEvent({"failed": str(error)})  # type: ignore[no-untyped-call]
                return
            except TransientError as error:
                self.log.warning("%s; looking again in %s s", error, self.poll_interval)
            except FatalError as error:
                yield TriggerEvent({"fatal": str(error)})  # type: ignore[no-untyped-call]
                return
            else:
                self.log.info("%s", checked.seen)
                if checked.done:
                    yield TriggerEvent({"value": checked.value})  # type: ignore[no-untyped-call]
                    return
            await asyncio.sleep(self.poll_interval)


def stored(connections: Connections) -> dict[str, Any]:
    """Connection ids as the trigger stores them."""
    return asdict(connections)
