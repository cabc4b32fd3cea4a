"""``python -m stack.demo``: see the package."""

import os
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial

from airflow_provider_chista.errors import ChistaError
from stack.demo import afterwards, sources
from stack.demo.archive import Archive, patiently
from stack.demo.dataset import CHISTA, EMPLOYEES, FIRST_ID, LATE_ROW, WINDOW, Shape
from stack.demo.display import Display
from stack.demo.follow import Follower, Tasks, runs_left
from stack.demo.numbers import Numbers, compared, forever, printed
from stack.demo.rest import Airflow, Unanswered, wait_for_dags
from stack.demo.sources import SOURCES, Source
from stack.errors import StackError
from stack.settings import Stack

_PREFIX = "demo__"
_TIMEOUT_SECONDS = 1800.0
_LABEL = "employees"


class Demo:
    """One demo, part by part; what is off is collected and told at the end."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.display = Display()
        self.archive = Archive(stack)
        self.airflow = Airflow(stack.airflow_url, "admin", stack.secrets["CHISTA_AIRFLOW_PASSWORD"])
        self.deadline = time.monotonic() + float(os.environ.get("DEMO_TIMEOUT") or _TIMEOUT_SECONDS)
        self.run_id = f"{_PREFIX}{datetime.now(UTC):%Y%m%dT%H%M%S}"
        self.numbers: dict[tuple[str, str], Numbers] = {}
        self.endless: dict[str, int] = {}
        self.wrong: list[str] = []

    def run(self) -> list[str]:
        """Everything, in order; what was off, in words."""
        self.load()
        tasks = self.archive_and_purge()
        self.report(tasks)
        self.prove()
        self.edit_afterwards()
        return self.wrong

    def load(self) -> None:
        """Bring the sources to their first state and take the hashes of what will be archived."""
        self.display.headline("Loading the source tables")
        wait_for_dags(self.airflow, [source.dag_id for source in SOURCES])
        runs_left(self.airflow, SOURCES, _PREFIX, self.display.say)
        with ThreadPoolExecutor() as pool:
            for source, changed in zip(SOURCES, pool.map(self._load, SOURCES), strict=True):
                tables = ", ".join(
                    f"{shape.name} {self.numbers[source.engine, shape.name].before:,}"
                    for shape in source.archived
                )
                self.display.say(f"  {source.title}: {changed:,} rows written; {tables} rows")
        self.display.say(
            f"  test.chista has row {FIRST_ID}; row {LATE_ROW[0]} comes once the connectors stream. The window is "
            f"[{WINDOW[0]}, {WINDOW[1]})."
        )

    def archive_and_purge(self) -> dict[str, Tasks]:
        """Trigger the three DAGs, approve their purges, wait for the end."""
        self.display.headline("Archive, prove, approve, purge")
        follower = self._triggered(self.run_id, purge=True, note="make demo")
        follower.approve, follower.streaming, follower.asked = (
            self._approve,
            self._write_late,
            self._look_before,
        )
        return follower.run()

    def report(self, tasks: dict[str, Tasks]) -> None:
        """Read every number from the source, from ClickHouse and from the ledger; print one table per source."""
        self.display.headline("The numbers")
        for source in SOURCES:
            mine = [self.numbers[source.engine, shape.name] for shape in source.archived]
            with source.connect(self.stack) as connection:
                for numbers in mine:
                    numbers.left = sources.count(connection, numbers.shape)
            for numbers in mine:
                numbers.measure(self.archive, self.run_id)
                self.wrong += numbers.wrong()
            self.display.say(f"\n{printed(source, mine, tasks[source.dag_id])}")
            who = {numbers.ledger.approved_by for numbers in mine if numbers.ledger.approved_by}
            if who:
                self.display.say(f"  approved by {', '.join(sorted(who))}, says the ledger")

    def prove(self) -> None:
        """Compare hashes computed in Python of the rows at the source before, and of what the archive shows now."""
        self.display.headline(
            "The proof, without the provider: SHA-256 of every row in Python, before and after"
        )
        for numbers in self.numbers.values():
            equal, differences = compared(numbers, self.archive)
            self.wrong += differences
            verdict = "equal" if not differences and equal == numbers.owned else "NOT EQUAL"
            self.display.say(f"  {numbers.name:31}{equal:9,} of {numbers.owned:,} rows {verdict}")
        for source in SOURCES:
            before, now = (
                self.endless[source.engine],
                patiently(partial(self.archive.forever, source.engine)),
            )
            self.display.say(
                f"  {source.title}: to_date 9999-01-01 in {now:,} of {before:,} rows of salaries"
            )
            if now != before:
                self.wrong.append(f"{source.title}: 9999-01-01 is in {now:,} rows, expected {before:,}")
        self._refusal()

    def edit_afterwards(self) -> None:
        """Let the application change and delete rows that stayed, archive once more, look at the archive."""
        self.display.headline(
            "The application goes on: a change and a delete behind the window, archived once more"
        )
        edits = [afterwards.edit(self.stack, source) for source in SOURCES]
        self._triggered(
            f"{self.run_id}_edits", purge=False, note="make demo: after the application's edits"
        ).run()
        for edit in edits:
            lines, wrong = afterwards.shown(self.archive, edit)
            self.display.say("\n".join(lines))
            self.wrong += wrong
        for numbers in self.numbers.values():
            expected = numbers.before - (numbers.shape is numbers.source.edited)
            visible = patiently(partial(self.archive.count, numbers.source.engine, numbers.shape))
            if visible != expected:
                self.wrong.append(f"{numbers.name}: {visible:,} rows after the edits, expected {expected:,}")

    def close(self) -> None:
        """End the connections."""
        self.archive.close()
        self.airflow.close()

    def _load(self, source: Source) -> int:
        changed = sources.restore(self.stack, source)
        with source.connect(self.stack) as connection:
            present = {shape: sources.read(connection, shape) for shape in source.archived}
        for shape, rows in present.items():
            hashes = shape.hashes(row for row in rows if shape.in_window(row))
            purges = shape is not EMPLOYEES[_LABEL]
            self.numbers[source.engine, shape.name] = Numbers(source, shape, len(rows), hashes, purges)
        self.endless[source.engine] = forever(source, present)
        return changed

    def _triggered(self, run_id: str, *, purge: bool, note: str) -> Follower:
        conf = {"window_start": WINDOW[0], "window_end": WINDOW[1], "purge": purge}
        for source in SOURCES:
            _insist(lambda dag_id=source.dag_id: self.airflow.trigger(dag_id, run_id, conf, note))
            _insist(lambda dag_id=source.dag_id: self.airflow.unpause(dag_id))
        self.display.say(f"  triggered {', '.join(source.dag_id for source in SOURCES)}: run {run_id}")
        return Follower(self.airflow, self.archive, self.display, run_id, self.deadline)

    def _write_late(self, source: Source) -> None:
        if source.shape is not CHISTA:
            return
        with source.connect(self.stack) as connection:
            sources.insert(connection, CHISTA, [LATE_ROW])
        self.numbers[source.engine, CHISTA.name].add(LATE_ROW)
        self.display.say(f"  {source.title}: the connector streams; the application writes row {LATE_ROW[0]}")

    def _look_before(self, source: Source, shape: Shape) -> None:
        self.numbers[source.engine, shape.name].archived = self.archive.count(source.engine, shape)

    def _approve(self, source: Source, shape: Shape, question: str) -> bool:
        yes = os.environ.get("DEMO_ASK") != "1" or self.display.ask(f"{source.title}: {question}")
        self.numbers[source.engine, shape.name].purges = yes
        return yes

    def _refusal(self) -> None:
        for source in SOURCES:
            reasons = afterwards.refusals(self.stack, source)
            name = f"{source.title} {EMPLOYEES[_LABEL].name}"
            if not reasons:
                self.wrong.append(f"{name}: a purge would not be refused, though deletes there cascade")
            self.display.say(f"  {name} was archived; a purge of it would be refused:")
            self.display.say("\n".join(f"    {reason}" for reason in reasons))


def _insist(action: object) -> None:
    """Repeat a call while Airflow is away, for two minutes."""
    deadline = time.monotonic() + 120
    while True:
        try:
            action()  # type: ignore[operator]
        except Unanswered as error:
            if time.monotonic() > deadline:
                raise StackError(f"Airflow does not answer: {error}") from error
            time.sleep(1)
        else:
            return


def main(arguments: Sequence[str]) -> int:
    """Run the demo; 1 when a number is off or it could not end, 130 when it was interrupted."""
    if arguments:
        print(__doc__, file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    stack = Stack.from_environment()
    began = time.monotonic()
    demo = Demo(stack)
    try:
        wrong = demo.run()
    except KeyboardInterrupt:
        print(
            "\ninterrupted. Runs go on in Airflow; make demo begins anew, make down stops the stack.",
            file=sys.stderr,
        )
        return 130
    except (StackError, ChistaError, ConnectionError, Unanswered) as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    finally:
        demo.close()
    secrets = stack.secrets
    print(
        f"\nThe stack is up. Stop it:  make down   (make clean also removes its data)\n"
        f"  Airflow     {stack.airflow_url}   user admin, password {secrets['CHISTA_AIRFLOW_PASSWORD']}\n"
        f"  ClickHouse  {stack.clickhouse_url}/play   user chista, password {secrets['CHISTA_CLICKHOUSE_PASSWORD']}"
    )
    seconds = time.monotonic() - began
    if wrong:
        print(f"\n{len(wrong)} numbers are off after {seconds:.0f} s:", file=sys.stderr)
        print("\n".join(f"  {text}" for text in wrong), file=sys.stderr)
        return 1
    print(f"\nEvery number is right; {seconds:.0f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
