"""Text files that commands read and write, with their errors in one sentence."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cardbench.protocol.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path


def read_text(path: Path) -> str:
    """Return the text of a file.

    Raises:
        StorageError: it cannot be read, or is no text in UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise StorageError(f"{path}: no text in UTF-8") from None


def write_secret(path: Path, text: str) -> None:
    """Write a new file that its owner alone can read.

    Raises:
        StorageError: it is there already, or cannot be written.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from None
