"""What becomes of archived rows when their source deletes them."""

from __future__ import annotations

from enum import StrEnum


class DeletePolicy(StrEnum):
    """What a delete at the source does to the archive.

    ``archive``: it waits in quarantine until it is known to be the purge's (dropped) or the application's (the row is
    marked deleted, its last content kept). ``mirror``: applied at once, for live copies. ``ignore``: dropped.
    """

    ARCHIVE = "archive"
    MIRROR = "mirror"
    IGNORE = "ignore"


class TruncatePolicy(StrEnum):
    """What a TRUNCATE at the source does to the archive.

    ``stop``: the drain stops in front of it, for a person to decide. ``keep``: the archive keeps its rows. ``apply``: every
    row is marked deleted; for live copies.
    """

    STOP = "stop"
    KEEP = "keep"
    APPLY = "apply"
