"""Operator: prove that the archive equals the source."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from airflow.sdk import Context

from airflow_provider_chista.archive.verify import verify
from airflow_provider_chista.hooks.errors import airflow_errors
from airflow_provider_chista.model import describe
from airflow_provider_chista.operators.base import WindowOperator, author


class VerifyArchiveOperator(WindowOperator):
    """Compares the row hash of every row of the window, at the source and in ClickHouse.

    Equal rows become a proof in the ledger: ``verify_id``, rows, digest, and a manifest of (key, hash) that a purge works
    on. A difference is not a failure until the capture has passed it: the archive is caught up once and everything
    compared again. What still differs fails the task; rows, columns and both values are in the state table
    ``mismatches``. With ``repair`` missing and differing rows are first read from the source, written into the archive
    above the event that lost them, and compared again; both values are in ``mismatches``, the repair is in the ledger.
    Returns the proof and the window. Other parameters: :class:`WindowOperator`.

    :param connector: the connector's name; :param topic_prefix: its ``topic.prefix``.
    :param catch_up_timeout: seconds that catching up may wait for the connector.
    :param repair: whether rows that still differ are repaired; rows that only the archive has never are.
    :param max_repairs: rows; when more differ, none is repaired.
    """

    template_fields: Sequence[str] = (*WindowOperator.template_fields, "connector", "topic_prefix")

    def __init__(
        self,
        *,
        connector: str,
        topic_prefix: str,
        catch_up_timeout: float = 300.0,
        repair: bool = False,
        max_repairs: int = 10_000,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.connector = connector
        self.topic_prefix = topic_prefix
        self.catch_up_timeout = catch_up_timeout
        self.repair = repair
        self.max_repairs = max_repairs

    def execute(self, context: Context) -> dict[str, Any]:
        """Verify."""
        name, target = self.ids
        with airflow_errors(), self.connections.opened() as services:
            window = self.window(context)
            table = services.followed(name, target)
            self.log.info("verifying %s of %s against %s", describe(window), name, target)
            proof = verify(
                services.source,
                services.manifests(table, target),
                services.ledger(name, target, window, author(context)),
                window,
                catch_up=partial(
                    services.catch_up,
                    name,
                    target,
                    connector=self.connector,
                    topic_prefix=self.topic_prefix,
                    timeout=self.catch_up_timeout,
                    stopped=self._stop.is_set,
                ),
                repairs=self.max_repairs if self.repair else 0,
                log=self.log.info,
            )
        rate = proof.rows / proof.seconds if proof.seconds else 0.0
        self.log.info(
            "proven equal: %d rows of %s in %.1f s (%.0f rows/s), digest %s",
            proof.rows, describe(window), proof.seconds, rate, proof.digest,
        )  # fmt: skip
        return proof.summary() | {"window": describe(window), "table": self.table, "target": self.target}
