"""Draw what `cardbench run validation` prints into docs/validation.svg, by running it.

    run_picture.py            write the picture
    run_picture.py --check    write nothing; fail if it is not what the program prints

The seed is fixed, and the time it took is left out: the same program gives the same picture.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
from pathlib import Path

from rich.console import Console

from cardbench.scenarios.backends import open_backend
from cardbench.scenarios.cli.show import StoryPrinter
from cardbench.scenarios.runner import run, world_for
from cardbench.scenarios.stories import find_story

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "validation.svg"
STORY = "validation"
SEED = 1
WIDTH = 118
FONT_FACE = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
"""rich would have the picture fetch its font from a server; the reader's own will do."""


def draw(name: str) -> str:
    """Play a story and return what it prints as SVG."""
    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, highlight=False
    )
    story = find_story(name)
    with world_for(story, open_backend("in-process")) as world:
        printer = StoryPrinter(story, world, console=console)
        printer.begin(SEED)
        result = run(story, world, seed=SEED, on_step=printer.step)
    printer.end(result, result.traffic, times_ms=[])
    return FONT_FACE.sub("", console.export_svg(title=f"cardbench run {name} --seed {SEED}"))


def main() -> int:
    """Carry out the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    wanted = draw(STORY)
    if PICTURE.is_file() and PICTURE.read_text(encoding="utf-8") == wanted:
        return 0
    if check:
        print(f"{PICTURE.relative_to(ROOT)} is not what is printed: make docs", file=sys.stderr)
        return 1
    PICTURE.write_text(wanted, encoding="utf-8")
    print(f"{PICTURE.relative_to(ROOT)} drawn anew")
    return 0


if __name__ == "__main__":
    sys.exit(main())
