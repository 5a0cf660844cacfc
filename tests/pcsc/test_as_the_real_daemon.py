"""One script of calls, run against the real pcscd and against the rootless service: the same is seen."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pcsc_machine import Pcscd
    from tests.pcsc.conftest import Bench, User

pytestmark = [pytest.mark.pcsc, pytest.mark.slow]

CONFIGURATION = """\
FRIENDLYNAME "Virtual PCD"
DEVICENAME   /dev/null:0x8C7B
LIBPATH      {driver}
CHANNELID    0x8C7B
"""


def play(bench: Bench) -> list[str]:
    """Run the script, moving cards as it asks; return what it told."""
    script = bench.start(bench.user.python, bench.user.programs / "api_script.py", *bench.readers)
    assert script.stdin is not None
    assert script.stdout is not None
    told = []
    for line in script.stdout:
        if line.startswith("> "):
            bench.order(line[2:].rstrip())
            script.stdin.write("\n")
            script.stdin.flush()
        else:
            told.append(line.rstrip())
    assert script.wait(60) == 0, told[-20:]
    script.stdin.close()
    script.stdout.close()
    return told


@pytest.fixture(scope="module")
def attributes_bench(
    pcscd: Pcscd, myself: User, new_bench: type[Bench], configuration: Path
) -> Iterator[Bench]:
    """The real pcscd, over a driver that is vpcd's but answers attributes."""
    pcscd.stop()
    pcscd.start(configuration)
    bench = new_bench("vpcd", myself)
    yield bench
    bench.close()
    pcscd.stop()
    pcscd.start()


@pytest.fixture(scope="module")
def configuration(
    need: Callable[..., None], tmp_path_factory: pytest.TempPathFactory, repository: Path
) -> Path:
    """The configuration of a pcscd with that driver."""
    need("gcc", "libpcsclite-dev")
    place = tmp_path_factory.mktemp("driver")
    driver = place / "libifdattributes.so"
    source = repository / "tests" / "pcsc" / "programs" / "attributes_driver.c"
    compiler = ["gcc", "-shared", "-fPIC", "-Wall", "-Werror", "-I/usr/include/PCSC"]
    subprocess.run([*compiler, "-o", driver, source, "-ldl"], check=True)
    folder = place / "reader.conf.d"
    folder.mkdir()
    (folder / "attributes").write_text(CONFIGURATION.format(driver=driver))
    return folder


def test_a_client_sees_what_it_sees_of_the_real_daemon(
    rootless_bench: Bench, attributes_bench: Bench
) -> None:
    rootless_bench.until_shown(True, True)
    attributes_bench.until_shown(True, True)
    ours, theirs = play(rootless_bench), play(attributes_bench)
    assert len(theirs) > 300
    assert ours == theirs
