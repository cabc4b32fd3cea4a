"""The part that all sensors share: one check, looked at by poke, by reschedule, or by a trigger."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseSensorOperator, Context, PokeReturnValue
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_provider_chista.errors import FatalError, TransientError
from airflow_provider_chista.hooks.errors import airflow_errors
from airflow_provider_chista.links import Linked
from airflow_provider_chista.triggers.check import CheckTrigger, stored

if TYPE_CHECKING:
    from airflow_provider_chista.hooks.services import Connections
    from airflow_provider_chista.triggers.checks import Checked


class CheckSensor(Linked, BaseSensorOperator):
    """Waits for a check; with ``deferrable=True`` in the triggerer, else by ``mode`` ``poke`` or ``reschedule``.

    A deferrable sensor looks once by itself before it defers, so that a condition that holds costs no trigger. Fatal
    errors fail the task at once; a connector that has FAILED fails the try, and the next one finds it restarted; other
    transient errors are waited out while the sensor's ``timeout`` lasts.

    :param source_conn_id: Airflow connection of the source, as the verify user.
    :param kafka_conn_id: Airflow connection of Kafka.
    :param kafka_connect_conn_id: Airflow connection of Kafka Connect.
    :param clickhouse_conn_id: Airflow connection of ClickHouse.
    :param schema_registry_conn_id: Airflow connection of the schema registry, where the connector writes Avro; None: it
        writes JSON.
    :param deferrable: wait in the triggerer; default: ``[operators] default_deferrable``.
    """

    check: ClassVar[str]
    ui_color = "#e8eef7"

    def __init__(
        self,
        *,
        source_conn_id: str = "",
        kafka_conn_id: str = "kafka_default",
        kafka_connect_conn_id: str = "kafka_connect_default",
        clickhouse_conn_id: str = "clickhouse_default",
        schema_registry_conn_id: str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poke_interval: timedelta | float = 2.0,
        timeout: timedelta | float = 3600.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, timeout=timeout, **kwargs)
        self.source_conn_id = source_conn_id
        self.kafka_conn_id = kafka_conn_id
        self.kafka_connect_conn_id = kafka_connect_conn_id
        self.clickhouse_conn_id = clickhouse_conn_id
        self.schema_registry_conn_id = schema_registry_conn_id
        self.deferrable = deferrable

    @property
    def connections(self) -> Connections:
        """The connection ids."""
        from airflow_provider_chista.hooks.services import Connections

        return Connections(
            self.source_conn_id,
            kafka=self.kafka_conn_id,
            kafka_connect=self.kafka_connect_conn_id,
            clickhouse=self.clickhouse_conn_id,
            schema_registry=self.schema_registry_conn_id,
        )

    def arguments(self, context: Context) -> dict[str, Any]:
        """The check's arguments for this run, as JSON values."""
        raise NotImplementedError

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once."""
        checked = self._look(context)
        return PokeReturnValue(checked.done, checked.value)

    def execute(self, context: Context) -> Any:
        """Wait; returns the check's value."""
        if not self.deferrable:
            return super().execute(context)
        try:
            checked = self._look(context)
        except AirflowFailException as error:
            # Airflow itself honours these two in poke and after a deferral, not here.
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(f"skipped instead of failed: {error}") from error
            raise
        if checked.done:
            return checked.value
        seconds = float(self.poke_interval)
        trigger = CheckTrigger(self.check, stored(self.connections), self.arguments(context), seconds)
        return self.defer(
            trigger=trigger, method_name="execute_complete", timeout=timedelta(seconds=self.timeout)
        )

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """What the trigger found."""
        from airflow_provider_chista.archive.barrier import ConnectorFailedError

        with airflow_errors():
            if "fatal" in event:
                raise FatalError(event["fatal"])
            if "failed" in event:
                raise ConnectorFailedError(event["failed"])
        return event["value"]

    def _look(self, context: Context) -> Checked:
        from airflow_provider_chista.archive.barrier import ConnectorFailedError
        from airflow_provider_chista.triggers.checks import CHECKS, Checked

        with airflow_errors():
            try:
                checked = CHECKS[self.check](self.connections, **self.arguments(context))
            except ConnectorFailedError:
                raise
            except TransientError as error:
                checked = Checked(False, f"{error}; looking again")
        self.log.info("%s", checked.seen)
        return checked
