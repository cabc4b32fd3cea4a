"""What a user may choose about an archive table: columns to leave out, and other ClickHouse types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_provider_chista.clickhouse.types import FORMS, TypeMap
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import Column, Table


@dataclass(frozen=True, slots=True)
class Choice:
    """A ClickHouse type for a column.

    :param type: without Nullable, which follows from the source, such as ``LowCardinality(String)``.
    :param provable: False: the type need not hold every value exactly; the table is then never purged.
    """

    type: str
    provable: bool = True


@dataclass(frozen=True, slots=True)
class Choices:
    """The user's choices for one table.

    :param exclude: columns that are neither stored nor proven; the table is then never purged.
    :param types: ClickHouse types by column.
    """

    exclude: frozenset[str] = frozenset()
    types: Mapping[str, Choice] = field(default_factory=dict)

    @classmethod
    def parse(cls, exclude: Any, types: Mapping[str, Any] | None) -> Choices:
        """From an operator's arguments: a list of columns; a type, or ``{"type": ..., "provable": False}``, by column.

        :raises FatalError: neither a text nor such a mapping.
        """
        parsed = {}
        for name, given in (types or {}).items():
            choice = {"type": given} if isinstance(given, str) else given
            if (
                not isinstance(choice, Mapping)
                or not choice.keys() <= {"type", "provable"}
                or "type" not in choice
            ):
                raise FatalError(
                    f"the ClickHouse type of column {name} is given as {given!r}; give a type such as "
                    "'LowCardinality(String)', or {'type': 'JSON', 'provable': False}"
                )
            parsed[name] = Choice(str(choice["type"]), bool(choice.get("provable", True)))
        if isinstance(exclude, str):
            raise FatalError(f"exclude is {exclude!r}; give a list of column names")
        return cls(frozenset(exclude or ()), parsed)

    def applied(self, types: TypeMap, table: Table) -> Table:
        """The table with the choices in it.

        :raises FatalError: a column does not exist or is part of the primary key, or a type cannot hold its values exactly.
        """
        table = table.without(self.exclude)
        chosen = {name: self._chosen(types, table, name) for name in self.types}
        return replace(table, columns=tuple(chosen.get(c.name, c) for c in table.columns))

    def _chosen(self, types: TypeMap, table: Table, name: str) -> Column:
        column, choice = table.column(name), self.types[name]
        if name in table.primary_key:
            raise FatalError(
                f"column {name} of {table.id} is part of the primary key, whose types decide the order of the rows; "
                "leave it with its default type"
            )
        if "Nullable(" in choice.type:
            raise FatalError(
                f"the ClickHouse type of column {name} is {choice.type}; leave Nullable out, it follows from the source"
            )
        if choice.provable and (column.refusal or types.holding(column, choice.type) is None):
            kind = column.kind
            others = sorted({form.title for form in FORMS if kind in form.kinds}) if kind else []
            raise FatalError(
                f"column {name} ({column.declared}) cannot be stored as {choice.type} exactly; "
                f"exact are {', '.join(others) or 'none'}; or give {{'type': {choice.type!r}, 'provable': False}}, "
                "and the table is archived but never purged"
            )
        return replace(column, stored_as=choice.type, provable=choice.provable)
