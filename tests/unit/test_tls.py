"""Texts are those that urllib3 and httpx gave for real servers (``tests/integration/security``)."""

from __future__ import annotations

import pytest

from airflow_provider_chista import tls

SETTINGS = {"ca": "field CA", "on": "switch TLS on", "off": "switch TLS off"}
VERIFY = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: "


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (VERIFY + "unable to get local issuer certificate (_ssl.c:1006)", "certificate: field CA"),
        (VERIFY + "self-signed certificate in certificate chain (_ssl.c:1006)", "certificate: field CA"),
        (VERIFY + "certificate has expired (_ssl.c:1006)", "have the server's certificate renewed"),
        (
            VERIFY + "Hostname mismatch, certificate is not valid for 'ch'.",
            "connect to a name that the server's",
        ),
        ("(Caused by SSLError(FileNotFoundError(2, 'No such file or directory')))", "PEM form: field CA"),
        ("SSLError(136, '[X509: NO_CERTIFICATE_OR_CRL_FOUND] no certificate')", "PEM form: field CA"),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)", "another port, or switch TLS off"),
        (r"Connection aborted.', BadStatusLine('\x15\x03\x03\x00\x02\x02P", "speaks TLS, switch TLS on"),
        ("illegal request line", "if it speaks TLS, switch TLS on"),
        ("[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required", "client certificates"),
        ("[SSL: SSLV3_ALERT_HANDSHAKE_FAILURE] sslv3 alert handshake failure", "client certificates"),
    ],
)
def test_a_fault_that_stays_has_a_remedy(text: str, wanted: str) -> None:
    remedy = tls.remedy(f"Error {text} executing HTTP request", **SETTINGS)
    assert remedy is not None
    assert wanted in remedy


@pytest.mark.parametrize(
    "text",
    [
        "[SSL: UNEXPECTED_EOF_WHILE_READING] EOF occurred in violation of protocol",
        "EOF occurred in violation of protocol (_ssl.c:1006)",
        "[Errno 104] Connection reset by peer",
        "Server disconnected without sending a response.",
        "[Errno 2] No such file or directory",
        "timed out",
        "The handshake operation timed out",
    ],
)
def test_what_may_pass_has_none(text: str) -> None:
    assert tls.remedy(text, **SETTINGS) is None


@pytest.mark.parametrize(
    ("text", "hinted"),
    [
        ("RemoteDisconnected('Remote end closed connection without response')", True),
        ("Server disconnected without sending a response.", True),
        ("[Errno 104] Connection reset by peer", True),
        ("[Errno 111] Connection refused", False),
        ("timed out", False),
    ],
)
def test_a_line_that_breaks_without_an_answer_may_want_tls(text: str, hinted: bool) -> None:
    assert tls.hint(text, on="switch TLS on") == ("; if the port speaks TLS, switch TLS on" if hinted else "")
