"""Debezium and Kafka Connect: connector configuration, REST client, offsets, notifications, change events."""
