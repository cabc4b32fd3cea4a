-- Control tables of airflow-provider-chista for PostgreSQL 13 or later, in the database that holds the captured tables.
-- Run once as the database's owner; running it again changes nothing. The publication must contain all four tables.
-- Grants: docs/grants.md.
CREATE SCHEMA IF NOT EXISTS chista;

-- Written by the connector's heartbeat.action.query, so that its slot moves on an idle database.
CREATE TABLE IF NOT EXISTS chista.heartbeat (
    id VARCHAR(200) PRIMARY KEY,
    beats BIGINT NOT NULL
);

-- Written by the verify user: the barrier waits until a marker's token has travelled the whole stream.
CREATE TABLE IF NOT EXISTS chista.marker (
    id VARCHAR(200) PRIMARY KEY,
    token VARCHAR(64) NOT NULL,
    position TEXT NULL,
    nudges BIGINT NOT NULL
);

-- Debezium's signal table (signal.data.collection): requests for incremental snapshots.
CREATE TABLE IF NOT EXISTS chista.signal (
    id VARCHAR(64) PRIMARY KEY,
    type VARCHAR(32) NOT NULL,
    data TEXT NULL
);

-- One row for each purged row, written in the transaction that deletes it.
CREATE TABLE IF NOT EXISTS chista.purge_log (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch_id VARCHAR(64) NOT NULL,
    table_name VARCHAR(200) NOT NULL,
    row_key TEXT NOT NULL,
    row_hash CHAR(64) NOT NULL
);

CREATE INDEX IF NOT EXISTS purge_log_batch ON chista.purge_log (batch_id);
