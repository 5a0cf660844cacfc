"""Find the supported Pythons of this machine.

A version counts as present when an interpreter of it starts and can make environments. Looked at: the
path, then what pyenv and uv have installed; a pyenv shim on the path may well refuse to start.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SUPPORTED = ("3.11", "3.12", "3.13")
START_TIMEOUT_S = 30

_PROBE = "import ensurepip, sys; print('%d.%d' % sys.version_info[:2])"


def find_python(version: str) -> str | None:
    """Return an interpreter of this version, such as `3.12`, or None."""
    for candidate in _candidates(version):
        try:
            answer = subprocess.run(
                [candidate, "-c", _PROBE],
                capture_output=True,
                text=True,
                check=False,
                timeout=START_TIMEOUT_S,
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if answer.returncode == 0 and answer.stdout.strip() == version:
            return candidate
    return None


def install_command(version: str) -> str:
    """Return the command that gets this version, as an ordinary user."""
    if shutil.which("pyenv"):
        return f"pyenv install {version}"
    if shutil.which("uv"):
        return f"uv python install {version}"
    return f"{sys.executable} -m pip install uv && {sys.executable} -m uv python install {version}"


def _candidates(version: str) -> Iterator[str]:
    """Yield what may be an interpreter of this version, the likeliest first."""
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        yield getattr(sys, "_base_executable", sys.executable)
    yield f"python{version}"
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR", Path.home() / ".local/share/uv/python"))
    yield from map(str, sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}")))
    yield from map(str, sorted(uv.glob(f"cpython-{version}.*/bin/python{version}")))
