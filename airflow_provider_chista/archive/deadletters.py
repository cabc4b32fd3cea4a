"""Dead letters: records that could not be stored exactly, kept with their bytes until they are replayed or discarded.

A letter is ``open`` until then, and its table is not purged. Each record has one letter, whose newest state counts; what
settled it is recorded with the state. Replaying is in ``archive/replay.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from airflow_provider_chista.archive.ledger import Author
from airflow_provider_chista.archive.records import Record
from airflow_provider_chista.clickhouse import sql
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import TableId

SHARE_FROM = 1_000
"""Records that a drain must have read before the share of dead ones says anything."""

_RECORD = "target, topic, generation, partition, offset, key, value, header_names, header_values"
_ERROR = "error_class, error, task"


_HIDDEN = "hidden by [chista] mask_values"


def told_error(masked: bool) -> str:
    """SQL of a letter's error for people; it may quote values, so that nothing of it is told where they are masked."""
    return sql.literal(_HIDDEN) if masked else "error"


class LetterState(StrEnum):
    """What became of a dead letter. Any other word in the table counts as settled too."""

    OPEN = "open"
    REPLAYED = "replayed"
    DISCARDED = "discarded"


def dead_letter(
    *,
    target: TableId,
    topic: str,
    generation: int,
    record: Record,
    error_class: str,
    error: str,
    task: str,
) -> dict[str, Any]:
    """An open dead letter: the record as Kafka had it, and what was wrong with it.

    :param task: who read the record.
    """
    return {
        "target": str(target),
        "topic": topic,
        "generation": generation,
        "partition": record.partition,
        "offset": record.offset,
        "key": record.key or b"",
        "value": record.value or b"",
        "header_names": [name for name, _ in record.headers],
        "header_values": [value for _, value in record.headers],
        "error_class": error_class,
        "error": error,
        "task": task,
    }


def over_limit(dead: int, records: int, *, most: int, share: float = 1.0, ended: bool = False) -> str | None:
    """Which limit a drain has passed, in words that follow "cannot be decoded, "; None when it may go on.

    :param dead: dead records of all that were read; :param records: those that were read.
    :param most: dead records at most (``max_dead_letters``).
    :param share: part of the records, from 0 to 1, that may be dead (``max_dead_letter_share``); 1 is no limit. It is
        judged once :data:`SHARE_FROM` records were read, or when the drain has ``ended``.
    :raises FatalError: the share is none.
    """
    if not 0 <= share <= 1:
        raise FatalError(
            f"max_dead_letter_share is {share}; give a part from 0 to 1, such as 0.01 for one percent"
        )
    if dead > most:
        return f"more than max_dead_letters={most}"
    if (ended or records >= SHARE_FROM) and dead > share * records:
        return f"more than max_dead_letter_share={share} of {records} records"
    return None


@dataclass(frozen=True, slots=True)
class Letters:
    """Which dead letters of an archive table are meant: all of them, or those of some offsets.

    :param offsets: offsets by partition; None: all. An empty choice means none.
    :param generation: only those of that generation of the topic; None: of every one.
    """

    target: TableId
    offsets: Mapping[int, Sequence[int]] | None = None
    generation: int | None = None

    @classmethod
    def parse(
        cls,
        target: TableId,
        offsets: Mapping[Any, Sequence[Any]] | None = None,
        generation: int | str | None = None,
    ) -> Letters:
        """A choice whose numbers may be texts, as templates and JSON give them."""
        try:
            if any(isinstance(some, str) for some in (offsets or {}).values()):
                raise TypeError("a text is no list of offsets")
            chosen = (
                None if offsets is None else {int(p): list(map(int, some)) for p, some in offsets.items()}
            )
            return cls(target, chosen, None if generation is None else int(generation))
        except (ValueError, TypeError, AttributeError) as error:
            raise FatalError(
                f'{offsets!r} (generation {generation!r}) does not name dead letters; write {{"0": [5, 9]}}, a list of '
                "offsets for each partition"
            ) from error

    def chosen(self) -> tuple[str, dict[str, Any]]:
        """Condition of the state table ``dead_letters``, and its parameters."""
        pairs = [(p, offset) for p, some in (self.offsets or {}).items() for offset in some]
        condition = "target = {target:String}"
        parameters: dict[str, Any] = {"target": str(self.target)}
        if self.offsets is not None:
            condition += (
                " AND (partition, offset) IN"
                " (SELECT arrayJoin(arrayZip({partitions:Array(UInt32)}, {offsets:Array(UInt64)})))"
            )
            parameters |= {"partitions": [p for p, _ in pairs], "offsets": [offset for _, offset in pairs]}
        if self.generation is not None:
            condition += " AND generation = {chosen_generation:UInt16}"
            parameters["chosen_generation"] = self.generation
        return condition, parameters

    def require_known(self, control: Control) -> None:
        """Raise :class:`FatalError` when an offset never had a dead letter; one that is settled is no error."""
        if self.offsets is None:
            return
        condition, parameters = self.chosen()
        rows = control.rows(
            f"SELECT DISTINCT partition, offset FROM {control.name('dead_letters')} WHERE {condition}",
            parameters,
        )
        wanted = {(p, offset) for p, some in self.offsets.items() for offset in some}
        unknown = sorted(wanted - {(row["partition"], row["offset"]) for row in rows})
        if unknown:
            told = ", ".join(f"partition {p} offset {offset}" for p, offset in unknown)
            raise FatalError(f"{self.target} has no dead letters of {told}; nothing was changed")


@dataclass(frozen=True, slots=True)
class OpenLetters:
    """The open dead letters of a table.

    :param count: how many; the other fields are those of the first one.
    """

    target: str
    count: int
    topic: str
    generation: int
    partition: int
    offset: int
    error_class: str
    error: str

    def __str__(self) -> str:
        return (
            f"{self.target} has {self.count} open dead letters (state table dead_letters): rows that are not in the archive. "
            f"The first is {self.topic}, generation {self.generation}, partition {self.partition}, offset {self.offset}: "
            f"{self.error_class}: {self.error}"
        )


REMEDY = "mend the cause and run ReplayDeadLettersOperator, or run DiscardDeadLettersOperator with a reason"
"""What to do about open dead letters."""


def open_letters(control: Control, target: TableId) -> OpenLetters | None:
    """The open dead letters of an archive table; None when there are none."""
    first = "topic, generation, partition, offset, error_class, error"
    rows = control.rows(
        f"SELECT target, count() OVER () AS count, {first} FROM {control.name('dead_letters')} FINAL"
        " WHERE target = {target:String} AND state = 'open' ORDER BY generation, partition, offset LIMIT 1",
        {"target": str(target)},
    )
    return OpenLetters(**rows[0]) if rows else None


def listed(
    control: Control, target: TableId | None, state: str, limit: int, *, masked: bool = False
) -> list[dict[str, Any]]:
    """Dead letters in the order of their records, without the records' bytes.

    :param target: of this archive table; None: of every one. :param state: in this state; empty: in any.
    :param limit: most of them. :param masked: without the texts of their errors.
    """
    return control.rows(
        f"SELECT target, topic, generation, partition, offset, state, error_class, {told_error(masked)} AS error, reason,"
        " task, dag_id, run_id,"
        f" recorded_at FROM {control.name('dead_letters')} FINAL"
        " WHERE ({target:String} = '' OR target = {target:String}) AND ({state:String} = '' OR state = {state:String})"
        " ORDER BY target, generation, topic, partition, offset LIMIT {limit:UInt32}",
        {"target": str(target or ""), "state": state, "limit": limit},
    )


def discard(control: Control, letters: Letters, reason: str, author: Author) -> int:
    """Settle open dead letters without their rows; returns how many.

    Letters that are settled already, and those that arrive meanwhile, are left alone.

    :param reason: why the records need not be in the archive; kept with each letter.
    :raises FatalError: no reason was given, or an offset never had a dead letter.
    """
    if not reason.strip():
        raise FatalError(f"dead letters of {letters.target} are not discarded without a reason; give one")
    letters.require_known(control)
    condition, parameters = letters.chosen()
    found = control.rows(
        "SELECT count() AS n, toUnixTimestamp64Milli(max(recorded_at)) AS upto"
        f" FROM {control.name('dead_letters')} FINAL WHERE {condition} AND state = 'open'",
        parameters,
    )[0]
    if found["n"]:
        settle(
            control,
            f"{condition} AND recorded_at <= fromUnixTimestamp64Milli({{upto:Int64}}, 'UTC')",
            {**parameters, "upto": found["upto"]},
            LetterState.DISCARDED,
            author,
            reason.strip(),
        )
    return int(found["n"])


def settle(
    control: Control,
    condition: str,
    parameters: Mapping[str, Any],
    state: LetterState,
    author: Author,
    reason: str = "",
) -> None:
    """Record a new state of the open dead letters of a condition, and who gave it to them.

    The record is newer than the letter also where the server's clock is not.
    """
    who = "state, reason, dag_id, run_id, task_id"
    control.execute(
        f"INSERT INTO {control.name('dead_letters')} ({_RECORD}, {_ERROR}, {who}, recorded_at)"
        f" SELECT {_RECORD}, {_ERROR}, {{state:String}}, {{reason:String}}, {{dag_id:String}}, {{run_id:String}},"
        " {task_id:String}, greatest(now64(3, 'UTC'), recorded_at + toIntervalMillisecond(1))"
        f" FROM {control.name('dead_letters')} FINAL WHERE {condition} AND state = 'open'",
        {
            **parameters,
            "state": str(state),
            "reason": reason,
            "dag_id": author.dag_id,
            "run_id": author.run_id,
            "task_id": author.task_id,
        },
        f"recording dead letters as {state}",
    )
