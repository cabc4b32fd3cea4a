"""``docker-compose.yaml`` as Compose's own loader resolves it (no engine is needed, but Go is)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from stack import drift, drift_cluster
from stack.settings import ROOT, Stack

pytestmark = [
    pytest.mark.integration,
    # The drift itself is compared without Go too: tests/unit/stack/test_compose_drift.py.
    pytest.mark.skipif(
        shutil.which("go") is None, reason="Compose's loader is a Go program, and there is no go here"
    ),
]


@pytest.fixture(scope="module")
def loader() -> Path:
    version = Stack().versions["COMPOSE_GO_VERSION"]
    folder = Stack().cache / f"compose-go-{version}"
    if not (folder / "cmd").exists():
        subprocess.run(
            ["go", "install", f"github.com/compose-spec/compose-go/v2/cmd@{version}"],
            env={**os.environ, "GOBIN": str(folder), "GOFLAGS": "-mod=mod"},
            check=True,
        )
    return folder / "cmd"


def load(
    loader: Path, file: Path, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [loader, "-format", "json", file],
        cwd=file.parent,
        env={"PATH": os.environ["PATH"], **(environment or {})},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def model(loader: Path) -> dict[str, Any]:
    done = load(loader, ROOT / "docker-compose.yaml")
    assert done.returncode == 0, done.stderr
    loaded: dict[str, Any] = json.loads(done.stdout)
    return loaded


def test_composes_own_model_agrees_with_the_native_stack(model: dict[str, Any]):
    assert drift.differences(model, Stack()) == []
    assert drift_cluster.differences(model, Stack()) == []


def test_our_reading_of_the_files_is_composes_reading(model: dict[str, Any]):
    assert drift.containers(model, ROOT) == drift.containers(drift.load(ROOT), ROOT)


def test_every_mounted_file_exists(model: dict[str, Any]):
    mounted = {file for container in drift.containers(model, ROOT).values() for file in container.files}
    assert [file for file in sorted(mounted) if not (ROOT / file).exists()] == []


def test_nothing_is_published_beyond_loopback(model: dict[str, Any]):
    ports = [port for container in drift.containers(model, ROOT).values() for port in container.ports]
    assert ports
    assert {host for host, _, _ in ports} == {"127.0.0.1"}


def test_the_loader_notices_a_broken_file(loader: Path, tmp_path: Path):
    broken = tmp_path / "docker-compose.yaml"
    broken.write_text("services:\n  kafka:\n    image: apache/kafka\n    health_check: {}\n")
    done = load(loader, broken)
    assert done.returncode != 0
    assert "health_check" in done.stderr
