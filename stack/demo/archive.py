"""The archive in ClickHouse and the provider's ledger, read by plain SQL."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError

from airflow_provider_chista.model import Kind
from stack.demo.dataset import WINDOW, Row, Shape
from stack.errors import StackError
from stack.settings import HOST, Stack

T = TypeVar("T")
_AWAY = (OperationalError, OSError)


@dataclass(frozen=True)
class Entry:
    """What the ledger says of one table in one run."""

    verified: int = 0
    digest: str = ""
    deleted: int = 0
    sealed: int = 0
    approved_by: str = ""


class Archive:
    """ClickHouse as the demo's reader; it connects when first asked, and again after it was away."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._client: Client | None = None

    def close(self) -> None:
        """End the connection."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def query(self, statement: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Rows of a SELECT.

        :raises OSError: ClickHouse does not answer.
        """
        try:
            if self._client is None:
                self._client = clickhouse_connect.get_client(
                    host=HOST,
                    port=self._stack.ports["clickhouse_http"],
                    username="chista",
                    password=self._stack.secrets["CHISTA_CLICKHOUSE_PASSWORD"],
                    autogenerate_session_id=False,
                )
            return [tuple(row) for row in self._client.query(statement, parameters=parameters).result_rows]
        except _AWAY as error:
            self._client = None
            raise ConnectionError(f"ClickHouse does not answer: {str(error).splitlines()[0]}") from error

    def rows(self, engine: str, shape: Shape, *, window: bool = True) -> list[Row]:
        """Rows that the archive shows (``<table>_current``), those of the demo's window or all."""
        clause = f" WHERE {_condition(shape)}" if window and shape.time_column else ""
        return self.query(f"SELECT {', '.join(_texts(shape))} FROM {view(engine, shape)}{clause}")

    def count(self, engine: str, shape: Shape) -> int:
        """Rows that the archive shows."""
        return int(self.query(f"SELECT count() FROM {view(engine, shape)}")[0][0])

    def forever(self, engine: str) -> int:
        """Rows of salaries whose ``to_date`` is 9999-01-01 in the archive."""
        return int(
            self.query(
                f"SELECT count() FROM archive_{engine}.salaries_current"
                " WHERE substring(toString(to_date), 1, 10) = '9999-01-01'"
            )[0][0]
        )

    def kept(self, engine: str, shape: Shape, key: Row) -> list[Row]:
        """Last content of a row that the application deleted: hidden by the view, kept in the table."""
        texts = dict(zip(shape.columns, _texts(shape), strict=True))
        condition = " AND ".join(f"toString({texts[c]}) = {{k{i}:String}}" for i, c in enumerate(shape.key))
        return self.query(
            f"SELECT {', '.join(texts.values())} FROM {table(engine, shape)} WHERE {condition}"
            " AND _chista_deleted = 1 ORDER BY _chista_version DESC LIMIT 1",
            {f"k{i}": str(value) for i, value in enumerate(key)},
        )

    def dead_letters(self, engine: str, shape: Shape) -> int:
        """Events of a table that could not be stored."""
        return int(
            self.query(
                "SELECT count() FROM chista.dead_letters FINAL WHERE target = {t:String} AND state = 'open'",
                {"t": table(engine, shape)},
            )[0][0]
        )

    def entry(self, engine: str, shape: Shape, run_id: str) -> Entry:
        """The ledger's last word of each stage."""
        rows = self.query(
            "SELECT stage, argMax(rows, at), argMax(digest, at), argMax(actor, at) FROM chista.ledger"
            " WHERE target = {t:String} AND run_id = {r:String} GROUP BY stage",
            {"t": table(engine, shape), "r": run_id},
        )
        stages = {stage: (count, digest, actor) for stage, count, digest, actor in rows}
        verified, digest, _ = stages.get("verified", (0, "", ""))
        return Entry(
            verified=verified,
            digest=digest,
            deleted=stages.get("deleted", (0,))[0],
            sealed=stages.get("sealed", (0,))[0],
            approved_by=stages.get("approved", (0, "", ""))[2],
        )

    def progress(self) -> dict[tuple[str, str], int]:
        """Counters that only grow, by (what, archive table): ``drain`` records read, ``purge`` rows deleted."""
        if not self.query("SELECT 1 FROM system.tables WHERE database = 'chista' AND name = 'purged'"):
            return {}
        rows = self.query(
            "SELECT 'drain', target, sum(n) FROM (SELECT target, max(next_offset) AS n FROM chista.positions"
            " GROUP BY target, generation, partition) GROUP BY target"
            " UNION ALL SELECT 'purge', target, countIf(state = 'deleted') FROM chista.purged GROUP BY target"
        )
        return {(what, target): int(count) for what, target, count in rows}


def table(engine: str, shape: Shape) -> str:
    """The archive table of a source table."""
    return f"archive_{engine}.{shape.name.partition('.')[2]}"


def view(engine: str, shape: Shape) -> str:
    """The view of its visible rows."""
    return f"{table(engine, shape)}_current"


def patiently(look: Callable[[], T], seconds: float = 120.0) -> T:
    """The result of a look at ClickHouse that may be away for a while.

    :raises StackError: it stayed away, or refused.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return look()
        except ConnectionError as error:
            if time.monotonic() > deadline:
                raise StackError(str(error)) from error
            time.sleep(1)
        except ClickHouseError as error:
            raise StackError(f"ClickHouse refused: {str(error).splitlines()[0]}") from error


def _texts(shape: Shape) -> list[str]:
    """SQL of each column: dates as ISO-8601 text whichever type holds them, the others as they are."""
    return [
        f"substring(toString({column}), 1, 10)" if kind is Kind.DATE else column
        for column, kind in zip(shape.columns, shape.kinds, strict=True)
    ]


def _condition(shape: Shape) -> str:
    column = shape.time_column
    return f"substring(toString({column}), 1, 10) >= '{WINDOW[0]}' AND substring(toString({column}), 1, 10) < '{WINDOW[1]}'"
