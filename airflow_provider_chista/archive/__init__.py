"""The stages themselves, plain Python without Airflow: window, preflight, drain, barrier, verify, purge, seal, ledger."""
