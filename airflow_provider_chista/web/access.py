"""Who may see what: everything that the page takes from Airflow's internals, which are no public interface, is here.

No ``from __future__ import annotations``: FastAPI reads the annotations of dependencies when the module is loaded.
"""

from typing import Annotated

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_view
from fastapi import Depends

LOGGED_IN = Depends(requires_access_view(AccessView.WEBSITE))
"""Dependency of every route: 401 without a login, 403 for a user who may not use Airflow's website."""


def readable_dags(user: GetUserDep) -> set[str]:
    """Ids of the DAGs that the user may read, filtered as Airflow's own lists; one that Airflow lacks is not among them."""
    return get_auth_manager().get_authorized_dag_ids(user=user, method="GET")


ReadableDags = Annotated[set[str], Depends(readable_dags)]
