"""The stages as operators: preflight, connector, table, partitions, drain, verify, approve, purge, seal; and dead letters."""
