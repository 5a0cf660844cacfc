"""Write the command pages of the documentation from the command tables of the cards.

    command_pages.py            write the pages
    command_pages.py --check    write nothing; fail if a page is not what its table says

A page lists each row: bytes it answers to, lengths, where it is allowed, status words, source.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cardbench.protocol.status import describe

if TYPE_CHECKING:
    from collections.abc import Collection

    from cardbench.emulator.chassis import CommandRow, CommandTable

ROOT = Path(__file__).resolve().parent.parent


class Page(NamedTuple):
    """A page and where its rows come from.

    Attributes:
        file: path below the repository.
        title: heading.
        table: `module:name` of the command table.
        filled_by: module whose import fills the table.
        text: what stands above the table.
        more: `module:name` of a function that writes further sections, in this folder.
        words: `module:name` of what status words mean to these cards, by status word, in this folder.
    """

    file: str
    title: str
    table: str
    filled_by: str
    text: str
    more: str = ""
    words: str = ""


PAGES = (
    Page(
        "docs/calypso-commands.md",
        "Commands of the Calypso card",
        "cardbench.emulator.calypso.table:COMMANDS",
        "cardbench.emulator.calypso",
        "Every command that the software Calypso card answers, on one product or another: a second table\n"
        "says which product has which. `option …` rows are there if startup byte 2 says so. A row that a\n"
        "card does not have is unknown to it: 6D00, or 6B00 where the instruction has other rows.\n"
        "`in a session` and `outside a session` rows are refused elsewhere with 6985. `modifies`: charged\n"
        "to the session buffer; `not digested`: no MAC covers it. SFI 0 is the current EF. A missing Le is\n"
        "no error, but in Get Challenge; data is answered all the same.",
        more="calypso_products:sections",
        words="calypso_products:WORDS",
    ),
    Page(
        "docs/sam-commands.md",
        "Commands of the SAM",
        "cardbench.sam_emulator.table:TABLE",
        "cardbench.sam_emulator",
        "Every command that the software SAM answers, class 80 or 94 (GET RESPONSE also 00). Rows marked\n"
        "`extended mode` are not there on SAM-S1E1 and SAM-S1DX, rows marked `update multiple` not on\n"
        "SAM-S1DX; `unlocked` ones are refused with 6985 while the SAM is locked. Le is never demanded but\n"
        "where an exact one is (Get Challenge, Digest Close); an answer longer than Le is chained with 61xx.",
    ),
)
"""All pages; a card family adds its own."""


def load(page: Page) -> CommandTable[Any]:
    """Return the filled table of a page."""
    importlib.import_module(page.filled_by)
    table: CommandTable[Any] = _named(page.table)
    return table


def lengths(lc: Collection[int]) -> str:
    """Write numbers of data bytes in hexadecimal: `04`, `04, 08`, `01…FF`, `0A…D2 step 08`."""
    numbers = sorted(lc)
    step = numbers[1] - numbers[0] if len(numbers) > 2 else 0
    if step and numbers == list(range(numbers[0], numbers[-1] + 1, step)):
        span = f"{numbers[0]:02X}…{numbers[-1]:02X}"
        return span if step == 1 else f"{span} step {step:02X}"
    return ", ".join(f"{number:02X}" for number in numbers if number) or "–"


def line(row: CommandRow[Any]) -> str:
    """Write one row of the page."""
    cells = (
        f"{row.ins:02X}",
        row.p1.text,
        row.p2.text,
        lengths(row.lc),
        "".join(str(int(case)) for case in sorted(row.cases)),
        row.name,
        ", ".join(sorted(row.traits | ({row.where} - {"anywhere"}))) or "–",
        " ".join(f"{sw:04X}" for sw in sorted(row.answers)),
        row.source,
    )
    return "| " + " | ".join(cells) + " |"


def _named(name: str) -> Any:  # noqa: ANN401 - whatever the page names
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _meaning(page: Page, sw: int) -> str:
    """Say what a status word means to the cards of a page."""
    own: dict[int, str] = _named(page.words) if page.words else {}
    return f"{sw:04X} {own[sw]}" if sw in own else describe(sw)


def render(page: Page) -> str:
    """Write the whole page."""
    table = load(page)
    rows = list(table)
    words = sorted({sw for row in rows for sw in row.answers})
    others: dict[int, list[int]] = {}
    for ins in sorted({row.ins for row in rows}):
        others.setdefault(table.parameter_refusal(ins), []).append(ins)
    parts = [
        f"# {page.title}",
        "<!-- written by `make docs` from the command table; do not edit -->",
        page.text,
        "| INS | P1 | P2 | Lc | Case | Command | Marks | Status words | Source |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n" + "\n".join(map(line, rows)),
        "## Parameters that no row takes",
        "\n".join(
            f"- {describe(sw)}: instruction{'s' if len(those) > 1 else ''} "
            + " ".join(f"{ins:02X}" for ins in those)
            for sw, those in sorted(others.items())
        ),
        "Any other instruction is answered 6D00, any other class 6E00, bytes that are no APDU 6700.",
        "## Status words",
        "\n".join(f"- {_meaning(page, sw)}" for sw in words),
    ]
    if page.more:
        parts += _named(page.more)()
    return "\n\n".join(parts) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the pages, or check them; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="only compare")
    check = parser.parse_args(arguments).check
    stale = []
    for page in PAGES:
        path, text = ROOT / page.file, render(page)
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(page.file)
        if not check:
            path.write_text(text, encoding="utf-8")
    if check and stale:
        print(f"not up to date: {', '.join(stale)}; `make docs` writes them anew", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
