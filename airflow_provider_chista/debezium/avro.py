"""Records of a connector that writes Avro, turned into JSON as its JSON converter would have written it.

A record is Confluent's frame: a zero byte, the schema's id in four bytes, big-endian, and Avro's binary form. The schema
comes from the registry, once for each id. Behind that comes the same code as for JSON, so that both are decoded alike.

What Avro changes on the way, and is changed back here:

* A name with other characters than letters and digits has them as ``_uXXXX`` (Debezium's ``avro_unicode``), also the
  underscore.
* Bytes and numbers have types: bytes become base64, NaN and infinities the texts that JSON has for them (``avrobinary.py``).
* Apicurio's converter writes a column's default in place of NULL, and nothing in the record tells the two apart. Such a
  value is refused: :class:`DecodeError`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from struct import Struct, iter_unpack
from typing import Any, Final

import msgspec

from airflow_provider_chista.debezium.avrobinary import AvroSchemaError, Read, reader, single
from airflow_provider_chista.debezium.changes import Change, Changes
from airflow_provider_chista.debezium.config import topic_name
from airflow_provider_chista.debezium.envelope import EnvelopeDecoder
from airflow_provider_chista.debezium.rows import DecodeError
from airflow_provider_chista.errors import FatalError

SETTING = "schema_registry_conn_id"
"""The argument of operators and sensors that says how a connector writes."""

_HEAD = Struct(">bI")


_KEPT: Mapping[str, frozenset[str]] = {
    "Envelope": frozenset({"after", "source", "transaction", "op"}),
    "Source": frozenset({"connector", "ts_ms", "gtid", "txId"}),
    "block": frozenset({"id"}),
}
"""What is read of Debezium's own records; the rest, the row before a change among it, is skipped, which takes less time."""


class _Any:
    """The type of :data:`_ANY`."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


_ANY: Final = _Any()
"""Stands for a default that cannot be compared with: any value may stand for NULL."""


def adjusted_name(name: str) -> str:
    """A name as Debezium's ``avro_unicode`` writes it."""
    units = name.encode("utf-16-be", "surrogatepass")
    characters = [chr(unit) for (unit,) in iter_unpack(">H", units)]
    return "".join(
        character
        if character.isascii() and (character.isalpha() or (at > 0 and character.isdigit()))
        else f"_u{ord(character):04x}"
        for at, character in enumerate(characters)
    )


def original_name(name: str) -> str:
    """The name that ``avro_unicode`` made this of."""
    text = re.sub(r"_u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), name)
    return text.encode("utf-16-be", "surrogatepass").decode("utf-16-be", "replace")


def framed(value: bytes | None) -> bool:
    """Whether a record has the frame of Avro; JSON never has."""
    return value is not None and value[:1] == b"\0"


def refuse_avro(values: Sequence[bytes | None]) -> None:
    """Raise :class:`FatalError` when some records, which should be JSON, are Avro, all of them."""
    if all(value is None or framed(value) for value in values) and any(values):
        raise FatalError(
            f"the records are Avro: give {SETTING}, the connection of the schema registry, as to RegisterConnectorOperator"
        )


@dataclass(frozen=True, slots=True)
class _Schema:
    """A schema of the registry, ready to read with.

    :param name: its name, as the source spells it.
    :param doubtful: columns that can be NULL and have a default, with the value that may stand for NULL.
    """

    name: str
    read: Read
    doubtful: Mapping[str, Any]


@dataclass(slots=True)
class AvroReader:
    """Turns records into JSON.

    :param schema: the text of a schema, by its id; raises :class:`FatalError` when the registry has none,
        :class:`TransientError` when it does not answer.
    """

    schema: Callable[[int], str]
    _schemas: dict[int, _Schema] = field(default_factory=dict, init=False)

    def text(self, record: bytes, of: str = "") -> bytes:
        """A key or a value as JSON, without what nobody reads of Debezium's own fields.

        :param of: end of the name that its schema must have.
        :raises DecodeError: the record is not Avro, or not of its schema, or NULL cannot be told from a column's default.
        :raises FatalError: the registry does not know the schema, or it is of something else.
        """
        if len(record) < _HEAD.size or not framed(record):
            raise DecodeError(
                f"the record is not Avro; where the connector writes JSON, {SETTING} must be left out"
            )
        number = _HEAD.unpack_from(record)[1]
        schema = self._schemas.get(number)
        if schema is None:
            schema = self._schemas[number] = _prepared(number, self.schema(number))
        if of and not schema.name.endswith(of):
            raise FatalError(
                f"schema {number} of the registry is of {schema.name}, not of {of.strip('.')}: the registry has lost its "
                "schemas and given their ids anew, or it is not the connector's. Restore it, or register the connector "
                "under another topic prefix and load the table by its snapshot; no record was skipped"
            )
        try:
            value, end = schema.read(record, _HEAD.size)
        except (IndexError, ValueError) as error:
            told = "it ends too early" if isinstance(error, IndexError) else str(error)
            raise DecodeError(f"the record is not of its schema {number}, {schema.name}: {told}") from error
        if end != len(record):
            left = len(record) - end
            raise DecodeError(
                f"the record is not of its schema {number}, {schema.name}: {left} bytes are left over"
            )
        if schema.doubtful:
            _refuse_doubt(schema.doubtful, value["after"])
        return msgspec.json.encode(value)


def _refuse_doubt(doubtful: Mapping[str, Any], row: Mapping[str, Any] | None) -> None:
    if row is None:
        return
    for column, default in doubtful.items():
        if row[column] is not None and default == row[column]:
            raise DecodeError(
                f"column {column} is NULL or holds its default, which Apicurio's Avro converter writes alike; let the "
                "connector have the converter chista.KeepNulls or write JSON, then read the table again"
            )


def _prepared(number: int, text: str) -> _Schema:
    doubtful: dict[str, Any] = {}
    try:
        schema = json.loads(text)
        name = original_name(f"{schema['namespace']}.{schema['name']}")
        return _Schema(name, reader(_renamed(schema, doubtful)), doubtful)
    except (AvroSchemaError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise FatalError(
            f"schema {number} of the registry is not one that Debezium's connectors write: {error}; check that the "
            "registry is the connector's"
        ) from error


def _renamed(schema: Any, doubtful: dict[str, Any]) -> Any:
    """A schema with the source's names of the columns in rows and keys, and the values of rows that may stand for NULL."""
    if isinstance(schema, list):
        return [_renamed(branch, doubtful) for branch in schema]
    if not isinstance(schema, dict) or schema["type"] != "record":
        return schema
    row, key = schema["name"] == "Value", schema["name"] == "Key"
    kept = _KEPT.get(schema["name"], {each["name"] for each in schema["fields"]})
    fields = []
    for each in schema["fields"]:
        name = _column(each["name"]) if row or key else each["name"]
        if row and _has_default(each["type"]):
            doubtful[name] = _default(each["type"][0])
        skip = each["name"] not in kept
        fields.append({"name": name, "type": _renamed(each["type"], doubtful), "skip": skip})
    return schema | {"fields": fields}


def _column(name: str) -> str:
    if not re.fullmatch(r"([A-Za-z0-9]|_u[0-9a-f]{4})+", name):
        raise AvroSchemaError(f"column {name} is not spelled as field.name.adjustment.mode=avro_unicode does")
    return original_name(name)


def _has_default(kind: Any) -> bool:
    """Whether a column can be NULL and has a default: the converter puts the default's type first in the union."""
    return isinstance(kind, list) and kind[1:] == ["null"]


def _default(kind: Any) -> Any:
    """What stands in the record for NULL, as it is read."""
    default = kind.get("connect.default") if isinstance(kind, dict) else None
    if default is None:
        return _ANY
    match kind["type"]:
        case "int" | "long" | "string" | "boolean":
            return default
        case "double":
            return float(default)
        case "float":
            return single(float(default))
        case _:
            return _ANY


def decoder_of(decoder: EnvelopeDecoder, avro: AvroReader | None) -> EnvelopeDecoder | AvroDecoder:
    """What decodes a topic's records.

    :param decoder: does so where they are JSON; :param avro: reads them where they are Avro.
    """
    return AvroDecoder(decoder, avro) if avro else decoder


@dataclass(slots=True)
class AvroDecoder:
    """Decodes the records of one table's topic as :class:`EnvelopeDecoder` does, from Avro.

    :param decoder: decodes what the records are in JSON.
    """

    decoder: EnvelopeDecoder
    reader: AvroReader
    _name: str = field(init=False)

    def __post_init__(self) -> None:
        # The name of a schema begins with the topic prefix.
        self._name = topic_name("", self.decoder.table.id)

    def changes(self, values: Sequence[bytes | None]) -> Changes:
        """See :meth:`EnvelopeDecoder.changes`.

        :raises FatalError: none of the records is Avro, or the registry does not know the schema of one.
        """
        texts: list[bytes | None] = []
        errors: dict[int, DecodeError] = {}
        for place, value in enumerate(values):
            try:
                texts.append(None if value is None else self.text(value))
            except DecodeError as error:
                errors[place] = error
                texts.append(None)
        if errors and not any(value is None or framed(value) for value in values):
            raise FatalError(f"the records are not Avro: the connector writes JSON, so leave {SETTING} out")
        found = self.decoder.changes(texts)
        for place, refused in errors.items():
            if found.others.pop(place, refused) is None:
                found.errors[place] = refused
        return found

    def change(self, value: bytes) -> Change:
        """See :meth:`EnvelopeDecoder.change`."""
        return self.decoder.change(self.text(value))

    def text(self, value: bytes) -> bytes:
        """A record's value as JSON."""
        return self.reader.text(value, f"{self._name}.Envelope")

    def key(self, key: bytes | None) -> str:
        """See :meth:`EnvelopeDecoder.key`; a key that a header names is JSON here too, with the adjusted names."""
        if key is None or framed(key):
            return self.decoder.key(None if key is None else self.reader.text(key, f"{self._name}.Key"))
        try:
            named = msgspec.json.decode(key, type=dict[str, msgspec.Raw])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise DecodeError(str(error)) from error
        return self.decoder.key(
            msgspec.json.encode({original_name(name): raw for name, raw in named.items()})
        )

    def key_of(self, values: Sequence[Any]) -> str:
        """See :meth:`EnvelopeDecoder.key_of`."""
        return self.decoder.key_of(values)
