from __future__ import annotations

import base64
import io
import math
import struct
from contextlib import suppress
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_chista.debezium.avrobinary import AvroSchemaError, reader, single

SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "boolean": st.booleans(),
    "string": st.text(),
    "bytes": st.binary(),
    "double": st.floats(),
    "float": st.floats(width=32),
}


def shapes(scalar: str) -> list[tuple[Any, st.SearchStrategy[Any]]]:
    """A type as it is, in a union on both sides, in an array and in a map."""
    values = SCALARS[scalar]
    return [
        (scalar, values),
        ({"type": scalar, "connect.default": 7}, values),
        (["null", scalar], st.none() | values),
        ([scalar, "null"], st.none() | values),
        ({"type": "array", "items": ["null", scalar]}, st.lists(st.none() | values, max_size=5)),
        ({"type": "map", "values": scalar}, st.dictionaries(st.text(), values, max_size=3)),
    ]


@st.composite
def records(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """A schema of a record with a record in it that is named again, and a value of it."""
    chosen = draw(st.lists(st.sampled_from([s for name in SCALARS for s in shapes(name)]), max_size=6))
    inner = [{"name": f"f{place}", "type": kind} for place, (kind, _) in enumerate(chosen)]
    row = {"type": "record", "name": "Value", "fields": inner}
    outer = [{"name": "before", "type": ["null", row]}, {"name": "after", "type": ["null", "Value"]}]
    schema = {"type": "record", "name": "Envelope", "namespace": "p.s.t", "fields": outer}
    rows = st.none() | st.fixed_dictionaries({f"f{n}": values for n, (_, values) in enumerate(chosen)})
    return schema, {"before": draw(rows), "after": draw(rows)}


def written(schema: Any, value: Any) -> bytes:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(schema), value)
    return stream.getvalue()


def in_json(kind: Any, value: Any) -> Any:
    """A value as JSON has it, by the schema."""
    if value is None:
        return None
    if isinstance(kind, list):
        return in_json(next(branch for branch in kind if branch != "null"), value)
    name = kind["type"] if isinstance(kind, dict) else kind
    if name == "bytes":
        return base64.b64encode(value).decode()
    if name == "float":
        return single(value)
    if name == "double" and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if name == "array":
        return [in_json(kind["items"], item) for item in value]
    if name == "map":
        return {key: in_json(kind["values"], item) for key, item in value.items()}
    return value


@given(records())
def test_what_another_library_writes_is_read_as_json_has_it(given_record: Any) -> None:
    schema, value = given_record
    data = written(schema, value)
    found, end = reader(schema)(data, 0)
    assert end == len(data)
    fields = schema["fields"][0]["type"][1]["fields"]
    for side in ("before", "after"):
        if value[side] is None:
            assert found[side] is None
            continue
        for field in fields:
            here, expected = found[side][field["name"]], in_json(field["type"], value[side][field["name"]])
            assert repr(here) == repr(expected)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_number_of_four_bytes_keeps_its_value_with_as_few_digits_as_tell_it_apart(value: float) -> None:
    found = single(value)
    assert isinstance(found, float)
    assert struct.pack("<f", found) == struct.pack("<f", value)


@pytest.mark.parametrize(
    ("value", "text"), [(0.1, "0.1"), (1e-5, "1e-05"), (16777216.0, "16777216.0"), (-0.0, "-0.0")]
)
def test_well_known_numbers_of_four_bytes(value: float, text: str) -> None:
    (read,) = struct.unpack("<f", struct.pack("<f", value))
    assert repr(single(read)) == text


@given(records(), st.data())
def test_bytes_that_end_too_early_are_an_error(given_record: Any, data: st.DataObject) -> None:
    schema, value = given_record
    whole = written(schema, value)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises((IndexError, ValueError)):
        reader(schema)(cut, 0)


@given(records(), st.data())
def test_any_bytes_are_read_or_refused(given_record: Any, data: st.DataObject) -> None:
    schema, _ = given_record
    with suppress(IndexError, ValueError):
        reader(schema)(data.draw(st.binary(max_size=60)), 0)


@pytest.mark.parametrize(
    ("schema", "data", "told"),
    [
        ("int", b"\xfe\xff\xff\xff\x1f", "is not a number of 32 bits"),
        ("long", b"\xff" * 9 + b"\x7f", "more than 64 bits"),
        ("long", b"\xff" * 11, "more than ten bytes"),
        ("boolean", b"\x02", "2 is not a boolean"),
        ("string", b"\x01", "of -1 bytes"),
        ("string", b"\x04a", "of 2 bytes, of which 1 are there"),
        ("bytes", b"\xff\xff\xff\xff\x0f", "of -2147483648 bytes"),
        ("string", b"\x02\xff", "invalid start byte"),
        (["null", "int"], b"\x04", "no branch 2"),
        (["null", "int"], b"\x01", "no branch 0.5"),
    ],
)
def test_what_no_writer_writes_is_refused(schema: Any, data: bytes, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        reader(schema)(data, 0)


@pytest.mark.parametrize(
    "schema",
    [
        "null",
        {"type": "enum", "name": "E", "symbols": ["A"]},
        {"type": "fixed", "name": "F", "size": 2},
        ["null", "int", "string"],
        ["int", "string"],
        "NowhereDefined",
    ],
)
def test_types_that_debezium_does_not_use_are_refused(schema: Any) -> None:
    with pytest.raises(AvroSchemaError, match="which Debezium does not use"):
        reader(schema)


def test_an_array_may_come_in_blocks_with_their_sizes() -> None:
    schema = {"type": "array", "items": "int"}
    assert reader(schema)(b"\x03\x04\x02\x04\x02\x06\x00", 0) == ([1, 2, 3], 7)
