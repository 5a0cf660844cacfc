"""Run the quick tests on each supported Python of this machine.

    pythons.py list     print each supported version and where it is, or that it is missing
    pythons.py test     make one environment per version (.venv-3.12, …) and run the tests in it
    pythons.py test --others    the same without the version that runs this, which is tested elsewhere

The tests of the tools themselves are left out: they need the development group, and one Python is enough.

A missing version is named and is no failure.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
from pathlib import Path

from cardbench.scenarios.cli.pythons import SUPPORTED, find_python

ROOT = Path(__file__).resolve().parent.parent
QUICK = "not slow and not pcsc and not package"


def environment(version: str, interpreter: str) -> Path:
    """Make or refresh the environment of one version; return its interpreter."""
    folder = ROOT / f".venv-{version}"
    python = folder / "bin" / "python"
    stamp = folder / ".installed"
    wanted = hashlib.sha256(
        (ROOT / "pyproject.toml").read_bytes() + (ROOT / "constraints.txt").read_bytes()
    ).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted:
        return python
    subprocess.run([interpreter, "-m", "venv", "--clear", folder], check=True)
    install = [str(python), "-m", "pip", "install", "-qq", "-c", "constraints.txt"]
    subprocess.run([*install, "--upgrade", "pip>=25.1"], cwd=ROOT, check=True)
    subprocess.run([*install, "-e", ".", "--group", "test"], cwd=ROOT, check=True)
    stamp.write_text(wanted)
    return python


def test(version: str, interpreter: str) -> bool:
    """Run the quick tests on one version."""
    print(f"== Python {version}: {interpreter}", flush=True)
    python = environment(version, interpreter)
    workers = os.environ.get("WORKERS", "2")
    command = [str(python), "-m", "pytest", "-n", workers, "-m", QUICK]
    command += ["--ignore=tests/tools", "-p", "no:cacheprovider"]
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def main() -> int:
    """Carry out the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("list", "test"))
    parser.add_argument("--others", action="store_true", help="leave the running version out")
    chosen = parser.parse_args()
    what = chosen.what
    left_out = {"{}.{}".format(*sys.version_info)} if chosen.others else set()
    found = {version: find_python(version) for version in SUPPORTED if version not in left_out}
    failed = []
    for version, interpreter in found.items():
        if interpreter is None:
            continue
        if what == "list":
            print(f"{version}: {interpreter}")
        elif not test(version, interpreter):
            failed.append(version)
    missing = [version for version, interpreter in found.items() if interpreter is None]
    if missing:
        print(f"not on this machine, not tested: Python {', '.join(missing)}")
    if failed:
        print(f"failed on Python {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
