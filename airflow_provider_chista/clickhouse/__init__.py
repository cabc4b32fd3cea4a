"""ClickHouse: types, table DDL, batch loading, row hash SQL, control tables."""
