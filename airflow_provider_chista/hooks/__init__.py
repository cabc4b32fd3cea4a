"""One hook per system: Kafka Connect, Kafka, ClickHouse and the source database."""
