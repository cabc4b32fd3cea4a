"""Whole sets of archive Dags from a YAML file."""

from airflow_provider_chista.config.load import load_dags
from airflow_provider_chista.config.problems import ArchivesError, Problem

__all__ = ["ArchivesError", "Problem", "load_dags"]
