from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stack import prerequisites
from stack.errors import StackError
from stack.prerequisites import PREREQUISITES, Prerequisite, apt_command, explain, in_series, version_of
from stack.services import SERVICES
from stack.settings import Stack


@pytest.fixture
def bare_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH on which there is nothing yet."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def put(folder: Path, name: str, prints: str) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\necho '{prints}'\n")
    program.chmod(0o755)


def found_missing(services: set[str]) -> dict[str, str]:
    return {prerequisite.name: seen for prerequisite, seen in prerequisites.missing(Stack(), services)}


def test_each_missing_program_is_named_with_what_was_found(bare_path: Path):
    assert found_missing({"kafka", "clickhouse"}) == {
        "Java": "found nothing, 17 or newer is needed",
        "Maven": "mvn not found",
        "Node.js with npm": "npm, node not found",
    }


@pytest.mark.parametrize(
    ("prints", "message"),
    [
        ('openjdk version "11.0.2" 2019-01-15', "found 11.0.2, 17 or newer is needed"),
        ('Picked up JAVA_TOOL_OPTIONS: -Xmx2g\nopenjdk version "17.0.15" 2025-04-15', None),
        ('openjdk version "21" 2023-09-19', None),
    ],
)
def test_an_old_java_is_refused_and_a_newer_one_taken(bare_path: Path, prints: str, message: str | None):
    put(bare_path, "java", prints)
    assert found_missing({"kafka"}).get("Java") == message


def test_a_clickhouse_binary_makes_npm_needless(bare_path: Path):
    put(bare_path, "clickhouse", "ClickHouse")
    assert "Node.js with npm" not in found_missing({"clickhouse"})


def test_a_service_that_is_not_started_needs_nothing(bare_path: Path):
    assert found_missing(set()) == {}


def test_the_message_ends_with_the_one_command_that_mends_everything(monkeypatch: pytest.MonkeyPatch):
    lacking = [
        (Prerequisite("Maven", ("maven",), lambda stack: None, ()), "mvn not found"),
        (Prerequisite("a C compiler", ("gcc", "libc6-dev"), lambda stack: None, ()), "gcc not found"),
    ]
    monkeypatch.setattr(prerequisites, "is_root", lambda: False)
    assert explain(lacking).splitlines() == [
        "the machine lacks",
        "  Maven: mvn not found",
        "  a C compiler: gcc not found",
        "On Debian or Ubuntu this mends it:",
        "  sudo apt-get update && sudo apt-get install -y --no-install-recommends maven gcc libc6-dev",
    ]
    monkeypatch.setattr(prerequisites, "is_root", lambda: True)
    assert apt_command(lacking[:1]) == "apt-get update && apt-get install -y --no-install-recommends maven"


def test_of_alternative_packages_the_one_that_the_distribution_has_is_named(bare_path: Path):
    java = [
        (
            Prerequisite("Java", ("openjdk-17-jre-headless|default-jre-headless",), lambda stack: None, ()),
            "old",
        )
    ]
    apt_cache = bare_path / "apt-cache"
    apt_cache.write_text('#!/bin/sh\ntest "$2" != openjdk-17-jre-headless\n')
    apt_cache.chmod(0o755)
    assert prerequisites.packages_of(java) == ["default-jre-headless"]
    apt_cache.write_text("#!/bin/sh\nexit 0\n")
    assert prerequisites.packages_of(java) == ["openjdk-17-jre-headless"]


def test_what_no_package_brings_has_a_remedy_of_its_own(monkeypatch: pytest.MonkeyPatch):
    def no_mirror(stack: Stack) -> str:
        raise StackError("this machine's apt knows no Debian mirror, from which MySQL comes")

    monkeypatch.setattr(prerequisites.downloads, "debian_mirror", no_mirror)
    lacking = prerequisites.missing(Stack(), {"mysql"})
    assert explain(lacking).splitlines() == [
        "the machine lacks",
        "  a Debian mirror: this machine's apt knows no Debian mirror, from which MySQL comes",
        "For a Debian mirror: export DEBIAN_MIRROR=ADDRESS, that of the folder of a Debian mirror which holds dists/",
    ]


def test_a_mirror_of_the_environment_wins():
    assert (
        Stack.from_environment({"DEBIAN_MIRROR": "https://mirror.example/debian/"}).mirror
        == "https://mirror.example/debian"
    )


def test_an_ordinary_user_is_told_and_nothing_is_installed(bare_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(prerequisites, "is_root", lambda: False)
    with pytest.raises(
        StackError, match=r"(?s)the machine lacks\n  Java: .*  sudo apt-get update && sudo .*maven"
    ):
        prerequisites.ensure(Stack(), {"kafka"})


def test_an_old_python_is_refused_with_the_way_to_name_another(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 12))
    with pytest.raises(
        StackError, match=r"Python 3\.11 or newer is needed, this is 3\.10\..*make PYTHON=python3\.11 up"
    ):
        prerequisites.ensure(Stack(), set())


def test_another_machine_is_sent_to_the_containers(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(prerequisites.platform, "machine", lambda: "aarch64")
    with pytest.raises(StackError, match="Linux x86-64, this is Linux aarch64; use  docker compose up"):
        prerequisites.ensure(Stack(), set())


def test_prerequisites_name_services_that_exist():
    needing = {service for prerequisite in PREREQUISITES for service in prerequisite.needed_by}
    assert needing == {*SERVICES, prerequisites.BROWSER, prerequisites.MODEL}


def test_version_numbers_are_found_where_they_stand(bare_path: Path):
    put(bare_path, "mariadbd", "mariadbd  Ver 10.11.19-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64")
    assert version_of(["mariadbd", "--version"], after="Ver ") == (10, 11, 19)
    assert version_of(["no-such-program"]) == ()


@pytest.mark.parametrize(
    ("version", "series", "belongs"),
    [
        ("10.11.19", "10.11", True),
        ("10.11", "10.11", True),
        ("10.1.5", "10.11", False),
        ("15.18", "15", True),
        ("1.5", "15", False),
    ],
)
def test_a_series_is_not_a_prefix_of_the_text(version: str, series: str, belongs: bool):
    assert in_series(version, series) is belongs
