"""Draw the rooms and the arrows between them into docs/architecture.md, from the imports in the code.

    rooms_picture.py            write the picture and the table of rooms
    rooms_picture.py --check    write nothing; fail if they are not what the code says

An arrow means "imports". An arrow that a longer way of arrows implies is left out, so that the picture
can be read; import-linter's contracts (pyproject.toml) say which arrows are allowed.
"""

from __future__ import annotations

import argparse
import ast
import sys
from pathlib import Path
from typing import TypeAlias

import grimp

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "architecture.md"
BEGIN = "<!-- rooms: drawn by `make docs` from the imports in the code; do not edit -->"
END = "<!-- rooms: end -->"
PACKAGE = "cardbench"
SPLIT = (f"{PACKAGE}.emulator",)
"""Rooms that are drawn by their parts, because arrows between the parts matter."""

Arrows: TypeAlias = dict[str, set[str]]


def rooms(modules: set[str]) -> list[str]:
    """Return the packages that are drawn: the rooms, and the parts of a split room."""
    drawn = set()
    for module in modules:
        parts = module.split(".")
        room = ".".join(parts[:2])
        if len(parts) > 1 and not parts[1].startswith("_"):
            drawn.add(".".join(parts[:3]) if room in SPLIT and len(parts) > 2 else room)
    return sorted(drawn - set(SPLIT))


def room_of(module: str, drawn: list[str]) -> str | None:
    """Return the drawn room that a module lies in."""
    return next((room for room in drawn if f"{module}.".startswith(f"{room}.")), None)


def arrows_between(drawn: list[str], graph: grimp.ImportGraph) -> Arrows:
    """Return which room imports which."""
    arrows: Arrows = {room: set() for room in drawn}
    for module in graph.modules:
        importer = room_of(module, drawn)
        for imported in graph.find_modules_directly_imported_by(module):
            target = room_of(imported, drawn)
            if importer and target and importer != target:
                arrows[importer].add(target)
    return arrows


def without_implied(arrows: Arrows) -> Arrows:
    """Leave out every arrow whose end is reached by a longer way."""

    def reached(start: str, seen: set[str]) -> set[str]:
        for target in arrows[start] - seen:
            seen.add(target)
            reached(target, seen)
        return seen

    beyond = {room: set().union(*(reached(t, set()) for t in ts)) for room, ts in arrows.items()}
    return {room: targets - beyond[room] for room, targets in arrows.items()}


def purpose(room: str) -> str:
    """Return the first line of a package's docstring."""
    source = ROOT.joinpath(*room.split(".")[1:]) / "__init__.py"
    text = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    return text.split("\n", 1)[0]


def draw(arrows: Arrows) -> str:
    """Return the picture (Mermaid) and the table of rooms as Markdown."""
    short = {room: room.removeprefix(f"{PACKAGE}.") for room in arrows}
    node = {room: name.replace(".", "_") for room, name in short.items()}
    lines = [BEGIN, "", "```mermaid", "flowchart TD"]
    for whole in SPLIT:
        parts = [room for room in arrows if room.startswith(f"{whole}.")]
        lines.append(f"    subgraph {whole.removeprefix(f'{PACKAGE}.')}")
        lines.extend(f"        {node[part]}[{part.rsplit('.', 1)[1]}]" for part in parts)
        lines.append("    end")
    lines.extend(f"    {node[room]}" for room in arrows if not room.startswith(SPLIT))
    lines.extend(
        f"    {node[room]} --> {node[target]}"
        for room, targets in without_implied(arrows).items()
        for target in sorted(targets)
    )
    lines.extend(["```", "", "| Room | What it is | Imports |", "| --- | --- | --- |"])
    for room, targets in arrows.items():
        imports = ", ".join(f"`{short[target]}`" for target in sorted(targets)) or "–"
        lines.append(f"| `{short[room]}` | {purpose(room)} | {imports} |")
    return "\n".join([*lines, "", END])


def redrawn(page: str) -> str:
    """Return the page with the picture that the code asks for."""
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + draw(arrows_between(rooms(graph.modules), graph)) + after


def main() -> int:
    """Carry out the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    page = PAGE.read_text(encoding="utf-8")
    wanted = redrawn(page)
    if page == wanted:
        return 0
    if check:
        print(
            f"{PAGE.relative_to(ROOT)} does not show the code as it is: make docs", file=sys.stderr
        )
        return 1
    PAGE.write_text(wanted, encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)} drawn anew")
    return 0


if __name__ == "__main__":
    sys.exit(main())
