"""ClickHouse behind TLS: the connection's settings, and what a wrong one leads to."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509

from airflow_provider_chista.errors import ChistaError, FatalError, TransientError
from airflow_provider_chista.hooks.clickhouse import ChistaClickHouseHook
from tests.integration.security.authority import Authority
from tests.integration.security.conftest import Define
from tests.integration.security.servers import HOST, SecuredConnect, Terminator
from tests.integration.support import services


@pytest.fixture(scope="module")
def places(
    clickhouse_port: int, worker: SecuredConnect, authority: Authority, stranger: Authority, folder: Path
) -> Iterator[dict[str, Any]]:
    """Ports and files that the cases name."""
    elsewhere = Terminator(
        authority.server(x509.DNSName("elsewhere")), services.connection("clickhouse_default")["port"]
    )
    # Not the stack's ClickHouse: a TLS handshake on its HTTP port can end the library's process.
    plain = http.server.ThreadingHTTPServer((HOST, 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=plain.serve_forever, daemon=True).start()
    (folder / "empty.pem").touch()
    yield {
        "tls": clickhouse_port, "elsewhere": elsewhere.port, "jetty": urlsplit(worker.url).port, "plain": plain.server_port,
        "own": authority.ca, "other": stranger.ca, "empty": folder / "empty.pem", "missing": folder / "missing.pem",
    }  # fmt: skip
    plain.shutdown()
    plain.server_close()
    elsewhere.close()


@pytest.fixture
def connect(define: Define, places: dict[str, Any]) -> Callable[..., Any]:
    """The answer to ``SELECT 1`` by an Airflow connection with these extra fields."""

    def ask(port: str, ca: str | None = None, **extra: Any) -> Any:
        known = services.connection("clickhouse_default")
        if ca:
            extra["client_kwargs"] = {"ca_cert": str(places[ca])}
        name = define(**{**known, "port": places[port], "extra": extra})
        client = ChistaClickHouseHook(name).get_client()
        try:
            return client.command("SELECT 1")
        finally:
            client.close()

    return ask


def test_the_authority_of_the_connection_verifies_the_server(connect: Callable[..., Any]) -> None:
    assert connect("tls", "own", secure=True) == 1


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_verification_can_be_switched_off(connect: Callable[..., Any]) -> None:
    assert connect("tls", secure=True, verify=False) == 1


@pytest.mark.parametrize(
    ("port", "ca", "secure", "kind", "message"),
    [
        ("tls", None, True, FatalError, "CERTIFICATE_VERIFY_FAILED.*authority that signed .*ca_cert"),
        ("tls", "other", True, FatalError, "CERTIFICATE_VERIFY_FAILED.*authority that signed .*ca_cert"),
        ("elsewhere", "own", True, FatalError, r"not valid for '127\.0\.0\.1'.*connect to a name that the server's"),
        ("tls", "missing", True, FatalError, "check that the file of the authority is on this machine.*ca_cert"),
        ("tls", "empty", True, FatalError, "check that the file of the authority is .* in PEM form"),
        ("plain", "own", True, FatalError, "the port does not speak TLS.*'secure' to false"),
        ("jetty", None, False, FatalError, "does not speak HTTP; if it speaks TLS, set .*'secure' to true"),
        ("tls", None, False, TransientError, "if the port speaks TLS, set .*'secure' to true"),
    ],
    ids=["no CA", "other CA", "other host", "no file", "no PEM", "TLS to HTTP", "HTTP to TLS that says so", "HTTP to TLS"],
)  # fmt: skip
def test_a_wrong_connection_names_the_setting_to_change(
    connect: Callable[..., Any], told: Callable[[], str],
    port: str, ca: str | None, secure: bool, kind: type[ChistaError], message: str,
) -> None:  # fmt: skip
    with pytest.raises(kind, match=f"^ClickHouse .*connecting to {HOST}: .*{message}") as caught:
        connect(port, ca, secure=secure)
    password = services.connection("clickhouse_default")["password"]
    assert password not in f"{caught.value!r} {caught.value.__cause__!r} {told()}"
