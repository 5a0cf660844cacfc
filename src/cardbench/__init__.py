"""cardbench: software smart cards, virtual readers and a terminal stack.

The rooms are `cardbench.protocol`, `cardbench.emulator`, `cardbench.sam_emulator`,
`cardbench.terminal` and `cardbench.scenarios`. Importing this package imports none of them.
"""

from __future__ import annotations

__all__ = ["__version__"]

__version__: str


def __getattr__(name: str) -> str:
    """Look the version up when somebody asks: that alone costs a third of a command's start."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        return version("cardbench")
    except PackageNotFoundError:  # run from a checkout that was not installed
        return "0+unknown"
