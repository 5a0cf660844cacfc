"""`cardbench doctor`: what this machine can do, what is missing, and the command that mends it.

Every finding is looked up, none assumed: a library is loaded, an entry point imported, a program searched.
A missing part that only some work needs does not make the machine unfit; a broken base does.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from dataclasses import asdict, dataclass
from enum import Enum, unique
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING

import cardbench
from cardbench.scenarios.backends import KINDS
from cardbench.scenarios.cli import pythons

if TYPE_CHECKING:
    from collections.abc import Iterator

OLDEST_PYTHON = (3, 11)
SUITE_GROUP = "cardbench.symmetric_suites"
BASE_PACKAGES = ("cryptography", "pydantic", "rich", "typer")
PCSC_LIBRARY = "libpcsclite.so.1"
DRIVER_FOLDERS = (Path("/usr/lib/pcsc/drivers/serial"), Path("/usr/local/lib/pcsc/drivers/serial"))
VPCD_DRIVER = "libifdvpcd.so*"


@unique
class Standing(Enum):
    """How a part stands."""

    GOOD = "good"
    MISSING = "missing"  # some work is not possible
    BROKEN = "broken"  # nothing is possible


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found about one part of the machine.

    Attributes:
        subject: the part.
        standing: whether it is there.
        detail: version or place; where it is missing, what was looked for.
        serves: what it is needed for.
        mend: the exact command that mends it, or None where nothing needs mending.
    """

    subject: str
    standing: Standing
    detail: str
    serves: str
    mend: str | None = None

    def as_json(self) -> dict[str, str | None]:
        """Return the finding with its standing as text."""
        return {**asdict(self), "standing": self.standing.value}


def install_command(*packages: str) -> str:
    """Return the command that installs packages of the machine, named as Debian names them."""
    names = " ".join(packages)
    if shutil.which("apt-get") is None:
        return f"install what Debian calls {names}"
    prefix = "" if os.geteuid() == 0 else "sudo "
    return f"{prefix}apt-get install -y {names}"


def examine() -> list[Finding]:
    """Look at everything; the base first."""
    return [*_base(), *_suites(), *_backends(), *_pcsc(), *_pythons()]


def is_fit(findings: list[Finding]) -> bool:
    """Whether the bench can run stories at all."""
    return all(finding.standing is not Standing.BROKEN for finding in findings)


def _base() -> Iterator[Finding]:
    running = ".".join(map(str, sys.version_info[:3]))
    old = sys.version_info[:2] < OLDEST_PYTHON
    yield Finding(
        subject="Python",
        standing=Standing.BROKEN if old else Standing.GOOD,
        detail=f"{running}, {sys.executable}",
        serves="everything",
        mend=install_command("python3") if old else None,
    )
    yield Finding(
        subject="cardbench",
        standing=Standing.GOOD,
        detail=f"{cardbench.__version__}, {Path(cardbench.__file__).parent}",
        serves="everything",
    )
    for package in BASE_PACKAGES:
        yield _python_package(package)


def _python_package(package: str) -> Finding:
    try:
        import_module(package)
        detail, found = metadata.version(package), True
    except ImportError as error:  # PackageNotFoundError is one
        detail, found = str(error), False
    return Finding(
        subject=package,
        standing=Standing.GOOD if found else Standing.BROKEN,
        detail=detail,
        serves="everything",
        mend=None if found else f"{sys.executable} -m pip install {package}",
    )


def _suites() -> Iterator[Finding]:
    serves = "session MACs, ciphering and key diversification of cards and SAMs"
    suites = sorted(metadata.entry_points(group=SUITE_GROUP), key=lambda entry: entry.name)
    if not suites:
        yield Finding(
            subject="symmetric suite",
            standing=Standing.BROKEN,
            detail=f"no entry point in the group {SUITE_GROUP}",
            serves=serves,
            mend=f"{sys.executable} -m pip install --force-reinstall --no-deps cardbench",
        )
    for entry in suites:
        try:
            entry.load()
            detail, standing = entry.value, Standing.GOOD
        except (ImportError, AttributeError) as error:
            detail, standing = f"{entry.value}: {error}", Standing.BROKEN
        package = entry.dist.name if entry.dist else entry.name
        yield Finding(
            subject=f"symmetric suite {entry.name}",
            standing=standing,
            detail=detail,
            serves=serves,
            mend=None
            if standing is Standing.GOOD
            else f"{sys.executable} -m pip install --force-reinstall {package}",
        )


def _backends() -> Iterator[Finding]:
    for kind in KINDS:
        try:
            import_module(kind.implementation.partition(":")[0])
            detail, standing = kind.summary, Standing.GOOD
        except ImportError as error:
            detail, standing = str(error), Standing.MISSING
        yield Finding(
            subject=f"backend {kind.name}",
            standing=standing,
            detail=detail,
            serves=f"cardbench run --backend {kind.name}",
        )


def _pythons() -> Iterator[Finding]:
    running = ".".join(map(str, sys.version_info[:2]))
    for version in pythons.SUPPORTED:
        if version == running:
            continue
        place = pythons.find_python(version)
        yield Finding(
            subject=f"Python {version}",
            standing=Standing.MISSING if place is None else Standing.GOOD,
            detail=place or "none that starts",
            serves="testing cardbench on it: make pythons",
            mend=pythons.install_command(version) if place is None else None,
        )


def _pcsc() -> Iterator[Finding]:
    yield _shared_library(PCSC_LIBRARY, "libpcsclite1", "any PC/SC program")
    yield _pyscard()
    yield _program("pcscd", "pcscd", "physical readers, and cards plugged in through vpcd")
    yield _vpcd_driver()
    yield _program("pcsc_scan", "pcsc-tools", "looking at readers and ATRs by hand")
    yield _program("opensc-tool", "opensc", "sending APDUs by hand")


def _shared_library(name: str, package: str, serves: str) -> Finding:
    try:
        ctypes.CDLL(name)
        found = True
    except OSError:
        found = False
    return Finding(
        subject=name,
        standing=Standing.GOOD if found else Standing.MISSING,
        detail="loads" if found else "does not load",
        serves=serves,
        mend=None if found else install_command(package),
    )


def _program(name: str, package: str, serves: str) -> Finding:
    # A daemon lies where an ordinary user's path does not lead.
    place = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    return Finding(
        subject=name,
        standing=Standing.MISSING if place is None else Standing.GOOD,
        detail=place or "not on the path",
        serves=serves,
        mend=install_command(package) if place is None else None,
    )


def _vpcd_driver() -> Finding:
    drivers = [path for folder in DRIVER_FOLDERS for path in sorted(folder.glob(VPCD_DRIVER))]
    return Finding(
        subject="vpcd driver",
        standing=Standing.GOOD if drivers else Standing.MISSING,
        detail=str(drivers[0]) if drivers else f"no {VPCD_DRIVER} in {DRIVER_FOLDERS[0]}",
        serves="cards plugged in through vpcd",
        mend=None if drivers else install_command("vsmartcard-vpcd"),
    )


def _pyscard() -> Finding:
    try:
        import_module("smartcard.scard")
        detail, found = metadata.version("pyscard"), True
    except ImportError as error:
        detail, found = str(error), False
    build = install_command("gcc", "swig", "libpcsclite-dev", "python3-dev")
    return Finding(
        subject="pyscard",
        standing=Standing.GOOD if found else Standing.MISSING,
        detail=detail,
        serves="PC/SC readers from Python",
        mend=None if found else f"{build} && {sys.executable} -m pip install 'cardbench[pcsc]'",
    )
