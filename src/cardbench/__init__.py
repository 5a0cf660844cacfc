"""cardbench: software smart cards, virtual readers and a terminal stack.

The rooms are `cardbench.protocol`, `cardbench.emulator`, `cardbench.sam_emulator`,
`cardbench.terminal` and `cardbench.scenarios`. Importing this package imports none of them.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("cardbench")
except PackageNotFoundError:  # run from a checkout that was not installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
