"""Operator: bring archived rows back to the source."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowSkipException

from airflow_provider_chista import metrics
from airflow_provider_chista.archive.progress import Progress
from airflow_provider_chista.assets import Event, emit
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.hooks.errors import airflow_errors
from airflow_provider_chista.lineage import RESTORE, Moved
from airflow_provider_chista.links import ledger_query
from airflow_provider_chista.operators.base import WindowOperator, author
from airflow_provider_chista.progress import Reporter

if TYPE_CHECKING:
    from airflow_provider_chista.archive.restore import Conflicts, RestoreReport, Selection
    from airflow_provider_chista.hooks.services import Connections


class RestoreRowsOperator(WindowOperator):
    """Inserts archived rows at the source again: those of a window, of a list of keys, or of a purge batch.

    Each source transaction inserts the rows that are missing, computes their row hashes from what the source then holds, and
    commits only when all equal the archive's. Rows that are at the source are never written; those with another content
    are refused, or skipped. Generated columns are computed by the source, identity columns get their archived value. Can
    be killed and repeated at any point. One table at a time: parents before children. Returns a summary: selected,
    restored, already there, conflicts. Other parameters: :class:`WindowOperator`; exactly one of window, ``row_keys`` and
    ``batch_id`` is given, and the run's data interval is no window here.

    :param restore_conn_id: the source as the restore user, who inserts.
    :param row_keys: keys of the rows, as the state tables spell them; a list, or its JSON text.
    :param batch_id: a purge batch, whose deleted rows come back.
    :param conflicts: a row that is at the source with another content: ``refuse``, or ``skip`` and count it.
    :param txn_size: most rows per source transaction.
    :param dry_run: log SQL and counts, write nothing, skip what is downstream; the param ``dry_run`` does the same.
    """

    template_fields: Sequence[str] = (
        *WindowOperator.template_fields,
        "restore_conn_id",
        "row_keys",
        "batch_id",
        "conflicts",
    )
    ui_color = "#d1ecf1"

    def __init__(
        self,
        *,
        restore_conn_id: str,
        row_keys: Sequence[str] | str = (),
        batch_id: str = "",
        conflicts: str = "refuse",
        txn_size: int = 1_000,
        dry_run: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.restore_conn_id = restore_conn_id
        self.row_keys = row_keys
        self.batch_id = batch_id
        self.conflicts = conflicts
        self.txn_size = txn_size
        self.dry_run_only = dry_run

    @property
    def connections(self) -> Connections:
        """The connection ids."""
        return replace(super().connections, restore=self.restore_conn_id)

    def query_sql(self, context: Context) -> str:
        """The ledger of the archive table: a restore by keys has no window."""
        return ledger_query(self.ids[1], None)

    def execute(self, context: Context) -> dict[str, Any]:
        """Restore."""
        from airflow_provider_chista.archive.restore import Restore, RestoreOptions

        name, target = self.ids
        meter, shown = metrics.Meter.of(context, name, target), Reporter(context, "restore", self.log)

        def progress(report: RestoreReport) -> None:
            done = report.restored + report.already_there + report.conflicts
            shown.show(Progress(str(name), done, report.selected - done))
            if not report.dry_run:
                meter.total(metrics.RESTORE_ROWS, report.restored)

        with airflow_errors(), shown, self.connections.opened() as services:
            selection = self._selection(context)
            options = RestoreOptions(
                conflicts=_conflicts(self.conflicts),
                txn_size=self.txn_size,
                dry_run=self.dry_run_only or bool((context.get("params") or {}).get("dry_run", False)),
                actor=getattr(context.get("dag_run"), "triggering_user_name", None) or "",
            )
            table = services.archived(name, target)
            if options.dry_run:
                self.log.info("dry run, the statement:\n%s", services.restore_source.restore_sql(table))
            report = Restore(
                services.restore_source,
                services.manifests(table, target),
                services.ledger(name, target, selection.window, author(context)),
                selection,
                options,
                stopped=self._stop.is_set,
                progress=progress,
            ).run()
        if options.dry_run:
            context["ti"].xcom_push("restore", report.summary())
            raise AirflowSkipException(
                f"dry run: {report.restored} of {report.selected} rows of {selection} would be restored; nothing was"
            )
        self.moved = Moved(RESTORE, table, report.selected, written=report.restored)
        self.log.info("restored %s of %s: %s", selection, name, report.summary())
        facts = {"rows": report.restored, "digest": report.digest, "restore_id": report.restore_id}
        emit(context, self, Event.RESTORED, (name, target), selection.window, facts)
        return report.summary()

    def _selection(self, context: Context) -> Selection:
        from airflow_provider_chista.archive.restore import Selection

        row_keys, batch_id = _keys(self.row_keys), self.batch_id or ""
        params = context.get("params") or {}
        given = (self.window_start, self.window_end, params.get("window_start"), params.get("window_end"))
        # Never the run's data interval: a restore happens by choice.
        return Selection(self.window(context) if any(given) else None, row_keys, batch_id)


def _conflicts(text: str) -> Conflicts:
    from airflow_provider_chista.archive.restore import Conflicts

    try:
        return Conflicts(text)
    except ValueError:
        raise FatalError(f"conflicts is {text!r}; a restore knows {', '.join(Conflicts)}") from None


def _keys(given: Sequence[str] | str) -> tuple[str, ...]:
    """Row keys from a list, from its JSON text (as a template renders it), or one key; an empty text is none."""
    if isinstance(given, str):
        try:
            listed = json.loads(given) if given.strip() else []
        except ValueError:
            listed = given
        given = listed if isinstance(listed, list) else [given]
    if not isinstance(given, list | tuple) or not all(isinstance(key, str) for key in given):
        raise FatalError(
            f'row_keys is {given!r}; give a list of row keys as the state tables spell them, such as ["17", "18"]'
        )
    return tuple(given)
