"""The stages as operators: preflight, connector, table, drain, verify, approve, purge, seal; and dead letters."""
