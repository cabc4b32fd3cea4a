"""The parts of the measurement, each a race and the figures that follow from it."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.drain import contestants, events
from benchmarks.drain.copy import first_copy
from benchmarks.drain.idle import nothing_to_do
from benchmarks.drain.race import Entrant, Result, race
from benchmarks.drain.report import Figure, ratio
from benchmarks.drain.shapes import orders, shapes

SINGLE_INSERTS = 300
"""Messages that are inserted one by one: enough for a rate."""


def speed(rows: int, rounds: int) -> list[Figure]:
    """The drain beside its limit, two processes, and other ways into ClickHouse."""
    one = events.of(orders(rows))
    two = events.copied(one, "two", partitions=2)
    results = race(
        [
            Entrant("consume", contestants.consume, one, writes=False),
            Entrant("drain", contestants.drain, one),
            Entrant("two", contestants.drain, two, processes=2),
            Entrant("bare", contestants.without_duties, one),
            Entrant("hand", contestants.by_hand, one),
            Entrant("engine", contestants.kafka_engine, one),
            Entrant("each", contestants.insert_each, one, limit=SINGLE_INSERTS),
        ],
        rounds,
    )
    drain, consume, pair = results["drain"], results["consume"], results["two"]
    engine, each = results["engine"], results["each"]
    return [
        Figure("bare tuned `consume()`", consume.rates, "events/s"),
        Figure("one process, one partition, all duties", drain.rates, "events/s", least=300_000),
        _ratio("its share of the bare `consume()`", drain, consume, least=0.27, unit="%"),
        _ratio("its share of the same decoder without duties", drain, results["bare"], unit="%"),
        _ratio("its share of msgspec and Arrow by hand, not strict", drain, results["hand"], unit="%"),
        Figure("its processor time for a million events", drain.cpu, "s"),
        Figure("processor time without duties", results["bare"].cpu, "s"),
        Figure("processor time by hand", results["hand"].cpu, "s"),
        Figure("two processes, two partitions", pair.rates, "events/s"),
        _ratio("two processes to one", pair, drain, least=1.2),
        Figure("ClickHouse's Kafka engine and a materialized view", engine.rates, "events/s"),
        Figure("its wait for the first rows", [more["first"] for more in engine.more], "s"),
        _ratio("one process to the Kafka engine", drain, engine, least=3.5),
        Figure("one INSERT per message", each.rates, "events/s"),
        _ratio("one process to one INSERT per message", drain, each, least=1_000),
    ]


def widths(rows: int, rounds: int) -> list[Figure]:
    """Narrow, wide and long rows."""
    figures = []
    for shape in shapes(rows):
        made = events.of(shape)
        results = race(
            [
                Entrant("drain", contestants.drain, made),
                Entrant("bare", contestants.without_duties, made),
                Entrant("hand", contestants.by_hand, made),
            ],
            rounds,
        )
        drain = results["drain"]
        share = drain.more[0]["bytes"] / shape.rows
        figures += [
            Figure(f"{shape.name}, {share:,.0f} bytes each", drain.rates, "events/s"),
            Figure(f"{shape.name}: JSON", [rate * share / 1e6 for rate in drain.rates], "MB/s"),
            Figure(f"{shape.name}: values", [rate * len(shape.columns) for rate in drain.rates], "cells/s"),
            _ratio(
                f"{shape.name}: share of the same decoder without duties",
                drain,
                results["bare"],
                least=0.7,
                unit="%",
            ),
            _ratio(f"{shape.name}: share of msgspec and Arrow by hand", drain, results["hand"], unit="%"),
        ]
    return figures


def bad_events(rows: int, rounds: int) -> list[Figure]:
    """One in 1,000 events goes to the dead letters."""
    clean = events.of(orders(rows))
    bad = events.copied(clean, "bad", change=events.damaged)
    results = race(
        [Entrant("clean", contestants.drain, clean), Entrant("bad", contestants.drain, bad)], rounds
    )
    return [
        Figure(f"1 in {events.BAD_EVERY:,} events bad", results["bad"].rates, "events/s"),
        _ratio("its share of the clean run", results["bad"], results["clean"], least=0.8, unit="%"),
    ]


def memory(rows: int, rounds: int) -> list[Figure]:
    """Peak memory of a new process that drains a topic, and one ten times as long."""
    short = events.of(orders(rows))
    long = events.copied(short, "ten", times=10)
    try:
        results = race(
            [Entrant("short", contestants.drain, short), Entrant("long", contestants.drain, long)],
            rounds,
            fresh=True,
        )
    finally:
        events.delete(long.topic)
    small, large = ([more["peak"] for more in results[name].more] for name in ("short", "long"))
    return [
        Figure(f"peak memory, {short.records:,} events", small, "MiB", most=400),
        Figure(f"peak memory, {long.records:,} events", large, "MiB", most=400),
        Figure(
            "more for ten times the events",
            [b / a for a, b in zip(small, large, strict=True)],
            "x",
            most=1.1,
        ),
        Figure(f"{long.records:,} events", results["long"].rates, "events/s"),
    ]


PARTS: dict[str, Callable[[int, int], list[Figure]]] = {
    "speed": speed,
    "widths": widths,
    "bad": bad_events,
    "copy": first_copy,
    "idle": nothing_to_do,
    "memory": memory,
}


def _ratio(name: str, result: Result, to: Result, *, least: float | None = None, unit: str = "x") -> Figure:
    return ratio(name, result.rates, to.rates, least=least, unit=unit)
