"""Operator: a person approves the purge of one proof."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Context, Param
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import AirflowSkipException

from airflow_provider_chista.errors import RefusedError
from airflow_provider_chista.hooks.errors import airflow_errors
from airflow_provider_chista.links import Linked, OfWindow, QueryLink
from airflow_provider_chista.model import TableId, describe
from airflow_provider_chista.operators.base import author

if TYPE_CHECKING:
    from airflow_provider_chista.archive.ledger import Ledger
    from airflow_provider_chista.hooks.services import Connections, Services


class ApprovePurgeOperator(OfWindow, Linked, ApprovalOperator):
    """Asks a person whether the proven rows of the window may be deleted at the source.

    Waits in Airflow's state ``awaiting_input`` without a worker; who answered, what and why goes into the ledger, and the
    purge reads it there. A rejection, or no answer within ``response_timeout``, skips everything downstream and leaves the
    source untouched. Skips itself, and with it everything downstream, when the param ``purge`` is false or the window has
    no rows to purge; passes without asking when the param ``dry_run`` is true, since a dry run deletes nothing, and when the
    ledger has an approval of this very proof by a person already (a repeated try; a rejection is asked again).

    :param table: source table; :param target: archive table.
    :param verify_id: the proof, usually ``{{ ti.xcom_pull(task_ids='verify')['verify_id'] }}``.
    :param source_conn_id: Airflow connection of the source, as the verify user.
    :param clickhouse_conn_id: Airflow connection of ClickHouse.
    :param time_column: as in :class:`WindowOperator`; :param window_start: likewise; :param window_end: likewise.
    :param subject: what the list of required actions shows until the window is known.
    :param params: further fields of the form, whose ``source`` is ``task``.
    :param response_timeout: how long to wait; then the answer is Reject.
    """

    template_fields: Sequence[str] = (
        *ApprovalOperator.template_fields, "table", "target", "verify_id", "time_column", "window_start", "window_end",
    )  # fmt: skip
    operator_extra_links: Any = (QueryLink(),)
    ui_color = "#f8d7da"

    def __init__(
        self,
        *,
        table: str,
        target: str,
        verify_id: str,
        source_conn_id: str,
        clickhouse_conn_id: str = "clickhouse_default",
        time_column: str | None = None,
        window_start: str | None = None,
        window_end: str | None = None,
        subject: str = "",
        response_timeout: timedelta = timedelta(days=2),
        params: MutableMapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        # Airflow hands the Dag's params in here; the form of the approval shows only those whose source is the task.
        reason = Param(
            None, source="task", type=["null", "string"], title="Reason", description="Kept in the ledger."
        )
        merged = ParamsDict(params)
        merged["reason"] = reason
        super().__init__(
            subject=subject or f"Delete the proven rows of {table}?",
            params=merged,
            defaults=self.REJECT,
            response_timeout=response_timeout,
            ignore_downstream_trigger_rules=True,
            **kwargs,
        )
        self.table = table
        self.target = target
        self.verify_id = verify_id
        self.source_conn_id = source_conn_id
        self.clickhouse_conn_id = clickhouse_conn_id
        self.time_column = time_column
        self.window_start = window_start
        self.window_end = window_end

    def execute(self, context: Context) -> Any:
        """Ask, unless there is nothing to ask."""
        from airflow_provider_chista.archive.ledger import Stage

        params = context.get("params") or {}
        if not params.get("purge", True):
            raise AirflowSkipException(
                "this run does not purge (param purge is false); nothing will be deleted"
            )
        if params.get("dry_run", False):
            self.log.info("dry run: nothing will be deleted, so nobody is asked")
            return None
        with airflow_errors(), self._connections.opened() as services:
            proof = self._ledger(services, context).proof(self.verify_id)
            if proof is None:
                raise RefusedError(
                    f"the proof {self.verify_id} of {self.target} is not in the ledger, or a later comparison contradicts "
                    "it; verify again"
                )
            verdict = self._ledger(services, context).verdict(self.verify_id)
            if verdict is not None and verdict.stage is Stage.APPROVED and verdict.actor:
                self.log.info("%s has approved this proof already", verdict.actor)
                return None
        if proof.rows == 0:
            raise AirflowSkipException("the window has no rows at the source; there is nothing to purge")
        window = self.window(context)
        # Airflow's list cuts the subject at some 45 characters.
        dates = window.dates if window else describe(window)
        self.subject = f"{dates}: delete {proof.rows} rows of {self.table}?"
        self.body = (
            "| source | archive | window | rows | digest |\n|---|---|---|---|---|\n"
            f"| {self.table} | {self.target} | {describe(window)} | {proof.rows} | `{proof.digest}` |\n\n"
            "Every row was proven equal by its hash. Each is proven again in the transaction that deletes it."
        )
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Write the answer into the ledger, then let Airflow go on or skip."""
        from airflow_provider_chista.archive.ledger import Stage

        if "error" not in event:
            with airflow_errors(), self._connections.opened() as services:
                approved = event["chosen_options"] == [self.APPROVE]
                user = event.get("responded_by_user") or {}
                self._ledger(services, context).record(
                    Stage.APPROVED if approved else Stage.REJECTED,
                    verify_id=self.verify_id,
                    actor=str(user.get("name") or user.get("id") or ""),
                    detail={"reason": (event.get("params_input") or {}).get("reason")},
                )
                self.log.info(
                    "%s by %s", "approved" if approved else "rejected: the source stays untouched",
                    user.get("name") or "nobody (no answer in time)",
                )  # fmt: skip
        return super().execute_complete(context, event)

    @property
    def _connections(self) -> Connections:
        from airflow_provider_chista.hooks.services import Connections

        return Connections(self.source_conn_id, clickhouse=self.clickhouse_conn_id)

    def _ledger(self, services: Services, context: Context) -> Ledger:
        names = TableId.parse(self.table), TableId.parse(self.target)
        return services.ledger(*names, self.window(context), author(context))
