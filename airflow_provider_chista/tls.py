"""What is wrong with a TLS connection, and what to do: read from the text of a client's error.

HTTP clients report a certificate that does not verify as they report a broken line, and only the text tells the two
apart. What stands here stays wrong however often it is tried; an interrupted handshake is not in it.
"""

from __future__ import annotations

import re

FAULTS: tuple[tuple[str, str], ...] = (
    ("certificate has expired", "have the server's certificate renewed"),
    (
        "certificate is not valid for",
        "connect to a name that the server's certificate has, or give the server one with this name",
    ),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "name the file of the authority that signed the server's certificate: {ca}",
    ),
    (
        r"SSLError\((FileNotFound|Permission)Error|NO_CERTIFICATE_OR_CRL_FOUND",
        "check that the file of the authority is on this machine, readable and in PEM form: {ca}",
    ),
    ("WRONG_VERSION_NUMBER", "the port does not speak TLS: name another port, or {off}"),
    (r"\\x15\\x03|illegal (request|status) line", "the port does not speak HTTP; if it speaks TLS, {on}"),
    (
        "CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE|PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL",
        "the server refuses the handshake: look at the TLS versions and client certificates that it asks for",
    ),
)
"""Pattern of the error's text, and the remedy with the names of the connection's settings left open."""

UNANSWERED = r"closed connection without response|disconnected without sending|reset by peer"
"""How a server with TLS looks that is spoken to without it; also how one looks that went down."""


def remedy(text: str, *, ca: str, on: str, off: str) -> str | None:
    """What to do about a fault of TLS that a retry does not mend; None when the text tells of no such fault.

    :param ca: the setting that names the authority's file; :param on: how TLS is asked for; :param off: how it is not.
    """
    for pattern, advice in FAULTS:
        if re.search(pattern, text):
            return advice.format(ca=ca, on=on, off=off)
    return None


def hint(text: str, *, on: str) -> str:
    """For a connection without TLS: what else the text may mean, to be put behind a message; often nothing."""
    return f"; if the port speaks TLS, {on}" if re.search(UNANSWERED, text) else ""
