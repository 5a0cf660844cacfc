"""The command pages say what the command tables say."""

from __future__ import annotations

import command_pages
import pytest

PAGES = pytest.mark.parametrize("page", command_pages.PAGES, ids=lambda page: page.file)


@PAGES
def test_the_page_is_up_to_date(page: command_pages.Page) -> None:
    written = (command_pages.ROOT / page.file).read_text(encoding="utf-8")
    assert written == command_pages.render(page), "run `make docs`"


@PAGES
def test_the_page_has_a_line_for_each_row(page: command_pages.Page) -> None:
    text = command_pages.render(page)
    for row in command_pages.load(page):
        assert f"| {row.name} |" in text
        assert row.source in text


def test_a_page_that_is_not_up_to_date_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command_pages, "ROOT", tmp_path)
    (command_pages.ROOT / "docs").mkdir()
    assert command_pages.main(["--check"]) == 1
    assert "docs/sam-commands.md" in capsys.readouterr().err
    assert command_pages.main([]) == 0
    assert command_pages.main(["--check"]) == 0


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([0], "–"),
        ([4], "04"),
        ([4, 8], "04, 08"),
        (range(1, 256), "01…FF"),
        (range(10, 211, 8), "0A…D2 step 08"),
        ([3, 4, 6], "03, 04, 06"),
    ],
)
def test_lengths_are_written_short(numbers: list[int], text: str) -> None:
    assert command_pages.lengths(numbers) == text
