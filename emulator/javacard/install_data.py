"""Installation data: three fields, each with its length in front, as loaders since Java Card 2.2 give them.

    length 1 | instance AID | length 1 | control information | length 1 | applet data

Source: wallet-javacard §2, §6.1.
"""

from __future__ import annotations

from typing import NamedTuple


class InstallData(NamedTuple):
    """What an applet's `install` is told.

    Attributes:
        aid: instance AID.
        control: privileges.
        parameters: the applet's own data.
    """

    aid: bytes
    control: bytes
    parameters: bytes

    def encode(self) -> bytes:
        """Write the three fields."""
        return b"".join(bytes((len(part),)) + part for part in self)

    @classmethod
    def parse(cls, raw: bytes) -> InstallData | None:
        """Read the three fields; None where the bytes are not exactly three such fields."""
        fields = []
        rest = raw
        for _ in cls._fields:
            if not rest or len(rest) < 1 + rest[0]:
                return None
            fields.append(rest[1 : 1 + rest[0]])
            rest = rest[1 + rest[0] :]
        return None if rest else cls(*fields)
