"""What ClickHouse runs for one client ends when another thread says so, and nothing else does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError

from airflow_provider_chista.clickhouse.cancel import cancel, marked
from tests.integration.support import services
from tests.integration.support.engines import wait_for

ENDS_WITHIN = 5.0
LONG = "SELECT sum(sleepEachRow(0.1)) FROM numbers({rows:UInt32}) SETTINGS max_block_size = 1"


def test_statements_of_the_client_end_and_no_others(stack_env: dict[str, str]) -> None:
    mine, other = marked(services.clickhouse()), marked(services.clickhouse())
    seen = services.clickhouse()

    def running() -> int:
        return (
            int(
                seen.query(
                    "SELECT count() FROM system.processes WHERE query LIKE '%sleepEachRow(0.1)%'"
                ).first_row[0]
            )
            - 1
        )

    with mine, other, seen, ThreadPoolExecutor(2) as pool:
        ended = pool.submit(mine.query, LONG, {"rows": 600})
        going_on = pool.submit(other.query, LONG, {"rows": 60})
        wait_for(lambda: running() == 2)
        cancel(mine)
        with pytest.raises(ClickHouseError, match="QUERY_WAS_CANCELLED"):
            ended.result(ENDS_WITHIN)
        assert going_on.result(30).first_row == (0,)
        assert mine.query("SELECT 1").first_row == (1,)


def test_the_connections_own_comment_stays(stack_env: dict[str, str]) -> None:
    with services.clickhouse(log_comment="of the connection") as client:
        found = marked(client).query("SELECT getSetting('log_comment')").first_row[0]
        assert found.startswith("of the connection chista-")
