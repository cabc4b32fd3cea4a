"""docs/yaml.md: its files load, or fail as it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_chista.config import ArchivesError
from airflow_provider_chista.config.reading import read_archives
from tests.unit.docs.pages import blocks, page, sections

PAGE = page("yaml.md")
FILES = blocks(PAGE, "yaml")
(WRONG,) = blocks(sections(PAGE)["What is wrong, and where"], "yaml")


@pytest.mark.parametrize("text", [text for text in FILES if text != WRONG])
def test_a_file_of_the_page_is_right(text: str, tmp_path: Path) -> None:
    file = tmp_path / "archives.yaml"
    file.write_text(text, encoding="utf-8")
    archives, _ = read_archives(file, {})
    assert list(archives) == ["archive_shop"]


def test_the_errors_of_the_page_are_those_of_its_wrong_file(tmp_path: Path) -> None:
    file = tmp_path / "archives.yaml"
    file.write_text(WRONG, encoding="utf-8")
    with pytest.raises(ArchivesError) as caught:
        read_archives(file, {})
    (said,) = blocks(sections(PAGE)["What is wrong, and where"], "text")
    assert str(caught.value).replace(f"{tmp_path}/", "") == said.rstrip()
