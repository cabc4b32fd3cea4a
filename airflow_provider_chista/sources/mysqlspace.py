"""Space of InnoDB's tables: a delete frees pages within the file, OPTIMIZE TABLE writes a smaller one."""

from __future__ import annotations

from airflow_provider_chista.model import TableId
from airflow_provider_chista.sources.dbapi import Cursor
from airflow_provider_chista.sources.space import Space

_SIZES = """
    SELECT COALESCE(DATA_LENGTH, 0), COALESCE(INDEX_LENGTH, 0), COALESCE(DATA_FREE, 0) FROM information_schema.TABLES
    WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s"""


def space(cursor: Cursor, table: TableId, tables: str) -> Space:
    """A table's space, all of its partitions included.

    :param tables: the view of InnoDB's tables with their kind of tablespace; it needs PROCESS.
    """
    # MySQL shows sizes that are up to a day old otherwise.
    cursor.execute("SHOW VARIABLES LIKE 'information_schema_stats_expiry'", ())
    cached = cursor.fetchall()
    if cached:
        cursor.execute("SET SESSION information_schema_stats_expiry = 0", ())
    cursor.execute(_SIZES, (table.schema, table.name))
    table_bytes, index_bytes, free_bytes = cursor.fetchall()[0]
    if cached:
        cursor.execute("SET SESSION information_schema_stats_expiry = DEFAULT", ())
    whole = f"{table.schema}/{table.name}"
    cursor.execute(
        f"SELECT COUNT(*) FROM {tables} WHERE SPACE_TYPE <> 'Single' AND (NAME = %s OR LEFT(LOWER(NAME), %s) = LOWER(%s))",
        (whole, len(whole) + 3, f"{whole}#p#"),
    )
    shared = cursor.fetchall()[0][0]
    name = f"`{table.schema}`.`{table.name}`"
    if shared:
        return Space(
            int(table_bytes),
            int(index_bytes),
            None,
            None,
            f"It is in a tablespace of several tables, whose file never shrinks; OPTIMIZE TABLE {name} with "
            "innodb_file_per_table = ON moves it into a file of its own",
        )
    return Space(
        int(table_bytes),
        int(index_bytes),
        int(free_bytes),
        None,
        "Purged rows leave pages that only this table uses again, and half empty ones that do not count as free; only "
        f"OPTIMIZE TABLE {name}, which writes it anew beside the old one, gives them back to the file system",
    )
