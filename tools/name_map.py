"""Write the page that maps every name of Keypop's public surface to ours.

    name_map.py            write docs/terminal-names.md
    name_map.py --check    write nothing; fail if the page is not what the names say

`keypop/index.txt` has Keypop's names, `keypop/names.txt` says where each is here. Every name of ours is
looked up by import: one that is wrong or missing stops the run, and so does a Keypop name without ours.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import re
import sys
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
FOLDER = Path(__file__).resolve().parent / "keypop"
PAGE = ROOT / "docs" / "terminal-names.md"

TITLES = {
    "reader": "Reader API",
    "card": "Card API",
    "calypso": "Calypso Card API",
    "legacysam": "Legacy SAM API",
    "symmetric": "Symmetric Crypto API",
    "asymmetric": "Asymmetric Crypto API",
    "generic": "Generic Card API",
}

HEAD = """# Keypop names and ours

<!-- written by `make docs` from tools/keypop and the code; do not edit -->

Every type and member of the CNA Terminal APIs, as Keypop publishes them for Java, and where it is in
cardbench. Each name of ours was imported when this page was written. *of* means: of the object named. The
abilities themselves are told in [The terminal stack](terminal.md).

Java habits and ours: a getter is an attribute; a builder's setter is a keyword argument of a frozen
dataclass; a factory method is a constructor; a container that a command fills is the typed handle that
`prepare_*` returns; an observer is any callable; "not known" is `None`; the exceptions are one tree under
`CardbenchError`. An illegal argument or call at the wrong moment is a `UsageError`, which is a `ValueError`.
"""


class NameMapError(Exception):
    """A name has no counterpart, or the counterpart is not there."""


class Keypop(NamedTuple):
    """A type of Keypop's.

    Attributes:
        api: section of the index.
        name: below the API's root package.
        members: its own, with how many overloads each has.
        deprecated: the type (by an empty name) and members that are deprecated.
    """

    api: str
    name: str
    members: dict[str, int]
    deprecated: frozenset[str]


class Ours(NamedTuple):
    """Where something is here: targets as written, and how it differs."""

    targets: tuple[str, ...]
    how: str = ""


def read_index(text: str) -> tuple[dict[str, str], list[Keypop]]:
    """Read the index: versions by API, and every type."""
    versions: dict[str, str] = {}
    types = []
    api = ""
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            api, version = line.strip("[]").split()
            versions[api] = version
            continue
        head, _, tail = line.partition(":")
        deprecated = {""} if "†" in head else set()
        members: dict[str, int] = {}
        for member in filter(None, (part.strip() for part in tail.split(","))):
            name, _, count = member.replace("†", "").strip().partition("*")
            members[name] = int(count or 1)
            if "†" in member:
                deprecated.add(name)
        types.append(Keypop(api, head.replace("†", "").strip(), members, frozenset(deprecated)))
    return versions, types


def read_names(text: str) -> tuple[dict[str, str], dict[tuple[str, str], Ours]]:
    """Read our names: modules by alias, and targets by API and `Type` or `Type.member`."""
    aliases: dict[str, str] = {}
    ours: dict[tuple[str, str], Ours] = {}
    api = current = ""
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("["):
            api = line.strip("[]")
            continue
        left, _, right = line.partition(" = ")
        if not api:
            aliases[left] = right
            continue
        targets, _, how = right.partition(" | ")
        name = left.strip()
        if left == name:
            current = name
        else:
            name = f"{current}.{name}"
        if (api, name) in ours:
            raise NameMapError(f"{api} {name} is named twice")
        ours[api, name] = Ours(tuple(re.split(r",\s*(?![^(]*\))", targets)), how.strip())
    return aliases, ours


# Looking names up


def usual(member: str) -> str:
    """Return what a Keypop member is called here unless something else is said."""
    if member.isupper():
        return f".{member}"
    bare = member[3:] if re.match(r"get[A-Z]", member) else member
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", bare)
    return f".{spaced.lower()}"


def has_attribute(kind: object, name: str) -> bool:
    """Whether objects of a class have an attribute: on the class, annotated, or set in `__init__`."""
    if hasattr(kind, name):
        return True
    if not inspect.isclass(kind):
        return False
    for parent in kind.__mro__:
        if name in inspect.get_annotations(parent):
            return True
        made = parent.__dict__.get("__init__")
        if not inspect.isfunction(made):
            continue
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(made)))
        except OSError:  # written by the dataclass decorator
            continue
        if any(
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and node.attr == name
            and isinstance(node.value, ast.Name)
            and node.value.id == "self"
            for node in ast.walk(tree)
        ):
            return True
    return False


def look_up(target: str, aliases: dict[str, str]) -> tuple[str, str]:
    """Import what a target names; return it as it is shown, and what it is in a word.

    Raises:
        NameMapError: it is not there, or not public.
    """
    found = re.fullmatch(r"(\w+):([\w.]+)(\((\w*)\))?", target)
    if found is None or found[1] not in aliases:
        raise NameMapError(f"{target!r} is no target")
    module_name, path, call, argument = aliases[found[1]], found[2], found[3], found[4]
    module = importlib.import_module(module_name)
    first, *rest = path.split(".")
    if first not in getattr(module, "__all__", (first,)):
        raise NameMapError(f"{module_name} has no public {first}")
    value: Any = getattr(module, first, None)
    if value is None:
        raise NameMapError(f"{module_name} has no {first}")
    shown = f"{module_name}.{path}"
    for part in rest:
        if not has_attribute(value, part):
            raise NameMapError(f"{shown}: no {part}")
        value = getattr(value, part, None)
    if call is None:
        return shown, _kind(value) if rest else ""
    parameters = inspect.signature(value).parameters
    if argument and argument not in parameters:
        raise NameMapError(f"{shown} takes no {argument}")
    return (f"{shown}({argument}=)", "argument") if argument else (f"{shown}(…)", "constructor")


def _kind(value: object) -> str:
    if inspect.isfunction(value):
        return "method"
    return "attribute" if value is None or inspect.isdatadescriptor(value) else ""


class Row(NamedTuple):
    """A line of the page."""

    keypop: str
    ours: str
    how: str


def rows_of(kind: Keypop, ours: dict[tuple[str, str], Ours], aliases: dict[str, str]) -> list[Row]:
    """Return the lines of one type: itself and its members.

    Raises:
        NameMapError: a name has no counterpart.
    """
    own = ours.get((kind.api, kind.name))
    if own is None:
        raise NameMapError(f"{kind.api} {kind.name} has no counterpart")
    rows = [_row(kind, "", own, aliases)]
    for member in kind.members:
        said = ours.get((kind.api, f"{kind.name}.{member}")) or Ours((usual(member),))
        below = tuple(
            f"{base}{target}" if target[0] in ".(" else target
            for target in said.targets
            for base in (own.targets if target[0] in ".(" else ("",))
        )
        rows.append(_row(kind, member, Ours(below, said.how), aliases))
    return rows


def _row(kind: Keypop, member: str, ours: Ours, aliases: dict[str, str]) -> Row:
    try:
        found = [look_up(target, aliases) for target in ours.targets]
    except NameMapError as error:
        raise NameMapError(f"{kind.api} {kind.name}.{member}: {error}") from None
    marks = " †" if member in kind.deprecated else ""
    if member and kind.members[member] > 1:
        marks += f" ×{kind.members[member]}"
    name = f"&nbsp;&nbsp;`{member}`" if member else f"**`{kind.name}`**"
    words = list(dict.fromkeys(word for _, word in found if word))
    usual_words = {"argument": "keyword argument", "attribute": "attribute", "constructor": ""}
    told = [usual_words.get(word, "") for word in words]
    how = "; ".join(filter(None, [*told, ours.how]))
    return Row(name + marks, "<br/>".join(f"`{shown}`" for shown, _ in found), how)


def render() -> str:
    """Write the page.

    Raises:
        NameMapError: a name of Keypop's has no counterpart, or ours is not there, or is of no Keypop name.
    """
    versions, types = read_index((FOLDER / "index.txt").read_text(encoding="utf-8"))
    aliases, ours = read_names((FOLDER / "names.txt").read_text(encoding="utf-8"))
    known = {(kind.api, kind.name) for kind in types}
    known |= {(kind.api, f"{kind.name}.{member}") for kind in types for member in kind.members}
    strangers = sorted(set(ours) - known)
    if strangers:
        raise NameMapError(f"not in the index: {strangers}")
    parts = [HEAD]
    counted = sum(1 + sum(kind.members.values()) for kind in types)
    parts.append(
        f"{len(types)} types and {counted - len(types)} members, overloads counted. †: deprecated in "
        "Keypop. ×n: n overloads.\n"
    )
    for api, version in versions.items():
        parts.append(f"## {TITLES[api]} {version}\n")
        parts.append("| Keypop | cardbench | How |\n| --- | --- | --- |")
        for kind in types:
            if kind.api == api:
                parts += [
                    f"| {row.keypop} | {row.ours} | {row.how} |"
                    for row in rows_of(kind, ours, aliases)
                ]
        parts.append("")
    return "\n".join(parts)


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or check it; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="only compare")
    check = parser.parse_args(arguments).check
    try:
        text = render()
    except NameMapError as error:
        print(error, file=sys.stderr)
        return 1
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    if check:
        print(
            f"not up to date: {PAGE.relative_to(ROOT)}; `make docs` writes it anew", file=sys.stderr
        )
        return 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
