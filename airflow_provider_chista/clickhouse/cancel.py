"""Statements of one client, found and cancelled at the server by their ``log_comment``."""

from __future__ import annotations

from uuid import uuid4

from clickhouse_connect.driver.client import Client

_SETTING = "log_comment"


def marked(client: Client) -> Client:
    """The client, whose statements bear a comment of their own from now on, behind the one that the connection gives."""
    given = client.get_client_setting(_SETTING)
    client.set_client_setting(_SETTING, " ".join(filter(None, (given, f"chista-{uuid4().hex}"))))
    return client


def cancel(client: Client) -> None:
    """Make the server end what runs for a :func:`marked` client, from any thread; what it inserted so far may stay.

    The user may always end statements of its own. Nothing is waited for.
    """
    mark = client.get_client_setting(_SETTING)
    client.command(
        "KILL QUERY WHERE user = currentUser() AND Settings['log_comment'] = {mark:String} ASYNC",
        parameters={"mark": mark},
        settings={_SETTING: "cancel"},
    )
