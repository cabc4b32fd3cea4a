-- Demo databases and users of the stack's MariaDB. Run by root after the provider's own
-- airflow_provider_chista/sources/setup/mariadb.sql (database chista, the control tables); every statement may be repeated.
-- The placeholders of passwords are filled in from stack/secrets.env by whoever runs the file.

CREATE DATABASE IF NOT EXISTS test CHARACTER SET utf8mb4;
CREATE TABLE IF NOT EXISTS test.chista (
    id INT NOT NULL PRIMARY KEY,
    name VARCHAR(255) NULL
);

CREATE DATABASE IF NOT EXISTS employees CHARACTER SET utf8mb4;
CREATE TABLE IF NOT EXISTS employees.departments (
    dept_no CHAR(4) NOT NULL,
    dept_name VARCHAR(40) NOT NULL,
    PRIMARY KEY (dept_no),
    UNIQUE KEY (dept_name)
);
CREATE TABLE IF NOT EXISTS employees.employees (
    emp_no INT NOT NULL,
    birth_date DATE NOT NULL,
    first_name VARCHAR(14) NOT NULL,
    last_name VARCHAR(16) NOT NULL,
    gender ENUM ('M','F') NOT NULL,
    hire_date DATE NOT NULL,
    PRIMARY KEY (emp_no)
);
CREATE TABLE IF NOT EXISTS employees.dept_manager (
    emp_no INT NOT NULL,
    dept_no CHAR(4) NOT NULL,
    from_date DATE NOT NULL,
    to_date DATE NOT NULL,
    PRIMARY KEY (emp_no, dept_no),
    FOREIGN KEY (emp_no) REFERENCES employees.employees (emp_no) ON DELETE CASCADE,
    FOREIGN KEY (dept_no) REFERENCES employees.departments (dept_no) ON DELETE CASCADE
);
CREATE TABLE IF NOT EXISTS employees.dept_emp (
    emp_no INT NOT NULL,
    dept_no CHAR(4) NOT NULL,
    from_date DATE NOT NULL,
    to_date DATE NOT NULL,
    PRIMARY KEY (emp_no, dept_no),
    FOREIGN KEY (emp_no) REFERENCES employees.employees (emp_no) ON DELETE CASCADE,
    FOREIGN KEY (dept_no) REFERENCES employees.departments (dept_no) ON DELETE CASCADE
);
CREATE TABLE IF NOT EXISTS employees.titles (
    emp_no INT NOT NULL,
    title VARCHAR(50) NOT NULL,
    from_date DATE NOT NULL,
    to_date DATE NULL,
    PRIMARY KEY (emp_no, title, from_date),
    FOREIGN KEY (emp_no) REFERENCES employees.employees (emp_no) ON DELETE CASCADE
);
CREATE TABLE IF NOT EXISTS employees.salaries (
    emp_no INT NOT NULL,
    salary INT NOT NULL,
    from_date DATE NOT NULL,
    to_date DATE NOT NULL,
    PRIMARY KEY (emp_no, from_date),
    FOREIGN KEY (emp_no) REFERENCES employees.employees (emp_no) ON DELETE CASCADE
);

-- chista_capture: Debezium's own user.
CREATE USER IF NOT EXISTS 'chista_capture'@'%' IDENTIFIED BY '${CHISTA_MARIADB_CAPTURE_PASSWORD}';
GRANT SELECT, RELOAD, SHOW DATABASES, REPLICATION SLAVE, BINLOG MONITOR ON *.* TO 'chista_capture'@'%';
GRANT LOCK TABLES ON test.* TO 'chista_capture'@'%';
GRANT LOCK TABLES ON employees.* TO 'chista_capture'@'%';
GRANT LOCK TABLES ON chista.* TO 'chista_capture'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON chista.heartbeat TO 'chista_capture'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON chista.`signal` TO 'chista_capture'@'%';

-- chista_verify: reads what was captured, writes the barrier's marker and Debezium's signals.
-- TRIGGER: information_schema shows triggers only then. PROCESS: INNODB_FOREIGN lists the foreign keys of the whole server.
-- SLAVE MONITOR: a throttled purge asks for the lag, where this server is a replica.
CREATE USER IF NOT EXISTS 'chista_verify'@'%' IDENTIFIED BY '${CHISTA_MARIADB_VERIFY_PASSWORD}';
GRANT PROCESS, BINLOG MONITOR, SLAVE MONITOR ON *.* TO 'chista_verify'@'%';
GRANT SELECT, TRIGGER ON test.* TO 'chista_verify'@'%';
GRANT SELECT, TRIGGER ON employees.* TO 'chista_verify'@'%';
GRANT SELECT ON chista.* TO 'chista_verify'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON chista.marker TO 'chista_verify'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON chista.`signal` TO 'chista_verify'@'%';

-- chista_purge: deletes archived rows and writes down which.
CREATE USER IF NOT EXISTS 'chista_purge'@'%' IDENTIFIED BY '${CHISTA_MARIADB_PURGE_PASSWORD}';
GRANT SELECT, DELETE ON test.* TO 'chista_purge'@'%';
GRANT SELECT, DELETE ON employees.* TO 'chista_purge'@'%';
GRANT SELECT, INSERT, DELETE ON chista.purge_log TO 'chista_purge'@'%';

-- chista_restore: inserts archived rows again.
CREATE USER IF NOT EXISTS 'chista_restore'@'%' IDENTIFIED BY '${CHISTA_MARIADB_RESTORE_PASSWORD}';
GRANT SELECT, INSERT ON test.* TO 'chista_restore'@'%';
GRANT SELECT, INSERT ON employees.* TO 'chista_restore'@'%';
