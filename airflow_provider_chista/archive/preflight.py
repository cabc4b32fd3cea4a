"""Preflight: everything that must be right before anything is changed, in one report with the remedy of each finding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from types import MappingProxyType
from typing import Any

from airflow_provider_chista.archive.complete import incomplete, incomplete_remedy
from airflow_provider_chista.archive.connector import connector_findings
from airflow_provider_chista.archive.deadletters import REMEDY as LETTERS_REMEDY
from airflow_provider_chista.archive.deadletters import open_letters
from airflow_provider_chista.archive.factors import SourceFactors
from airflow_provider_chista.archive.quarantine import QUARANTINE_REMEDY, open_quarantine
from airflow_provider_chista.archive.throttle import ThrottleOptions
from airflow_provider_chista.archive.topic import Kafka
from airflow_provider_chista.archive.unsealed import FINISH, unsealed_batches
from airflow_provider_chista.clickhouse import ddl, durability
from airflow_provider_chista.clickhouse.choices import Choices
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.clickhouse.types import probe
from airflow_provider_chista.debezium.config import CONNECTOR_CLASSES
from airflow_provider_chista.debezium.connect import KafkaConnectClient
from airflow_provider_chista.debezium.registry import SchemaRegistryClient
from airflow_provider_chista.errors import ChistaError, FatalError, TransientError
from airflow_provider_chista.findings import Finding, Severity
from airflow_provider_chista.model import Table, TableId
from airflow_provider_chista.sources.base import Role, Source

UNREACHABLE = "unreachable"
"""Name of the check that a service which did not answer has failed."""

_EVER = timedelta(days=36_500)
"""A replica that is less behind is at work; how far it has come is asked when there is a proof."""


@dataclass(frozen=True, slots=True)
class PreflightReport:
    """All findings, errors first."""

    findings: tuple[Finding, ...]

    def of(self, severity: Severity) -> list[Finding]:
        """The findings of one severity."""
        return [finding for finding in self.findings if finding.severity is severity]

    def __str__(self) -> str:
        if not self.findings:
            return "preflight: nothing found"
        return "preflight:\n" + "\n".join(f"  {finding}" for finding in self.findings)

    def summary(self) -> dict[str, Any]:
        """Counts by severity and the subjects that must not be purged, as JSON values."""
        return {
            **{str(severity): len(self.of(severity)) for severity in Severity},
            "purge_refused": sorted({finding.subject for finding in self.of(Severity.PURGE)}),
        }

    def require_no_error(self) -> None:
        """Raise with every error and its remedy when there is one.

        :raises TransientError: all errors are services that did not answer.
        :raises FatalError: something else is wrong.
        """
        errors = self.of(Severity.ERROR)
        if errors:
            waiting_helps = all(finding.check == UNREACHABLE for finding in errors)
            raise (TransientError if waiting_helps else FatalError)(
                f"preflight found {len(errors)} error{'s' if len(errors) > 1 else ''}: "
                + " ".join(str(finding) for finding in errors)
            )


@dataclass(frozen=True, slots=True)
class ArchivePlan:
    """What is to be archived.

    :param targets: source table to archive table.
    :param time_columns: source table to its time column, for tables archived by windows.
    :param purged: source tables whose rows will be deleted, for which the purge user needs its rights.
    :param choices: the user's choices of columns and types, by source table.
    :param listed: foreign keys and triggers that the user knows of and accepts.
    :param slot: replication slot; :param publication: publication; both PostgreSQL only.
    :param avro: whether the connector writes Avro.
    :param throttle: what will hold the purge back, which source and replicas must be able to tell.
    :param min_replicas: replicas of each archive table that must hold what is purged.
    """

    targets: dict[TableId, TableId]
    time_columns: dict[TableId, str]
    purged: tuple[TableId, ...] = ()
    choices: Mapping[TableId, Choices] = field(default_factory=dict)
    listed: tuple[str, ...] = ()
    slot: str | None = None
    publication: str | None = None
    avro: bool = False
    throttle: ThrottleOptions = field(default_factory=ThrottleOptions)
    min_replicas: int = 1


def preflight(
    plan: ArchivePlan,
    *,
    verify: Callable[[], Source],
    purge: Callable[[], Source] | None,
    capture: Callable[[], Source] | None = None,
    kafka: Kafka,
    connect: KafkaConnectClient,
    control: Callable[[], Control],
    registry: Callable[[], SchemaRegistryClient] | None = None,
    replicas: Mapping[str, Callable[[], Source]] = MappingProxyType({}),
    connector: str | None = None,
) -> PreflightReport:
    """Check the source, Kafka, Kafka Connect, ClickHouse and the schema registry.

    Every check runs, whatever the others find; a service that cannot be reached is a finding too.

    :param purge: opens the source as the purge user; None when nothing will be deleted.
    :param capture: opens the source as the capture user; None where Airflow does not know its password.
    :param registry: opens the schema registry; None where the connector writes JSON.
    :param replicas: opens the replicas whose lag will hold the purge back, by name.
    :param connector: a connector that must be there, run, and capture the tables; None: it is made later.
    """
    findings: list[Finding] = []
    tables: list[Table] = []
    flavours: list[str] = []

    def source_checks() -> Iterable[Finding]:
        with verify() as source:
            flavours.append(source.flavour)
            yield from source.settings_findings(slot=plan.slot)
            yield from source.grant_findings("verify", list(plan.targets))
            for table_id in plan.targets:
                yield from _checked(f"table {table_id}", partial(_table, source, table_id, plan, tables))

    findings += _checked("source, verify user", source_checks)
    if purge is not None and plan.purged:
        findings += _checked("source, purge user", partial(_grants, purge, "purge", plan.purged))
        findings += _checked("source, throttle", partial(_throttle, verify, replicas, plan.throttle))
    if capture is not None:
        findings += _checked("source, capture user", partial(_grants, capture, "capture", list(plan.targets)))
    findings += _checked("Kafka", lambda: _kafka(kafka))
    findings += _checked("Kafka Connect", lambda: _connect(connect, flavours))
    if connector is not None:
        findings += _checked(
            f"connector {connector}", partial(connector_findings, connect, connector, list(plan.targets))
        )
    findings += _checked("ClickHouse", lambda: _clickhouse(control, plan, tables))
    if registry is not None:
        findings += _checked("schema registry", partial(_registry, registry))
    order = list(Severity)
    return PreflightReport(tuple(sorted(findings, key=lambda finding: order.index(finding.severity))))


def _checked(subject: str, check: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """The check's findings; when it cannot be made, what kept it from being made."""
    found: list[Finding] = []
    try:
        found.extend(check())
    except ChistaError as error:
        kind = UNREACHABLE if isinstance(error, TransientError) else "refused"
        found.append(Finding(kind, Severity.ERROR, subject, str(error), ""))
    return found


def _table(source: Source, table_id: TableId, plan: ArchivePlan, tables: list[Table]) -> Iterable[Finding]:
    choices = plan.choices.get(table_id, Choices())
    table = source.catalogue(table_id).without(choices.exclude)
    tables.append(table)
    inexact = sorted(choices.exclude) + [n for n, choice in choices.types.items() if not choice.provable]
    if inexact:
        yield Finding(
            "column",
            Severity.PURGE,
            str(table_id),
            f"{', '.join(inexact)}: excluded, or stored in a type that need not be exact, so no row can be proven whole",
            "archive the columns in types that hold them exactly, if the rows are to be purged",
        )
    yield from source.table_findings(table, listed=plan.listed, publication=plan.publication, avro=plan.avro)
    column = plan.time_columns.get(table_id)
    if column is not None:
        table.column(column)


def _grants(opened: Callable[[], Source], role: Role, tables: Sequence[TableId]) -> Iterable[Finding]:
    with opened() as source:
        yield from source.grant_findings(role, tables)


def _throttle(
    verify: Callable[[], Source], replicas: Mapping[str, Callable[[], Source]], options: ThrottleOptions
) -> Iterable[Finding]:
    with ExitStack() as stack:
        opened = {name: stack.enter_context(replica()) for name, replica in replicas.items()}
        yield from SourceFactors(stack.enter_context(verify()), opened).findings(options)


def _kafka(kafka: Kafka) -> Iterable[Finding]:
    kafka.ping()
    return ()


def _registry(opened: Callable[[], SchemaRegistryClient]) -> Iterable[Finding]:
    with opened() as client:
        client.subjects()
    return ()


def _connect(connect: KafkaConnectClient, flavours: Sequence[str]) -> Iterable[Finding]:
    plugins = connect.plugins()
    for flavour in flavours:
        wanted = CONNECTOR_CLASSES[flavour]  # type: ignore[index]
        if wanted not in plugins:
            yield Finding(
                "connector plugin",
                Severity.ERROR,
                "Kafka Connect",
                f"the worker does not have {wanted}; it has {', '.join(sorted(plugins))}",
                "put Debezium's connector into the worker's plugin.path and restart it",
            )


def _clickhouse(
    open_control: Callable[[], Control], plan: ArchivePlan, tables: Sequence[Table]
) -> Iterable[Finding]:
    control = open_control()
    control.ensure()
    types = probe(control.client)
    for table in tables:
        target = plan.targets[table.id]
        if table.primary_key and not table.refused:
            choices = plan.choices.get(table.id, Choices())
            difference = ddl.misfit(control.client, types, table, target, choices)
            if difference:
                yield Finding(
                    "archive table", Severity.ERROR, str(target), difference, "archive into another table"
                )
            elif ddl.exists(control.client, target) and (found := incomplete(control.client, table, target)):
                yield Finding("incomplete rows", Severity.PURGE, str(target), found, incomplete_remedy(table))
        if letters := open_letters(control, target):
            yield Finding("dead letters", Severity.PURGE, str(target), str(letters), LETTERS_REMEDY)
        if ddl.exists(control.client, target):
            yield from _durability(control, target, plan.min_replicas)
        if waiting := open_quarantine(control, table.id, target):
            yield Finding("quarantine", Severity.WARNING, str(target), str(waiting), QUARANTINE_REMEDY)
        for batch in unsealed_batches(control, target):
            if batch.forgotten:
                found = f"{batch}; purges of other windows will refuse"
                yield Finding("unsealed batch", Severity.WARNING, str(target), found, FINISH)


def _durability(control: Control, target: TableId, min_replicas: int) -> Iterable[Finding]:
    threats = durability.threats(control.client, target)
    if min_replicas > 1:
        threats += durability.lacking_copies(
            control.client, target, min_replicas, control.placement.cluster, _EVER
        )
    for threat in threats:
        yield Finding("archive table", Severity.PURGE, str(target), threat.found, threat.remedy)
