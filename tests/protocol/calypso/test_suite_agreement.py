"""The symmetric suite agrees with a second implementation, and both with the published primitives."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from independent import second_suite
from support.suite_calls import OURS, THEIRS

from cardbench.protocol.calypso import aes_suite
from cardbench.protocol.calypso.aes_suite import AesSuite

SUITE = AesSuite()


# The primitives, by their standards


@pytest.mark.vectors("primitives.json", "aes_128")
def test_aes_of_the_second_implementation_is_aes(vector: dict[str, str]) -> None:
    key, plain = bytes.fromhex(vector["key"]), bytes.fromhex(vector["plain"])
    assert second_suite.encrypt_block(key, plain).hex() == vector["cipher"]


@pytest.mark.vectors("primitives.json", "cmac")
def test_both_cmacs_are_cmac(vector: dict[str, str]) -> None:
    key, message = bytes.fromhex(vector["key"]), bytes.fromhex(vector["message"])
    assert aes_suite._cmac(key, message).hex() == vector["mac"]
    assert second_suite.cmac(key, message).hex() == vector["mac"]
    subkeys = [part.hex() for part in second_suite.subkeys(key)]
    assert subkeys == [vector["k1"], vector["k2"]]


@pytest.mark.vectors("primitives.json", "ctr")
def test_both_counter_modes_are_counter_mode(vector: dict[str, str]) -> None:
    key, start, plain = (bytes.fromhex(vector[name]) for name in ("key", "start", "plain"))
    for mode in (aes_suite._counter_mode, second_suite.counter_mode):
        assert mode(key, start, plain).hex() == vector["cipher"]
        assert mode(key, start, bytes.fromhex(vector["cipher"])) == plain


# The functions


@pytest.mark.vectors("symmetric_suite.json", "functions")
def test_both_give_the_fixed_vectors(vector: dict[str, Any]) -> None:
    expected = {name: bytes.fromhex(text) for name, text in vector["outputs"].items()}
    assert OURS[vector["function"]](SUITE, vector["inputs"]) == expected
    if vector["function"] in THEIRS:
        assert THEIRS[vector["function"]](vector["inputs"]) == expected


def hexadecimal(least: int, most: int | None = None) -> st.SearchStrategy[str]:
    return st.binary(min_size=least, max_size=least if most is None else most).map(bytes.hex)


keys, challenges, bytes_1 = hexadecimal(16), hexadecimal(8), hexadecimal(1)
messages = hexadecimal(0, 70)
INPUTS = {
    "diversify": {"master": keys, "diversifier": hexadecimal(8) | hexadecimal(4)},
    "session": {
        "key": keys,
        "mode": st.sampled_from(["regular", "extended"]),
        "terminal_challenge": hexadecimal(4) | challenges,
        "open_data": hexadecimal(8, 40),
        "element": st.lists(hexadecimal(0, 40), max_size=4),
        "data": hexadecimal(0, 40),
    },
    "pin_presentation": {"key": keys, "challenge": challenges, "pin": hexadecimal(4)},
    "pin_change": {
        "key": keys,
        "challenge": challenges,
        "old_pin": hexadecimal(4),
        "new_pin": hexadecimal(4),
    },
    "wrap_key": {
        "key": keys,
        "challenge": challenges,
        "value": keys,
        "kif": bytes_1,
        "kvc": bytes_1,
        "algorithm": bytes_1,
    },
    "sv_signature_hi": {
        "key": keys,
        "message": messages,
        "extended": st.sampled_from(["yes", "no"]),
    },
    "sv_signature_lo": {
        "key": keys,
        "message": messages,
        "signature_hi": hexadecimal(5) | hexadecimal(10),
        "extended": st.sampled_from(["yes", "no"]),
    },
    "sign": {
        "key": keys,
        "purpose": st.sampled_from(["data-cipher", "pso", "pso-no-busy", "read"]),
        "message": messages,
    },
    "seal_sam_block": {
        "key": keys,
        "challenge": challenges,
        "reference": bytes_1,
        "content": hexadecimal(40),
    },
    "unlock_proof": {"lock_value": keys, "serial": hexadecimal(4), "challenge": challenges},
}


@pytest.mark.parametrize("function", THEIRS)
@given(data=st.data())
def test_both_agree_on_everything(function: str, data: st.DataObject) -> None:
    inputs = data.draw(st.fixed_dictionaries(INPUTS[function]))
    assert OURS[function](SUITE, inputs) == THEIRS[function](inputs)


def test_no_function_is_left_out() -> None:
    assert INPUTS.keys() == THEIRS.keys()
    assert OURS.keys() - THEIRS.keys() == {"public_test_master"}
