from __future__ import annotations

import re
import subprocess

from stack.downloads import maven_properties
from stack.environment import PINNED, pins
from stack.prerequisites import in_series
from stack.settings import ROOT, Stack

VERSIONS = Stack().versions


def test_the_lock_of_python_packages_agrees_with_the_versions_file():
    locked = set((ROOT / "stack" / "constraints.txt").read_text().split("\n"))
    assert [pin for pin in pins(VERSIONS) if pin not in locked] == []
    assert set(PINNED.values()) <= set(VERSIONS)


def test_the_pom_takes_every_version_from_the_versions_file():
    pom = (ROOT / "stack" / "maven" / "pom.xml").read_text()
    asked = set(re.findall(r"\$\{([\w.]+)\}", pom)) - {"chista.output"}
    assert asked == set(maven_properties(VERSIONS))


def test_clickhouse_of_the_image_is_of_the_librarys_series():
    assert in_series(VERSIONS["CLICKHOUSE_VERSION"], VERSIONS["CLICKHOUSE_SERIES"])
    assert VERSIONS["CHDB_VERSION"].startswith(f"{VERSIONS['CLICKHOUSE_SERIES']}.")


def test_versions_stand_in_the_versions_file_only():
    numbers = {value for value in VERSIONS.values() if value.count(".") >= 2}
    files = subprocess.run(
        ["git", "ls-files", "stack", "docker-compose.yaml", "Makefile", ".ci", ":!stack/demo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    own = {"stack/versions.env", "stack/constraints.txt"}
    texts = {file: (ROOT / file).read_text() for file in files if file not in own}
    assert [(file, number) for file, text in texts.items() for number in numbers if number in text] == []
