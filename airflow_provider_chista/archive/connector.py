"""Register a connector: validated first, then stored; the same configuration again changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_chista.debezium.config import ConnectorSpec, captures, fingerprint, redact, topic_name
from airflow_provider_chista.debezium.connect import KafkaConnectClient, NotFoundError
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.findings import Finding, Severity
from airflow_provider_chista.model import TableId


@dataclass(frozen=True, slots=True)
class Registration:
    """What :func:`register` did.

    :param action: ``created``, ``updated``, ``unchanged`` or ``restarted`` (unchanged, but a task had failed).
    :param config: the stored configuration, secrets hidden.
    """

    action: str
    config: dict[str, str]

    def summary(self) -> dict[str, Any]:
        """As JSON values."""
        return {"action": self.action, "tables": self.config["table.include.list"]}


def register(connect: KafkaConnectClient, spec: ConnectorSpec) -> Registration:
    """Validate the configuration, store it, restart what had failed.

    :raises RefusedError: an override would break a promise; nothing was stored.
    :raises FatalError: the worker found the configuration wrong; its messages are passed on by property.
    :raises TransientError: the worker did not answer.
    """
    config = spec.config()
    problems = connect.validate(spec.connector_class, config)
    if problems:
        listed = "; ".join(f"{key}: {message}" for key, message in problems)
        raise FatalError(
            f"Kafka Connect refused the configuration of {spec.name}, nothing was stored: {listed}. Check address, user "
            "and password of the capture connection, and the grants (docs/grants.md)"
        )
    existing = connect.config(spec.name)
    changed = connect.put_config(spec.name, config)
    action = "created" if existing is None else "updated" if changed else "unchanged"
    if action == "unchanged" and _failed(connect, spec.name):
        connect.restart(spec.name)
        action = "restarted"
    return Registration(action, redact(config))


def stored(connect: KafkaConnectClient, name: str) -> dict[str, str]:
    """A connector's stored configuration; :class:`FatalError` when there is no such connector."""
    config = connect.config(name)
    if config is None:
        raise FatalError(
            f"Kafka Connect has no connector {name}; give the name as Kafka Connect spells it, or none"
        )
    return config


def configured(connect: KafkaConnectClient, name: str, table: TableId) -> str | None:
    """Fingerprint of what a connector's stored configuration means for a table; None when there is no such connector."""
    config = connect.config(name)
    return None if config is None else fingerprint(config, table)


def evidence(connect: KafkaConnectClient, name: str, table: TableId) -> dict[str, str]:
    """What a proof records of the connector by which its table is archived; nothing when there is no such connector."""
    found = configured(connect, name, table)
    return {} if found is None else {"connector": name, "connector_config": found}


def connector_findings(connect: KafkaConnectClient, name: str, tables: Sequence[TableId]) -> list[Finding]:
    """What is wrong with a connector that should capture the tables by now."""
    config, subject = connect.config(name), f"connector {name}"
    if config is None:
        return [
            Finding(
                "connector",
                Severity.ERROR,
                subject,
                "Kafka Connect has no such connector",
                "register it (RegisterConnectorOperator), or give the name of one that is there",
            )
        ]
    prefix = config.get("topic.prefix", "")
    findings = [
        Finding(
            "connector",
            Severity.ERROR,
            subject,
            f"it does not capture {table}",
            "add the table to RegisterConnectorOperator's tables and run it",
        )
        for table in tables
        if not captures(config, topic_name(prefix, table))
    ]
    try:
        status = connect.status(name)
    except NotFoundError as error:
        return [
            *findings,
            Finding("connector", Severity.ERROR, subject, str(error), "look again in a minute"),
        ]
    if not status.running:
        remedy = (
            "mend what the causes name, then run RegisterConnectorOperator, which restarts what has failed"
            if status.failed
            else "resume it (PUT /connectors/…/resume of Kafka Connect), or look again in a minute when it was just started"
        )
        findings.append(Finding("connector", Severity.ERROR, subject, status.explain(), remedy))
    return findings


def _failed(connect: KafkaConnectClient, name: str) -> bool:
    try:
        return connect.status(name).failed
    except NotFoundError:
        return False
