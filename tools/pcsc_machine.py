"""PC/SC on this machine, for tests and benchmarks: which packages it has, and a pcscd of one's own.

pcscd is started by root alone, and one at a time: who wants it waits for a lock on the machine.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
VPCD_DRIVER = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so"
PCSCD_SOCKET = Path("/run/pcscd/pcscd.comm")
MACHINE_LOCK = Path(tempfile.gettempdir()) / "cardbench-pcscd.lock"

PACKAGES = {
    "pyscard": "pyscard",
    "opensc-tool": "opensc",
    "pcsc_scan": "pcsc-tools",
    "java": "default-jdk-headless",
    "javac": "default-jdk-headless",
    "pcscd": "pcscd",
    "vpcd": "vsmartcard-vpcd",
    "setpriv": "util-linux",
    "gcc": "gcc",
    "libpcsclite-dev": "libpcsclite-dev",
}
"""What can be needed, and the package that brings it."""


def missing_packages(*things: str) -> list[str]:
    """Name the packages that bring what is not there."""
    return sorted({PACKAGES[thing] for thing in things if not _is_there(thing)})


def _is_there(what: str) -> bool:
    if what == "pyscard":
        return find_spec("smartcard") is not None
    if what == "vpcd":
        return Path(VPCD_DRIVER).exists()
    if what == "libpcsclite-dev":
        return Path("/usr/include/PCSC/ifdhandler.h").exists()
    return shutil.which(what, path=PATH) is not None


@contextmanager
def machine_lock() -> Iterator[None]:
    """Have the machine's pcscd to oneself; waits until others are done with it."""
    with MACHINE_LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Pcscd:
    """The machine's pcscd, started for us; a context manager. The lock is the caller's to hold."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self.log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the daemon

    def start(self, configuration: Path | None = None) -> None:
        """Start it, with the machine's own readers or with those of a configuration folder.

        Raises:
            RuntimeError: it does not listen; the text is what it said.
        """
        chosen = [] if configuration is None else ["--config", str(configuration)]
        self._process = subprocess.Popen(
            ["pcscd", "--foreground", *chosen], env={"PATH": PATH}, stdout=self.log, stderr=self.log
        )
        for _ in range(500):
            if PCSCD_SOCKET.exists() and self._process.poll() is None and is_listening():
                return
            time.sleep(0.01)
        self.stop()
        self.log.seek(0)
        raise RuntimeError(f"pcscd does not start: {self.log.read().decode()}")

    def kill(self) -> None:
        """End it as a crash would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it in order; harmless when it has ended."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        self.log.close()


def is_listening() -> bool:
    """Whether a pcscd serves this machine."""
    with Path("/proc/net/unix").open() as sockets:
        return any(line.endswith(f" {PCSCD_SOCKET}\n") for line in sockets)
