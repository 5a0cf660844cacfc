"""What the doctor finds, and what it advises."""

from __future__ import annotations

import json
import sys
from importlib import metadata
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from cardbench.scenarios.backends import BackendKind
from cardbench.scenarios.cli import doctor, main
from cardbench.scenarios.cli.doctor import Standing

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_search_for_pythons(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting every Python of the machine takes its time; other tests do it."""
    monkeypatch.setattr(doctor.pythons, "find_python", lambda version: f"/opt/python{version}")


def finding(subject: str) -> doctor.Finding:
    return next(found for found in doctor.examine() if found.subject == subject)


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_this_machine_is_fit_for_the_bench() -> None:
    findings = doctor.examine()
    assert doctor.is_fit(findings)
    assert finding("Python").standing is Standing.GOOD
    assert finding("symmetric suite cardbench-aes").standing is Standing.GOOD


def test_a_base_package_that_does_not_import_breaks_the_bench(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doctor, "BASE_PACKAGES", ("no_such_package",))
    broken = finding("no_such_package")
    assert broken.standing is Standing.BROKEN
    assert broken.mend is not None
    assert broken.mend.endswith("-m pip install no_such_package")
    assert not doctor.is_fit([broken])


def test_an_installation_without_a_symmetric_suite_is_broken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doctor, "SUITE_GROUP", "cardbench.no_such_group")
    assert finding("symmetric suite").standing is Standing.BROKEN


def test_a_suite_that_does_not_load_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = metadata.EntryPoint("theirs", "cardbench.protocol.no_such_module:Suite", "group")
    monkeypatch.setattr(metadata, "entry_points", lambda **_: (entry,))
    broken = finding("symmetric suite theirs")
    assert broken.standing is Standing.BROKEN
    assert "no_such_module" in broken.detail


def test_what_only_some_work_needs_is_missing_and_the_bench_stays_fit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(doctor, "PCSC_LIBRARY", "libnosuchlibrary.so.1")
    monkeypatch.setattr(doctor, "DRIVER_FOLDERS", (tmp_path,))
    assert finding("libnosuchlibrary.so.1").standing is Standing.MISSING
    assert finding("vpcd driver").standing is Standing.MISSING
    assert doctor.is_fit(doctor.examine())


def test_a_driver_is_found_by_its_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "libifdvpcd.so.0.7").touch()
    monkeypatch.setattr(doctor, "DRIVER_FOLDERS", (tmp_path,))
    assert finding("vpcd driver").standing is Standing.GOOD


def test_a_program_is_looked_for_on_the_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert finding("opensc-tool").standing is Standing.MISSING
    program = tmp_path / "opensc-tool"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert finding("opensc-tool").detail == str(program)


@pytest.mark.parametrize(
    ("has_apt", "user", "advice"),
    [
        (True, 0, "apt-get install -y pcscd"),
        (True, 1000, "sudo apt-get install -y pcscd"),
        (False, 1000, "install what Debian calls pcscd"),
    ],
)
def test_the_advice_is_the_command_for_this_user_and_machine(
    monkeypatch: pytest.MonkeyPatch, *, has_apt: bool, user: int, advice: str
) -> None:
    monkeypatch.setattr(doctor.shutil, "which", lambda _: "/usr/bin/apt-get" if has_apt else None)
    monkeypatch.setattr(doctor.os, "geteuid", lambda: user)
    assert doctor.install_command("pcscd") == advice


def test_the_table_names_what_is_missing_and_what_to_type(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "PCSC_LIBRARY", "libnosuchlibrary.so.1")
    assert run("doctor") == 0
    out = capsys.readouterr().out
    assert "libnosuchlibrary.so.1" in out
    assert doctor.install_command("libpcsclite1") in out


def test_each_backend_is_named_and_one_that_does_not_load_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert finding("backend in-process").standing is Standing.GOOD
    lacking = BackendKind("plastic", "cards of plastic", "cardbench.no_such_module:Plastic")
    monkeypatch.setattr(doctor, "KINDS", (lacking,))
    assert finding("backend plastic").standing is Standing.MISSING


def test_the_other_supported_pythons_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.pythons, "SUPPORTED", ("3.98", "3.99"))
    places = {"3.98": "/opt/python3.98", "3.99": None}
    monkeypatch.setattr(doctor.pythons, "find_python", places.get)
    assert finding("Python 3.98").detail == "/opt/python3.98"
    missing = finding("Python 3.99")
    assert missing.standing is Standing.MISSING
    assert missing.mend == doctor.pythons.install_command("3.99")


def test_pyscard_is_tried_and_advice_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "smartcard", None)
    monkeypatch.setitem(sys.modules, "smartcard.scard", None)
    missing = finding("pyscard")
    assert missing.standing is Standing.MISSING
    assert missing.mend is not None
    assert "swig" in missing.mend
    assert missing.mend.endswith("-m pip install 'cardbench[pcsc]'")
    monkeypatch.setitem(sys.modules, "smartcard.scard", ModuleType("smartcard.scard"))
    monkeypatch.setattr(metadata, "version", lambda _: "2.3.1")
    assert finding("pyscard").detail == "2.3.1"


def test_json_is_one_object_and_a_broken_base_is_exit_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "BASE_PACKAGES", ("no_such_package",))
    assert run("doctor", "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is False
    standings = {found["subject"]: found["standing"] for found in told["findings"]}
    assert standings["no_such_package"] == "broken"
    assert standings["Python"] == "good"
