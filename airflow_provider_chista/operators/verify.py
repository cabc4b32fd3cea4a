"""Operator: prove that the archive equals the source, or check a part of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context

from airflow_provider_chista import metrics
from airflow_provider_chista.assets import Event, emit
from airflow_provider_chista.errors import MismatchError
from airflow_provider_chista.hooks.errors import airflow_errors
from airflow_provider_chista.lineage import VERIFY, Moved
from airflow_provider_chista.links import ConnectorLink, QueryLink
from airflow_provider_chista.model import Window, describe
from airflow_provider_chista.operators.base import WindowOperator, author
from airflow_provider_chista.progress import Reporter

if TYPE_CHECKING:
    from airflow_provider_chista.archive.verify import Proof


class VerifyArchiveOperator(WindowOperator):
    """Compares the row hash of every row of the window, at the source and in ClickHouse.

    Equal rows become a proof in the ledger: ``verify_id``, rows, digest, and a manifest of (key, hash) that a purge works
    on. A difference is not a failure until the capture has passed it: the archive is caught up and what differs is compared
    again, and once more around another barrier, so that a row which the application changed meanwhile is none. What then
    differs fails the task; rows, columns and both values are in the state table ``mismatches``. With ``repair`` missing and
    differing rows are first read from the source, written into the archive above the event that lost them, and compared
    again; both values are in ``mismatches``, the repair is in the ledger.
    Returns the proof and the window. Other parameters: :class:`WindowOperator`.

    Rows are compared in parts, ranges of keys, unless the key has columns of texts or bytes. A try that was killed is gone
    on with by the next one of its run, behind the parts that it had proven.

    With another ``mode``, or with keys, the result is a check: an entry of the ledger, and nothing can be purged by it.

    :param connector: the connector's name; :param topic_prefix: its ``topic.prefix``.
    :param catch_up_timeout: seconds that catching up may wait for the connector.
    :param repair: whether rows that still differ are repaired; rows that only the archive has never are.
    :param max_repairs: rows; when more differ, none is repaired.
    :param mode: ``full``; ``digest`` compares sums of the hashes, and rows only where the sums differ; ``sample`` compares
        the rows of some parts.
    :param sample: share of the parts (of 10,000 rows) that ``sample`` compares, at least one; :param seed: of their draw, a
        number; None: by chance, and in the result.
    :param row_keys: compare these row keys (docs/row-hash.md) and nothing else.
    :param first_key: compare the rows from this row key on; :param end_key: up to this one, exclusive.
    :param parallel: parts that are compared at a time, each with a connection of its own to the source.
    :param part_rows: rows of a part, about; None: a million, 250,000 of ``digest``, 10,000 of ``sample``.
    :param mask_values: write digests of values into ``mismatches``, not the values.
    """

    operator_extra_links = (
        ConnectorLink(),
        QueryLink(),
    )
    template_fields: Sequence[str] = (
        *WindowOperator.template_fields,
        "connector",
        "topic_prefix",
        "mode",
        "sample",
        "seed",
        "row_keys",
        "first_key",
        "end_key",
    )

    def __init__(
        self,
        *,
        connector: str,
        topic_prefix: str,
        catch_up_timeout: float = 300.0,
        repair: bool = False,
        max_repairs: int = 10_000,
        mode: str = "full",
        sample: float = 0.01,
        seed: int | None = None,
        row_keys: Sequence[str] = (),
        first_key: str | None = None,
        end_key: str | None = None,
        parallel: int = 1,
        part_rows: int | None = None,
        mask_values: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.connector = connector
        self.topic_prefix = topic_prefix
        self.catch_up_timeout = catch_up_timeout
        self.repair = repair
        self.max_repairs = max_repairs
        self.mode = mode
        self.sample = sample
        self.seed = seed
        self.row_keys = row_keys
        self.first_key = first_key
        self.end_key = end_key
        self.parallel = parallel
        self.part_rows = part_rows
        self.mask_values = mask_values

    def execute(self, context: Context) -> dict[str, Any]:
        """Verify, or check."""
        from airflow_provider_chista.archive.check import CheckOptions
        from airflow_provider_chista.archive.comparison import comparison
        from airflow_provider_chista.archive.verify import Proof

        name, target = self.ids
        meter = metrics.Meter.of(context, name, target)
        shown = Reporter(context, "verify", self.log)
        with airflow_errors(), shown, self.connections.opened() as services:
            options = comparison(
                mode=self.mode,
                sample=self.sample,
                seed=self.seed,
                row_keys=self.row_keys,
                first_key=self.first_key,
                end_key=self.end_key,
                repair=self.repair,
                max_repairs=self.max_repairs,
                parallel=self.parallel,
                part_rows=self.part_rows,
                mask_values=self.mask_values,
            )
            by_keys = isinstance(options, CheckOptions) and bool(options.chosen)
            window = None if by_keys and not self.time_column else self.window(context)
            part = f", {options.mode} {options.chosen}".rstrip() if isinstance(options, CheckOptions) else ""
            self.log.info("verifying %s%s of %s against %s", describe(window), part, name, target)
            try:
                found = services.compare(
                    name,
                    target,
                    window,
                    options,
                    author(context),
                    connector=self.connector,
                    topic_prefix=self.topic_prefix,
                    timeout=self.catch_up_timeout,
                    stopped=self._stop.is_set,
                    log=self.log.info,
                    progress=shown.show,
                )
            except MismatchError as error:
                meter.total(metrics.VERIFY_DIFFERING, error.rows)
                self.moved = Moved(VERIFY, services.table, equal=False)
                raise
            proven = isinstance(found, Proof) or None
            self.moved = Moved(VERIFY, services.table, found.rows, equal=proven)
            meter.total(metrics.VERIFY_ROWS, found.rows)
            meter.took(metrics.VERIFY_DURATION, found.seconds)
            if isinstance(found, Proof):
                self._tell(found, window)
            else:
                self.log.info("equal: %s", found)
        event = Event.VERIFIED if isinstance(found, Proof) else Event.CHECKED
        facts = {"rows": found.rows, "digest": found.digest, "verify_id": found.verify_id}
        emit(context, self, event, (name, target), window, facts)
        return found.summary() | {"window": describe(window), "table": self.table, "target": self.target}

    def _tell(self, proof: Proof, window: Window | None) -> None:
        rate = proof.rows / proof.seconds if proof.seconds else 0.0
        self.log.info(
            "proven equal: %d rows of %s in %.1f s (%.0f rows/s), digest %s",
            proof.rows, describe(window), proof.seconds, rate, proof.digest,
        )  # fmt: skip
