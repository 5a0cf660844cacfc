"""The distribution: built, installed into an empty environment outside the checkout, and used there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import venv
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

import pytest

from cardbench.scenarios.stories import STORIES

# One group: two workers would each build and install.
pytestmark = [pytest.mark.package, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
ROOMS = tuple(sorted(path.parent.name for path in ROOT.glob("*/__init__.py")))
NOT_HANDED_ON = frozenset(
    {"__pycache__", ".venv", ".git", ".hypothesis", ".mypy_cache", ".ruff_cache"}
)


def clean_environment() -> dict[str, str]:
    """The environment, without what would lead Python back into the checkout."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def call(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=clean_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    build = (sys.executable, "-m", "build", "--no-isolation")
    call(*build, "--sdist", "--outdir", folder, ROOT, cwd=folder)
    (archive,) = folder.glob("*.tar.gz")
    return archive


@pytest.fixture(scope="session")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the sdist, as an installer that gets no wheel would."""
    unpacked, folder = tmp_path_factory.mktemp("unpacked"), tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(unpacked, filter="data")
    (source,) = unpacked.iterdir()
    build = (sys.executable, "-m", "build", "--no-isolation")
    call(*build, "--wheel", "--outdir", folder, source, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment that holds the wheel and what it depends on."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=True)
    pip = (folder / "bin" / "python", "-m", "pip", "install", "--quiet")
    call(*pip, "-c", ROOT / "constraints.txt", wheel, cwd=folder)
    return folder / "bin"


def names_in(archive: Path) -> set[PurePosixPath]:
    if archive.suffix == ".whl":
        with ZipFile(archive) as wheel:
            return {PurePosixPath(name) for name in wheel.namelist()}
    with tarfile.open(archive) as sdist:
        return {PurePosixPath(*PurePosixPath(name).parts[1:]) for name in sdist.getnames()}


def files_of_rooms() -> set[PurePosixPath]:
    return {
        PurePosixPath(path.relative_to(ROOT))
        for room in ROOMS
        for path in (ROOT / room).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_there_are_rooms_to_look_for() -> None:
    assert {"emulator", "protocol", "sam_emulator", "scenarios", "terminal"} <= set(ROOMS)


def test_the_sdist_holds_every_file_of_every_room_and_what_a_reader_wants(sdist: Path) -> None:
    names = names_in(sdist)
    assert files_of_rooms() - names == set()
    wanted = "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile", "docs/index.md"
    assert {PurePosixPath(name) for name in wanted} - names == set()


def test_nothing_that_tools_made_is_handed_on(sdist: Path, wheel: Path) -> None:
    for name in names_in(sdist) | names_in(wheel):
        assert not NOT_HANDED_ON.intersection(name.parts), name


def test_the_wheel_holds_every_file_of_every_room_below_one_import_name(wheel: Path) -> None:
    names = names_in(wheel)
    assert {PurePosixPath("cardbench") / name for name in files_of_rooms()} - names == set()
    assert PurePosixPath("cardbench/py.typed") in names
    tops = {name.parts[0] for name in names if not name.parts[0].endswith(".dist-info")}
    assert tops == {"cardbench"}


def test_the_wheel_needs_no_compiler(wheel: Path) -> None:
    assert wheel.name.endswith("-py3-none-any.whl")


def test_every_module_of_every_room_imports(installed: Path, tmp_path: Path) -> None:
    program = (
        "import importlib, json, pkgutil, cardbench\n"
        "found = [m.name for m in pkgutil.walk_packages(cardbench.__path__, 'cardbench.')]\n"
        "names = [name for name in found if not name.endswith('.__main__')]\n"
        "for name in names: importlib.import_module(name)\n"
        "print(json.dumps([cardbench.__file__, names]))"
    )
    place, names = json.loads(call(installed / "python", "-c", program, cwd=tmp_path))
    assert Path(place).is_relative_to(installed.parent)
    modules = {path.with_suffix("") for path in files_of_rooms() if path.suffix == ".py"}
    expected = {".".join(("cardbench", *path.parts)).removesuffix(".__init__") for path in modules}
    assert expected - set(names) == set()


@pytest.mark.parametrize("story", STORIES)
def test_every_story_plays_where_the_wheel_is_installed(
    story: str, installed: Path, tmp_path: Path
) -> None:
    told = json.loads(call(installed / "cardbench", "run", story, "--json", cwd=tmp_path))
    assert told["ok"] is True
    assert told["card_exchanges"] > 0


def test_the_doctor_finds_the_installed_bench_fit(installed: Path, tmp_path: Path) -> None:
    told = json.loads(
        call(installed / "python", "-m", "cardbench", "doctor", "--json", cwd=tmp_path)
    )
    assert told["ok"] is True
    places = {finding["subject"]: finding["detail"] for finding in told["findings"]}
    assert str(installed.parent) in places["cardbench"]
    assert "symmetric suite cardbench-aes" in places
