"""Every Dag that `archives.yaml` describes: a table more is three lines there, and nothing here."""

from pathlib import Path

from airflow_provider_chista.config import load_dags

load_dags(Path(__file__).with_name("archives.yaml"))
