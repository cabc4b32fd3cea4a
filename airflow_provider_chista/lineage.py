"""OpenLineage: the data sets that a task has read and written, for Airflow's provider of that name (extra ``openlineage``).

A stage leaves what it knows anyway (:class:`Moved`). Names, schemas and statistics are made of it only when Airflow's
listener asks, which it does where that provider is installed and told where to send to; so nothing here imports it before.
Data sets are named as OpenLineage's naming rules have it, by hosts, ports and tables alone, as Debezium names them too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_chista.model import Column, Table, TableId

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

PROOF = "row_hashes_equal"
"""Name of the assertion that every row of the archive has the row hash that the source computed."""


class Place(StrEnum):
    """Where rows are."""

    SOURCE = "source"
    TOPIC = "topic"
    ARCHIVE = "archive"


@dataclass(frozen=True, slots=True)
class Flow:
    """From where to where a stage brings rows, or on which places its proof rests.

    :param inputs: what is read; :param outputs: what is changed.
    :param copies: from which table to which the values of each column are brought as they are.
    """

    inputs: tuple[Place, ...]
    outputs: tuple[Place, ...] = ()
    copies: tuple[Place, Place] | None = None


SNAPSHOT = Flow((Place.SOURCE,), (Place.TOPIC,))
DRAIN = Flow((Place.SOURCE, Place.TOPIC), (Place.ARCHIVE,), (Place.SOURCE, Place.ARCHIVE))
VERIFY = Flow((Place.SOURCE, Place.ARCHIVE))
PURGE = Flow((Place.ARCHIVE,), (Place.SOURCE,))
"""It reads the archive's proof and changes the source, as a DELETE that selects from another table does."""
SEAL = Flow((Place.ARCHIVE,))
RESTORE = Flow((Place.ARCHIVE,), (Place.SOURCE,), (Place.ARCHIVE, Place.SOURCE))


@dataclass(frozen=True, slots=True)
class Moved:
    """What one try of a task has done.

    :param table: the source table as the archive holds it; None: only its name is known.
    :param read: rows, or records of a topic, that were read or compared; :param bytes: theirs.
    :param written: rows that were written, or deleted, in what the task changes.
    :param equal: outcome of a proof; None: nothing was proven.
    """

    flow: Flow
    table: Table | None = None
    read: int | None = None
    bytes: int | None = None
    written: int | None = None
    equal: bool | None = None


class Traced:
    """Of operators whose data sets OpenLineage is told; ``moved`` is left by ``execute``, and by nothing that did nothing."""

    moved: Moved | None = None

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """Called by Airflow's listener when the task has ended, well or not, in the task's process or a fork of it."""
        return told(self, self.moved) if self.moved else None


def told(task: Any, moved: Moved) -> OperatorLineage[Any, Any]:
    """The data sets of a task, from what it did and from its connections.

    :raises FatalError: a connection has no host; the listener then logs that, and nothing else happens.
    """
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import InputDataset, OutputDataset

    places = {place: _name(task, place) for place in {*moved.flow.inputs, *moved.flow.outputs}}
    return OperatorLineage(
        inputs=[
            InputDataset(*places[place], facets=_schema(place, moved.table), inputFacets=_read(place, moved))
            for place in moved.flow.inputs
        ],
        outputs=[
            OutputDataset(
                *places[place],
                facets=_schema(place, moved.table) | _columns(place, moved, places),
                outputFacets=_written(moved),
            )
            for place in moved.flow.outputs
        ],
    )


def _name(task: Any, place: Place) -> tuple[str, str]:
    """Namespace and name of a data set."""
    from airflow_provider_chista.debezium.config import topic_name
    from airflow_provider_chista.hooks.clickhouse import ChistaClickHouseHook
    from airflow_provider_chista.hooks.kafka import ChistaKafkaHook
    from airflow_provider_chista.hooks.source import SourceHook

    table = TableId.parse(task.table)
    if place is Place.TOPIC:
        # librdkafka takes PROTOCOL://host:port too, and a broker's port is 9092 where none is given.
        first = ChistaKafkaHook(task.kafka_conn_id).bootstrap_servers().split(",")[0].strip()
        broker = urlsplit(f"//{first.rpartition('://')[2]}")
        namespace = _namespace("kafka", broker.hostname or "", broker.port or 9092)
        return namespace, topic_name(task.topic_prefix, table)
    if place is Place.ARCHIVE:
        return _namespace("clickhouse", *ChistaClickHouseHook(task.clickhouse_conn_id).address), task.target
    endpoint = SourceHook(task.source_conn_id).endpoint()
    namespace = _namespace(endpoint.conn_type, endpoint.host, endpoint.port)
    # libpq takes the user's name for the database's where none is given.
    database = endpoint.database or endpoint.user
    return namespace, f"{database}.{table}" if endpoint.conn_type == "postgres" else str(table)


def _namespace(scheme: str, host: str, port: int) -> str:
    host = host.strip("[]")
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _schema(place: Place, table: Table | None) -> dict[str, Any]:
    """The facet ``schema``; a topic has none, its records are Debezium's envelopes."""
    from openlineage.client.facet_v2 import schema_dataset

    if table is None or place is Place.TOPIC:
        return {}
    fields = [schema_dataset.SchemaDatasetFacetFields(name, ddl) for name, ddl in _fields(place, table)]
    return {"schema": schema_dataset.SchemaDatasetFacet(fields)}


def _fields(place: Place, table: Table) -> Iterator[tuple[str, str | None]]:
    """Names and types of the columns; of the source's that are left out only the names are known."""
    from airflow_provider_chista.clickhouse.layout import META_COLUMNS

    if place is Place.SOURCE:
        yield from ((column.name, column.declared) for column in table.columns)
        yield from ((column.name, None) for column in table.left_out if not column.gone)
    else:
        yield from ((column.name, column.stored_as) for column in table.stored)
        yield from META_COLUMNS.items()


def _columns(place: Place, moved: Moved, places: dict[Place, tuple[str, str]]) -> dict[str, Any]:
    """The facet ``columnLineage``: each column is its namesake of the other table."""
    from openlineage.client.facet_v2 import column_lineage_dataset as facet

    if moved.table is None or moved.flow.copies is None or place is not moved.flow.copies[1]:
        return {}
    origin = places[moved.flow.copies[0]]

    def come_from(column: Column) -> Any:
        subtype = "IDENTITY" if column.provable else "TRANSFORMATION"
        how = facet.Transformation(type="DIRECT", subtype=subtype)
        return facet.Fields([facet.InputField(*origin, column.name, [how])])

    return {
        "columnLineage": facet.ColumnLineageDatasetFacet({c.name: come_from(c) for c in moved.table.columns})
    }


def _read(place: Place, moved: Moved) -> dict[str, Any]:
    """Facets of an input: how much was read of it, and what was proven of the archive."""
    from openlineage.client.facet_v2 import data_quality_assertions_dataset as assertions
    from openlineage.client.facet_v2 import input_statistics_input_dataset as statistics

    facets: dict[str, Any] = {}
    # Of the source a drain reads the catalogue only; its rows come by the topic.
    if moved.read is not None and (moved.flow, place) != (DRAIN, Place.SOURCE):
        facets["inputStatistics"] = statistics.InputStatisticsInputDatasetFacet(moved.read, moved.bytes)
    if moved.equal is not None and place is Place.ARCHIVE:
        found = assertions.Assertion(PROOF, moved.equal)
        facets["dataQualityAssertions"] = assertions.DataQualityAssertionsDatasetFacet([found])
    return facets


def _written(moved: Moved) -> dict[str, Any]:
    """Facets of an output: the rows."""
    from openlineage.client.facet_v2 import output_statistics_output_dataset as statistics

    if moved.written is None:
        return {}
    return {"outputStatistics": statistics.OutputStatisticsOutputDatasetFacet(moved.written)}
