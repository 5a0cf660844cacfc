"""What the protocol needs of a symmetric suite, row by row of calypso-card §10.2.

Rows that only show between a card and a SAM (5, 13, 14, 16) are in `pairs/test_suite_on_the_wire.py`.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cardbench.protocol.calypso import aes_suite
from cardbench.protocol.calypso.aes_suite import AesSuite
from cardbench.protocol.calypso.suite import (
    SessionDigest,
    WrappedKey,
    load_suite,
    public_test_master,
)
from cardbench.protocol.errors import CryptoError, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

SUITE = AesSuite()
KEY = bytes(range(16))
CHALLENGE = bytes.fromhex("C1C2C3C4C5C6C7C8")
SERIAL = bytes.fromhex("0000000011223344")
OPEN_DATA = bytes.fromhex("030D3F7C01307400")
REQUEST = bytes.fromhex("00B2013C1D")
RESPONSE = bytes.fromhex("01") + bytes(28) + b"\x90\x00"

keys = st.binary(min_size=16, max_size=16)
challenges = st.binary(min_size=8, max_size=8)
elements = st.lists(st.binary(min_size=2, max_size=40), max_size=5)

Results = tuple[bytes, bytes, bytes, bytes, bytes]


def flipped(data: bytes, bit: int) -> bytes:
    """Return the bytes with one bit changed."""
    out = bytearray(data)
    out[bit // 8] ^= 1 << bit % 8
    return bytes(out)


def every_flip(data: bytes) -> list[bytes]:
    return [flipped(data, bit) for bit in range(8 * len(data))]


def session(
    key: bytes = KEY,
    *,
    extended: bool = True,
    challenge: bytes = CHALLENGE,
    open_data: bytes = OPEN_DATA,
    absorbed: tuple[bytes, ...] | list[bytes] = (REQUEST, RESPONSE),
) -> SessionDigest:
    digest = SUITE.start_session(
        key, extended=extended, terminal_challenge=challenge, open_data=open_data
    )
    for element in absorbed:
        digest.absorb(element)
    return digest


def results(digest: SessionDigest) -> Results:
    """Everything that a session tells of its state."""
    return (
        digest.terminal_mac(),
        digest.card_mac(),
        digest.terminal_proof(),
        digest.card_proof(),
        digest.cipher(bytes(16)),
    )


def assert_all_differ(found: list[bytes]) -> None:
    assert len(set(found)) == len(found)


def assert_nothing_in_common(left: Results, right: Results) -> None:
    for one, other in zip(left, right, strict=True):
        assert one != other


# Rows 1, 2, 15: diversification


def test_a_diversified_key_depends_on_every_bit_of_master_and_serial() -> None:
    found = [SUITE.diversify(KEY, SERIAL)]
    found += [SUITE.diversify(master, SERIAL) for master in every_flip(KEY)]
    found += [SUITE.diversify(KEY, serial) for serial in every_flip(SERIAL)]
    assert_all_differ(found)
    assert {len(key) for key in found} == {16}


@given(keys, st.binary(min_size=4, max_size=4))
def test_a_short_diversifier_is_padded_with_zeros_on_the_left(master: bytes, short: bytes) -> None:
    assert SUITE.diversify(master, short) == SUITE.diversify(master, bytes(4) + short)


def test_every_kif_and_kvc_has_a_test_master_of_its_own() -> None:
    assert_all_differ([public_test_master(kif, kvc) for kif in range(256) for kvc in range(256)])
    assert len(public_test_master(0x30, 0x74)) == 16


# Row 3: what a session starts from


def test_a_session_depends_on_every_bit_of_key_challenge_and_open_data() -> None:
    plain = results(session())
    for key in every_flip(KEY):
        assert_nothing_in_common(results(session(key)), plain)
    for challenge in every_flip(CHALLENGE):
        assert_nothing_in_common(results(session(challenge=challenge)), plain)
    for open_data in every_flip(OPEN_DATA):
        assert_nothing_in_common(results(session(open_data=open_data)), plain)


def test_a_session_depends_on_its_mode() -> None:
    assert_nothing_in_common(results(session(extended=True)), results(session(extended=False)))


# Row 4: every byte, in order, with boundaries and direction


@pytest.mark.parametrize("extended", [False, True])
def test_one_flipped_bit_anywhere_in_a_session_changes_every_result(extended: bool) -> None:
    absorbed = (REQUEST, RESPONSE, bytes.fromhex("00DC014402AABB"), b"\x90\x00")
    plain = results(session(extended=extended, absorbed=absorbed))
    for number, element in enumerate(absorbed):
        for changed in every_flip(element):
            altered = [*absorbed[:number], changed, *absorbed[number + 1 :]]
            assert_nothing_in_common(results(session(extended=extended, absorbed=altered)), plain)


@given(elements, elements)
def test_other_elements_give_other_results(one: list[bytes], other: list[bytes]) -> None:
    """Same bytes in other pieces, another order, more or fewer of them."""
    left, right = results(session(absorbed=one)), results(session(absorbed=other))
    if one == other:
        assert left == right
    else:
        assert_nothing_in_common(left, right)


@given(st.binary(min_size=4, max_size=40), st.data())
def test_the_boundary_between_elements_cannot_be_shifted(whole: bytes, data: st.DataObject) -> None:
    cuts = st.integers(0, len(whole))
    one, other = data.draw(cuts), data.draw(cuts)
    assume(one != other)
    left, right = (session(absorbed=(whole[:cut], whole[cut:])) for cut in (one, other))
    assert_nothing_in_common(results(left), results(right))
    assert_nothing_in_common(results(left), results(session(absorbed=(whole,))))


def test_the_open_data_cannot_be_shifted_into_the_first_element() -> None:
    left = session(open_data=OPEN_DATA, absorbed=(REQUEST,))
    right = session(open_data=OPEN_DATA + REQUEST, absorbed=())
    assert_nothing_in_common(results(left), results(right))


def test_request_and_response_cannot_change_places() -> None:
    there, back = (
        session(absorbed=(b"\x90\x00", b"\x91\x00")),
        session(absorbed=(b"\x91\x00", b"\x90\x00")),
    )
    assert_nothing_in_common(results(there), results(back))


def test_an_element_may_be_as_long_as_an_apdu() -> None:
    long = bytes(65_544)
    assert_nothing_in_common(
        results(session(absorbed=(long,))), results(session(absorbed=(long[:-1],)))
    )


# Row 6: sizes and roles


@given(keys, elements)
def test_the_four_results_have_eight_bytes_and_are_four(key: bytes, absorbed: list[bytes]) -> None:
    *macs, _ = results(session(key, absorbed=absorbed))
    assert [len(mac) for mac in macs] == [8] * 4
    assert_all_differ([mac[:4] for mac in macs])


# Row 7: proofs


@given(elements, elements, st.lists(st.integers(0, 4), max_size=5))
def test_asking_for_a_result_changes_no_later_one(
    before: list[bytes], after: list[bytes], asked: list[int]
) -> None:
    digest = session(absorbed=before)
    for number in asked:
        ask = (
            digest.terminal_mac,
            digest.card_mac,
            digest.terminal_proof,
            digest.card_proof,
            lambda: digest.cipher(b"data"),
        )[number]
        assert ask() == ask()
    for element in after:
        digest.absorb(element)
    assert results(digest) == results(session(absorbed=before + after))


def test_a_later_mac_still_covers_what_came_before_a_proof() -> None:
    macs = []
    for early in every_flip(REQUEST):
        digest = session(absorbed=(early, RESPONSE))
        digest.terminal_proof()
        digest.card_proof()
        digest.absorb(REQUEST)
        macs.append(digest.terminal_mac())
    assert_all_differ(macs)


# Rows 8, 9: encryption


@given(keys, st.binary(max_size=250), elements)
def test_ciphering_keeps_the_length_and_undoes_itself(
    key: bytes, data: bytes, absorbed: list[bytes]
) -> None:
    card, terminal = session(key, absorbed=absorbed), session(key, absorbed=absorbed)
    sent = terminal.cipher(data)
    assert len(sent) == len(data)
    assert card.cipher(sent) == data
    assert len(data) < 8 or sent != data


@given(st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=20)), max_size=4))
def test_both_ends_stay_in_step_through_an_encrypted_section(
    exchanges: list[tuple[bytes, bytes]],
) -> None:
    """The clear text is absorbed on both sides, so the MACs agree as without encryption."""
    card, terminal = session(), session()
    for request, response in exchanges:
        for sender, receiver, data in ((terminal, card, request), (card, terminal, response)):
            received = receiver.cipher(sender.cipher(data))
            assert received == data
            sender.absorb(data)
            receiver.absorb(received)
    assert card.terminal_mac() == terminal.terminal_mac()
    plain = session(absorbed=[REQUEST, RESPONSE, *(part for pair in exchanges for part in pair)])
    assert results(card) == results(plain)


def test_each_element_of_each_session_has_a_key_stream_of_its_own() -> None:
    nothing = bytes(16)
    streams = []
    for key in (KEY, flipped(KEY, 0)):
        digest = session(key, absorbed=())
        for element in (REQUEST, RESPONSE, REQUEST, RESPONSE):
            streams.append(digest.cipher(nothing))
            digest.absorb(element)
    assert_all_differ(streams)


def test_no_data_is_no_data() -> None:
    assert session().cipher(b"") == b""


# Row 10: PIN


def test_a_pin_presentation_depends_on_every_bit() -> None:
    pin = b"0000"
    found = [SUITE.pin_presentation(KEY, CHALLENGE, pin)]
    found += [SUITE.pin_presentation(key, CHALLENGE, pin) for key in every_flip(KEY)]
    found += [SUITE.pin_presentation(KEY, challenge, pin) for challenge in every_flip(CHALLENGE)]
    found += [SUITE.pin_presentation(KEY, CHALLENGE, other) for other in every_flip(pin)]
    assert_all_differ(found)
    assert {len(cryptogram) for cryptogram in found} == {8}


@given(keys, challenges, st.binary(min_size=8, max_size=8))
def test_a_pin_change_carries_both_pins(key: bytes, challenge: bytes, pins: bytes) -> None:
    cryptogram = SUITE.pin_change(key, challenge, pins[:4], pins[4:])
    assert len(cryptogram) == 16
    assert SUITE.open_pin_change(key, challenge, cryptogram) == (pins[:4], pins[4:])
    assert pins[4:] not in cryptogram


# Row 11: keys

NEW_KEY = WrappedKey(bytes(range(100, 116)), 0x21, 0x74, 0xA0)


@given(keys, challenges, keys, st.binary(min_size=3, max_size=3))
def test_a_key_cryptogram_carries_value_kif_kvc_and_algorithm(
    key: bytes, challenge: bytes, value: bytes, header: bytes
) -> None:
    new_key = WrappedKey(value, *header)
    cryptogram = SUITE.wrap_key(key, challenge, new_key)
    assert len(cryptogram) == 32
    assert SUITE.unwrap_key(key, challenge, cryptogram) == new_key
    assert value not in cryptogram


def test_the_null_key_ciphers_too() -> None:
    cryptogram = SUITE.wrap_key(bytes(16), CHALLENGE, NEW_KEY)
    assert SUITE.unwrap_key(bytes(16), CHALLENGE, cryptogram) == NEW_KEY


def test_a_key_cryptogram_with_a_wrong_content_is_malformed() -> None:
    """Sealed right, by somebody who fills up in another way, or who sends another size."""
    for content in (NEW_KEY.value + b"\x21\x74\xa0\0\0\0\0\1", NEW_KEY.value, bytes(32), b""):
        sealed = aes_suite._seal(KEY, b"key", (CHALLENGE,), content)
        with pytest.raises(ProtocolError):
            SUITE.unwrap_key(KEY, CHALLENGE, sealed)


# Sealed cryptograms of all kinds

SEALED: dict[str, tuple[bytes, Callable[[bytes, bytes, bytes], object]]] = {
    "PIN change": (
        SUITE.pin_change(KEY, CHALLENGE, bytes(4), b"1234"),
        SUITE.open_pin_change,
    ),
    "key": (SUITE.wrap_key(KEY, CHALLENGE, NEW_KEY), SUITE.unwrap_key),
    "SAM block": (
        SUITE.seal_sam_block(KEY, CHALLENGE, 0x85, bytes(range(40))),
        lambda key, challenge, block: SUITE.open_sam_block(key, challenge, 0x85, block),
    ),
}


@pytest.mark.parametrize("kind", SEALED)
def test_one_flipped_bit_of_cryptogram_key_or_challenge_is_refused(kind: str) -> None:
    sealed, unseal = SEALED[kind]
    unseal(KEY, CHALLENGE, sealed)
    for changed in every_flip(sealed):
        with pytest.raises(CryptoError):
            unseal(KEY, CHALLENGE, changed)
    for key in every_flip(KEY):
        with pytest.raises(CryptoError):
            unseal(key, CHALLENGE, sealed)
    for challenge in every_flip(CHALLENGE):
        with pytest.raises(CryptoError):
            unseal(KEY, challenge, sealed)


@pytest.mark.parametrize("kind", SEALED)
@given(cryptogram=st.binary(max_size=60))
def test_any_bytes_are_refused_as_a_cryptogram(kind: str, cryptogram: bytes) -> None:
    with pytest.raises(CryptoError):
        SEALED[kind][1](KEY, CHALLENGE, cryptogram)


@pytest.mark.parametrize("kind", SEALED)
@pytest.mark.parametrize("other", SEALED)
def test_a_cryptogram_of_one_kind_is_none_of_another(kind: str, other: str) -> None:
    if kind != other:
        with pytest.raises(CryptoError):
            SEALED[other][1](KEY, CHALLENGE, SEALED[kind][0])


def test_an_error_names_the_cryptogram_and_no_secret() -> None:
    with pytest.raises(CryptoError, match="the key cryptogram does not verify") as caught:
        SUITE.unwrap_key(KEY, CHALLENGE, bytes(32))
    assert KEY.hex() not in str(caught.value).lower()


def test_a_sam_block_is_bound_to_its_reference() -> None:
    block = SUITE.seal_sam_block(KEY, CHALLENGE, 0x85, bytes(40))
    assert len(block) == 48
    assert SUITE.open_sam_block(KEY, CHALLENGE, 0x85, block) == bytes(40)
    for reference in range(256):
        if reference != 0x85:
            with pytest.raises(CryptoError):
                SUITE.open_sam_block(KEY, CHALLENGE, reference, block)


# Row 12: Stored Value

SV_MESSAGE = bytes.fromhex("7C000721790123") + bytes(30) + bytes.fromhex("9000B8000017003210")


@pytest.mark.parametrize(("extended", "hi_size", "lo_size"), [(False, 5, 3), (True, 10, 6)])
def test_stored_value_signatures_depend_on_every_bit(
    extended: bool, hi_size: int, lo_size: int
) -> None:
    def signatures(key: bytes, message: bytes) -> tuple[bytes, bytes]:
        hi = SUITE.sv_signature_hi(key, message, extended=extended)
        return hi, SUITE.sv_signature_lo(key, message, hi, extended=extended)

    found = [signatures(KEY, SV_MESSAGE)]
    found += [signatures(KEY, message) for message in every_flip(SV_MESSAGE)]
    found += [signatures(key, SV_MESSAGE) for key in every_flip(KEY)]
    assert_all_differ([hi for hi, _ in found])
    assert_all_differ([lo for _, lo in found])
    assert {(len(hi), len(lo)) for hi, lo in found} == {(hi_size, lo_size)}
    (hi, lo), *_ = found
    assert lo not in hi
    for changed in every_flip(hi):
        assert SUITE.sv_signature_lo(KEY, SV_MESSAGE, changed, extended=extended) != lo


# Signatures of a SAM


def test_a_signature_depends_on_key_purpose_and_every_bit_of_the_message() -> None:
    message = bytes(range(20))
    purposes = ("data-cipher", "pso", "pso-no-busy", "read")
    found = [SUITE.sign(KEY, purpose, message) for purpose in purposes]
    found += [SUITE.sign(key, "pso", message) for key in every_flip(KEY)]
    found += [SUITE.sign(KEY, "pso", changed) for changed in every_flip(message)]
    found += [SUITE.sign(KEY, "pso", message[:-1]), SUITE.sign(KEY, "pso", message + b"\0")]
    assert_all_differ(found)
    assert {len(signature) for signature in found} == {8}


def test_an_unlock_proof_depends_on_every_bit() -> None:
    serial = bytes.fromhex("AEC11A36")
    found = [SUITE.unlock_proof(KEY, serial, CHALLENGE)]
    found += [SUITE.unlock_proof(lock, serial, CHALLENGE) for lock in every_flip(KEY)]
    found += [SUITE.unlock_proof(KEY, other, CHALLENGE) for other in every_flip(serial)]
    found += [SUITE.unlock_proof(KEY, serial, challenge) for challenge in every_flip(CHALLENGE)]
    assert_all_differ(found)


# The digest as a value


def test_a_digest_copied_in_the_middle_goes_its_own_way() -> None:
    original = session()
    twin = copy.deepcopy(original)
    assert results(twin) == results(original)
    twin.absorb(RESPONSE)
    assert (twin.elements, original.elements) == (3, 2)
    assert results(original) == results(session())
    original.absorb(REQUEST)
    assert_nothing_in_common(results(twin), results(original))
    assert results(original) == results(session(absorbed=(REQUEST, RESPONSE, REQUEST)))


def test_elements_are_counted() -> None:
    digest = session(absorbed=())
    assert digest.elements == 0
    for count in range(1, 4):
        digest.absorb(REQUEST)
        assert digest.elements == count


def test_a_digest_shows_no_key() -> None:
    assert KEY.hex() not in repr(session())
    assert repr(KEY) not in repr(session())


def test_the_default_suite_is_this_one() -> None:
    assert isinstance(load_suite(), AesSuite)
    assert isinstance(load_suite("cardbench-aes"), AesSuite)
