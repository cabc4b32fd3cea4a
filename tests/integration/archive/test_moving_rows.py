"""Rows that the application changes while they are compared: they are no mismatch until the capture has passed them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from airflow_provider_chista.archive import confirm
from airflow_provider_chista.archive.ledger import Stage
from airflow_provider_chista.errors import FatalError, TransientError
from airflow_provider_chista.model import TableId
from tests.integration.archive.conftest import Store
from tests.integration.support import services
from tests.integration.support.engines import ENGINES
from tests.integration.support.pairs import Pair


class Moving(Pair):
    """A pair whose application changes row 1 again behind each catch-up, and inserts and deletes rows beside it."""

    changes = 0

    def follow(self) -> None:
        """What the connector and a drain do."""
        rows = dict(self.engine.query(f"SELECT id, name FROM {self.table}"))
        known = self.client.query(f"SELECT id FROM {self.target} FINAL").result_rows
        version = 10 + self.caught_up
        self.client.insert(
            str(self.target),
            [
                [key, rows.get(key, ""), version, int(key not in rows)]
                for key in {*rows, *(k for (k,) in known)}
            ],
            column_names=["id", "name", "_chista_version", "_chista_deleted"],
        )

    def change(self) -> None:
        self.changes += 1
        self.engine.execute(
            f"UPDATE {self.table} SET name = 'change {self.changes}' WHERE id = 1",
            f"INSERT INTO {self.table} VALUES ({100 + self.changes}, 'new')",
            f"DELETE FROM {self.table} WHERE id = {20 + self.changes}",
        )

    def keep_changing(self, times: int) -> None:
        """The application has changed the rows, and does so behind each of the next catch-ups."""

        def capture() -> None:
            self.follow()
            if self.changes < times:
                self.change()

        self.change()
        self.capture = capture


@pytest.fixture(params=ENGINES)
def pair(request: pytest.FixtureRequest, store: Store) -> Iterator[Moving]:
    engine, name = ENGINES[request.param], f"it_{services.token()}"
    engine.create_schema(
        name, [f"CREATE TABLE {name}.moving (id INT PRIMARY KEY, name VARCHAR(40) NOT NULL)"]
    )
    engine.execute(f"INSERT INTO {name}.moving VALUES (%s, %s)", many=[(n, f"n{n}") for n in range(50)])
    try:
        with engine.source() as source:
            yield Moving(engine, source, store.client, store.control, store.database, TableId(name, "moving"))
    finally:
        engine.drop_schema(name)
        store.client.command(f"DROP DATABASE IF EXISTS {store.database}_{engine.flavour}")


Compared = Callable[[Moving], object]
WAYS = pytest.mark.parametrize("compared", [Pair.verify, Pair.check], ids=["proof", "check"])


@WAYS
def test_rows_that_change_behind_each_barrier_are_proven_once_they_rest(
    pair: Moving, compared: Compared
) -> None:
    pair.keep_changing(confirm.LOOKS)
    compared(pair)
    assert pair.changes == confirm.LOOKS
    assert pair.caught_up == confirm.LOOKS
    assert pair.stages() == [Stage.VERIFIED if compared is Pair.verify else Stage.CHECKED]


@WAYS
def test_rows_that_never_rest_end_the_try_and_are_no_mismatch(pair: Moving, compared: Compared) -> None:
    pair.keep_changing(1_000)
    with pytest.raises(TransientError, match="change at the source while they are compared"):
        compared(pair)
    assert pair.stages() == []


@WAYS
def test_a_row_that_is_wrong_beside_them_is_named_alone(pair: Moving, compared: Compared) -> None:
    pair.keep_changing(1_000)
    follow = pair.capture

    def capture() -> None:
        follow()
        pair.damage(
            "INSERT INTO {t} (id, name, _chista_version) VALUES (2, 'other', 99), (5000, 'extra', 99)",
            "DELETE FROM {t} WHERE id = 3",
        )

    pair.capture = capture
    wanted = "1 missing from the archive, 1 only in the archive, 1 differing"
    with pytest.raises(FatalError, match=wanted) as caught:
        compared(pair)
    assert "key 1 is" not in str(caught.value)
    assert pair.stages() == [Stage.MISMATCHED]
    assert pair.caught_up == 2
