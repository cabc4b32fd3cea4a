"""Has a connector's committed offset passed a position of its source?

The offset is what ``GET /connectors/{name}/offsets`` shows: Connect commits it only after every record before it was
acknowledged by Kafka. The position is JSON text as ``sources`` reads it: ``{"file", "pos", "gtids"}`` on MySQL and
MariaDB, ``{"lsn"}`` on PostgreSQL. The answer is strict: True means that every transaction committed before the position
has been produced; whatever cannot be compared is False.

Debezium's offset of a MySQL or MariaDB transaction under way holds the GTIDs *before* it and the position of its
beginning, so a transaction counts as passed only when a later one has begun.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from airflow_provider_chista.errors import FatalError

Intervals = list[tuple[int, int]]
"""Closed intervals of transaction numbers, sorted, none touching another."""


def reached(flavour: str, offset: Mapping[str, Any], position: str) -> bool:
    """Whether everything committed before ``position`` was produced when ``offset`` was committed.

    Always False while an initial or blocking snapshot runs: its offset already names the position at which streaming
    will begin, but not all of its rows have been produced.

    A MySQL position with a GTID set is compared by that set alone, so it must only hold one when ``gtid_mode`` is ON and
    every transaction therefore has a GTID; otherwise file and position are compared.

    :param flavour: ``mysql``, ``mariadb`` or ``postgres``.
    :raises FatalError: the position is not what :meth:`Source.position` gives for that flavour.
    """
    wanted = _parsed(flavour, position)
    if snapshot_running(offset):
        return False
    if flavour == "postgres":
        # Changes come in the order of their commits, and a change lies before its commit in the log. So a change at or
        # beyond the position proves all earlier commits, and so does a commit.
        seen = [offset[key] for key in ("lsn", "lsn_commit") if isinstance(offset.get(key), int)]
        return bool(seen) and max(seen) >= int(wanted["lsn"])
    gtids = offset.get("gtids")
    if wanted.get("gtids"):
        if not isinstance(gtids, str):
            return False
        contains = gtid_subset if flavour == "mysql" else domains_reached
        return contains(wanted["gtids"], gtids)
    return _file_position_reached(offset, wanted)


def snapshot_running(offset: Mapping[str, Any]) -> bool:
    """Whether the offset was committed during an initial or blocking snapshot."""
    marker = offset.get("snapshot")
    return marker is not None and str(marker).lower() not in ("false", "")


def incremental_snapshot_tables(offset: Mapping[str, Any]) -> set[str]:
    """Tables (``schema.table``) whose incremental snapshot was under way when the offset was committed."""
    text = offset.get("incremental_snapshot_collections")
    if not isinstance(text, str) or not text:
        return set()
    return {str(entry["incremental_snapshot_collections_id"]) for entry in json.loads(text)}


def _parsed(flavour: str, position: str) -> dict[str, Any]:
    needed = {"mysql": {"file", "pos"}, "mariadb": {"file", "pos"}, "postgres": {"lsn"}}
    try:
        parsed = json.loads(position)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict) or flavour not in needed or not needed[flavour] <= parsed.keys():
        raise FatalError(f"{position!r} is not a source position of {flavour}")
    return parsed


def _file_position_reached(offset: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    seen, goal = _numbered(offset.get("file")), _numbered(wanted["file"])
    if seen is None or goal is None or seen[0] != goal[0] or not isinstance(offset.get("pos"), int):
        return False
    return (seen[1], offset["pos"]) >= (goal[1], int(wanted["pos"]))


def _numbered(file: object) -> tuple[str, int] | None:
    """Base name and number of a binary log file; its number outgrows the six digits that it starts with."""
    match = re.fullmatch(r"(.+)\.(\d+)", file) if isinstance(file, str) else None
    return (match[1], int(match[2])) if match else None


def gtid_subset(inner: str, outer: str) -> bool:
    """Whether every MySQL GTID of ``inner`` is in ``outer``, as the server's ``GTID_SUBSET(inner, outer)``."""
    covering = parse_gtid_set(outer)
    return all(
        any(low <= first and last <= high for low, high in covering.get(source, []))
        for source, intervals in parse_gtid_set(inner).items()
        for first, last in intervals
    )


def parse_gtid_set(text: str) -> dict[str, Intervals]:
    """Intervals of each source of a MySQL GTID set: ``uuid:1-5:8,uuid:tag:3`` (a tag makes a source of its own).

    :raises FatalError: the text is not a GTID set.
    """
    found: dict[str, Intervals] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        uuid, *rest = (token.strip().lower() for token in part.split(":"))
        if not re.fullmatch(r"[0-9a-f-]{32,36}", uuid) or not rest:
            raise FatalError(f"{part!r} is not part of a MySQL GTID set")
        source = uuid
        for token in rest:
            if match := re.fullmatch(r"(\d+)(?:-(\d+))?", token):
                first = int(match[1])
                found.setdefault(source, []).append((first, int(match[2] or first)))
            elif re.fullmatch(r"[a-z_][a-z0-9_]{0,31}", token):
                source = f"{uuid}:{token}"
            else:
                raise FatalError(f"{part!r} is not part of a MySQL GTID set")
    return {source: _merged(intervals) for source, intervals in found.items()}


def _merged(intervals: Intervals) -> Intervals:
    merged: Intervals = []
    for first, last in sorted(interval for interval in intervals if interval[0] <= interval[1]):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged


def domains_reached(wanted: str, seen: str) -> bool:
    """Whether the MariaDB position ``seen`` is at or beyond ``wanted`` in each domain (``domain-server-sequence,...``)."""
    last = _domains(seen)
    return all(last.get(domain, -1) >= sequence for domain, sequence in _domains(wanted).items())


def _domains(text: str) -> dict[int, int]:
    last: dict[int, int] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        match = re.fullmatch(r"(\d+)-(\d+)-(\d+)", part)
        if not match:
            raise FatalError(f"{part!r} is not a MariaDB GTID")
        domain, sequence = int(match[1]), int(match[3])
        last[domain] = max(last.get(domain, -1), sequence)
    return last
