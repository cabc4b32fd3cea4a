"""The page's parts say the same, the plugin stays light, and the files are in the package."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from airflow_provider_chista.archive.overview import State
from airflow_provider_chista.plugin import ChistaPlugin
from airflow_provider_chista.provider_info import CONFIGURATION
from tests.unit.docs.pages import code, page, rows, sections

STATIC = Path(__file__).parents[3] / "airflow_provider_chista" / "web" / "static"


def read(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")


def test_every_state_is_documented_named_and_coloured() -> None:
    states = {str(state) for state in State}
    documented = {code(cells[0])[0] for cells in rows(sections(page("page.md"))["States of a window"])}
    assert documented == states
    assert set(re.findall(r'^  \["(\w+)",', read("states.js"), re.MULTILINE)) == states
    assert set(re.findall(r'^\[data-state="(\w+)"\]', read("page.css"), re.MULTILINE)) == states
    light, dark = re.findall(r"^:root[^{]*\{(.*?)^\}", read("page.css"), re.MULTILINE | re.DOTALL)
    colours = {state.removesuffix("_in_part") for state in states}
    for theme in (light, dark):
        assert colours <= set(re.findall(r"--([\w-]+):", theme))


def test_every_option_of_the_page_is_documented() -> None:
    documented = {
        code(cells[0])[0]: code(cells[1])[0] for cells in rows(sections(page("page.md"))["Configuration"])
    }
    assert documented == {name: option["default"] for name, option in CONFIGURATION["options"].items()}


def test_files_that_the_page_names_are_there() -> None:
    named = re.findall(r'"static/([\w.-]+)"', read("page.html"))
    named += [
        name for path in STATIC.glob("*.js") for name in re.findall(r'from "\./([\w.]+)"', read(path.name))
    ]
    named += [view["icon"].removeprefix("chista/static/") for view in ChistaPlugin.external_views]
    named += [view["icon_dark_mode"].removeprefix("chista/static/") for view in ChistaPlugin.external_views]
    assert len(named) > 20
    assert [name for name in named if not (STATIC / name).is_file()] == []


def test_views_have_addresses_of_their_own_below_airflows_base() -> None:
    views = ChistaPlugin.external_views
    assert [view["destination"] for view in views] == ["nav", "dag", "dag_run"]
    assert len({view["url_route"] for view in views}) == len(views)
    assert [view["href"] for view in views if view["href"].startswith(("/", "http"))] == []


def test_the_plugin_loads_no_web_framework_until_it_is_asked_for_its_application() -> None:
    code = (
        "import sys, airflow.plugins_manager; known = set(sys.modules)\n"
        "from airflow_provider_chista.plugin import ChistaPlugin\n"
        "more = set(sys.modules) - known\n"
        "assert not [m for m in more if m.split('.')[0] in ('fastapi', 'starlette', 'clickhouse_connect')], more\n"
        "assert not [m for m in more if m.startswith('airflow_provider_chista.web')]\n"
        "app, = ChistaPlugin().fastapi_apps\n"
        "assert app['url_prefix'] == '/chista' and 'airflow_provider_chista.web.app' in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
