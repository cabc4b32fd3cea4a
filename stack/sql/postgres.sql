-- Demo schemas, tables, grants and the publication of the stack's PostgreSQL. Run by the superuser in database shipment_db after
-- postgres-databases.sql (roles) and the provider's own airflow_provider_chista/sources/setup/postgres.sql (schema chista, the
-- control tables); every statement may be repeated.
\set ON_ERROR_STOP on
SET client_min_messages = warning;

CREATE TABLE IF NOT EXISTS public.shipments (
    shipment_id BIGINT NOT NULL PRIMARY KEY,
    order_id BIGINT NOT NULL,
    date_created VARCHAR(25),
    status VARCHAR(25)
);

CREATE SCHEMA IF NOT EXISTS employees;
SELECT 'CREATE TYPE employees.gender_t AS ENUM (''M'',''F'')'
WHERE NOT EXISTS (
    SELECT 1 FROM pg_type JOIN pg_namespace ON pg_namespace.oid = pg_type.typnamespace
    WHERE typname = 'gender_t' AND nspname = 'employees'
)
\gexec
CREATE TABLE IF NOT EXISTS employees.departments (
    dept_no CHAR(4) NOT NULL,
    dept_name VARCHAR(40) NOT NULL,
    PRIMARY KEY (dept_no),
    UNIQUE (dept_name)
);
CREATE TABLE IF NOT EXISTS employees.employees (
    emp_no INT NOT NULL,
    birth_date DATE NOT NULL,
    first_name VARCHAR(14) NOT NULL,
    last_name VARCHAR(16) NOT NULL,
    gender employees.gender_t NOT NULL,
    hire_date DATE NOT NULL,
    PRIMARY KEY (emp_no)
);
CREATE TABLE IF NOT EXISTS employees.dept_manager (
    emp_no INT NOT NULL REFERENCES employees.employees (emp_no) ON DELETE CASCADE,
    dept_no CHAR(4) NOT NULL REFERENCES employees.departments (dept_no) ON DELETE CASCADE,
    from_date DATE NOT NULL,
    to_date DATE NOT NULL,
    PRIMARY KEY (emp_no, dept_no)
);
CREATE TABLE IF NOT EXISTS employees.dept_emp (
    emp_no INT NOT NULL REFERENCES employees.employees (emp_no) ON DELETE CASCADE,
    dept_no CHAR(4) NOT NULL REFERENCES employees.departments (dept_no) ON DELETE CASCADE,
    from_date DATE NOT NULL,
    to_date DATE NOT NULL,
    PRIMARY KEY (emp_no, dept_no)
);
CREATE TABLE IF NOT EXISTS employees.titles (
    emp_no INT NOT NULL REFERENCES employees.employees (emp_no) ON DELETE CASCADE,
    title VARCHAR(50) NOT NULL,
    from_date DATE NOT NULL,
    to_date DATE,
    PRIMARY KEY (emp_no, title, from_date)
);
CREATE TABLE IF NOT EXISTS employees.salaries (
    emp_no INT NOT NULL REFERENCES employees.employees (emp_no) ON DELETE CASCADE,
    salary INT NOT NULL,
    from_date DATE NOT NULL,
    to_date DATE NOT NULL,
    PRIMARY KEY (emp_no, from_date)
);

-- chista_capture: Debezium's own user (LOGIN REPLICATION).
GRANT USAGE ON SCHEMA public, employees, chista TO chista_capture;
GRANT SELECT ON ALL TABLES IN SCHEMA public, employees, chista TO chista_capture;
GRANT INSERT, UPDATE, DELETE ON chista.heartbeat, chista.signal TO chista_capture;

-- chista_verify: reads what was captured, writes the barrier's marker and Debezium's signals.
GRANT USAGE ON SCHEMA public, employees, chista TO chista_verify;
GRANT SELECT ON ALL TABLES IN SCHEMA public, employees, chista TO chista_verify;
GRANT INSERT, UPDATE, DELETE ON chista.marker, chista.signal TO chista_verify;
-- A throttled purge asks for the states of other users' sessions and the lag of standbys.
GRANT pg_read_all_stats TO chista_verify;

-- chista_purge: deletes archived rows and writes down which.
GRANT USAGE ON SCHEMA public, employees, chista TO chista_purge;
GRANT SELECT, DELETE ON ALL TABLES IN SCHEMA public, employees TO chista_purge;
GRANT SELECT, INSERT, DELETE ON chista.purge_log TO chista_purge;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA chista TO chista_purge;

-- chista_restore: inserts archived rows again.
GRANT USAGE ON SCHEMA public, employees TO chista_restore;
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public, employees TO chista_restore;

-- The publication is the DBA's: the connector runs with publication.autocreate.mode=disabled. ALTER keeps a repeated run honest
-- when a table was added.
SELECT 'CREATE PUBLICATION chista WITH (publish_via_partition_root = true)'
WHERE NOT EXISTS (SELECT 1 FROM pg_publication WHERE pubname = 'chista')
\gexec
ALTER PUBLICATION chista SET (publish_via_partition_root = true);
ALTER PUBLICATION chista SET TABLE
    public.shipments,
    employees.departments, employees.employees, employees.dept_manager,
    employees.dept_emp, employees.titles, employees.salaries,
    chista.heartbeat, chista.marker, chista.signal, chista.purge_log;
