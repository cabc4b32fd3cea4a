"""The tables of ``docs/schema-changes.md``, made of the changes that the tests make.

``python -m tests.integration.schema.document`` writes them into the page; a test compares.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.integration.schema.attributes import OTHERS
from tests.integration.schema.changes import MYSQL_FAMILY, Change, Proof, Step, Target, spoken
from tests.integration.schema.columns import ADDED, DROPPED
from tests.integration.schema.keys import KEYS
from tests.integration.schema.retyped import RETYPED
from tests.unit.docs.generated import ROOT, TITLES, block

PAGE = ROOT / "docs" / "schema-changes.md"

GROUPS: dict[str, Sequence[Change]] = {
    "added columns": ADDED,
    "dropped columns": DROPPED,
    "other types": RETYPED,
    "other attributes": OTHERS,
    "keys and tables": KEYS,
}
"""The changes of each table of the page."""

PROOFS = {
    Proof.HOLDS: "holds",
    Proof.OLDER: "refuses the older rows until the table is [read again](#reading-a-table-again)",
    Proof.EXTRA: "refuses the rows that are only in the archive; [begin anew](#beginning-anew)",
}
WAYS_OUT = (
    (Step.EXCLUDE, "exclude the column"),
    (Step.IGNORE, "run the drain once with `ignore_columns`"),
    (Step.KEEP, "run the drain once with `on_truncate='keep'`, then [begin anew](#beginning-anew)"),
    (Step.RENAME, "[begin anew](#beginning-anew)"),
    (Step.UNDO, "undo the change"),
)
"""What leads out of a stop: the first that a change has."""


def table(changes: Sequence[Change]) -> str:
    """One table of the page."""
    lines = [
        ("change", "what arrives", "what the archive does", "the proof"),
        ("---",) * 4,
        *((_title(change), change.arrives, change.does, _proof(change)) for change in changes),
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write() -> None:
    """Write every table into the page."""
    text = PAGE.read_text(encoding="utf-8")
    for name, changes in GROUPS.items():
        found = block(name, text)
        text = text[: found.start(1)] + table(changes) + text[found.end(1) :]
    PAGE.write_text(text, encoding="utf-8")


def _title(change: Change) -> str:
    only = _engines(change.engines)
    return f"{change.change} ({only})" if len(change.engines) < len(TITLES) else change.change


def _engines(flavours: Sequence[str]) -> str:
    return ", ".join(TITLES[flavour] for flavour in flavours)


def _proof(change: Change) -> str:
    """What the proof says, by engine and by what was drained before, where these differ."""
    told = {flavour: _of(change, flavour) for flavour in change.engines}
    if len(set(told.values())) == 1:
        return next(iter(told.values()))
    return "; ".join(
        f"{_engines(flavours)}: {told[flavours[0]]}" for flavours in (MYSQL_FAMILY, ("postgres",))
    )


def _of(change: Change, flavour: str) -> str:
    drained, waiting = (
        _words(change, spoken(target, flavour)) for target in (change.drained, change.waiting)
    )
    if waiting is None or waiting == drained:
        return drained or ""
    return f"records that were drained before: {drained}; others: {waiting}"


def _words(change: Change, target: Target | None) -> str | None:
    if target is None:
        return None
    if target.proof:
        return PROOFS[target.proof]
    return "none, the drain stops: " + next(words for step, words in WAYS_OUT if step in change.way_out)


if __name__ == "__main__":
    write()
