"""Operators: store the records of dead letters after all, or settle them without."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import Context

from airflow_provider_chista.archive.policies import DeletePolicy
from airflow_provider_chista.errors import TransientError
from airflow_provider_chista.hooks.errors import airflow_errors
from airflow_provider_chista.links import letters_query
from airflow_provider_chista.operators.base import TableOperator, author, task_name


class ReplayDeadLettersOperator(TableOperator):
    """Decodes open dead letters of a table once more and stores what can be stored now; run it after the cause was mended.

    The archive table follows the source first. A row gets the version of its event, so that an event that came after it
    stays the newer one. A delete goes where the drain would have put it; a TRUNCATE is not replayed. Letters that fail again
    stay open with their new error. Can be killed and repeated at any point. Returns how many were ``replayed``, how many are
    ``still_open``, and the ``first_error``. Other parameters: :class:`TableOperator`.

    :param delete_policy: the table's delete policy: ``archive``, ``mirror`` or ``ignore``.
    :param offsets: which letters, as lists of offsets by partition; None: all that are open.
    :param generation: only letters of that generation of the topic; None: of every one.
    :param ignore_columns: columns of records that neither the source nor the archive has; their values are dropped.
    """

    template_fields: Sequence[str] = (
        *TableOperator.template_fields,
        "delete_policy",
        "offsets",
        "generation",
    )

    def __init__(
        self,
        *,
        delete_policy: str = DeletePolicy.ARCHIVE,
        offsets: Mapping[Any, Sequence[Any]] | None = None,
        generation: int | str | None = None,
        ignore_columns: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.delete_policy = delete_policy
        self.offsets = offsets
        self.generation = generation
        self.ignore_columns = ignore_columns

    def query_sql(self, context: Context) -> str:
        """The dead letters of the archive table."""
        return letters_query(self.ids[1])

    def execute(self, context: Context) -> dict[str, Any]:
        """Replay."""
        from airflow_provider_chista.archive.deadletters import Letters
        from airflow_provider_chista.archive.replay import Replay

        name, target = self.ids
        with airflow_errors(), self.connections.opened() as services:
            letters = Letters.parse(target, self.offsets, self.generation)
            who = author(context)
            policy = DeletePolicy(self.delete_policy)
            sink = services.sink(name, target, policy, task_name(context), self.ignore_columns)
            report = Replay(sink, letters, who, stopped=self._stop.is_set).run()
            if self._stop.is_set():
                raise TransientError(f"the replay into {target} was stopped; what was replayed is recorded")
        self.log.info("%d dead letters of %s replayed", report.replayed, target)
        if report.still_open:
            self.log.warning(
                "%d dead letters of %s failed again and stay open; the first is %s",
                report.still_open, target, report.first_error,
            )  # fmt: skip
        return report.summary()


class DiscardDeadLettersOperator(TableOperator):
    """Settles open dead letters of a table without storing their records; the reason is kept with each of them.

    For records whose rows are known to be right in the archive, or not to belong there. Returns how many were ``discarded``;
    those that are settled already are left as they are. Other parameters: :class:`TableOperator`.

    :param reason: why the records need not be in the archive.
    :param offsets: which letters, as lists of offsets by partition; None: all that are open.
    :param generation: only letters of that generation of the topic; None: of every one.
    """

    template_fields: Sequence[str] = (*TableOperator.template_fields, "reason", "offsets", "generation")

    def __init__(
        self,
        *,
        reason: str,
        offsets: Mapping[Any, Sequence[Any]] | None = None,
        generation: int | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.reason = reason
        self.offsets = offsets
        self.generation = generation

    def query_sql(self, context: Context) -> str:
        """The dead letters of the archive table."""
        return letters_query(self.ids[1])

    def execute(self, context: Context) -> dict[str, Any]:
        """Discard."""
        from airflow_provider_chista.archive.deadletters import Letters, discard

        _, target = self.ids
        with airflow_errors(), self.connections.opened() as services:
            letters = Letters.parse(target, self.offsets, self.generation)
            discarded = discard(services.control, letters, self.reason, author(context))
        self.log.info("%d dead letters of %s discarded: %s", discarded, target, self.reason)
        return {"discarded": discarded}
