"""Cards on disk."""

from cardbench.emulator.storage.sqlite import CardFile

__all__ = ["CardFile"]
