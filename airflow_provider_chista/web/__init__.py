"""The page in Airflow's UI; only the API server imports what is here."""
