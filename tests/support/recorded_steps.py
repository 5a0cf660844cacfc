"""Conversations between PC/SC clients and the service, as `recorded_client.py` writes them down."""

from __future__ import annotations

import re

Step = tuple[int, str, str]
"""Connection, `>` from the client or `<` to it or `hand`, and bytes in hexadecimal or what a hand did."""

_RECONNECT = "1800000005000000"


def bytes_of(text: str) -> bytes:
    """Read hexadecimal in which `(n)` stands for n zero bytes."""
    return bytes.fromhex(re.sub(r"\((\d+)\)", lambda zeros: "00" * int(zeros[1]), text))


def requests(steps: list[Step]) -> dict[int, bytes]:
    """What the client sent on each connection, without what it leaves uninitialised."""
    sent: dict[int, bytes] = {}
    for connection, way, text in steps:
        if way == ">":
            data = bytes_of(text)
            if text.startswith(_RECONNECT):
                data = data[:24] + bytes(4) + data[28:]
            sent[connection] = sent.get(connection, b"") + data
    return sent
