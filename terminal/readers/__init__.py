"""Readers: one protocol, several ways to reach a card."""

from cardbench.terminal.readers.in_process import InProcessReader
from cardbench.terminal.readers.reader import Reader, Traffic

__all__ = ["InProcessReader", "Reader", "Traffic"]
