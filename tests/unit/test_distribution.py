"""Wheel and sdist hold what the repository has of the package, and nothing else. ``make package`` installs the wheel too."""

from __future__ import annotations

import email
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from airflow_provider_chista import __version__
from stack.settings import ROOT

PACKAGE = "airflow_provider_chista"
NAME = f"{PACKAGE}-{__version__}"
DATA = (
    "py.typed",
    "config/archives.schema.json",
    "debezium/converter/KeepNulls.java",
    "sources/setup/mariadb.sql",
    "sources/setup/mysql.sql",
    "sources/setup/postgres.sql",
    "web/static/icon.svg",
    "web/static/page.css",
    "web/static/page.html",
    "web/static/page.js",
)


def build(target: str, folder: Path, into: Path) -> Path:
    """What the build backend makes of a folder."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(into)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    (made,) = into.iterdir()
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", ROOT, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def sources() -> set[str]:
    """Files of the package in the repository."""
    found = (ROOT / PACKAGE).rglob("*")
    return {
        str(path.relative_to(ROOT)) for path in found if path.is_file() and path.parent.name != "__pycache__"
    }


def read(wheel: Path, name: str) -> str:
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(f"{NAME}.dist-info/{name}").decode()


def test_the_wheel_has_every_file_of_the_package_and_no_other(wheel: Path, sources: set[str]) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in names if not name.startswith(f"{NAME}.dist-info/")} == sources
    assert {f"{PACKAGE}/{name}" for name in DATA} <= names


def test_the_sdist_has_what_the_wheel_is_built_of_and_no_tests_or_services(
    sdist: Path, sources: set[str]
) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.removeprefix(f"{NAME}/") for name in archive.getnames()}
    # The build backend adds the repository's list of files to ignore.
    assert names - {".gitignore"} == sources | {
        "README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", "PKG-INFO",
    }  # fmt: skip


def test_the_sdist_builds_the_same_wheel(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (tmp_path / "wheel").mkdir()
    again = build("wheel", tmp_path / "unpacked" / NAME, tmp_path / "wheel")
    assert (again.name, again.read_bytes()) == (wheel.name, wheel.read_bytes())


def test_the_wheel_announces_provider_plugin_and_licence(wheel: Path) -> None:
    assert read(wheel, "entry_points.txt").split("\n") == [
        "[airflow.plugins]",
        "chista = airflow_provider_chista.plugin:ChistaPlugin",
        "",
        "[apache_airflow_provider]",
        "provider_info = airflow_provider_chista.provider_info:get_provider_info",
        "",
    ]
    assert read(wheel, "licenses/LICENSE") == (ROOT / "LICENSE").read_text()
    metadata = email.message_from_string(read(wheel, "METADATA"))
    assert (metadata["Version"], metadata["License-Expression"]) == (__version__, "Apache-2.0")
    assert metadata["Requires-Python"] == ">=3.11"
