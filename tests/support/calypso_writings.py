"""Every writing command of every product, out of a session and in one: what the tears strike at."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from support.calypso_cases.pki import (
    GENERATE,
    PUT_CA_1,
    PUT_CA_2,
    PUT_CARD_1,
    PUT_CARD_2,
    PUT_KEY_PAIR,
)
from support.calypso_cases.steps import (
    OPEN_PKI,
    altered,
    ciphered_pin,
    invalid,
    new_key,
    new_pin,
    sv,
    written,
)
from support.calypso_workshop import made

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.calypso_cases.steps import Command, Step
    from support.calypso_peer import Peer


class Product(NamedTuple):
    """A product, and the kind of session it is in."""

    name: str
    preset: str
    mode: str

    def rows(self) -> set[str]:
        """Names of the commands that its first application answers to."""
        return {row.name for row in made(self.preset).structure.applications[0].commands}


PRODUCTS = (
    Product("prime-3 regular", "workshop", "regular"),
    Product("prime-3 extended", "workshop", "extended"),
    Product("prime-3 PKI", "pki workshop", "PKI"),
    Product("prime-2", "prime-2 workshop", "revision 2"),
    Product("prime-1", "prime-1 workshop", "revision 1"),
    Product("light", "light-classic workshop", "regular"),
    Product("basic", "basic workshop", "regular"),
)


class Writing(NamedTuple):
    """What is cut.

    Attributes:
        product: on which card.
        row: the command of the card's table; `deselect` for none.
        how: which variant of it.
        before: what comes before, in full.
        action: what is cut.
    """

    product: Product
    row: str
    how: str
    before: tuple[Step, ...]
    action: Step

    def title(self) -> str:
        """Name the writing."""
        return f"{self.product.name}: {self.row}, {self.how}"


def _in_class(peer: Peer, command: Command) -> str:
    """Write a command in the class of the product."""
    text = written(peer, command)
    return f"{peer.cla:02X}{text[2:]}" if text.startswith("00") else text


def _send(command: Command) -> Step:
    """Send a command, which the card must not refuse to know."""

    def send(peer: Peer) -> None:
        text = _in_class(peer, command)
        answer = peer.send(text)
        assert answer[-4:-2] not in ("6B", "6D", "6E"), f"{text} was answered {answer}"

    return send


def _ok(command: Command) -> Step:
    def send(peer: Peer) -> None:
        text = _in_class(peer, command)
        answer = peer.send(text)
        assert answer[-4:] in ("9000", "6200"), f"{text} was answered {answer}"

    return send


def _opens(product: Product) -> Step:
    def open_session(peer: Peer) -> None:
        if product.mode == "PKI":
            peer.ok(OPEN_PKI)
        else:
            peer.open(1, mode=product.mode)

    return open_session


def _closes(product: Product, *, ratified: bool = False) -> Step:
    def close(peer: Peer) -> None:
        if product.mode == "PKI":
            peer.ok("008E000000")
        else:
            answer = peer.close(ratified=ratified)
            assert answer[-4:] == "9000", f"Close was answered {answer}"
            peer.digest = None

    return close


def _ratify(peer: Peer) -> None:
    assert peer.send(f"{peer.cla:02X}B2000000") == "6B00"


def _deselect(peer: Peer) -> None:
    peer.card.deselect()


def _then(*steps: Step) -> Step:
    def play(peer: Peer) -> None:
        for step in steps:
            step(peer)

    return play


_RIGHT, _WRONG = "002000000430303030", "002000000439393939"
_COUNT = "0032017003000009"
_COUNT_TWO = "003A007008 01000009 02000009".replace(" ", "")
_CURRENT_BINARY = "00B0900001"
_MODIFICATIONS: dict[str, tuple[Command, tuple[str, ...]]] = {
    "Update Record": ("00DC016C0411223344", ()),
    "Write Record": ("00D2016C0411223344", ()),
    "Append Record": ("00E200780411223344", ()),
    "Increase": ("0032017003000005", ()),
    "Decrease": ("0030017003000002", (_COUNT,)),
    "Increase Multiple": ("003A0070080100000102000002", ()),
    "Decrease Multiple": ("0038007008 01000001 02000002".replace(" ", ""), (_COUNT_TWO,)),
    "Update Binary (by SFI)": ("00D6900A021122", ()),
    "Update Binary (current EF)": ("00D6000A021122", (_CURRENT_BINARY,)),
    "Write Binary (by SFI)": ("00D0900A021122", ()),
    "Write Binary (current EF)": ("00D0000A021122", (_CURRENT_BINARY,)),
    "SV Reload": (sv(0xB8, 100), ()),
    "SV Debit": (sv(0xBA, -7), ()),
    "SV Undebit": (sv(0xBC, 7), ()),
}
"""Commands on files that always allow them, and what must come before."""
_EXTENDED_SV: dict[str, Command] = {
    "SV Reload": sv(0xB8, 100, extended=True),
    "SV Debit": sv(0xBA, -7, extended=True),
    "SV Undebit": sv(0xBC, 7, extended=True),
}
_STATUS: dict[str, tuple[str, tuple[Step, ...]]] = {
    "Invalidate": ("0004000000", ()),
    "Rehabilitate": ("0044000000", (invalid,)),
}
_PIN_AND_KEYS: tuple[tuple[str, str, tuple[str, ...], Command], ...] = (
    ("Verify PIN (plain)", "right", (_WRONG,), _RIGHT),
    ("Verify PIN (plain)", "wrong", (_WRONG,), _WRONG),
    ("Verify PIN (plain)", "the last try, wrong", (_WRONG, _WRONG), _WRONG),
    ("Verify PIN (plain)", "the last try, right", (_WRONG, _WRONG), _RIGHT),
    ("Verify PIN (ciphered)", "right", (_WRONG,), ciphered_pin()),
    ("Verify PIN (ciphered)", "wrong", (_WRONG,), ciphered_pin("39393939")),
    ("Change PIN", "plain", (_RIGHT,), "00D800FF0431323334"),
    ("Change PIN", "ciphered", (_WRONG, _WRONG, _WRONG), new_pin("31323334")),
    ("Change PIN", "wrong", (_WRONG,), altered(new_pin("31323334"))),
    ("Change Key", "of slot 1", (), new_key(1, 0x21, 0x75, 0x40)),
    ("Change Key", "of slot 3", (), new_key(3, 0x30, 0x75, 0x40)),
    ("Change Key", "wrong", (), altered(new_key(3, 0x30, 0x75, 0x40))),
)
_PKI_OBJECTS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("Generate Asymmetric Key Pair", (), GENERATE),
    ("Put Data (card key pair)", (), PUT_KEY_PAIR),
    ("Put Data (card certificate, last part)", (PUT_KEY_PAIR, PUT_CARD_1), PUT_CARD_2),
    ("Put Data (CA certificate, last part)", (PUT_CA_1,), PUT_CA_2),
)
_OPEN_ROWS = {
    "regular": "Open Secure Session (regular)",
    "extended": "Open Secure Session (extended)",
    "PKI": "Open Secure Session (PKI)",
    "revision 1": "Open Secure Session (revision 1)",
    "revision 2": "Open Secure Session (revision 2)",
}


def _of_files_and_purse(product: Product) -> Iterator[Writing]:
    for row, (command, before) in _MODIFICATIONS.items():
        ready = tuple(_ok(each) for each in before)
        yield Writing(product, row, "outside", ready, _ok(command))
        if product.mode == "PKI" and row.startswith("SV"):
            continue  # refused in such a session
        inside = _then(_ok(command), _closes(product))
        yield Writing(product, row, "in a session", (*ready, _opens(product)), inside)
    for row, command in _EXTENDED_SV.items() if product.mode == "extended" else ():
        yield Writing(product, row, "extended, outside", (), _ok(command))
        inside = _then(_ok(command), _closes(product))
        yield Writing(product, row, "extended, in a session", (_opens(product),), inside)
    for row, (command, given) in _STATUS.items() if product.mode != "PKI" else ():
        inside = _then(_ok(command), _closes(product))
        yield Writing(product, row, "in a session", (*given, _opens(product)), inside)


def _of_pin_and_keys(product: Product) -> Iterator[Writing]:
    for row, how, before, command in _PIN_AND_KEYS:
        ready = tuple(_send(each) for each in before)
        yield Writing(product, row, f"{how}, outside", ready, _send(command))
        if not row.startswith("Verify") or (product.mode == "PKI" and "ciphered" in row):
            continue
        given = (*ready, _opens(product), _ok("00DC016C0411223344"))
        yield Writing(
            product, row, f"{how}, in a session", given, _then(_send(command), _closes(product))
        )
    for row, before, command in _PKI_OBJECTS if product.mode == "regular" else ():
        yield Writing(product, row, "outside", tuple(_ok(each) for each in before), _ok(command))


def _of_sessions(product: Product) -> Iterator[Writing]:
    opens, much = _opens(product), ("Update Record", "Append Record", "Increase")
    yield Writing(product, _OPEN_ROWS[product.mode], "ratified", (), opens)
    unratified = (opens, _closes(product))
    if product.mode != "PKI":  # whose Close leaves nothing to ratify
        yield Writing(product, _OPEN_ROWS[product.mode], "and ratifies", unratified, opens)
        yield Writing(product, "Ratification", "behind Close", unratified, _ratify)
    if made(product.preset).structure.applications[0].deselect_ratifies and product.mode != "PKI":
        yield Writing(product, "deselect", "behind Close", unratified, _deselect)
    if product.mode == "extended":
        yield Writing(product, "Open Secure Session (pre-open)", "", (), _ok("008A0302010000"))
    changes = tuple(_ok(_MODIFICATIONS[row][0]) for row in much)
    row = "Abort Secure Session" if product.mode == "PKI" else "Close Secure Session"
    for how, ratified in (("ratified", True), ("to be ratified", False)):
        yield Writing(product, row, how, (opens, *changes), _closes(product, ratified=ratified))


def _shared_session(peer: Peer) -> None:
    """A session of the Intercode application that changes a Hoplink file."""
    peer.ok("00A4040008A000000291FF911100")
    peer.kvc = 0x75
    peer.open(3, mode="extended")
    peer.ok("00DC01C40411223344", "00E20050041122AABB")


_KIT = Product("kit-extended", "kit-extended", "extended")


def _all() -> Iterator[Writing]:
    for product in PRODUCTS:
        rows = product.rows() | {"deselect"}
        for family in (_of_files_and_purse, _of_pin_and_keys, _of_sessions):
            yield from (writing for writing in family(product) if writing.row in rows)
    yield Writing(_KIT, "Close Secure Session", "shared files", (_shared_session,), _closes(_KIT))


def _is_possible(writing: Writing) -> bool:
    """Whether the card lets it happen: Basic's access conditions never let it be rehabilitated."""
    return (writing.product.name, writing.row) != ("basic", "Rehabilitate")


WRITINGS = tuple(writing for writing in _all() if _is_possible(writing))
"""Everything that is cut."""
