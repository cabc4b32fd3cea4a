-- Databases and roles of the stack's PostgreSQL, run by the superuser in database postgres; every statement may be repeated.
-- Passwords come from the environment (stack/secrets.env) by psql's \getenv.
\set ON_ERROR_STOP on
\getenv capture_password CHISTA_POSTGRES_CAPTURE_PASSWORD
\getenv verify_password CHISTA_POSTGRES_VERIFY_PASSWORD
\getenv purge_password CHISTA_POSTGRES_PURGE_PASSWORD
\getenv restore_password CHISTA_POSTGRES_RESTORE_PASSWORD
\getenv airflow_password CHISTA_AIRFLOW_DB_PASSWORD

SELECT format('CREATE ROLE %I %s PASSWORD %L', wanted.name, wanted.attributes, wanted.password)
FROM (VALUES
    ('chista_capture', 'LOGIN REPLICATION', :'capture_password'),
    ('chista_verify', 'LOGIN', :'verify_password'),
    ('chista_purge', 'LOGIN', :'purge_password'),
    ('chista_restore', 'LOGIN', :'restore_password'),
    ('airflow', 'LOGIN', :'airflow_password')
) AS wanted (name, attributes, password)
WHERE NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = wanted.name)
\gexec

-- The metadata of Airflow is a database of its own, owned by its own user; the demo's data is another.
SELECT 'CREATE DATABASE airflow OWNER airflow'
WHERE NOT EXISTS (SELECT 1 FROM pg_database WHERE datname = 'airflow')
\gexec
SELECT 'CREATE DATABASE shipment_db'
WHERE NOT EXISTS (SELECT 1 FROM pg_database WHERE datname = 'shipment_db')
\gexec
