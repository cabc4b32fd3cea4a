"""``python -m airflow_provider_chista.config FILE…`` checks files of archives; ``--schema`` prints their JSON schema."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from airflow_provider_chista.config.load import load_dags
from airflow_provider_chista.config.problems import ArchivesError


def main() -> int:
    """Check the files, or print the schema; 1 when a file is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_chista.config", description="Check files of archives."
    )
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--schema", action="store_true", help="print the JSON schema, for editors")
    arguments = parser.parse_args()
    if arguments.schema:
        from airflow_provider_chista.config.schema import schema

        sys.stdout.write(json.dumps(schema(), indent=2) + "\n")
    wrong = 0
    for file in arguments.files:
        try:
            dags = load_dags(file.absolute())
        except ArchivesError as error:
            wrong = 1
            sys.stdout.write(f"{error}\n")
        else:
            sys.stdout.write(f"{file}: {', '.join(dags)}\n")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
