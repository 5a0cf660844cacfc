"""Readers: one protocol, several ways to reach a card."""

from cardbench.terminal.readers.in_process import InProcessReader
from cardbench.terminal.readers.reader import Reader, Traffic
from cardbench.terminal.readers.scripted import ScriptedReader, UnexpectedCommand

__all__ = ["InProcessReader", "Reader", "ScriptedReader", "Traffic", "UnexpectedCommand"]
