"""The schema registry of a connector that writes Avro: what its worker is told, and a client that reads schemas by id."""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import httpx

from airflow_provider_chista import tls
from airflow_provider_chista.debezium.http import HttpClient
from airflow_provider_chista.errors import FatalError, TransientError

CONVERTER_API = "/apis/registry/v2"
"""Apicurio's own interface, which its converter speaks."""

SCHEMAS_API = "/apis/ccompat/v7"
"""Its Confluent-compatible interface, which finds a schema by the id that records carry."""

_PAUSES = (0.25, 0.5, 1.0, 2.0)
_AUTHORITY = "the extra field ca_file of the schema_registry connection"
_ON = "the connection's host must begin with https://"
_OFF = "the connection's host must begin with http://"


@dataclass(frozen=True, slots=True)
class Registry:
    """A schema registry as the Connect worker reaches it.

    :param url: address without a path of an interface; :param user: for basic authentication.
    :param password: the user's, or a reference for a config provider of the worker, such as ``${env:NAME}``.
    """

    url: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    def settings(self) -> dict[str, str]:
        """The converters' properties that follow from it."""
        properties = {"registry.url": self.url.rstrip("/") + CONVERTER_API}
        if self.user:
            properties |= {"auth.username": self.user, "auth.password": self.password or ""}
        return {
            f"{side}.converter.apicurio.{name}": value
            for side in ("key", "value")
            for name, value in properties.items()
        }


@dataclass
class SchemaRegistryClient(HttpClient):
    """Reads schemas; a context manager, or call :meth:`close`.

    :param url: address without a path of an interface; :param user: and :param password: for basic authentication.
    :param verify: whether the server's certificate is checked, or by what.
    :param timeout: seconds for one answer; :param patience: seconds that a registry that does not answer is asked again.
    """

    url: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    verify: bool | ssl.SSLContext = True
    timeout: float = 30.0
    patience: float = 10.0

    @cached_property
    def _http(self) -> httpx.Client:
        return httpx.Client(
            base_url=self.url.rstrip("/"),
            auth=httpx.BasicAuth(self.user, self.password or "") if self.user else None,
            verify=self.verify,
            timeout=self.timeout,
        )

    def schema(self, number: int) -> str:
        """The text of a schema, by the id that records carry.

        :raises FatalError: there is none, or the registry may not be read.
        :raises TransientError: the registry did not answer.
        """
        answer = self._get(f"/schemas/ids/{number}")
        if answer.status_code == httpx.codes.NOT_FOUND and b"error_code" in answer.content:
            raise FatalError(
                f"the schema registry at {self.url} has no schema {number}, which a record names: it has lost its schemas, "
                "or it is not the connector's. Restore it, or register the connector under another topic prefix and load "
                "the table by its snapshot; no record was skipped"
            )
        return str(self._body(answer)["schema"])

    def subjects(self) -> list[str]:
        """Names under which schemas are registered; errors as of :meth:`schema`."""
        return sorted(map(str, self._body(self._get("/subjects"))))

    def _get(self, path: str) -> httpx.Response:
        deadline, tried = time.monotonic() + self.patience, 0
        while True:
            try:
                answer = self._http.get(SCHEMAS_API + path)
                if not answer.is_server_error and answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
                    return answer
                reason = f"it answered {answer.status_code} {answer.reason_phrase}"
            except httpx.TransportError as error:
                reason = self._reason(error)
            pause = _PAUSES[min(tried, len(_PAUSES) - 1)]
            if time.monotonic() + pause > deadline:
                raise TransientError(
                    f"the schema registry at {self.url} could not be read: {reason}; check that it runs"
                )
            time.sleep(pause)
            tried += 1

    def _reason(self, error: httpx.TransportError) -> str:
        text = str(error) or type(error).__name__
        remedy = tls.remedy(text, ca=_AUTHORITY, on=_ON, off=_OFF)
        if remedy:
            raise FatalError(
                f"the schema registry at {self.url} cannot be reached by TLS: {text}; {remedy}"
            ) from error
        return text + ("" if self.url.startswith("https:") else tls.hint(text, on=_ON))

    def _body(self, answer: httpx.Response) -> Any:
        if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise FatalError(
                f"the schema registry at {self.url} answered {answer.status_code}; check user and password of the "
                "schema_registry connection, and that the user may read schemas"
            )
        try:
            if answer.is_success:
                return answer.json()
        except ValueError:
            pass
        raise FatalError(
            f"{self.url} answered {answer.status_code} to {SCHEMAS_API}, as no Apicurio registry does; check the host of the "
            "schema_registry connection"
        )
