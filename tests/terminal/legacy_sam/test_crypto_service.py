"""The crypto service on a SAM: grouping, order and limits, against recorded commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cardbench.protocol.errors import (
    CardRemoved,
    CryptoModuleError,
    CryptoModuleUnreachable,
    UnauthorizedKey,
    UsageError,
)
from cardbench.terminal.card import CardChannel
from cardbench.terminal.crypto import Deferred, SvCommandData
from cardbench.terminal.legacy_sam import LegacySam, LegacySamCryptoFactory

if TYPE_CHECKING:
    from cardbench.terminal.readers import ScriptedReader

C1 = bytes.fromhex("3B3F9600805A4880C120501711223344829000")
HSM = bytes.fromhex("3B3F9600805A4880C108501711223344829000")
S1E1 = bytes.fromhex("3B3F9600805A2380E1083108AE0136DD829000")
S1DX = bytes.fromhex("3B001122805A0180D102030411223344829000")
CARD = bytes.fromhex("0000000011223344")
SELECT = ("80140000080000000011223344", "9000")
CHALLENGE = ("8084000004", "C1C2C3C49000")
INIT = ("808A00FF0A30790304909800307900", "9000")
OPEN_DATA = bytes.fromhex("0304909800307900")


def factory(reader: ScriptedReader, atr: bytes = C1, **options: int) -> LegacySamCryptoFactory:
    return LegacySamCryptoFactory(CardChannel(reader), LegacySam(atr), **options)


def begun(reader: ScriptedReader, atr: bytes = C1, **options: int):  # noqa: ANN201
    service = factory(reader, atr, **options).create_card_transaction(CARD, use_extended_mode=False)
    service.init_terminal_secure_session_context().result()
    service.init_terminal_session_mac(OPEN_DATA, 0x30, 0x79)
    return service


def test_pin_in_session_as_captured(scripted: type[ScriptedReader]) -> None:
    """legacy-sam §12.4: regular session with a PIN ciphered by the session key."""
    reader = scripted(
        CHALLENGE,
        SELECT,
        INIT,
        ("8086000008B1B2B3B4B5B6B7B8", "9000"),
        ("801280FF06307931323334", "3031323334353637 9000"),
        (
            "808C800022 05 0084000008 0A B1B2B3B4B5B6B7B89000 0D 00200000083031323334353637 02 9000",
            "9000",
        ),
        ("808E000004", "E1E2E3E49000"),
        ("808200000401020304", "9000"),
    )
    service = begun(reader)
    service.update_terminal_session_mac(bytes.fromhex("0084000008"))
    service.update_terminal_session_mac(bytes.fromhex("B1B2B3B4B5B6B7B89000"))
    cryptogram = service.cipher_pin_for_presentation(
        bytes.fromhex("B1B2B3B4B5B6B7B8"), b"1234", 0x30, 0x79
    ).result()
    assert cryptogram == b"01234567"
    service.update_terminal_session_mac(bytes.fromhex("0020000008") + cryptogram)
    service.update_terminal_session_mac(b"\x90\x00")
    assert service.finalize_terminal_session_mac().result().hex().upper() == "E1E2E3E4"
    assert service.is_card_session_mac_valid(bytes.fromhex("01020304")).result() is True


def test_stored_value_debit_in_session_as_captured(scripted: type[ScriptedReader]) -> None:
    """legacy-sam §12.4: SV Prepare Debit overtakes the digest updates; SV Check comes last."""
    answer = "79007221D35F0E36000018FFFE00000000791234567800 00DD0000160072".replace(" ", "")
    reader = scripted(
        CHALLENGE,
        SELECT,
        INIT,
        (
            f"805401FF30 7C00091E {answer}9000 BA000014 00FFFE0000000079",
            "515253616263 7172737475 9000",
        ),
        (f"808C800027 05 007C00091E 20 {answer}9000", "9000"),
        ("808E000004", "E1E2E3E49000"),
        ("808200000401020304", "9000"),
        ("8058000003A1A2A3", "6988"),
    )
    service = begun(reader)
    response = bytes.fromhex(answer + "9000")
    service.update_terminal_session_mac(bytes.fromhex("007C00091E"))
    service.update_terminal_session_mac(response)
    data = service.compute_sv_command_security_data(
        SvCommandData(
            bytes.fromhex("7C00091E"), response, bytes.fromhex("BA00001400FFFE0000000079")
        )
    ).result()
    assert data.serial.hex() == "11223344"
    assert data.terminal_challenge.hex() == "515253"
    assert data.transaction_number.hex() == "616263"
    assert data.terminal_sv_mac.hex() == "7172737475"
    service.finalize_terminal_session_mac().result()
    session = service.is_card_session_mac_valid(bytes.fromhex("01020304"))
    purse = service.is_card_sv_mac_valid(bytes.fromhex("A1A2A3"))
    assert (session.result(), purse.result()) == (True, False)


@pytest.mark.parametrize(
    ("issuer", "command"),
    [((0x05, 0x04), "8012FFFF05 0504 0203 90"), ((0, 0), "8012FF0003 0203 90")],
)
def test_card_key(scripted: type[ScriptedReader], issuer: tuple[int, int], command: str) -> None:
    """legacy-sam §12.2 and §5.9; the null key has a form of its own."""
    reader = scripted(SELECT, ("8086000008A1A2A3A4A5A6A7A8", "9000"), (command, "AA" * 32 + "9000"))
    service = factory(reader).create_card_transaction(CARD, use_extended_mode=False)
    key = service.generate_ciphered_card_key(bytes.fromhex("A1A2A3A4A5A6A7A8"), *issuer, 0x02, 0x03)
    assert key.result() == b"\xaa" * 32


def test_pin_change(scripted: type[ScriptedReader]) -> None:
    """legacy-sam §12.2."""
    reader = scripted(
        SELECT,
        ("8086000008A1A2A3A4A5A6A7A8", "9000"),
        ("801240FF0A 1122 00000000 31323334", "88776655443322111122334455667788 9000"),
    )
    service = factory(reader).create_card_transaction(CARD, use_extended_mode=False)
    block = service.cipher_pin_for_modification(
        bytes.fromhex("A1A2A3A4A5A6A7A8"), bytes(4), b"1234", 0x11, 0x22
    )
    assert len(block.result()) == 16


def test_extended_session_with_early_authentication(scripted: type[ScriptedReader]) -> None:
    """legacy-sam §12.2 (CARD 2.3.15)."""
    reader = scripted(
        ("8084000008", "C1C2C3C4C5C6C7C89000"),
        SELECT,
        ("808A02FF0E AABB C8C7C6C5C4C3C2C102AABB00", "9000"),
        ("8088800008", "11223344556677889000"),
        ("80820000088877665544332211", "9000"),
        ("808C008005 00B2010C01", "00B2010C01 9000"),
        ("808C008003 E19000", "119000 9000"),
        ("808C008006 00DC010C01AA", "00DC010C01E1 9000"),
        ("808C008002 9000", "9000 9000"),
        ("808C800014 05 00B2020C01 03 229000 06 00DC020C01BB 02 9000", "9000"),
        ("808E000008", "11223344556677889000"),
    )
    service = factory(reader).create_card_transaction(CARD, use_extended_mode=True)
    assert len(service.init_terminal_secure_session_context().result()) == 8
    service.init_terminal_session_mac(bytes.fromhex("C8C7C6C5C4C3C2C102AABB00"), 0xAA, 0xBB)
    assert len(service.generate_terminal_session_mac().result()) == 8
    assert service.is_card_session_mac_valid(bytes.fromhex("8877665544332211")).result()
    service.activate_encryption()
    request = service.update_terminal_session_mac(bytes.fromhex("00B2010C01"))
    answer = service.update_terminal_session_mac(bytes.fromhex("E19000"))
    write = service.update_terminal_session_mac(bytes.fromhex("00DC010C01AA"))
    assert request is not None
    assert answer is not None
    assert write is not None
    assert write.result().hex().upper() == "00DC010C01E1"  # sends all three
    assert answer.result().hex() == "119000"
    assert request.result().hex().upper() == "00B2010C01"
    status = service.update_terminal_session_mac(b"\x90\x00")
    assert status is not None
    service.deactivate_encryption()
    for element in ("00B2020C01", "229000", "00DC020C01BB", "9000"):
        assert service.update_terminal_session_mac(bytes.fromhex(element)) is None
    assert len(service.finalize_terminal_session_mac().result()) == 8
    assert status.result() == b"\x90\x00"


def test_a_session_is_three_exchanges(scripted: type[ScriptedReader]) -> None:
    reader = scripted(
        CHALLENGE,
        SELECT,
        INIT,
        ("808C800009 05 00B2013C01 02 6A83", "9000"),
        ("808E000004", "E1E2E3E49000"),
        ("808200000401020304", "6988"),
    )
    channel = CardChannel(reader)
    service = LegacySamCryptoFactory(channel, LegacySam(C1)).create_card_transaction(
        CARD, use_extended_mode=False
    )
    service.init_terminal_secure_session_context().result()
    service.init_terminal_session_mac(OPEN_DATA, 0x30, 0x79)
    service.update_terminal_session_mac(bytes.fromhex("00B2013C01"))
    service.update_terminal_session_mac(bytes.fromhex("6A83"))
    service.finalize_terminal_session_mac().result()
    assert service.is_card_session_mac_valid(bytes.fromhex("01020304")).result() is False
    assert channel.traffic == (3, 6)


def test_the_second_session_repeats_no_diversifier_and_joins_its_challenge(
    scripted: type[ScriptedReader],
) -> None:
    """sequences §11: authentication and the next challenge share an exchange."""
    reader = scripted(
        CHALLENGE, SELECT, INIT, ("808E000004", "E1E2E3E49000"),
        ("808200000401020304", "9000"), CHALLENGE,
        INIT, ("808E000004", "E1E2E3E49000"),
    )  # fmt: skip
    service = begun(reader)
    service.finalize_terminal_session_mac().result()
    valid = service.is_card_session_mac_valid(bytes.fromhex("01020304"))
    challenge = service.init_terminal_secure_session_context()
    assert not valid.is_done
    assert challenge.result().hex().upper() == "C1C2C3C4"
    assert valid.is_done
    assert valid.result()
    service.init_terminal_session_mac(OPEN_DATA, 0x30, 0x79)
    service.finalize_terminal_session_mac().result()


def test_a_challenge_fetched_in_advance_is_used_once(scripted: type[ScriptedReader]) -> None:
    """legacy-sam §5.3: of the 8 bytes a regular session uses the first 4."""
    reader = scripted(("8084000008", "A1A2A3A4A5A6A7A89000"), CHALLENGE)
    made = factory(reader)
    made.pre_init_terminal_session_context()
    service = made.create_card_transaction(CARD, use_extended_mode=False)
    assert service.init_terminal_secure_session_context().result().hex().upper() == "A1A2A3A4"
    assert service.init_terminal_secure_session_context().result().hex().upper() == "C1C2C3C4"


def test_a_sam_that_was_reset_has_forgotten_challenge_and_diversifier(
    scripted: type[ScriptedReader],
) -> None:
    reader = scripted(("8084000008", "A1A2A3A4A5A6A7A89000"), CHALLENGE)
    channel = CardChannel(reader)
    made = LegacySamCryptoFactory(channel, LegacySam(C1))
    made.pre_init_terminal_session_context()
    channel.close()
    channel.open()
    service = made.create_card_transaction(CARD, use_extended_mode=False)
    assert service.init_terminal_secure_session_context().result().hex().upper() == "C1C2C3C4"


def test_an_abandoned_session_leaves_nothing_behind(scripted: type[ScriptedReader]) -> None:
    reader = scripted(CHALLENGE, CHALLENGE, SELECT, INIT, ("808E000004", "E1E2E3E49000"))
    service = begun(reader)
    service.update_terminal_session_mac(bytes.fromhex("00B2013C01"))
    service.init_terminal_secure_session_context().result()
    service.init_terminal_session_mac(OPEN_DATA, 0x30, 0x79)
    service.finalize_terminal_session_mac().result()


# Packing: legacy-sam §7.3


def feed(service, *sizes: int) -> None:  # noqa: ANN001
    for size in sizes:
        service.update_terminal_session_mac(bytes((size,)) * size)
    service.finalize_terminal_session_mac().result()


def element(size: int) -> str:
    return f"{size:02X}" * size


def test_elements_are_packed_up_to_the_limit(scripted: type[ScriptedReader]) -> None:
    packed = "".join(f"{size:02X}{element(size)}" for size in (5, 120, 5, 120))
    rest = "".join(f"{size:02X}{element(size)}" for size in (5, 120, 5))
    reader = scripted(
        CHALLENGE,
        SELECT,
        INIT,
        (f"808C8000FE{packed}", "9000"),
        (f"808C800085{rest}", "9000"),
        (f"808C0000FF{element(255)}", "9000"),
        ("808E000004", "E1E2E3E49000"),
    )
    feed(begun(reader), 5, 120, 5, 120, 5, 120, 5, 255)


def test_a_lower_limit_of_the_reader_is_kept(scripted: type[ScriptedReader]) -> None:
    reader = scripted(
        CHALLENGE,
        SELECT,
        INIT,
        (f"808C800008 07{element(7)}", "9000"),
        (f"808C000008{element(8)}", "9000"),
        (f"808C800007 02{element(2)} 03{element(3)}", "9000"),
        ("808E000004", "E1E2E3E49000"),
    )
    service = begun(reader, payload_capacity_bytes=8)
    assert factory(scripted(), payload_capacity_bytes=8).max_card_apdu_length_supported == 8
    feed(service, 7, 8, 2, 3)


@pytest.mark.parametrize("atr", [HSM, S1DX])
def test_products_without_the_multiple_form_get_single_updates(
    scripted: type[ScriptedReader], atr: bytes
) -> None:
    cla = "94" if atr is S1DX else "80"
    script = [
        CHALLENGE,
        SELECT,
        INIT,
        ("808C000005" + element(5), "9000"),
        ("808C000002" + element(2), "9000"),
    ]
    script.append(("808E000004", "E1E2E3E49000"))
    feed(begun(scripted(*[(cla + command[2:], answer) for command, answer in script]), atr), 5, 2)


@pytest.mark.parametrize(("atr", "limit"), [(S1E1, 240), (S1DX, 70)])
def test_an_element_that_a_product_cannot_digest_is_refused(
    scripted: type[ScriptedReader], atr: bytes, limit: int
) -> None:
    cla = "94" if atr is S1DX else "80"
    service = begun(scripted((cla + CHALLENGE[0][2:], CHALLENGE[1])), atr)
    service.update_terminal_session_mac(bytes(limit + 1))
    with pytest.raises(UsageError, match=f"digests {limit}"):
        service.finalize_terminal_session_mac()


def test_extended_mode_needs_a_sam_that_has_it(scripted: type[ScriptedReader]) -> None:
    made = factory(scripted(), S1E1)
    assert not made.is_extended_mode_supported
    with pytest.raises(UsageError, match="no extended mode"):
        made.create_card_transaction(CARD, use_extended_mode=True)


@pytest.mark.parametrize("key", [(0, 0x79), (0x30, 0)])
def test_a_sam_has_no_key_zero(scripted: type[ScriptedReader], key: tuple[int, int]) -> None:
    service = factory(scripted()).create_card_transaction(CARD, use_extended_mode=False)
    with pytest.raises(UnauthorizedKey, match="KIF or KVC 00"):
        service.init_terminal_session_mac(OPEN_DATA, *key)


# Errors


def test_a_refusal_names_sam_and_command_and_what_was_owed_fails(
    scripted: type[ScriptedReader],
) -> None:
    reader = scripted(CHALLENGE, SELECT, ("808A00FF0A30790304909800307900", "6A83"))
    service = begun(reader)
    mac = service.finalize_terminal_session_mac()
    with pytest.raises(CryptoModuleError, match=r"SAM 11223344: Digest Init .* answered 6A83"):
        mac.result()
    with pytest.raises(CryptoModuleError):
        mac.result()


def test_results_before_the_refusal_stay(scripted: type[ScriptedReader]) -> None:
    reader = scripted(
        CHALLENGE, SELECT, INIT, ("808E000004", "E1E2E3E49000"),
        ("808200000401020304", "9000"), ("8084000004", "6985"),
    )  # fmt: skip
    service = begun(reader)
    service.finalize_terminal_session_mac().result()
    valid = service.is_card_session_mac_valid(bytes.fromhex("01020304"))
    challenge = service.init_terminal_secure_session_context()
    with pytest.raises(CryptoModuleError, match="Get Challenge"):
        challenge.result()
    assert valid.result() is True


def test_a_result_that_came_before_the_sam_was_lost_can_be_asked_for_first(
    scripted: type[ScriptedReader],
) -> None:
    """Found by pulling the SAM behind Digest Authenticate, where the next challenge travels along."""
    reader = scripted(
        CHALLENGE, SELECT, INIT, ("808E000004", "E1E2E3E49000"),
        ("808200000401020304", "9000"), ("8084000004", CardRemoved("gone")),
    )  # fmt: skip
    service = begun(reader)
    service.finalize_terminal_session_mac().result()
    valid = service.is_card_session_mac_valid(bytes.fromhex("01020304"))
    challenge = service.init_terminal_secure_session_context()
    assert valid.result() is True
    with pytest.raises(CryptoModuleUnreachable):
        challenge.result()


def test_a_lost_sam_is_unreachable(scripted: type[ScriptedReader]) -> None:
    reader = scripted(("8084000004", CardRemoved("gone")))
    service = factory(reader).create_card_transaction(CARD, use_extended_mode=False)
    with pytest.raises(CryptoModuleUnreachable, match="gone"):
        service.init_terminal_secure_session_context().result()


def test_a_pin_is_not_shown_in_an_error(scripted: type[ScriptedReader]) -> None:
    reader = scripted(
        SELECT, ("8086000008A1A2A3A4A5A6A7A8", "9000"), ("801280FF06307931323334", "6A83")
    )
    service = factory(reader).create_card_transaction(CARD, use_extended_mode=False)
    deferred = service.cipher_pin_for_presentation(
        bytes.fromhex("A1A2A3A4A5A6A7A8"), b"1234", 0x30, 0x79
    )
    with pytest.raises(CryptoModuleError) as caught:
        deferred.result()
    assert "31323334" not in str(caught.value)
    assert "Card Cipher PIN 801280FF06****" in str(caught.value)


def test_two_services_on_one_sam_share_its_diversifier(scripted: type[ScriptedReader]) -> None:
    sam = LegacySam(C1)
    reader = scripted(
        ("8084000004", "C1C2C3C49000"), SELECT, INIT, ("808E000004", "E1E2E3E49000"),
        CHALLENGE, INIT, ("808E000004", "E1E2E3E49000"),
    )  # fmt: skip
    for _ in range(2):
        service = LegacySamCryptoFactory(reader, sam).create_card_transaction(
            CARD, use_extended_mode=False
        )
        service.init_terminal_secure_session_context().result()
        service.init_terminal_session_mac(OPEN_DATA, 0x30, 0x79)
        service.finalize_terminal_session_mac().result()


def test_synchronize_sends_nothing_on_its_own(scripted: type[ScriptedReader]) -> None:
    service = begun(scripted(CHALLENGE))
    service.synchronize()


def test_a_result_that_never_comes_is_told() -> None:
    deferred: Deferred[bytes] = Deferred(lambda: None)
    with pytest.raises(UsageError, match="without giving"):
        deferred.result()
