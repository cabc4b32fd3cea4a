"""The table of figures: medians, spread, ratios, targets; and the machine they are from."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks import services


@dataclass(frozen=True)
class Figure:
    """One row of the table.

    :param values: of each round. :param unit: also says how they are printed: ``x`` and ``%`` are ratios.
    :param least: and :param most: the target for the median; None: there is none.
    """

    name: str
    values: Sequence[float]
    unit: str
    least: float | None = None
    most: float | None = None

    @property
    def median(self) -> float:
        """Median of the rounds."""
        return statistics.median(self.values)

    def cells(self) -> tuple[str, str, str, str, str]:
        """Name, median, spread, target, whether it is reached."""
        target = reached = ""
        if self.least is not None:
            target, reached = f"≥ {self._text(self.least)}", self._reached(self.median >= self.least)
        if self.most is not None:
            target, reached = f"< {self._text(self.most)}", self._reached(self.median < self.most)
        spread = f"{self._number(min(self.values))} to {self._number(max(self.values))}"
        return self.name, self._text(self.median), spread if len(self.values) > 1 else "", target, reached

    @staticmethod
    def _reached(is_reached: bool) -> str:
        return "yes" if is_reached else "**no**"

    def _number(self, value: float) -> str:
        if self.unit == "%":
            return f"{100 * value:.0f}"
        return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"

    def _text(self, value: float) -> str:
        return f"{self._number(value)} {self.unit}"


HEAD = ("figure", "median", "minimum to maximum", "target", "reached")


def ratio(
    name: str, rates: Sequence[float], to: Sequence[float], *, least: float | None = None, unit: str = "x"
) -> Figure:
    """Ratio of rates: each pair ran side by side."""
    return Figure(name, [a / b for a, b in zip(rates, to, strict=True)], unit, least=least)


def table(figures: Sequence[Figure]) -> str:
    """The figures as a Markdown table."""
    lines = [HEAD, ("---",) * len(HEAD), *(figure.cells() for figure in figures)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine() -> str:
    """:func:`hardware`, and the versions of the services."""
    client = services.clickhouse()
    server = client.server_version
    client.close()
    return f"{hardware()}, ClickHouse {server}, {_servers()}"


def hardware() -> str:
    """Processor, cores, memory, load, and the versions of Python and of libraries."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    libraries = ", ".join(
        f"{name} {version(name)}" for name in ("confluent-kafka", "msgspec", "pyarrow", "clickhouse-connect")
    )
    return (
        f"{model}, {os.cpu_count()} cores, {memory:.0f} GB, load average {os.getloadavg()[0]:.1f} at this moment; "
        f"{platform.system()}, Python {platform.python_version()}, {libraries}"
    )


def _servers() -> str:
    from airflow_provider_chista.debezium.connect import KafkaConnectClient

    with KafkaConnectClient(services.stack().connect_url) as connect:
        debezium = next(iter(connect.plugins().values()), "?")
        kafka = connect.info()["version"]
    with services.source_connection("postgres") as connection:
        postgres = connection.execute("SHOW server_version").fetchone()[0].split()[0]
    return f"Kafka {kafka}, Debezium {debezium}, PostgreSQL {postgres}"
