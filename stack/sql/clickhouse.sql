-- Run by user chista at each start; its databases are also the limits of its grants.
CREATE DATABASE IF NOT EXISTS archive_mysql;
CREATE DATABASE IF NOT EXISTS archive_mariadb;
CREATE DATABASE IF NOT EXISTS archive_postgres;
CREATE DATABASE IF NOT EXISTS live_mysql;
CREATE DATABASE IF NOT EXISTS live_mariadb;
CREATE DATABASE IF NOT EXISTS live_postgres;
CREATE DATABASE IF NOT EXISTS chista;
