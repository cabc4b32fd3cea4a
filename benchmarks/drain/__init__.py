"""The drain beside its limits and other ways into ClickHouse; rows and events are made once and kept."""
