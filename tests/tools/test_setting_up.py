"""Setting up on a machine where something is missing: `tools/make-venv` and `.ci/run`.

The machine is a folder of programs that is the whole path. What would change the real machine is a stand-in
that says what it was asked for.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


class Machine:
    """A machine that has only the programs it was given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "bin"
        self.folder.mkdir()
        self.log = folder / "log"
        for name in ("bash", "sh", "dirname", "env", "cat", "chmod"):
            self.has(name)

    def has(self, name: str) -> None:
        found = shutil.which(name)
        assert found is not None
        (self.folder / name).symlink_to(found)

    def stand_in(self, name: str, script: str) -> None:
        program = self.folder / name
        program.write_text(f'#!/bin/sh\necho {name} "$@" >>{self.log}\n{script}\n')
        program.chmod(0o755)

    def python(self, *, broken_modules: tuple[str, ...] = ()) -> str:
        """Give it a Python in which some modules do not import."""
        program = self.folder / "python3"
        blocker = self.folder.parent / "blocked"
        blocker.mkdir(exist_ok=True)
        for module in broken_modules:
            (blocker / f"{module}.py").write_text("raise ImportError(__name__)\n")
        program.write_text(f'#!/bin/sh\nPYTHONPATH={blocker} exec {sys._base_executable} "$@"\n')
        program.chmod(0o755)
        return str(program)

    def run(self, *command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=cwd,
            env=os.environ | {"PATH": str(self.folder)},
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def asked(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder in which `.ci/run` finds nothing to build."""
    (tmp_path / "checkout" / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "run", tmp_path / "checkout" / ".ci" / "run")
    return tmp_path / "checkout"


INSTALLS_MAKE = """
case "$*" in *install*make*)
    printf '#!/bin/sh\\necho make "$@" >>{log}\\nexit {status}\\n' >{folder}/make
    chmod +x {folder}/make;;
esac
"""


def ci_run(machine: Machine, checkout: Path) -> subprocess.CompletedProcess[str]:
    return machine.run("bash", str(checkout / ".ci" / "run"), cwd=Path("/"))


@pytest.mark.parametrize("status", [0, 3])
def test_ci_installs_what_is_missing_and_ends_as_the_check_ends(
    status: int, machine: Machine, checkout: Path
) -> None:
    machine.stand_in("id", "echo 0")
    script = INSTALLS_MAKE.format(log=machine.log, folder=machine.folder, status=status)
    machine.stand_in("apt-get", script)
    machine.python()
    assert ci_run(machine, checkout).returncode == status
    assert machine.asked() == [
        "id -u",
        "apt-get update --quiet",
        "id -u",
        "apt-get install --quiet --yes --no-install-recommends make",
        "make setup-pcsc check",
    ]


def test_ci_installs_a_python_that_can_make_environments(machine: Machine, checkout: Path) -> None:
    machine.stand_in("id", "echo 0")
    machine.stand_in("apt-get", "")
    machine.stand_in("make", "")
    machine.python(broken_modules=("ensurepip",))
    assert ci_run(machine, checkout).returncode == 0
    assert machine.asked()[-2:] == [
        "apt-get install --quiet --yes --no-install-recommends python3 python3-venv",
        "make setup-pcsc check",
    ]


def test_ci_installs_nothing_where_nothing_is_missing(machine: Machine, checkout: Path) -> None:
    machine.stand_in("make", "")
    machine.python()
    assert ci_run(machine, checkout).returncode == 0
    assert machine.asked() == ["make setup-pcsc check"]


def test_ci_uses_sudo_where_it_asks_for_no_password(machine: Machine, checkout: Path) -> None:
    machine.stand_in("id", "echo 1000")
    machine.stand_in("sudo", "")
    machine.stand_in("apt-get", "")
    machine.stand_in("make", "")
    assert ci_run(machine, checkout).returncode == 0
    preserving = "sudo -n --preserve-env=DEBIAN_FRONTEND apt-get"
    assert f"{preserving} update --quiet" in machine.asked()


def test_ci_fails_with_the_command_to_type_where_it_may_not_install(
    machine: Machine, checkout: Path
) -> None:
    machine.stand_in("id", "echo 1000")
    machine.stand_in("apt-get", "")
    machine.stand_in("make", "")
    done = ci_run(machine, checkout)
    assert done.returncode != 0
    assert "please run as root: apt-get update" in done.stderr
    assert "make setup-pcsc check" not in machine.asked()


def test_ci_fails_where_there_is_no_apt(machine: Machine, checkout: Path) -> None:
    done = ci_run(machine, checkout)
    assert done.returncode != 0
    assert "please install make python3 python3-venv" in done.stderr


@pytest.mark.slow
def test_an_environment_is_made_with_ensurepip(machine: Machine, tmp_path: Path) -> None:
    folder = tmp_path / "venv"
    done = machine.run("sh", "tools/make-venv", machine.python(), str(folder))
    assert done.returncode == 0, done.stderr
    assert (folder / "bin" / "pip").exists()


@pytest.mark.slow
@pytest.mark.package
def test_an_environment_is_made_without_ensurepip_where_there_is_a_pip(
    machine: Machine, tmp_path: Path
) -> None:
    folder = tmp_path / "venv"
    python = machine.python(broken_modules=("ensurepip",))
    done = machine.run("sh", "tools/make-venv", python, str(folder))
    assert done.returncode == 0, done.stderr
    assert (folder / "bin" / "pip").exists()


def test_without_any_python_the_sentence_says_what_to_install(
    machine: Machine, tmp_path: Path
) -> None:
    done = machine.run("sh", "tools/make-venv", "", str(tmp_path / "venv"))
    assert done.returncode == 1
    assert "cardbench needs Python 3.11 or newer" in done.stderr
    assert "apt-get install python3 python3-venv" in done.stderr


def test_a_python_with_neither_ensurepip_nor_pip_is_named(machine: Machine, tmp_path: Path) -> None:
    python = machine.python(broken_modules=("ensurepip", "pip"))
    done = machine.run("sh", "tools/make-venv", python, str(tmp_path / "venv"))
    assert done.returncode == 1
    assert "neither ensurepip nor pip" in done.stderr
    assert not (tmp_path / "venv").exists()
