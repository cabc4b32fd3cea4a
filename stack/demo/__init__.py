"""``make demo``: the whole path on real data, shown on a terminal.

The demo plays three parts: the DBA who loads the tables, the application that writes to them, and the person who approves
the purge. Everything else is done by the DAGs in ``dags/``, which it triggers and follows through Airflow's REST interface.
Every number that it prints is read by SQL from the source, from ClickHouse or from the ledger, and compared with what plain
Python expects.

Repeating it works on the same stack, without emptying anything: the tables are brought back to their first state by the
smallest change (rows that an earlier demo purged are inserted again, what its application changed is changed back). Those are
ordinary changes by an application, so they reach the archive through the connector, as new versions of rows that it has.

Environment: ``DEMO_ASK=1`` asks on the terminal before each purge; ``DEMO_TIMEOUT`` is the limit in seconds (1800).
"""
