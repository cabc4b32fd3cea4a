"""An auth manager of Airflow that lets people read some DAGs and not others, as the larger ones do."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager


class CarefulAuthManager(SimpleAuthManager):
    """A DAG whose id begins with ``secret`` is for administrators."""

    def is_authorized_dag(
        self, *, method: Any, user: Any, access_entity: Any = None, details: Any = None
    ) -> bool:
        known = super().is_authorized_dag(
            method=method, user=user, access_entity=access_entity, details=details
        )
        return known and (user.role == "ADMIN" or not str(details.id).startswith("secret"))
