"""Call a function of the symmetric suite by its name in the vectors: here, and in the second suite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from independent import second_suite

from cardbench.protocol.calypso.suite import SymmetricSuite, WrappedKey, public_test_master

if TYPE_CHECKING:
    from collections.abc import Callable

Inputs = dict[str, Any]


def _bytes(inputs: Inputs, *names: str) -> list[bytes]:
    return [bytes.fromhex(inputs[name]) for name in names]


def _session(suite: SymmetricSuite, inputs: Inputs) -> dict[str, bytes]:
    key, challenge, open_data = _bytes(inputs, "key", "terminal_challenge", "open_data")
    session = suite.start_session(
        key,
        extended=inputs["mode"] == "extended",
        terminal_challenge=challenge,
        open_data=open_data,
    )
    for element in inputs.get("element", []):
        session.absorb(bytes.fromhex(element))
    return {
        "terminal_mac": session.terminal_mac(),
        "card_mac": session.card_mac(),
        "terminal_proof": session.terminal_proof(),
        "card_proof": session.card_proof(),
        "cipher": session.cipher(bytes.fromhex(inputs["data"])),
    }


def _wrap_key(suite: SymmetricSuite, inputs: Inputs) -> dict[str, bytes]:
    key, challenge, value = _bytes(inputs, "key", "challenge", "value")
    header = [int(inputs[name], 16) for name in ("kif", "kvc", "algorithm")]
    return {"cryptogram": suite.wrap_key(key, challenge, WrappedKey(value, *header))}


def _seal_sam_block(suite: SymmetricSuite, inputs: Inputs) -> dict[str, bytes]:
    key, challenge, content = _bytes(inputs, "key", "challenge", "content")
    reference = int(inputs["reference"], 16)
    return {"block": suite.seal_sam_block(key, challenge, reference, content)}


OURS: dict[str, Callable[[SymmetricSuite, Inputs], dict[str, bytes]]] = {
    "public_test_master": lambda _, i: {
        "key": public_test_master(int(i["kif"], 16), int(i["kvc"], 16))
    },
    "diversify": lambda s, i: {"key": s.diversify(*_bytes(i, "master", "diversifier"))},
    "session": _session,
    "pin_presentation": lambda s, i: {
        "cryptogram": s.pin_presentation(*_bytes(i, "key", "challenge", "pin"))
    },
    "pin_change": lambda s, i: {
        "cryptogram": s.pin_change(*_bytes(i, "key", "challenge", "old_pin", "new_pin"))
    },
    "wrap_key": _wrap_key,
    "sv_signature_hi": lambda s, i: {
        "signature": s.sv_signature_hi(
            *_bytes(i, "key", "message"), extended=i["extended"] == "yes"
        )
    },
    "sv_signature_lo": lambda s, i: {
        "signature": s.sv_signature_lo(
            *_bytes(i, "key", "message", "signature_hi"), extended=i["extended"] == "yes"
        )
    },
    "sign": lambda s, i: {
        "signature": s.sign(*_bytes(i, "key"), i["purpose"], *_bytes(i, "message"))
    },
    "seal_sam_block": _seal_sam_block,
    "unlock_proof": lambda s, i: {
        "proof": s.unlock_proof(*_bytes(i, "lock_value", "serial", "challenge"))
    },
}


def _second_session(inputs: Inputs) -> dict[str, bytes]:
    key, challenge, open_data, data = _bytes(
        inputs, "key", "terminal_challenge", "open_data", "data"
    )
    session = second_suite.Session(key, inputs["mode"], challenge, open_data)
    for element in inputs.get("element", []):
        session.absorb(bytes.fromhex(element))
    names = ("terminal_mac", "card_mac", "terminal_proof", "card_proof")
    results = {name: session.mac(label) for label, name in enumerate(names, 1)}
    return {**results, "cipher": session.cipher(data)}


def _second_wrap_key(inputs: Inputs) -> dict[str, bytes]:
    header = [int(inputs[name], 16) for name in ("kif", "kvc", "algorithm")]
    parts = _bytes(inputs, "key", "challenge", "value")
    return {"cryptogram": second_suite.wrap_key(*parts, header)}


def _second_block(inputs: Inputs) -> dict[str, bytes]:
    key, challenge, content = _bytes(inputs, "key", "challenge", "content")
    reference = int(inputs["reference"], 16)
    return {"block": second_suite.seal_sam_block(key, challenge, reference, content)}


THEIRS: dict[str, Callable[[Inputs], dict[str, bytes]]] = {
    "diversify": lambda i: {"key": second_suite.diversify(*_bytes(i, "master", "diversifier"))},
    "session": _second_session,
    "pin_presentation": lambda i: {
        "cryptogram": second_suite.pin_presentation(*_bytes(i, "key", "challenge", "pin"))
    },
    "pin_change": lambda i: {
        "cryptogram": second_suite.pin_change(*_bytes(i, "key", "challenge", "old_pin", "new_pin"))
    },
    "wrap_key": _second_wrap_key,
    "sv_signature_hi": lambda i: {
        "signature": second_suite.sv_signature_hi(
            *_bytes(i, "key", "message"), 10 if i["extended"] == "yes" else 5
        )
    },
    "sv_signature_lo": lambda i: {
        "signature": second_suite.sv_signature_lo(
            *_bytes(i, "key", "message", "signature_hi"), 6 if i["extended"] == "yes" else 3
        )
    },
    "sign": lambda i: {
        "signature": second_suite.sign(*_bytes(i, "key"), i["purpose"], *_bytes(i, "message"))
    },
    "seal_sam_block": _second_block,
    "unlock_proof": lambda i: {
        "proof": second_suite.unlock_proof(*_bytes(i, "lock_value", "serial", "challenge"))
    },
}
