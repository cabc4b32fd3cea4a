"""What Airflow connections of REST services share: an address, TLS, a timeout."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from airflow.sdk import Connection

from airflow_provider_chista.errors import FatalError


@dataclass(frozen=True, slots=True)
class RestConnection:
    """A connection whose host is a URL, or a host name to which port and scheme are added.

    :param conn_id: named in errors; :param default_port: where the connection has none.
    :param service: what the address is of, such as ``worker``.
    """

    connection: Connection
    conn_id: str
    default_port: int
    service: str

    def url(self) -> str:
        """The address with its port; :class:`FatalError` when there is none, or it has a user."""
        host = (self.connection.host or "").strip()
        if not host:
            raise FatalError(f"connection {self.conn_id} has no host; give the URL of a {self.service}")
        if "://" not in host:
            host = f"{self.connection.schema or 'http'}://{host}"
        parts = urlsplit(host)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise FatalError(
                f"connection {self.conn_id} does not name a {self.service}: its host must be http://name:port, "
                "https://name:port or a host name; user and password have their own fields"
            )
        if parts.port is None:
            parts = parts._replace(netloc=f"{parts.netloc}:{self.connection.port or self.default_port}")
        return parts.geturl().rstrip("/")

    def page(self, field: str, placeholder: str, name: str) -> str:
        """Address of a page for people, from an extra field with ``{placeholder}`` in it; empty where there is none.

        :raises FatalError: the field is no such address.
        """
        template = str(self.connection.extra_dejson.get(field) or "").strip()
        if template and (
            not template.startswith(("http://", "https://")) or f"{{{placeholder}}}" not in template
        ):
            raise FatalError(
                f"extra field {field!r} of connection {self.conn_id} is no address of a page; give a URL that begins with "
                f"http:// or https:// and has {{{placeholder}}} in it"
            )
        return template.replace(f"{{{placeholder}}}", quote(name, safe=""))

    def verification(self) -> bool | ssl.SSLContext:
        """By what a certificate is verified; False: it is not."""
        extra = self.connection.extra_dejson
        if str(extra.get("verify", True)).lower() == "false":
            return False
        ca_file = extra.get("ca_file")
        if not ca_file:
            return True
        try:
            return ssl.create_default_context(cafile=ca_file)
        except OSError as error:
            raise FatalError(
                f"CA file {ca_file} of connection {self.conn_id} cannot be read: {error}"
            ) from error

    def timeout(self) -> float | None:
        """Seconds for one answer; None where the connection does not say."""
        value = self.connection.extra_dejson.get("timeout")
        try:
            return float(str(value)) if value else None
        except ValueError:
            raise FatalError(
                f"timeout {value!r} of connection {self.conn_id} is not a number of seconds"
            ) from None
