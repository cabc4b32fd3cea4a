"""Changes to the good file that make it wrong: what is replaced, by what, where the error is, and what it says."""

from __future__ import annotations

AGE = "retention: 90 days"
DAY = "time_column: day"
SOURCE, TARGET = "source: shop.orders", "target: archive.orders"

TIME = "write numbers with units, such as 365 days, 12 hours or 1 day 6 hours"
CRON = "write a cron expression such as 0 3 * * *, or @hourly, @daily, @weekly, @monthly, @yearly; null is no schedule"
MOMENT = "write a date, or date and time, in ISO 8601, such as 2024-01-31; without an offset it is UTC"
TEXT = "write a text; put it into quotation marks if it is one"
CONN = "write the id of an Airflow connection: letters, digits, '_', '-' and '.'"
TABLE = "write it as schema.table (MySQL, MariaDB and ClickHouse: database.table)"
TYPE = "write a ClickHouse type, or a mapping of type and, if need be, provable: false"
NAME = "write 1 to 200 printable characters without backslash and without ${"
HOURS = "write the daily window in UTC as HH:MM-HH:MM, such as 22:00-06:00"
LONG = "that is too long; write less than 999999999 days"
PREFIX = "write 1 to 120 letters, digits, '.', '_' or '-'"
ENTRY = "write at least one entry"
SHARE = "max_dead_letter_share"

VALUES = [
    (AGE, "retention: 90", f"8:16: retention is 90; {TIME}"),
    (AGE, "retention: a year", f"8:16: retention is 'a year'; {TIME}"),
    (AGE, "retention:", f"8:15: retention is empty (null); {TIME}"),
    (AGE, "retention: 9999999999 days", f"8:16: retention is '9999999999 days'; {LONG}"),
    (AGE, "approval_timeout: 0 days", "8:23: approval_timeout is '0 days'; write a time above 0"),
    (AGE, "cron: every day", f"8:11: cron is 'every day'; {CRON}"),
    (AGE, "start_date: 2024-02-30", f"8:17: start_date is '2024-02-30'; {MOMENT}"),
    (AGE, "end_date: tomorrow", f"8:15: end_date is 'tomorrow'; {MOMENT}"),
    (AGE, "min_replicas: 0", "8:19: min_replicas is 0; write 1 or more"),
    (AGE, "min_replicas: 1.5", "8:19: min_replicas is 1.5; write a whole number"),
    (AGE, "catchup: yes", "8:14: catchup is 'yes'; write true or false"),
    (AGE, "publication: 12", f"8:18: publication is 12; {TEXT}"),
    (AGE, "publication: ''", "8:18: publication is ''; write a text that is not empty"),
    (AGE, "tags: chista", "8:11: tags is 'chista'; write a list"),
    (AGE, "tags: [a, 1]", f"8:15: an entry of tags is 1; {TEXT}"),
    (AGE, "throttle: fast", "8:15: throttle is 'fast'; write a mapping"),
    (AGE, "throttle: {hours: at night}", f"8:23: hours is 'at night'; {HOURS}"),
    (AGE, "throttle: {rows_per_second: 0}", "8:33: rows_per_second is 0; it must be a number of rows above 0"),
    (AGE, "throttle: {max_load: many}", "8:26: max_load is 'many'; write a whole number"),
    (AGE, "default_args: {weight_rule: up}", "8:33: weight_rule is 'up'; write 'downstream', 'upstream' or 'absolute'"),
    (AGE, f"default_args: {{{SHARE}: 2}}", f"8:43: {SHARE} is 2; write 1.0 or less"),
    (AGE, "connector_overrides: {a.b: [1]}", "8:32: a.b is a list; write a text, a number, true or false"),
    ("connector: orders", r"connector: a\b", rf"6:16: connector is 'a\\b'; {NAME}"),
    ("topic_prefix: orders", "topic_prefix: a b", f"7:19: topic_prefix is 'a b'; {PREFIX}"),
    ("source_conn_id: v", "source_conn_id: a b", f"3:21: source_conn_id is 'a b'; {CONN}"),
    (SOURCE, "source: orders", f"10:17: source is 'orders'; {TABLE}"),
    (TARGET, "target: archive", f"11:17: target is 'archive'; {TABLE}"),
    (DAY, "time_column: true", f"12:22: time_column is true; {TEXT}"),
    (DAY, "on_truncate: apply", "12:22: on_truncate is 'apply'; write 'stop' or 'keep'"),
    (DAY, "method: table", "12:17: method is 'table'; write 'rows' or 'partition'"),
    (DAY, "purge: maybe", "12:16: purge is 'maybe'; write true or false"),
    (DAY, "column_types: {amount: {kind: String}}", f"12:32: amount is a mapping; {TYPE}"),
    (f"\n      - {SOURCE}\n        {TARGET}\n        {DAY}", " []", f"9:13: tables is an empty list; {ENTRY}"),
]  # fmt: skip

KEYS = [
    (DAY, "time_colum: day", "12:9: time_colum is not known here; did you mean time_column?"),
    (DAY, "retention: 1 day", "12:9: retention is not known here; it belongs to an archive or defaults"),
    (AGE, "retenton: 90 days", "8:5: retenton is not known here; did you mean retention?"),
    (AGE, "schedule: '@daily'", "8:5: schedule is not known here; did you mean cron?"),
    (AGE, "time_column: day", "8:5: time_column is not known here; it belongs to a table"),
    (AGE, "pool: nights", "8:5: pool is not known here; it belongs to default_args"),
    (AGE, "max_lag: 5", "8:5: max_lag is not known here; it belongs to throttle"),
    (AGE, "throttle: {wait: 1}", "8:16: wait is not known here; known are max_lag, lag_conn_ids, max_load, rows_per"),
    (AGE, "default_args: {trigger_rule: x}", "8:20: trigger_rule is not known here; known are owner, retries"),
    (AGE, "connector: more", "8:5: connector is here already, in line 6; keep one of the two"),
    (AGE, "5: days", "8:5: a key must be a text; put it into quotation marks"),
    (AGE, "? [a, b]\n    : days", "8:7: a key must be a text; put it into quotation marks"),
    ("archives:", "defaults: {connector: x}\narchives:", "1:12: connector cannot be a default; each archive has its own"),
    ("archives:", "version: 1\narchives:", "1:1: version is not known here; known are defaults, archives"),
    ("purge_conn_id: p", "kafka_conn_id: p", "2:3: the archive orders lacks purge_conn_id; add it, here or in defaults, or"),
    ("source_conn_id: v", "slot: orders", "2:3: the archive orders lacks source_conn_id; add it, here or in defaults"),
    (TARGET, "method: rows", "10:9: a table lacks target; add it"),
    ("archives:", "defaults:", "1:1: the file lacks archives; add it"),
]  # fmt: skip

ONLY_WHEN_LOADED = (
    "every day", "02-30", "9999999999", "0 days", "at night", "rows_per_second", "connector: a", "5: days", "? [",
    "connector: more", "kafka_conn_id: p", "slot: orders",
)  # fmt: skip
"""What a schema cannot know: expressions, dates, bounds of the throttle, keys that stand twice, what the defaults have."""
