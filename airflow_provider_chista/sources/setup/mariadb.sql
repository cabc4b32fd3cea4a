-- Control tables of airflow-provider-chista for MariaDB 10.6 or later. Run once as an administrator; running it again changes nothing.
-- The connector captures all four tables. Grants: docs/grants.md.
CREATE DATABASE IF NOT EXISTS chista CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Written by the connector's heartbeat.action.query, so that its offset moves on an idle source.
CREATE TABLE IF NOT EXISTS chista.heartbeat (
    id VARCHAR(200) NOT NULL,
    beats BIGINT NOT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Written by the verify user: the barrier waits until a marker's token has travelled the whole stream.
CREATE TABLE IF NOT EXISTS chista.marker (
    id VARCHAR(200) NOT NULL,
    token VARCHAR(64) NOT NULL,
    position TEXT NULL,
    nudges BIGINT NOT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Debezium's signal table (signal.data.collection): requests for incremental snapshots.
CREATE TABLE IF NOT EXISTS chista.`signal` (
    id VARCHAR(64) NOT NULL,
    type VARCHAR(32) NOT NULL,
    data TEXT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- One row for each purged row, written in the transaction that deletes it.
CREATE TABLE IF NOT EXISTS chista.purge_log (
    id BIGINT NOT NULL AUTO_INCREMENT,
    batch_id VARCHAR(64) NOT NULL,
    table_name VARCHAR(200) NOT NULL,
    row_key TEXT NOT NULL,
    row_hash CHAR(64) NOT NULL,
    PRIMARY KEY (id),
    KEY purge_log_batch (batch_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
