"""Kafka Connect's REST interface without the sending: what to ask, what an answer means, when to ask again.

Every operation is a generator that yields what to send and how long to pause; the two clients in ``connect.py`` only
carry that out. So both decide alike what is worth another try:

* 409 (the workers are rebalancing), 429, 5xx, connection errors and timeouts: again, with growing pauses, until
  ``patience`` is used up, then :class:`TransientError`;
* 404 without Connect's own message: the worker answers so for the first seconds after its port opened. Again for
  ``startup`` seconds, then :class:`FatalError`, since then something else listens there;
* 404 with Connect's message: :class:`NotFoundError`;
* 400 (also where Connect wraps it into 500), 401, 403, every other 4xx, a certificate that does not verify, TLS on one
  side only: :class:`FatalError` at once.

The worker's own message is part of every exception. Literal passwords of a configuration that was sent are cut out.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from airflow_provider_chista import tls
from airflow_provider_chista.debezium.config import secrets_of
from airflow_provider_chista.errors import FatalError, TransientError

T = TypeVar("T")

TLS_ON = "write https:// into the connection's URL"
TLS_SETTINGS = {
    "ca": "field 'ca_file' of the connection",
    "on": TLS_ON,
    "off": "write http:// into the connection's URL",
}


class NotFoundError(FatalError):
    """The worker does not know the connector or plugin that the call named."""


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """One task of a connector: its state (``RUNNING``, ``FAILED``, ...), its worker, and the trace when it failed."""

    id: int
    state: str
    worker: str
    trace: str | None = None


@dataclass(frozen=True, slots=True)
class ConnectorStatus:
    """State of a connector and of its tasks; ``UNASSIGNED`` also right after the configuration was stored."""

    name: str
    state: str
    worker: str
    tasks: tuple[TaskStatus, ...]
    trace: str | None = None

    @property
    def running(self) -> bool:
        """The connector and all of its tasks run, and there is at least one task."""
        return bool(self.tasks) and self.state == "RUNNING" and all(t.state == "RUNNING" for t in self.tasks)

    @property
    def failed(self) -> bool:
        """The connector or one of its tasks has failed for good; only a restart starts it again."""
        return self.state == "FAILED" or any(task.state == "FAILED" for task in self.tasks)

    def explain(self) -> str:
        """State in one text for people: of a failure, each cause in the worker's words without stack frames."""
        parts = [f"connector {self.name} is {self.state}" + _causes(self.trace)]
        parts += [f"task {task.id} is {task.state}" + _causes(task.trace) for task in self.tasks]
        return "; ".join(parts)


def _causes(trace: str | None) -> str:
    if not trace:
        return ""
    lines = [line.strip() for line in trace.splitlines()]
    kept = [
        line.removeprefix("Caused by: ")
        for index, line in enumerate(lines)
        if line and (index == 0 or line.startswith("Caused by: "))
    ]
    return f" ({' <- '.join(dict.fromkeys(kept))})"


@dataclass(frozen=True, slots=True)
class Policy:
    """How long a client waits; all values are seconds.

    :param timeout: longest wait for one answer.
    :param patience: how long one operation is tried again before it is given up.
    :param startup: how long a 404 without Connect's message counts as "not started yet".
    :param first_pause: pause before the second try; each further pause is twice as long, up to ``longest_pause``.
    """

    timeout: float = 30.0
    patience: float = 60.0
    startup: float = 45.0
    first_pause: float = 0.25
    longest_pause: float = 5.0


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request; ``least_timeout`` (seconds) raises the policy's timeout for slow operations."""

    method: str
    path: str
    body: Mapping[str, str] | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    least_timeout: float = 0.0

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


Steps = Generator["Request | float", "httpx.Response | None", T]
"""Yields a request (sent back: its response; thrown in: the transport's error) or a pause in seconds."""

VALIDATION_TIMEOUT = 90.0
"""Validation logs in to the source database; the worker itself gives up after 90 s."""


class Operations:
    """What both clients have in common: address, credentials, policy and the operations as generators.

    :param url: the worker's address with scheme and port.
    :param user: user of basic authentication; None sends no credentials.
    :param password: its password.
    :param verify: whether the certificate is verified, or the TLS context to verify it with.
    :param policy: timeouts and patience.
    :raises FatalError: the address is not that of an HTTP server.
    """

    def __init__(
        self,
        url: str,
        *,
        user: str | None = None,
        password: str | None = None,
        verify: bool | ssl.SSLContext = True,
        policy: Policy | None = None,
    ) -> None:
        self.url = _checked(url)
        self.policy = policy or Policy()
        self._options: dict[str, Any] = {
            "base_url": self.url,
            "verify": verify,
            "timeout": self.policy.timeout,
            "auth": httpx.BasicAuth(user, password or "") if user else None,
        }

    def _arguments(self, request: Request) -> dict[str, Any]:
        return {
            "method": request.method,
            "url": request.path,
            "json": request.body,
            "params": request.params or None,
            "timeout": max(self.policy.timeout, request.least_timeout),
        }

    def _exchange(self, request: Request) -> Steps[Any]:
        """The parsed answer to one request, tried again as the policy says."""
        begun, pause = time.monotonic(), self.policy.first_pause
        while True:
            try:
                response = yield request
                assert response is not None  # the clients answer every request
                if response.is_success:
                    return response.json() if response.content else None
                reason, foreign = self._judge(request, response)
            except httpx.TransportError as error:
                reason, foreign = self._judge_transport(error), False
            except ValueError as error:
                raise FatalError(f"{self.url} does not answer as Kafka Connect does: {error}") from error
            elapsed = time.monotonic() - begun
            limit = min(self.policy.startup, self.policy.patience) if foreign else self.policy.patience
            if elapsed + pause > limit:
                message = f"Kafka Connect at {self.url}: {request} not done after {elapsed:.0f} s: {reason}"
                if foreign:
                    raise FatalError(f"{message}; check that the URL is that of a Kafka Connect worker")
                raise TransientError(message)
            yield pause
            pause = min(pause * 2, self.policy.longest_pause)

    def _judge(self, request: Request, response: httpx.Response) -> tuple[str, bool]:
        """Why the request is worth another try, and whether something other than Connect may have answered.

        Raises when another try would not mend it.
        """
        status, message = response.status_code, _message(response)
        for secret in secrets_of(request.body or {}):
            message = message.replace(secret, "***")
        reason = f"the worker answered {status}: {message or response.reason_phrase}"
        # Connect wraps a bad request into 500 where the connector's class is missing.
        if status in (409, 429) or (status >= 500 and "BadRequestException" not in message):
            return reason, False
        if status == 404 and message in ("", "HTTP 404 Not Found"):
            return reason, True
        hint = {
            401: "; check user and password of the kafka_connect connection",
            403: "; the user of the connection lacks the right",
        }.get(status, "")
        error = NotFoundError if status == 404 else FatalError
        raise error(f"Kafka Connect at {self.url}: {request}: {reason}{hint}")

    def _judge_transport(self, error: httpx.TransportError) -> str:
        text = str(error) or type(error).__name__
        remedy = tls.remedy(text, **TLS_SETTINGS)
        if remedy:
            raise FatalError(
                f"Kafka Connect at {self.url} cannot be reached by TLS: {text}; {remedy}"
            ) from error
        hint = "" if self.url.startswith("https:") else tls.hint(text, on=TLS_ON)
        return f"no answer ({text}){hint}"

    def _info(self) -> Steps[dict[str, str]]:
        return dict((yield from self._exchange(Request("GET", "/"))))

    def _plugins(self) -> Steps[dict[str, str]]:
        found = yield from self._exchange(Request("GET", "/connector-plugins"))
        return {plugin["class"]: str(plugin.get("version")) for plugin in found}

    def _connectors(self) -> Steps[list[str]]:
        return sorted((yield from self._exchange(Request("GET", "/connectors"))))

    def _validate(self, plugin: str, config: Mapping[str, str]) -> Steps[list[tuple[str, str]]]:
        path = f"/connector-plugins/{quote(plugin, safe='')}/config/validate"
        body = {"connector.class": plugin, **config}
        answer = yield from self._exchange(Request("PUT", path, body=body, least_timeout=VALIDATION_TIMEOUT))
        values = [entry["value"] for entry in answer["configs"]]
        return [(value["name"], error) for value in values for error in value["errors"]]

    def _config(self, name: str) -> Steps[dict[str, str] | None]:
        try:
            return dict((yield from self._exchange(Request("GET", _path(name, "config")))))
        except NotFoundError:
            return None

    def _put_config(self, name: str, config: Mapping[str, str]) -> Steps[bool]:
        before = yield from self._config(name)
        wanted = {**config, "name": name}
        if before == wanted:
            return False
        yield from self._exchange(
            Request("PUT", _path(name, "config"), body=wanted, least_timeout=VALIDATION_TIMEOUT)
        )
        return True

    def _status(self, name: str) -> Steps[ConnectorStatus]:
        try:
            answer = yield from self._exchange(Request("GET", _path(name, "status")))
        except NotFoundError:
            # A configuration just stored has no status before a worker has taken the connector up.
            yield from self._exchange(Request("GET", _path(name, "config")))
            return ConnectorStatus(name=name, state="UNASSIGNED", worker="", tasks=())
        connector = answer["connector"]
        tasks = [TaskStatus(t["id"], t["state"], t["worker_id"], t.get("trace")) for t in answer["tasks"]]
        return ConnectorStatus(
            name=name,
            state=connector["state"],
            worker=connector["worker_id"],
            tasks=tuple(sorted(tasks, key=lambda task: task.id)),
            trace=connector.get("trace"),
        )

    def _offsets(self, name: str, topic_prefix: str | None) -> Steps[dict[str, Any] | None]:
        answer = yield from self._exchange(Request("GET", _path(name, "offsets")))
        entries = [
            entry
            for entry in answer["offsets"]
            if topic_prefix is None or entry["partition"].get("server") == topic_prefix
        ]
        if len(entries) > 1:
            names = ", ".join(sorted(str(entry["partition"]) for entry in entries))
            raise FatalError(
                f"connector {name} has offsets of several topic prefixes ({names}); name the prefix"
            )
        return dict(entries[0]["offset"]) if entries and entries[0]["offset"] else None

    def _change(self, method: str, name: str, *parts: str, **params: str) -> Steps[None]:
        yield from self._exchange(Request(method, _path(name, *parts), params=params))

    def _restart(self, name: str, only_failed: bool) -> Steps[None]:
        params = {"includeTasks": "true", "onlyFailed": str(only_failed).lower()}
        yield from self._change("POST", name, "restart", **params)

    def _delete(self, name: str) -> Steps[bool]:
        try:
            yield from self._change("DELETE", name)
        except NotFoundError:
            return False
        return True


def _checked(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise FatalError(f"{url!r} is not the address of a Kafka Connect worker: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise FatalError(
            f"{url!r} is not the address of a Kafka Connect worker; write http://host:port or https://host:port"
        )
    return url.rstrip("/")


def _path(name: str, *parts: str) -> str:
    return "/".join(("/connectors", quote(name, safe=""), *parts))


def _message(response: httpx.Response) -> str:
    """Connect's own error text, or nothing when the answer does not come from Connect's REST resources."""
    try:
        body = response.json()
    except ValueError:
        return ""
    if not isinstance(body, dict) or "error_code" not in body:
        return ""
    # The list of all plugins with their file names helps nobody; `plugins` gives it readably.
    return str(body.get("message") or "").split(", available connectors are: ")[0]
