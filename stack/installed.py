"""Looks at the installed provider from inside its environment: ``python -I installed.py``. Needs nothing but the provider.

Ends with status 1 and what was found when something is missing.
"""

import importlib
import json
import os
import pkgutil
import subprocess
import sys
import tempfile
from importlib import metadata, resources
from pathlib import Path
from types import ModuleType
from typing import Any

DISTRIBUTION = "airflow-provider-chista"
PACKAGE = "airflow_provider_chista"
_KINDS = (".css", ".html", ".java", ".js", ".json", ".sql", ".svg", "py.typed")


def modules(package: ModuleType) -> list[str]:
    """Every module of the package; ``__main__`` would run."""
    found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.", onerror=_stop)
    return [module.name for module in found if not module.name.endswith("__main__")]


def _stop(name: str) -> None:
    raise ImportError(f"{name} cannot be imported") from sys.exc_info()[1]


def files(distribution: metadata.Distribution) -> list[str]:
    """What was installed, without what Python compiled."""
    listed = [str(file) for file in distribution.files or () if "__pycache__" not in file.parts]
    missing = [name for name in listed if not Path(str(distribution.locate_file(name))).is_file()]
    assert not missing, f"listed and not there: {missing}"
    strange = [name for name in listed if name.split("/")[0].split("-")[0] != PACKAGE]
    assert not strange, f"not of the package: {strange}"
    absent = [kind for kind in _KINDS if not any(name.endswith(kind) for name in listed)]
    assert not absent, f"no file {', '.join(absent)}"
    assert any(name.endswith("licenses/LICENSE") for name in listed), "no licence"
    return listed


def airflow(*words: str) -> Any:
    """The answer of an ``airflow`` command, as JSON."""
    command = [str(Path(sys.executable).with_name("airflow")), *words, "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"airflow {' '.join(words)} ended with {done.returncode}:\n{done.stderr}"
    # Warnings of a new AIRFLOW_HOME may come before it.
    return json.loads(done.stdout[done.stdout.index("[") :])


def main() -> None:
    """Look, and say what is there."""
    package = importlib.import_module(PACKAGE)
    assert Path(str(package.__file__)).is_relative_to(sys.prefix), (
        f"{package.__file__} is not of {sys.prefix}"
    )
    distribution = metadata.distribution(DISTRIBUTION)
    print(f"{DISTRIBUTION} {distribution.version}, Python {sys.version.split()[0]}")
    print(f"{len(files(distribution))} files, all there: {', '.join(_KINDS)}, the licence; no others")
    for name in (imported := modules(package)):
        importlib.import_module(name)
    print(f"{len(imported)} modules can be imported")
    for point in distribution.entry_points:
        point.load()
        print(f"entry point {point.group}: {point.value}")
    schema = json.loads((resources.files(PACKAGE) / "config" / "archives.schema.json").read_text())
    assert schema["properties"], "the schema of archives in YAML is empty"
    (information,) = airflow("providers", "get", DISTRIBUTION)
    assert information["Version"] == distribution.version, information
    print(f"airflow providers get: {information}")
    hooks = {hook["connection_type"]: hook for hook in airflow("providers", "hooks")}
    for connection in ("kafka_connect", "schema_registry"):
        assert hooks[connection]["package_name"] == DISTRIBUTION, hooks[connection]
        print(f"airflow providers hooks: {connection} by {hooks[connection]['class']}")
    assert "chista" in {plugin["name"] for plugin in airflow("plugins")}, "Airflow did not load the plugin"
    print("airflow plugins: chista")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        os.environ.update(AIRFLOW_HOME=home, AIRFLOW__CORE__LOAD_EXAMPLES="False")
        try:
            main()
        except (AssertionError, ImportError, KeyError, ValueError) as error:
            sys.exit(f"the installed provider is not whole: {error!r}")
