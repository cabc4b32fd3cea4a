"""What a file of archives may say: the arguments of ``archive_dag`` and ``ArchiveTable`` by their names, and little else.

Fields without a docstring are described where they go to (``schema.py`` knows where).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from airflow_provider_chista.archive.throttle import ThrottleOptions
from airflow_provider_chista.config.values import (
    ColumnType,
    ConnectorName,
    ConnId,
    Cron,
    Duration,
    Moment,
    PositiveDuration,
    Property,
    Reference,
    TableName,
    TopicPrefix,
)
from airflow_provider_chista.errors import FatalError

Count = Annotated[int, Field(ge=0)]
Number = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(ge=0)]
Text = Annotated[str, Field(min_length=1)]

OPTIONAL: Any = Field(default=None)
"""What a file leaves out is not handed on, so that the default is that of what it is handed to."""


class Settings(BaseModel):
    """A mapping of the file. What is not known is an error, and no value is turned into another kind."""

    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)

    def given(self, *left_out: str) -> dict[str, Any]:
        """What the file says, as arguments."""
        return self.model_dump(exclude_unset=True, exclude=set(left_out))


class TableDefaults(Settings):
    """Settings of every table that does not have its own; fields of ``ArchiveTable``."""

    time_column: Text | None = OPTIONAL
    purge: bool = OPTIONAL
    listed: list[str] = OPTIONAL
    exclude: list[str] = OPTIONAL
    column_types: dict[str, ColumnType] | None = OPTIONAL
    on_truncate: Literal["stop", "keep"] = OPTIONAL
    repair: bool = OPTIONAL
    method: Literal["rows", "partition"] = OPTIONAL
    partition_action: Literal["drop", "detach"] = OPTIONAL


class Table(TableDefaults):
    """One table of an archive: the fields of ``ArchiveTable``."""

    source: TableName
    target: TableName


class Throttle(Settings):
    """What holds the purges back: arguments of ``PurgeSourceOperator``."""

    max_lag: float | None = OPTIONAL
    lag_conn_ids: list[ConnId] = OPTIONAL
    max_load: int | None = OPTIONAL
    rows_per_second: float | None = OPTIONAL
    sleep_ratio: float = OPTIONAL
    hours: str | None = OPTIONAL
    run_time: Duration | None = OPTIONAL
    limit: int | None = OPTIONAL
    sentinel: Text | None = OPTIONAL

    @field_validator(
        "max_lag", "max_load", "rows_per_second", "sleep_ratio", "hours", "run_time", "limit", mode="after"
    )
    @classmethod
    def _usable(cls, value: Any, info: ValidationInfo) -> Any:
        try:
            ThrottleOptions(**{str(info.field_name): value})
        except FatalError as error:
            raise ValueError(str(error).partition("; ")[2]) from error
        return value


class Notifier(Settings):
    """One notification: a class of Airflow's kind and its arguments."""

    classpath: Text
    """Where the class is, such as `airflow.providers.slack.notifications.slack.SlackNotifier`; a `BaseNotifier`."""
    kwargs: dict[str, Any] = OPTIONAL
    """Its arguments. Jinja is kept for it; secrets are refused, name a connection."""


class Notifications(Settings):
    """Whom to tell, by Airflow's notifiers."""

    approval: list[Notifier] = OPTIONAL
    """When a purge waits for an approval: `approval_notifiers` of `archive_dag`."""
    failure: list[Notifier] = OPTIONAL
    """When a run has failed: the DAG's `on_failure_callback`."""
    success: list[Notifier] = OPTIONAL
    """When a run has succeeded: the DAG's `on_success_callback`."""


class TaskDefaults(Settings):
    """Arguments of every task that has them: those of Airflow, and those that the operators' pages describe."""

    owner: str = OPTIONAL
    """Who answers for the tasks."""
    retries: Count = OPTIONAL
    """Tries after the first one; 5 by default."""
    retry_delay: Duration = OPTIONAL
    """Time between two tries; 15 seconds by default."""
    retry_exponential_backoff: Seconds = OPTIONAL
    """Factor by which each further delay grows."""
    max_retry_delay: PositiveDuration | None = OPTIONAL
    """The longest delay."""
    execution_timeout: PositiveDuration | None = OPTIONAL
    """How long a try may take."""
    pool: Text = OPTIONAL
    """The tasks' pool."""
    pool_slots: Number = OPTIONAL
    """Slots of it that each takes."""
    priority_weight: int = OPTIONAL
    """Their priority over other tasks."""
    weight_rule: Literal["downstream", "upstream", "absolute"] = OPTIONAL
    """How priorities of a DAG's tasks add up."""
    queue: Text = OPTIONAL
    """Queue of the Celery executor."""
    executor: Text | None = OPTIONAL
    """The executor that runs them."""
    depends_on_past: bool = OPTIONAL
    """Whether a task waits for its success in the run before."""
    wait_for_downstream: bool = OPTIONAL
    """Whether it waits for the tasks behind that, too."""
    max_active_tis_per_dag: Number | None = OPTIONAL
    """How many runs of a task may be at work at once."""
    deferrable: bool = OPTIONAL
    poke_interval: Seconds = OPTIONAL
    """Seconds between two looks of a sensor."""
    timeout: Seconds = OPTIONAL
    """Seconds until a sensor gives up."""
    cluster: str | None = OPTIONAL
    replicated: bool | None = OPTIONAL
    kafka_bootstrap_servers: Text | None = OPTIONAL
    replication_factor: int = OPTIONAL
    topic_retention: Duration | None = OPTIONAL
    max_record_bytes: Number = OPTIONAL
    heartbeat_ms: Number = OPTIONAL
    server_id: Number | None = OPTIONAL
    batch_rows: Number = OPTIONAL
    max_dead_letters: Count = OPTIONAL
    max_dead_letter_share: Annotated[float, Field(ge=0, le=1)] = OPTIONAL
    patience: Seconds = OPTIONAL
    parallel: Number = OPTIONAL
    """Connections to the source that a proof works over, and those of a purge."""
    part_rows: Number | None = OPTIONAL
    """Rows of a part of a proof, about; null: a million."""
    catch_up_timeout: Seconds = OPTIONAL
    max_repairs: Count = OPTIONAL
    """Rows that `repair` repairs at most; when more differ, none is."""
    mask_values: bool = OPTIONAL
    txn_size: Number = OPTIONAL


class Defaults(Settings):
    """What every archive has that does not have its own. Mappings are merged, lists replaced."""

    source_conn_id: ConnId = OPTIONAL
    purge_conn_id: ConnId = OPTIONAL
    capture_conn_id: ConnId = OPTIONAL
    capture_password: Reference | None = OPTIONAL
    kafka_conn_id: ConnId = OPTIONAL
    kafka_connect_conn_id: ConnId = OPTIONAL
    clickhouse_conn_id: ConnId = OPTIONAL
    schema_registry_conn_id: ConnId | None = OPTIONAL
    connector_overrides: dict[str, Property] | None = OPTIONAL
    publication: Text = OPTIONAL
    retention: Duration = OPTIONAL
    cron: Cron | None = OPTIONAL
    start_date: Moment = OPTIONAL
    approval_timeout: PositiveDuration = OPTIONAL
    throttle: Throttle | None = OPTIONAL
    min_replicas: Number = OPTIONAL
    snapshot: Literal["initial", "windows"] = OPTIONAL
    asset_events: bool = OPTIONAL
    default_args: TaskDefaults | None = OPTIONAL
    restore_conn_id: ConnId = OPTIONAL
    """The source as the restore user; makes a second DAG, `<id>_restore`, which brings rows back when it is triggered."""
    audit: Cron | None = OPTIONAL
    """When what was purged is proven again, by one more DAG, `<id>_audit`; null: whenever it is triggered."""
    notifications: Notifications | None = OPTIONAL
    """Whom to tell of what, by Airflow's notifiers."""
    table_defaults: TableDefaults | None = OPTIONAL
    """Settings of every table that does not have its own."""
    tags: list[Text] = OPTIONAL
    """The DAG's tags; `[chista, archive]` by default."""
    description: str | None = OPTIONAL
    """One line about the DAG in lists."""
    doc_md: str | None = OPTIONAL
    """Its documentation, in Markdown."""
    dag_display_name: Text | None = OPTIONAL
    """Its name in the UI, in place of the id."""
    catchup: bool = OPTIONAL
    """Whether runs of the past that the schedule owes are made; false by default, and give a `start_date` with true."""
    max_active_runs: Number = OPTIONAL
    """Runs at work at once; 4 by default."""
    max_active_tasks: Number = OPTIONAL
    """Tasks at work at once; Airflow's `max_active_tasks_per_dag` by default."""
    max_consecutive_failed_dag_runs: Count = OPTIONAL
    """Failed runs in a row that pause the DAG; 0: never."""
    dagrun_timeout: PositiveDuration | None = OPTIONAL
    """How long a run may take, its approvals included."""
    end_date: Moment | None = OPTIONAL
    """The schedule's end."""
    is_paused_upon_creation: bool | None = OPTIONAL
    """Whether the DAG is paused when Airflow sees it for the first time; Airflow's setting by default."""
    owner_links: dict[str, str] = OPTIONAL
    """Addresses behind the owners' names."""
    params: dict[str, Any] = OPTIONAL
    """Further fields of the trigger form, with their values."""


class Archive(Defaults):
    """One DAG: the arguments of ``archive_dag``, and of the DAG."""

    source_conn_id: ConnId
    capture_conn_id: ConnId = OPTIONAL
    connector: ConnectorName = OPTIONAL
    topic_prefix: TopicPrefix = OPTIONAL
    slot: Text | None = OPTIONAL
    tables: Annotated[list[Table], Field(min_length=1)]


class ArchivesFile(Settings):
    """Archives of tables in ClickHouse, one DAG each (airflow-provider-chista)."""

    defaults: Defaults | None = OPTIONAL
    """What every archive has that does not have its own."""
    archives: dict[str, Archive]
    """The DAGs, by their ids."""
