"""Write constraints.txt anew: the newest versions, resolved on every supported Python.

Each supported Python of this machine gets a fresh environment, the package with its development group is
installed into it without constraints, and what came is written down. Versions that differ between
Pythons get an environment marker. The file names no index: that is the machine's business.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from cardbench.scenarios.cli.pythons import SUPPORTED, find_python

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"


def freeze(interpreter: str) -> dict[str, str]:
    """Install everything with one interpreter; return name to version."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([interpreter, "-m", "venv", folder], check=True)
        python = Path(folder) / "bin" / "python"
        install = [str(python), "-m", "pip", "install", "-qq"]
        subprocess.run([*install, "--upgrade", "pip"], check=True)
        subprocess.run([*install, "-e", ".", "--group", "dev"], cwd=ROOT, check=True)
        listed = subprocess.run(
            [python, "-m", "pip", "freeze", "--exclude-editable"],
            capture_output=True,
            text=True,
            check=True,
        )
    pairs = (line.split("==") for line in listed.stdout.splitlines() if "==" in line)
    return {name: version for name, version in pairs if name != "setuptools"}


def merge(frozen: dict[str, dict[str, str]]) -> list[str]:
    """Return constraint lines, by name, from what each Python version resolved.

    A package that has the same version wherever it is needed gets one line; otherwise each Python gets its
    own, with a marker.
    """
    lines = []
    names = sorted({name for pins in frozen.values() for name in pins}, key=str.lower)
    for name in names:
        by_python = {python: pins[name] for python, pins in frozen.items() if name in pins}
        if len(set(by_python.values())) == 1:
            lines.append(f"{name}=={next(iter(by_python.values()))}")
        else:
            lines.extend(
                f'{name}=={version}; python_version == "{python}"'
                for python, version in by_python.items()
            )
    return lines


def main() -> int:
    """Resolve on every Python and write the file; return the exit status."""
    found = {version: find_python(version) for version in SUPPORTED}
    missing = [version for version, interpreter in found.items() if interpreter is None]
    if missing:
        print(f"the pins must hold on Python {', '.join(missing)} too: not found", file=sys.stderr)
        return 1
    frozen = {version: freeze(interpreter) for version, interpreter in found.items() if interpreter}
    CONSTRAINTS.write_text("\n".join(merge(frozen)) + "\n")
    print(f"{CONSTRAINTS.name}: {len(merge(frozen))} pins")
    return 0


if __name__ == "__main__":
    sys.exit(main())
