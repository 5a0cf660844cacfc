"""Every call that libpcsclite offers, with right and wrong arguments, told one line per call.

    api_script.py CARD_READER T0_READER

Straight to the C library, so that nothing is made up or smoothed by a binding. Handles and contexts are
named, not shown, and so are the readers. A line that begins with `> ` asks whoever reads along to move a
card and to answer with a line.
"""

from __future__ import annotations

import sys
import threading
import time
from ctypes import (
    CDLL,
    Structure,
    byref,
    c_char_p,
    c_long,
    c_ubyte,
    c_ulong,
    c_void_p,
    create_string_buffer,
    sizeof,
)
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LIBRARY = CDLL("libpcsclite.so.1")
INFINITE = 0xFFFFFFFF
EXCLUSIVE, SHARED, DIRECT = 1, 2, 3
LEAVE, RESET, UNPOWER, EJECT = 0, 1, 2, 3
T0, T1, RAW, T15, ANY_OLD = 1, 2, 4, 8, 0x1000
UNAWARE, IGNORE, PRESENT, EMPTY = 0, 1, 0x20, 0x10
PNP = "\\\\?PnP?\\Notification"
CARD, SAM = sys.argv[1:3]
NAMES = {CARD: "CARD", SAM: "SAM", PNP: "PNP"}
COUNT = "001C000001"
BACKGROUND = threading.local()


class ReaderState(Structure):
    _fields_ = [
        ("reader", c_char_p),
        ("user", c_void_p),
        ("current", c_ulong),
        ("event", c_ulong),
        ("atr_size", c_ulong),
        ("atr", c_ubyte * 33),
    ]


class Pci(Structure):
    _fields_ = [("protocol", c_ulong), ("size", c_ulong)]


def call(function: str, *arguments: object) -> int:
    entry = getattr(LIBRARY, function)
    entry.restype = c_long
    return int(entry(*arguments)) & 0xFFFFFFFF


def tell(what: str, code: int, *seen: object) -> None:
    text = " ".join(str(each) for each in seen)
    for name, alias in NAMES.items():
        text = text.replace(name, alias)
    line = f"{what}: {code:08X} {text}".rstrip()
    kept: list[str] | None = getattr(BACKGROUND, "lines", None)
    if kept is None:
        print(line, flush=True)
    else:
        kept.append(line)


def ask(order: str) -> None:
    print(f"> {order}", flush=True)
    sys.stdin.readline()


def section(title: str) -> None:
    print(f"## {title}", flush=True)


class Context:
    """A context; tells what it does unless asked to be silent."""

    def __init__(self, scope: int = 0, name: str = "context") -> None:
        self.number = c_long()
        self.name = name
        code = call("SCardEstablishContext", c_ulong(scope), None, None, byref(self.number))
        tell(f"establish {name} scope {scope}", code)

    def release(self) -> None:
        tell(f"release {self.name}", call("SCardReleaseContext", self.number))

    def is_valid(self) -> None:
        tell(f"is valid {self.name}", call("SCardIsValidContext", self.number))

    def list_readers(self, room: int | None = 2000) -> None:
        size = c_ulong(0 if room is None else room)
        buffer = None if room is None else create_string_buffer(max(room, 1))
        code = call("SCardListReaders", self.number, None, buffer, byref(size))
        names = buffer.raw[: size.value].split(b"\0") if buffer and not code else []
        aliases = sorted(NAMES.get(name.decode(), "?") for name in names if name)
        tell(f"list readers {room}", code, *aliases)

    def connect(self, reader: str, share: int, protocols: int, name: str = "card") -> Handle:
        handle, active = c_long(), c_ulong(77)
        code = call(
            "SCardConnect", self.number, reader.encode(), c_ulong(share), c_ulong(protocols),
            byref(handle), byref(active),
        )  # fmt: skip
        seen = ("active", active.value) if not code else ()
        alias = NAMES.get(reader, "another")
        tell(f"connect {name} to {alias} share {share} protocols {protocols:X}", code, *seen)
        return Handle(handle, name, active.value)

    def status_change(
        self, wanted: list[tuple[str, int]], timeout_ms: int, *, silent: bool = False
    ) -> list[int]:
        states = (ReaderState * len(wanted))()
        for state, (reader, current) in zip(states, wanted, strict=True):
            state.reader = reader.encode()
            state.current = current
        code = call(
            "SCardGetStatusChange", self.number, c_ulong(timeout_ms), states, c_ulong(len(wanted))
        )
        events = [int(state.event) for state in states]
        if not silent:
            # The counter's absolute value is the service's own history: its changes are told elsewhere.
            seen = [
                (reader, f"{event & 0xFFFF:04X}", bytes(state.atr[: state.atr_size]).hex())
                for (reader, _), event, state in zip(wanted, events, states, strict=True)
            ]
            tell(
                f"status change {timeout_ms} {[current & 0xFFFF for _, current in wanted]}",
                code,
                seen,
            )
        return events

    def until(self, reader: str, flag: int) -> int:
        """Wait, without a word, until the reader shows a flag; return its counter."""
        for _ in range(500):
            event = self.status_change([(reader, UNAWARE)], 0, silent=True)[0]
            if event & flag:
                return event >> 16
            time.sleep(0.02)
        raise SystemExit(f"{reader} does not show {flag:X}")

    def cancel(self) -> None:
        tell(f"cancel {self.name}", call("SCardCancel", self.number))


class Handle:
    def __init__(self, number: c_long, name: str, active: int) -> None:
        self.number = number
        self.name = name
        self.active = active

    def disconnect(self, disposition: int) -> None:
        code = call("SCardDisconnect", self.number, c_ulong(disposition))
        tell(f"disconnect {self.name} {disposition}", code)

    def reconnect(self, share: int, protocols: int, initialization: int) -> None:
        active = c_ulong(0)
        code = call(
            "SCardReconnect", self.number, c_ulong(share), c_ulong(protocols),
            c_ulong(initialization), byref(active),
        )  # fmt: skip
        self.active = active.value or self.active
        what = f"reconnect {self.name} share {share} protocols {protocols:X} how {initialization}"
        tell(what, code, "active", active.value)

    def status(self, name_room: int = 200, atr_room: int = 33) -> None:
        name, atr = create_string_buffer(200), create_string_buffer(64)
        name_size, atr_size = c_ulong(name_room), c_ulong(atr_room)
        state, protocol = c_ulong(), c_ulong()
        code = call(
            "SCardStatus", self.number, name, byref(name_size), byref(state), byref(protocol),
            atr, byref(atr_size),
        )  # fmt: skip
        seen = (f"{state.value & 0xFFFF:X}", protocol.value, atr.raw[: atr_size.value].hex())
        tell(f"status {self.name} {name_room} {atr_room}", code, *(seen if not code else ()))

    def begin(self) -> None:
        tell(f"begin {self.name}", call("SCardBeginTransaction", self.number))

    def end(self, disposition: int) -> None:
        code = call("SCardEndTransaction", self.number, c_ulong(disposition))
        tell(f"end {self.name} {disposition}", code)

    def transmit(
        self, command: str, *, protocol: int | None = None, room: int = 300, pci: bool = False
    ) -> None:
        raw = bytes.fromhex(command)
        send = Pci(self.active if protocol is None else protocol, sizeof(Pci))
        receive = Pci(self.active, sizeof(Pci))
        buffer, size = create_string_buffer(max(room, 1)), c_ulong(room)
        code = call(
            "SCardTransmit", self.number, byref(send), raw, c_ulong(len(raw)),
            byref(receive) if pci else None, buffer, byref(size),
        )  # fmt: skip
        response = buffer.raw[: size.value].hex() if not code else ""
        if len(response) > 80:
            response = f"{response[:40]}…{response[-8:]} ({size.value})"
        seen = (size.value, response, *((receive.protocol, receive.size) if pci else ()))
        what = command if len(command) <= 40 else f"{command[:20]}… ({len(raw)})"
        tell(f"transmit {self.name} {what} protocol {send.protocol} room {room}", code, *seen)

    def control(self, code_number: int, data: str = "", room: int = 300) -> None:
        raw = bytes.fromhex(data)
        buffer, size = create_string_buffer(max(room, 1)), c_ulong(99)
        code = call(
            "SCardControl", self.number, c_ulong(code_number), raw, c_ulong(len(raw)),
            buffer, c_ulong(room), byref(size),
        )  # fmt: skip
        tell(f"control {self.name} {code_number:X} {data}", code, size.value)

    def attribute(self, identifier: int, room: int | None = 264) -> None:
        size = c_ulong(room or 0)
        buffer = None if room is None else create_string_buffer(max(room, 1))
        code = call("SCardGetAttrib", self.number, c_ulong(identifier), buffer, byref(size))
        value = b"" if code or buffer is None else buffer.raw[: size.value]
        shown = (
            value.decode()
            if value.endswith(b"\0") and value[:-1].isascii() and len(value) > 4
            else value.hex()
        )
        length = size.value if identifier < 0x7FFF0000 else "of the name"
        tell(f"attribute {self.name} {identifier:X} room {room}", code, length, shown.rstrip("\0"))

    def set_attribute(self, identifier: int, value: str) -> None:
        raw = bytes.fromhex(value)
        code = call("SCardSetAttrib", self.number, c_ulong(identifier), raw, c_ulong(len(raw)))
        tell(f"set attribute {self.name} {identifier:X}", code)


class InBackground:
    """Something that will have to wait; what it tells is told when it is joined."""

    def __init__(self, action: Callable[[], None]) -> None:
        self._lines: list[str] = []
        self._action = action
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        time.sleep(0.25)

    def _run(self) -> None:
        BACKGROUND.lines = self._lines
        self._action()

    def join(self) -> None:
        self._thread.join()
        for line in self._lines:
            print(f"meanwhile {line}", flush=True)


def contexts() -> None:
    section("contexts and lists")
    for scope in (0, 1, 2, 3, 4):
        context = Context(scope)
        if scope < 4:
            context.is_valid()
            context.release()
            context.is_valid()
            context.release()
    one = Context(name="one")
    one.list_readers(None)
    one.list_readers()
    one.list_readers(3)
    groups, size = create_string_buffer(100), c_ulong(100)
    code = call("SCardListReaderGroups", one.number, groups, byref(size))
    tell("groups", code, groups.raw[: size.value])
    one.release()
    one.list_readers()
    one.connect(CARD, SHARED, T0 | T1)
    one.cancel()
    stranger = Handle(c_long(0x1234567), "stranger", T1)
    stranger.status()
    stranger.transmit(COUNT)
    stranger.begin()
    stranger.end(LEAVE)
    stranger.reconnect(SHARED, T1, LEAVE)
    stranger.disconnect(LEAVE)
    stranger.control(0x42000D48)
    stranger.attribute(0x90303)


def connecting(one: Context, two: Context) -> None:
    section("connecting")
    for share, protocols in (
        (SHARED, 0), (SHARED, T15), (0, T0), (4, T0), (9, 0), (DIRECT, 0), (SHARED, T0 | T1),
        (SHARED, ANY_OLD), (EXCLUSIVE, T1), (SHARED, T1), (SHARED, T0),
    ):  # fmt: skip
        handle = one.connect(CARD, share, protocols)
        if handle.number.value:
            handle.status()
            handle.disconnect(RESET)
    for name in ("", "nobody 00 00", CARD[:-1], CARD.upper(), "x" * 200):
        one.connect(name, SHARED, T0 | T1)
    sam = one.connect(SAM, SHARED, T1, "sam")
    sam = one.connect(SAM, SHARED, T0 | T1, "sam")
    sam.status()
    sam.transmit("0084000008")
    sam.transmit("800E000003010203")
    sam.transmit("80C0000003")
    sam.transmit("800E00000301020300")
    sam.transmit("0084000000")
    sam.transmit("0084000008")
    sam.transmit("00840000")
    sam.disconnect(RESET)
    first = one.connect(CARD, SHARED, T0 | T1, "first")
    two.connect(CARD, SHARED, T0, "second")
    second = two.connect(CARD, SHARED, T1, "second")
    two.connect(CARD, EXCLUSIVE, T1, "third")
    first.disconnect(LEAVE)
    second.disconnect(RESET)
    only = one.connect(CARD, EXCLUSIVE, T0 | T1, "only")
    two.connect(CARD, SHARED, T0 | T1, "second")
    two.connect(CARD, DIRECT, 0, "second")
    only.status()
    only.end(LEAVE)
    only.begin()
    only.end(LEAVE)
    only.end(LEAVE)
    only.begin()
    only.reconnect(SHARED, T0 | T1, LEAVE)
    only.end(LEAVE)  # what was exclusive still holds
    only.end(LEAVE)
    second = two.connect(CARD, SHARED, T0 | T1, "second")
    waiting = InBackground(lambda: only.reconnect(EXCLUSIVE, T0 | T1, LEAVE))
    second.disconnect(LEAVE)
    waiting.join()
    only.reconnect(EXCLUSIVE, T0 | T1, LEAVE)
    only.reconnect(DIRECT, 0, LEAVE)
    only.end(LEAVE)
    only.end(LEAVE)
    only.disconnect(RESET)
    only.disconnect(LEAVE)


def raw(one: Context) -> None:
    section("raw")
    direct = one.connect(CARD, DIRECT, RAW, "direct")
    direct.status()
    direct.transmit(COUNT, protocol=RAW)
    one.connect(CARD, SHARED, T0 | T1)
    raw = one.connect(CARD, SHARED, RAW, "raw")
    raw.transmit(COUNT, protocol=RAW)
    raw.disconnect(LEAVE)
    direct.reconnect(SHARED, T0 | T1, LEAVE)
    direct.reconnect(SHARED, T0 | T1, RESET)
    direct.disconnect(RESET)


def exchanges(one: Context) -> None:
    section("exchanges")
    card = one.connect(CARD, SHARED, T0 | T1)
    card.transmit("0084000008", pci=True)
    card.transmit("0084000008", protocol=T0)
    card.transmit("0084000008", protocol=T0 | T1)
    card.transmit("0084000008", protocol=ANY_OLD)
    card.transmit("0084000008", protocol=0)
    card.transmit("0084000008", room=9)
    card.transmit("0084000008", room=10)
    card.transmit("0084000008", room=1)
    card.transmit("0084000008", room=0)
    # vpcd itself waits for ever for an answer to no bytes, or to one of its own control bytes.
    for command in ("0084", "008400", "00840000", "60", "00FF0000", "0033000000"):
        card.transmit(command)
    card.transmit("00B0FF00000000", room=70000)
    card.transmit("000E000000FF00" + "A5" * 0xFF00 + "0000", room=70000)
    card.transmit("00" * 65549, room=70000)
    for code in (0x42000D48, 0x42000001, 1, 0, 0xFFFFFFFF):
        card.control(code)
    card.control(0x42000D48, "0102", room=0)
    for identifier in (
        0x90303, 0x10100, 0x10101, 0x10102, 0x80201, 0x90300, 0x90301, 0x7FFF0003, 0x7FFF0004,
        0x10103, 0x20110, 0x7A007, 0x90304, 0, 0xFFFFFFFF,
    ):  # fmt: skip
        card.attribute(identifier)
    card.attribute(0x90303, None)
    card.attribute(0x90303, 3)
    card.attribute(0x10100, 300)
    card.set_attribute(0x10100, "00")
    card.set_attribute(0x90303, "3B00")
    card.status(3, 33)
    card.status(200, 3)
    card.disconnect(9)
    card.disconnect(RESET)


def resets(one: Context, two: Context) -> None:
    section("resets")
    for how in (RESET, UNPOWER):
        first, second = (
            one.connect(CARD, SHARED, T0 | T1, "first"),
            two.connect(CARD, SHARED, T0 | T1, "second"),
        )
        first.transmit(COUNT)
        first.transmit(COUNT)
        first.reconnect(SHARED, T0 | T1, how)
        first.transmit(COUNT)
        second.status()
        second.transmit(COUNT)
        second.begin()
        second.end(LEAVE)
        second.attribute(0x90303)
        second.set_attribute(0x10100, "00")
        second.control(0x42000D48)
        second.reconnect(SHARED, T0, LEAVE)
        second.reconnect(SHARED, T0 | T1, LEAVE)
        second.transmit(COUNT)
        second.begin()
        second.end(how)
        second.status()
        first.status()
        first.reconnect(SHARED, T0 | T1, EJECT)
        first.reconnect(SHARED, T0 | T1, 7)
        first.reconnect(0, T0, LEAVE)
        first.reconnect(SHARED, 0, LEAVE)
        first.reconnect(SHARED, T0, RESET)
        first.transmit(COUNT)
        second.disconnect(how)
        first.status()
        first.disconnect(LEAVE)
        again = one.connect(CARD, SHARED, T0 | T1, "again")
        again.transmit(COUNT)
        again.end(RESET)
        again.status()
        again.end(9)
        again.disconnect(EJECT)


def transactions(one: Context, two: Context) -> None:
    section("transactions")
    first, second = (
        one.connect(CARD, SHARED, T0 | T1, "first"),
        two.connect(CARD, SHARED, T0 | T1, "second"),
    )
    first.end(LEAVE)
    first.begin()
    first.begin()
    second.control(0x42000D48)
    second.attribute(0x90303)
    second.end(LEAVE)
    second.end(RESET)
    first.transmit(COUNT)
    first.end(LEAVE)
    for action in (
        lambda: second.transmit(COUNT),
        second.begin,
        second.status,
        lambda: second.reconnect(SHARED, T0 | T1, LEAVE),
        lambda: two.connect(CARD, SHARED, T0 | T1, "third").disconnect(LEAVE),
        lambda: two.connect(CARD, DIRECT, 0, "third").disconnect(LEAVE),
    ):
        waiting = InBackground(action)
        first.end(LEAVE)
        waiting.join()
        second.end(LEAVE)
        first.begin()
    first.reconnect(SHARED, T0 | T1, RESET)
    second.control(0x42000D48)
    waiting = InBackground(lambda: second.disconnect(RESET))
    first.end(LEAVE)
    waiting.join()
    first.status()
    first.reconnect(SHARED, T0 | T1, LEAVE)
    second = two.connect(CARD, SHARED, T0 | T1, "second")
    first.begin()
    second.disconnect(LEAVE)
    first.disconnect(LEAVE)
    holder = Context(name="holder")
    held = holder.connect(CARD, SHARED, T0 | T1, "held")
    other = two.connect(CARD, SHARED, T0 | T1, "other")
    held.begin()
    holder.release()
    other.status()
    other.reconnect(SHARED, T0 | T1, LEAVE)
    other.disconnect(RESET)
    held.status()


def moves(one: Context, two: Context) -> None:
    section("moves")
    card = one.connect(CARD, SHARED, T0 | T1)
    other = two.connect(CARD, SHARED, T0 | T1, "other")
    card.begin()
    before = one.until(CARD, PRESENT)
    ask("remove 0")
    after = one.until(CARD, EMPTY)
    tell("counter", 0, (after - before) & 0xFFFF)
    for handle in (card, other):
        handle.status()
        handle.transmit(COUNT)
        handle.begin()
        handle.end(LEAVE)
        handle.control(0x42000D48)
        handle.attribute(0x90303)
        handle.reconnect(SHARED, T0 | T1, LEAVE)
        handle.reconnect(SHARED, T0 | T1, RESET)
        handle.status()
    other.disconnect(RESET)
    one.connect(CARD, SHARED, T0 | T1, "nothing")
    direct = one.connect(CARD, DIRECT, 0, "direct")
    direct.status()
    direct.transmit(COUNT, protocol=T1)
    direct.reconnect(DIRECT, 0, RESET)
    direct.disconnect(UNPOWER)
    one.status_change([(CARD, UNAWARE), (SAM, UNAWARE)], 0)
    one.status_change([(CARD, PRESENT), (SAM, PRESENT)], 0)
    one.status_change([(CARD, EMPTY)], 100)
    ask("insert 0")
    one.until(CARD, PRESENT)
    card.status()
    card.reconnect(SHARED, T0 | T1, LEAVE)
    card.status()
    card.transmit(COUNT)
    card.disconnect(RESET)


def waits(one: Context, two: Context) -> None:
    section("waits")
    one.status_change([], 0)
    one.status_change([(CARD, IGNORE)], 0)
    one.status_change([("nobody", UNAWARE)], 0)
    one.status_change([(PNP, UNAWARE), (CARD, UNAWARE)], 0)
    one.status_change([(CARD, UNAWARE)] * 16, 0)
    one.status_change([(CARD, UNAWARE)] * 17, 0)
    one.status_change([(CARD, UNAWARE)], 1000)
    known = one.status_change([(CARD, UNAWARE)], 0, silent=True)[0]
    one.status_change([(CARD, known)], 100)
    one.status_change([(CARD, known)], 0)
    one.status_change([(CARD, EMPTY)], 1000)
    one.status_change([(CARD, known + 0x50000)], 1000)
    card = two.connect(CARD, SHARED, T0 | T1)
    time.sleep(0.5)
    one.status_change([(CARD, PRESENT)], 100)
    one.status_change([(CARD, UNAWARE)], 0)
    waiting = InBackground(lambda: one.status_change([(CARD, PRESENT | 0x100)], 3000))
    card.disconnect(RESET)
    waiting.join()
    only = two.connect(CARD, EXCLUSIVE, T0 | T1, "only")
    time.sleep(0.5)
    one.status_change([(CARD, UNAWARE)], 0)
    only.disconnect(RESET)
    time.sleep(0.5)
    waiting = InBackground(lambda: one.status_change([(CARD, PRESENT)], 5000))
    ask("remove 0")
    waiting.join()
    waiting = InBackground(lambda: one.status_change([(CARD, EMPTY)], INFINITE))
    ask("insert 0")
    waiting.join()
    waiting = InBackground(lambda: one.status_change([(CARD, PRESENT), (PNP, UNAWARE)], INFINITE))
    one.cancel()
    waiting.join()
    one.cancel()
    one.status_change([(CARD, PRESENT)], 100)


def main() -> None:
    contexts()
    one, two = Context(name="one"), Context(2, name="two")
    connecting(one, two)
    raw(one)
    exchanges(one)
    resets(one, two)
    transactions(one, two)
    moves(one, two)
    waits(one, two)
    one.release()
    two.release()


main()
