"""What the demo measures of each table, what it expects, and the table that it prints."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from stack.demo.archive import Archive, Entry, patiently
from stack.demo.dataset import EMPLOYEES, FOREVER, Row, Shape, digest
from stack.demo.display import grid
from stack.demo.follow import COMMON, OF_TABLE, Tasks, stages
from stack.demo.sources import Source


@dataclass
class Numbers:
    """One archived table in one demo.

    :param before: rows at the source before the run.
    :param hashes: canonical hash by key of the rows that the run owns, computed in Python from the source's rows.
    :param purges: whether the DAG deletes this table's rows; a rejected approval makes it False.
    :param archived: rows that the archive showed before the purge.
    """

    source: Source
    shape: Shape
    before: int
    hashes: dict[Row, str]
    purges: bool
    archived: int = 0
    left: int = 0
    visible: int = 0
    dead: int = 0
    ledger: Entry = field(default_factory=Entry)

    @property
    def name(self) -> str:
        """How messages call it."""
        return f"{self.source.title} {self.shape.name}"

    @property
    def owned(self) -> int:
        """Rows of the window."""
        return len(self.hashes)

    def add(self, row: Row) -> None:
        """Count a row that the application has just written."""
        if self.shape.key_of(row) not in self.hashes:
            self.before += 1
            self.hashes[self.shape.key_of(row)] = self.shape.hash_of(row)

    def measure(self, archive: Archive, run_id: str) -> None:
        """Read what ClickHouse and the ledger say after the run."""
        engine, shape = self.source.engine, self.shape
        self.visible = patiently(lambda: archive.count(engine, shape))
        self.archived = self.archived or self.visible
        self.dead = patiently(lambda: archive.dead_letters(engine, shape))
        self.ledger = patiently(lambda: archive.entry(engine, shape, run_id))

    def wrong(self) -> Iterator[str]:
        """Every number that is off, in words."""
        purged = self.owned if self.purges else 0
        for what, found, expected in (
            ("archived", self.archived, self.before),
            ("verified", self.ledger.verified, self.owned),
            ("purged", self.ledger.deleted, purged),
            ("sealed", self.ledger.sealed, purged),
            ("still in the source", self.left, self.before - purged),
            ("visible in the archive", self.visible, self.before),
            ("dead letters", self.dead, 0),
        ):
            if found != expected:
                yield f"{self.name}: {what} is {found:,}, expected {expected:,}"
        if self.ledger.digest != digest(self.hashes.values()):
            yield (
                f"{self.name}: the ledger's digest is {self.ledger.digest}, Python's over the source is "
                f"{digest(self.hashes.values())}"
            )


def compared(numbers: Numbers, archive: Archive) -> tuple[int, list[str]]:
    """Hash the archive's rows in Python and compare them with the source's of before: (equal rows, differences)."""
    rows = patiently(lambda: archive.rows(numbers.source.engine, numbers.shape))
    found = numbers.shape.hashes(rows)
    differences = [
        f"{numbers.name}: {what} {len(keys):,} rows, such as {keys[0]}"
        for what, keys in (
            ("the archive lacks", [key for key in numbers.hashes if key not in found]),
            ("the archive alone has", [key for key in found if key not in numbers.hashes]),
            ("the hash differs of", [k for k, v in found.items() if numbers.hashes.get(k, v) != v]),
        )
        if keys
    ]
    if len(rows) != len(found):
        differences.append(f"{numbers.name}: the archive shows {len(rows):,} rows for {len(found):,} keys")
    equal = sum(numbers.hashes.get(key) == value for key, value in found.items())
    return equal, differences


def printed(source: Source, numbers: list[Numbers], tasks: Tasks) -> str:
    """The table of one source, with seconds per stage under it."""
    header = (
        source.title, "rows before", "archived", "verified", "purged", "still in source", "visible in archive",
        "dead letters",
    )  # fmt: skip
    rows = [
        (n.shape.name, *(f"{value:,}" for value in
         (n.before, n.archived, n.ledger.verified, n.ledger.deleted, n.left, n.visible, n.dead)))
        for n in numbers
    ]  # fmt: skip
    seconds = [
        (n.shape.name, *(_seconds(stages(tasks, n.shape), stage) for stage in OF_TABLE)) for n in numbers
    ]
    common = ", ".join(f"{stage} {tasks[stage].seconds:.1f}" for stage in COMMON if stage in tasks)
    return "\n".join(
        [grid(header, rows), "", grid(("seconds per stage", *OF_TABLE), seconds), f"  once: {common}"]
    )


def forever(source: Source, present: Mapping[Shape, list[Row]]) -> int:
    """Rows of salaries with the date 9999-01-01 among these."""
    column = EMPLOYEES["salaries"].columns.index("to_date")
    return sum(row[column] == FOREVER for row in present[EMPLOYEES["salaries"]])


def _seconds(by_stage: Tasks, stage: str) -> str:
    task = by_stage.get(stage)
    return "-" if task is None or task.state != "success" else f"{task.seconds:.1f}"
