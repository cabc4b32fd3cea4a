"""The auditor's question as one statement: who deleted this row, when, on what proof, and where is it now?"""

from __future__ import annotations

from airflow_provider_chista.clickhouse import layout, rowhash, sql
from airflow_provider_chista.clickhouse.types import TypeMap
from airflow_provider_chista.model import Table

_STATEMENT = """\
WITH
    visible AS  -- the row as the archive shows it; one line, also when it shows none
    (
        SELECT count() AS shown, max(row_version) AS version, any(hash) AS row_hash
        FROM
        (
            SELECT {version} AS row_version,
                   {row_hash} AS hash
            FROM {{archive:Identifier}}.{{table:Identifier}} AS {row} FINAL
            WHERE {row_key} = {{row_key:String}}
        )
    ),
    deletes AS  -- of the row's key, as they came back from the source
    (
        SELECT state, batch_id, version, source_time, transaction
        FROM {{state:Identifier}}.deletes FINAL
        WHERE target = concat({{archive:String}}, '.', {{table:String}}) AND row_key = {{row_key:String}}
    ),
    deletions AS
    (
        SELECT 'purge' AS deleted_by, p.batch_id AS batch_id, p.row_hash AS row_hash, p.version AS version,
               d.source_time AS deleted_at, d.transaction AS transaction
        FROM
        (
            SELECT batch_id, row_hash, version
            FROM {{state:Identifier}}.purged FINAL
            WHERE target = concat({{archive:String}}, '.', {{table:String}}) AND row_key = {{row_key:String}}
              AND state = 'deleted'
        ) AS p
        LEFT JOIN (SELECT * FROM deletes WHERE state = 'purge') AS d ON d.batch_id = p.batch_id
        UNION ALL
        SELECT 'application', '', '', version, source_time, transaction FROM deletes WHERE state = 'applied'
    ),
    proofs AS
    (
        SELECT verify_id, max(batch_id) AS batch_id, any(source) AS source, any(window) AS window,
               argMaxIf((dag_id, run_id, task_id, try_number), at, stage IN ('intent', 'deleted')) AS task,
               maxOrNullIf(at, stage = 'verified') AS proven_at,
               argMaxIf((actor, JSONExtractString(detail, 'reason')), at, stage = 'approved') AS approval,
               maxOrNullIf(at, stage = 'approved') AS approved_at,
               maxOrNullIf(at, stage = 'sealed') AS sealed_at
        FROM {{state:Identifier}}.ledger
        WHERE target = concat({{archive:String}}, '.', {{table:String}})
          AND stage IN ('verified', 'approved', 'intent', 'deleted', 'sealed')
        GROUP BY verify_id
        HAVING batch_id != ''
    )
SELECT deleted_by, deleted_at, d.transaction AS source_transaction, p.source AS source_table, p.window AS window,
       d.batch_id AS batch_id, p.task.1 AS dag_id, p.task.2 AS run_id, p.task.3 AS task_id, p.task.4 AS try_number,
       p.approval.1 AS approved_by, p.approval.2 AS reason, p.approved_at AS approved_at,
       p.verify_id AS proof, p.proven_at AS proven_at, d.row_hash AS proven_hash, p.sealed_at AS sealed_at,
       multiIf(v.shown = 0, 'not in the archive', v.version > d.version, 'in the archive, written again since',
               v.version < d.version, 'not in the archive, which shows an older version', 'in the archive') AS place,
       v.shown = 1 AND v.row_hash = d.row_hash AS same_hash
FROM deletions AS d
LEFT JOIN proofs AS p ON p.batch_id = d.batch_id
CROSS JOIN visible AS v
ORDER BY d.version
"""


def question(types: TypeMap, table: Table) -> str:
    """The statement for rows of one table: a line for each time that the row was deleted, oldest first.

    Its parameters are ``state`` (the state database), ``archive`` and ``table`` (the archive table) and ``row_key``
    (``docs/row-hash.md``).
    """
    prefix = f"{sql.ROW}."
    return _STATEMENT.format(
        row=sql.ROW,
        version=f"{prefix}{layout.VERSION}",
        row_hash=rowhash.row_hash(types, table, prefix),
        row_key=rowhash.row_key(types, table, prefix),
    )
