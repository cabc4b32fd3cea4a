"""The command line ``airflow chista``: definitions here are light, commands are imported when they run."""
