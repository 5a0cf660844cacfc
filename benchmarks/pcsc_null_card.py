"""The published null card that our card is measured against over vpcd: what the path alone costs in Python.

It is the smallest program that vpcd takes for a card: one blocking socket with the same cure for the
delayed acknowledgement, the ATR when asked, and to every command the one answer that it was given. It has
no file, no state, no check and no thread.

    pcsc_null_card.py PORT ATR RESPONSE
"""

from __future__ import annotations

import socket
import sys


def main(port: str, atr: str, response: str) -> None:
    """Answer until the reader leaves."""
    answers = {b"\4": framed(bytes.fromhex(atr)), b"\0": b"", b"\1": b"", b"\2": b""}
    always = framed(bytes.fromhex(response))
    with socket.create_connection(("127.0.0.1", int(port))) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        receive, send, arm = link.recv, link.sendall, link.setsockopt
        data = b""
        while True:
            arm(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            while len(data) < 2 or len(data) < (end := 2 + int.from_bytes(data[:2])):
                more = receive(4096)
                if not more:
                    return
                data += more
            message, data = data[2:end], data[end:]
            answer = answers.get(message, always)
            if answer:
                send(answer)


def framed(message: bytes) -> bytes:
    """Put the length before a message."""
    return len(message).to_bytes(2) + message


if __name__ == "__main__":
    main(*sys.argv[1:])
