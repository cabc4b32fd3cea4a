"""Cases of PostgreSQL's types that have parts: documents, composites, ranges and arrays. Expected texts as it prints them."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping

from airflow_provider_chista.model import Kind
from tests.integration.types.cases import Case, Typed

# Separators of the row text, marks of NULL, quotes and backslashes of every language on the way, blanks at both ends,
# characters of one to four bytes, decomposed ones, a BOM, and what looks like a placeholder or an array.
HOSTILE = (
    "", " ", " a ", "~", "1:a|~", "NULL", "null", r"\N", "'", '"', "''", "\\", "\\\\", r"\u0041", "{}", "{1,NULL}",
    "a\tb\nc\r\n", "\x01\x1f\x7f\x80", "%s %d %%", "$1 {c} ${env:HOME}", "\ufeffa\u200b", "e\u0301", "é", "ß", "İıſ", "日本",
    "😀👩\u200d👧", "\U0010ffff", "__debezium_unavailable_value",
)  # fmt: skip


def quoted(text: str) -> str:
    """A text as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def texts(*values: str) -> list[Case]:
    """Cases of a type whose values print as they were written."""
    return [Case(quoted(value), value) for value in values]


def prints(printed: Mapping[str, str], damaged: str = "") -> list[Case]:
    """Cases from literals and what PostgreSQL prints for them."""
    return [Case(quoted(literal), text, damaged) for literal, text in printed.items()]


def extension(name: str) -> str:
    """Extensions belong to the database, so they stay behind the test."""
    return f"CREATE EXTENSION IF NOT EXISTS {name} SCHEMA public"


def wkb(x: float, y: float) -> bytes:
    """A point as big-endian well-known binary."""
    return struct.pack(">BIdd", 0, 1, x, y)


JSON = (
    "null", '""', "{}", "[]", '{"b": 1,  "a":2, "a" : 3}', '{"n": 1.50, "e": 1e10, "E": 1E-7, "big": 1e400}',
    "18446744073709551616", "1234567890123456789012345678901234567890.12345", r'"\u00e9\u65e5 \" \\ \/ \n"',
    '{\n  "a" : [1,\t2]\n}', "-0.0", "  true ", r'"\u0000"', '"~|1:a"', '{"😀": "😀"}',
)  # fmt: skip
JSONB = {
    "null": "null", '""': '""', "{}": "{}", "[ 1,2 ]": "[1, 2]", '{"b": 1,  "a":2, "a" : 3}': '{"a": 3, "b": 1}',
    '{"n": 1.50, "e": 1e10, "E": 1E-7}': '{"E": 0.0000001, "e": 10000000000, "n": 1.50}',
    "18446744073709551616": "18446744073709551616", "-0.0": "0.0", '{"a":null}': '{"a": null}', '"~|1:a"': '"~|1:a"',
    "1234567890123456789012345678901234567890.12345": "1234567890123456789012345678901234567890.12345",
    r'"\u00e9\u65e5 \" \\ \/ \n"': r'"é日 \" \\ / \n"', r'{"😀": "\ud83d\ude00"}': '{"😀": "😀"}',
    '{"bb":1,"a":2,"ccc":3,"":4,"a.b":5}': '{"": 4, "a": 2, "bb": 1, "a.b": 5, "ccc": 3}',
}  # fmt: skip

DOCUMENTS = (
    Typed("json", "JSON", Kind.TEXT, texts(*JSON)),
    Typed("jsonb", "JSONB", Kind.TEXT, prints(JSONB)),
    Typed(
        "xml", "XML", Kind.TEXT,
        texts('<a b="1">x &amp; y</a>', "<a/>", "", "text <b>only</b>", "<日本>😀</日本>", "<a>\n\t</a>")
        + prints({
            '<?xml version="1.0"?><x/>': "<x/>", '<?xml version="1.0" encoding="UTF-8"?><x/>': "<x/>",
            '<?xml version="1.0" standalone="yes"?><x/>': '<?xml version="1.0" standalone="yes"?><x/>',
        }),
    ),
    Typed(
        "tsvector", "TSVECTOR", Kind.TEXT,
        prints({
            "a fat cat": "'a' 'cat' 'fat'", "a:1A b:2 c:3,4B": "'a':1A 'b':2 'c':3,4B", "": "",
            r"'it''s' '\\'": r"'\\' 'it''s'",
        }),
    ),
    Typed(
        "tsquery", "TSQUERY", Kind.TEXT,
        prints({
            "fat & (rat | cat:*)": "'fat' & ( 'rat' | 'cat':* )", "!a": "!'a'", "a <2> b:AB": "'a' <2> 'b':AB", "": "",
        }),
    ),
    Typed("ltree", "LTREE", Kind.TEXT, texts("Top.Science.Astronomy", "a", "", "1_2.B"), setup=(extension("ltree"),)),
    Typed(
        "pg_lsn", "PG_LSN", Kind.TEXT,
        prints({"16/B374D848": "16/B374D848", "0/0": "0/0", "ffffffff/ffffffff": "FFFFFFFF/FFFFFFFF"}),
    ),
    Typed("pg_snapshot", "PG_SNAPSHOT", Kind.TEXT, texts("10:20:10,14,15", "1:1:")),
    Typed(
        "jsonpath", "JSONPATH", Kind.TEXT,
        prints({"$.a[*] ? (@ > 1)": '$."a"[*]?(@ > 1)', "$": "$", 'strict $."é"': 'strict $."é"'}),
    ),
    Typed(
        "hstore", "HSTORE", Kind.TEXT,
        prints({
            "": "", 'a=>NULL, "NULL"=>"NULL"': '"a"=>NULL, "NULL"=>"NULL"', '"\n"=>"\t~|"': '"\n"=>"\t~|"',
            'bb=>1, é=>2, b=>3, aa=>""': '"b"=>"3", "aa"=>"", "bb"=>"1", "é"=>"2"',
            r'''"a\"b\\"=>"c'd,e=>f", ""=>"日本"''': r'''""=>"日本", "a\"b\\"=>"c'd,e=>f"''',
        }),
        setup=(extension("hstore"),),
    ),
    Typed(
        "composite", "{schema}.addr", Kind.TEXT,
        [
            Case("""('Main St, "1"', 12345, '2024-01-01', NULL)""", '("Main St, ""1""",12345,2024-01-01,)'),
            Case("(NULL, NULL, NULL, NULL)", "(,,,)"),
            Case("('', 0, '0044-03-15 BC', 'c,d')", '("",0,"0044-03-15 BC","c,d")'),
            Case(r"('\', -1, 'infinity', '')", r'("\\",-1,infinity,"")'),
        ],
        setup=("CREATE TYPE {schema}.addr AS (street TEXT, zip INT, since DATE, mood {schema}.mood)",),
    ),
    # Debezium's session prints an interval inside of a composite in another style.
    Typed(
        "composite", "{schema}.spell", Kind.TEXT,
        [Case("ROW('1 mon 02:03')", "(P1MT2H3M)", damaged="rc"), Case("ROW(NULL)", "()")],
        setup=("CREATE TYPE {schema}.spell AS (length INTERVAL)",),
    ),
    Typed(
        "point", "POINT", Kind.BYTES,
        [
            Case("'(1,2)'", wkb(1, 2)), Case("'(-0,1e300)'", wkb(-0.0, 1e300)), Case("'(NaN,NaN)'", wkb(math.nan, math.nan)),
            Case("'(Infinity,-Infinity)'", wkb(math.inf, -math.inf)), Case("'(5e-324,0.1)'", wkb(5e-324, 0.1)),
        ],
    ),
)  # fmt: skip


def ranges(name: str, printed: Mapping[str, str]) -> Typed:
    """A column of ranges: an empty one, one without bounds, and the given ones."""
    return Typed(name, name, Kind.TEXT, prints({"empty": "empty", "(,)": "(,)", **printed}))


def multiranges(name: str, printed: Mapping[str, str]) -> Typed:
    """A column of multiranges: an empty one, one without bounds, and the given ones."""
    return Typed(name, name, Kind.TEXT, prints({"{}": "{}", "{(,)}": "{(,)}", **printed}))


NEW_YEAR = '"2024-01-01 00:00:00'
RANGES = (
    ranges("int4range", {"[1,10]": "[1,11)", "(,5]": "(,6)", "[-2147483648,]": "[-2147483648,)"}),
    ranges("int8range", {"(1,10]": "[2,11)", "[9223372036854775806,]": "[9223372036854775806,)"}),
    ranges("numrange", {"[1.50,2.5]": "[1.50,2.5]", "(-Infinity,NaN)": "(-Infinity,NaN)", "(1,2]": "(1,2]"}),
    ranges(
        "tsrange",
        {
            "[2024-01-01,2024-02-01 00:00:00.5)": f'[{NEW_YEAR}","2024-02-01 00:00:00.5")',
            "(2024-01-01,infinity)": f'({NEW_YEAR}",infinity)',
            '["0044-03-15 BC",1500-01-01]': '["0044-03-15 00:00:00 BC","1500-01-01 00:00:00"]',
        },
    ),
    ranges(
        "tstzrange",
        {
            "[2024-01-01 02:00:00+02,2024-02-01 00:00:00+00)": f'[{NEW_YEAR}+00","2024-02-01 00:00:00+00")',
            "(-infinity,2024-01-01 00:00+00)": f'(-infinity,{NEW_YEAR}+00")',
        },
    ),
    ranges(
        "daterange",
        {
            "[2024-01-01,2024-01-31]": "[2024-01-01,2024-02-01)", "[-infinity,infinity)": "[-infinity,infinity)",
            "[0001-01-01,9999-12-30]": "[0001-01-01,9999-12-31)",
        },
    ),
    multiranges("int4multirange", {"{[1,2],[3,4],[9,]}": "{[1,5),[9,)}"}),
    multiranges("int8multirange", {"{[5,8),[1,3)}": "{[1,3),[5,8)}"}),
    multiranges("nummultirange", {"{[1.50,2.5],(3,NaN)}": "{[1.50,2.5],(3,NaN)}"}),
    multiranges("tsmultirange", {"{[2024-01-01,infinity)}": f'{{[{NEW_YEAR}",infinity)}}'}),
    multiranges("tstzmultirange", {"{[2024-01-01 02:00+02,]}": f'{{[{NEW_YEAR}+00",)}}'}),
    multiranges("datemultirange", {"{[2024-01-01,2024-01-31],(,2023-01-01)}": "{(,2023-01-01),[2024-01-01,2024-02-01)}"}),
)  # fmt: skip


def arrays(
    element: str,
    ddl: str,
    printed: Mapping[str, str],
    damaged: Mapping[str, str] | None = None,
    null: bool = True,
) -> Typed:
    """A column of arrays: an empty one, one with a NULL element unless that stops the connector, and the given ones.

    :param damaged: arrays that Debezium sends as others.
    """
    given = {"{}": "{}", **({"{NULL}": "{NULL}"} if null else {}), **printed}
    return Typed(f"{element}[]", f"{ddl}[]", Kind.TEXT, prints(given) + prints(damaged or {}, damaged="rc"))


def same_array(values: Iterable[str]) -> dict[str, str]:
    """An array of texts, which PostgreSQL prints with quotes only where they are needed."""

    def item(text: str) -> str:
        is_plain = text and text.upper() != "NULL" and not set(text) & set(' \t\n\r\v\f"\\{},')
        return text if is_plain else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    printed = "{" + ",".join(map(item, values)) + "}"
    return {printed: printed}


# Debezium sends an array of more dimensions as its outer elements, each NULL, and forgets another lower bound than 1.
SHAPES = {"{{1,2},{3,4}}": "{{1,2},{3,4}}", "[2:3]={7,8}": "[2:3]={7,8}"}
UUIDS = "{123e4567-e89b-12d3-a456-426614174000,00000000-0000-0000-0000-000000000000}"
ARRAYS = (
    arrays("smallint", "SMALLINT", {"{-32768,32767,NULL}": "{-32768,32767,NULL}"}),
    arrays("integer", "INTEGER", {"{ 1, null,-2147483648}": "{1,NULL,-2147483648}"}, SHAPES),
    arrays("bigint", "BIGINT", {"{9007199254740993,-9223372036854775808}": "{9007199254740993,-9223372036854775808}"}),
    arrays("boolean", "BOOLEAN", {"{true,false,NULL}": "{t,f,NULL}"}),
    arrays(
        "real", "REAL",
        {"{0.1,16777216,1e-45,-0,NaN,Infinity,-Infinity}": "{0.1,1.6777216e+07,1e-45,-0,NaN,Infinity,-Infinity}"},
    ),
    arrays(
        "double precision", "DOUBLE PRECISION",
        {
            "{0.1,1e22,5e-324,-0,NaN,-Infinity,530534380853495170}":
            "{0.1,1e+22,5e-324,-0,NaN,-Infinity,5.3053438085349517e+17}",
        },
    ),
    arrays("numeric", "NUMERIC", {"{1.50,2,1e-7,-0.00,NULL}": "{1.50,2,0.0000001,0.00,NULL}"}),
    arrays("numeric", "NUMERIC(10,2)", {"{1.5,-99999999.99}": "{1.50,-99999999.99}"}),
    arrays("numeric", "NUMERIC(5,-2)", {"{9999900,-149,49}": "{9999900,-100,0}"}),
    arrays("numeric", "NUMERIC(3,5)", {"{0.00999,0}": "{0.00999,0.00000}"}),
    arrays(
        "date", "DATE",
        {"{2024-02-29,1582-10-15,infinity,-infinity,10000-1-1}": "{2024-02-29,1582-10-15,infinity,-infinity,10000-01-01}"},
        {"{1582-10-10}": "{1582-10-10}", "{4713-01-01 BC}": '{"4713-01-01 BC"}'},
    ),
    arrays(
        "timestamp without time zone", "TIMESTAMP",
        {
            "{2024-02-29 12:34:56.789012,9999-12-31,2024-01-01 00:00:00.12}":
            '{"2024-02-29 12:34:56.789012","9999-12-31 00:00:00","2024-01-01 00:00:00.12"}',
            "{0001-01-01,1582-10-04 23:59:59.5,0044-03-15 12:00 BC,infinity,-infinity}":
            '{"0001-01-01 00:00:00","1582-10-04 23:59:59.5","0044-03-15 12:00:00 BC",infinity,-infinity}',
        },
        {"{1582-10-10}": '{"1582-10-10 00:00:00"}'},
    ),
    arrays(
        "timestamp with time zone", "TIMESTAMPTZ",
        {
            "{2024-02-29 12:34:56.789012+02,9999-12-31 23:59:59.999999+00,NULL}":
            '{"2024-02-29 10:34:56.789012+00","9999-12-31 23:59:59.999999+00",NULL}',
            "{infinity,294276-12-31 23:59:59.9+00}": '{infinity,"294276-12-31 23:59:59.9+00"}',
        },
        {"{1582-10-10+00}": '{"1582-10-10 00:00:00+00"}', "{4713-01-01+00 BC}": '{"4713-01-01 00:00:00+00 BC"}'},
    ),
    arrays(
        "timestamp without time zone", "TIMESTAMP(3)",
        {"{2024-02-29 12:34:56.7,2024-02-29 12:34:56}": '{"2024-02-29 12:34:56.7","2024-02-29 12:34:56"}'},
    ),
    arrays("timestamp with time zone", "TIMESTAMPTZ(0)", {"{2024-02-29 12:34:56.7+00}": '{"2024-02-29 12:34:57+00"}'}),
    arrays("bytea", "BYTEA", {r'{"\\x0100","\\x",NULL}': r'{"\\x0100","\\x",NULL}'}),
    arrays("hstore", "HSTORE", {r'{a=>1,"","b=>NULL",NULL}': r'{"\"a\"=>\"1\"","","\"b\"=>NULL",NULL}'}),
    arrays(
        "text", "TEXT", {**same_array(HOSTILE), '{NULL,"NULL","null",""}': '{NULL,"NULL","null",""}'},
        {"{{a,b},{c,d}}": "{{a,b},{c,d}}"},
    ),
    arrays("character varying", "VARCHAR(20)", same_array(("a,b", " x ", "", "😀"))),
    arrays("character varying", "VARCHAR", same_array(("a", "x" * 5000))),
    arrays("character", "BPCHAR", same_array(("ab  ", "a"))),
    arrays("character", "CHAR(4)", {'{ab,abcd,""}': '{"ab  ",abcd,"    "}'}),
    arrays("citext", "CITEXT", same_array(("Abc", "ABC", ""))),
    arrays("enum", "{schema}.mood", same_array(("sad", "c,d", "", 'it\'s, "fine"', "NULL")), null=False),
    arrays("uuid", "UUID", {UUIDS: UUIDS}),
    arrays("json", "JSON", {r'{"{\"a\":  1.50}","null",NULL}': r'{"{\"a\":  1.50}","null",NULL}'}),
    arrays("jsonb", "JSONB", {r'{"{\"a\":  1.50}","null",1e2,NULL}': r'{"{\"a\": 1.50}","null",100,NULL}'}),
    arrays("inet", "INET", {"{192.168.0.1/24,::1,NULL}": "{192.168.0.1/24,::1,NULL}"}),
    arrays("cidr", "CIDR", {"{192.168.0.0/24,::/0}": "{192.168.0.0/24,::/0}"}),
    arrays("macaddr", "MACADDR", {"{08:00:2b:01:02:03}": "{08:00:2b:01:02:03}"}),
)  # fmt: skip
