"""Finding the Pythons of a machine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from cardbench.scenarios.cli import pythons

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

RUNNING = "{}.{}".format(*sys.version_info[:2])


def alone(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let nothing but `folder` be searched."""
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("PYENV_ROOT", str(folder / "pyenv"))
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(folder / "uv"))


def fake_python(path: Path, answer: str, status: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {answer}\nexit {status}\n")
    path.chmod(0o755)
    return path


def test_the_running_python_is_found() -> None:
    assert pythons.find_python(RUNNING) is not None


def test_a_version_that_is_nowhere_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    alone(monkeypatch, tmp_path)
    assert pythons.find_python("3.99") is None


def test_a_shim_that_refuses_to_start_is_passed_over_for_what_pyenv_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    alone(monkeypatch, tmp_path)
    fake_python(tmp_path / "python3.99", "pyenv: not found", status=127)
    real = fake_python(tmp_path / "pyenv/versions/3.99.1/bin/python3.99", "3.99")
    assert pythons.find_python("3.99") == str(real)


def test_an_interpreter_of_another_version_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    alone(monkeypatch, tmp_path)
    fake_python(tmp_path / "python3.99", "3.98")
    assert pythons.find_python("3.99") is None


def test_an_interpreter_that_hangs_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    alone(monkeypatch, tmp_path)
    monkeypatch.setattr(pythons, "START_TIMEOUT_S", 0.05)
    (tmp_path / "python3.99").write_text("#!/bin/sh\nwhile :; do :; done\n")
    (tmp_path / "python3.99").chmod(0o755)
    assert pythons.find_python("3.99") is None


def test_the_advice_uses_what_the_machine_has(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    alone(monkeypatch, tmp_path)
    assert pythons.install_command("3.12").endswith("-m uv python install 3.12")
    fake_python(tmp_path / "uv", "")
    assert pythons.install_command("3.12") == "uv python install 3.12"
    fake_python(tmp_path / "pyenv", "")
    assert pythons.install_command("3.12") == "pyenv install 3.12"
