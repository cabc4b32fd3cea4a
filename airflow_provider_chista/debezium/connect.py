"""Clients of Kafka Connect's REST interface, blocking and asynchronous.

Timeouts, retries and the meaning of each error are the same for both and are written in ``protocol.py``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from functools import cached_property
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from airflow_provider_chista.debezium.http import HttpClient
from airflow_provider_chista.debezium.protocol import (
    ConnectorStatus,
    NotFoundError,
    Operations,
    Policy,
    Steps,
    TaskStatus,
)

__all__ = [
    "AsyncKafkaConnectClient",
    "ConnectorStatus",
    "KafkaConnectClient",
    "NotFoundError",
    "Policy",
    "TaskStatus",
]

T = TypeVar("T")


class KafkaConnectClient(HttpClient, Operations):
    """Blocking client; a context manager, or call :meth:`close`. Parameters as of :class:`Operations`."""

    @cached_property
    def _http(self) -> httpx.Client:
        return httpx.Client(**self._options)

    def info(self) -> dict[str, str]:
        """``version``, ``commit`` and ``kafka_cluster_id`` of the worker."""
        return self._run(self._info())

    def plugins(self) -> dict[str, str]:
        """Version of each connector class that the worker has."""
        return self._run(self._plugins())

    def connectors(self) -> list[str]:
        """Names of the connectors, sorted."""
        return self._run(self._connectors())

    def validate(self, plugin: str, config: Mapping[str, str]) -> list[tuple[str, str]]:
        """Pairs of property and what is wrong with it; the worker logs in to the source to find out.

        :param plugin: the connector class.
        :raises NotFoundError: the worker has no such class.
        """
        return self._run(self._validate(plugin, config))

    def config(self, name: str) -> dict[str, str] | None:
        """The stored configuration as it was sent, references unresolved; None when there is no such connector."""
        return self._run(self._config(name))

    def put_config(self, name: str, config: Mapping[str, str]) -> bool:
        """Store the configuration, which starts or restarts the connector; False when it was stored already."""
        return self._run(self._put_config(name, config))

    def status(self, name: str) -> ConnectorStatus:
        """State of the connector and its tasks; :class:`NotFoundError` when there is no such connector."""
        return self._run(self._status(name))

    def offsets(self, name: str, topic_prefix: str | None = None) -> dict[str, Any] | None:
        """The committed source offset, None when none was committed yet.

        :param topic_prefix: whose offset, for a connector whose ``topic.prefix`` was once another.
        """
        return self._run(self._offsets(name, topic_prefix))

    def restart(self, name: str, only_failed: bool = True) -> None:
        """Restart the connector and its tasks, by default only those that failed."""
        self._run(self._restart(name, only_failed))

    def pause(self, name: str) -> None:
        """Pause the connector; its tasks stay assigned. The worker does it after the answer."""
        self._run(self._change("PUT", name, "pause"))

    def resume(self, name: str) -> None:
        """Resume a paused or stopped connector. The worker does it after the answer."""
        self._run(self._change("PUT", name, "resume"))

    def stop(self, name: str) -> None:
        """Stop the connector and shut its tasks down, which is needed to delete its offsets."""
        self._run(self._change("PUT", name, "stop"))

    def delete_offsets(self, name: str) -> None:
        """Forget the source offset of a stopped connector; deleting the connector alone keeps it."""
        self._run(self._change("DELETE", name, "offsets"))

    def delete(self, name: str) -> bool:
        """Delete the connector; False when there was none. Its offset stays, see :meth:`delete_offsets`."""
        return self._run(self._delete(name))

    def _run(self, steps: Steps[T]) -> T:
        try:
            step = next(steps)
            while True:
                if isinstance(step, float):
                    time.sleep(step)
                    step = steps.send(None)
                    continue
                try:
                    response = self._http.request(**self._arguments(step))
                except httpx.TransportError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(response)
        except StopIteration as done:
            result: T = done.value
            return result


class AsyncKafkaConnectClient(Operations):
    """Asynchronous client for triggers: the reading operations of :class:`KafkaConnectClient`, and restart."""

    @cached_property
    def _http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(**self._options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections to the worker."""
        await self._http.aclose()

    async def info(self) -> dict[str, str]:
        """See :meth:`KafkaConnectClient.info`."""
        return await self._run(self._info())

    async def config(self, name: str) -> dict[str, str] | None:
        """See :meth:`KafkaConnectClient.config`."""
        return await self._run(self._config(name))

    async def status(self, name: str) -> ConnectorStatus:
        """See :meth:`KafkaConnectClient.status`."""
        return await self._run(self._status(name))

    async def offsets(self, name: str, topic_prefix: str | None = None) -> dict[str, Any] | None:
        """See :meth:`KafkaConnectClient.offsets`."""
        return await self._run(self._offsets(name, topic_prefix))

    async def restart(self, name: str, only_failed: bool = True) -> None:
        """See :meth:`KafkaConnectClient.restart`."""
        await self._run(self._restart(name, only_failed))

    async def _run(self, steps: Steps[T]) -> T:
        try:
            step = next(steps)
            while True:
                if isinstance(step, float):
                    await asyncio.sleep(step)
                    step = steps.send(None)
                    continue
                try:
                    response = await self._http.request(**self._arguments(step))
                except httpx.TransportError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(response)
        except StopIteration as done:
            result: T = done.value
            return result
