"""Published startup information decodes as the reference terminal decodes it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardbench.protocol.calypso.startup import (
    ApplicationOption,
    ProductType,
    StartupInformation,
    parse_rev1_atr,
    session_buffer_size_bytes,
)
from cardbench.protocol.errors import MalformedCardData, UsageError

Option = ApplicationOption

# calypso-card §1.4, the published table
BUFFER_SIZES = {
    0x06: 215, 0x07: 256, 0x08: 304, 0x09: 362, 0x0A: 430, 0x0B: 512, 0x0C: 608, 0x0D: 724,
    0x0E: 861, 0x0F: 1024, 0x10: 1217, 0x11: 1448, 0x12: 1722, 0x13: 2048, 0x14: 2435, 0x15: 2896,
    0x16: 3444, 0x17: 4096, 0x18: 4870, 0x19: 5792, 0x1A: 6888, 0x1B: 8192, 0x1C: 9741, 0x1D: 11585,
    0x1E: 13777, 0x1F: 16384, 0x20: 19483, 0x21: 23170, 0x22: 27554, 0x23: 32768, 0x24: 38967,
    0x25: 46340, 0x26: 55108, 0x27: 65536, 0x28: 77935, 0x29: 92681, 0x2A: 110217, 0x2B: 131072,
    0x2C: 155871, 0x2D: 185363, 0x2E: 220435, 0x2F: 262144, 0x30: 311743, 0x31: 370727, 0x32: 440871,
    0x33: 524288, 0x34: 623487, 0x35: 741455, 0x36: 881743, 0x37: 1048576,
}  # fmt: skip

# calypso-card §1.2
TYPES = [
    (0x20, ProductType.PRIME_REVISION_3, Option.NONE),
    (0x21, ProductType.PRIME_REVISION_3, Option.PIN),
    (0x22, ProductType.PRIME_REVISION_3, Option.STORED_VALUE),
    (0x23, ProductType.PRIME_REVISION_3, Option.PIN | Option.STORED_VALUE),
    (0x28, ProductType.PRIME_REVISION_3, Option.EXTENDED_MODE),
    (
        0x3B,
        ProductType.PRIME_REVISION_3,
        Option.EXTENDED_MODE | Option.PKI_MODE | Option.PIN | Option.STORED_VALUE,
    ),
    (0x24, ProductType.PRIME_REVISION_3, Option.RATIFICATION_COMMAND_REQUIRED),
    (0x8F, ProductType.PRIME_REVISION_3, Option(0x0F)),
    (0xA0, ProductType.PRIME_REVISION_3, Option.NONE),
    (0x02, ProductType.PRIME_REVISION_2, Option.STORED_VALUE),
    (0x12, ProductType.PRIME_REVISION_2, Option.STORED_VALUE),
    (0x1F, ProductType.PRIME_REVISION_2, Option.PIN | Option.STORED_VALUE),
    (0x90, ProductType.LIGHT, Option.NONE),
    (0x97, ProductType.LIGHT, Option.NONE),
    (0x98, ProductType.BASIC, Option.NONE),
    (0x9F, ProductType.BASIC, Option.NONE),
    (0xFF, ProductType.UNKNOWN, Option.NONE),
]


def test_buffer_sizes_are_the_published_table() -> None:
    assert {n: session_buffer_size_bytes(n) for n in range(0x06, 0x38)} == BUFFER_SIZES


@pytest.mark.parametrize("indicator", [0x05, 0x38])
def test_buffer_indicator_outside_the_table_is_refused(indicator: int) -> None:
    with pytest.raises(UsageError, match="06 to 37"):
        session_buffer_size_bytes(indicator)


@pytest.mark.parametrize(("byte", "product", "options"), TYPES)
def test_application_type_gives_product_and_options(
    byte: int, product: ProductType, options: ApplicationOption
) -> None:
    startup = StartupInformation.parse(bytes((0x0A, 0x3C, byte, 0x05, 0x14, 0x10, 0x01)))
    assert (startup.product_type, startup.options) == (product, options)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("0A3C20051410", "at least 7"),
        ("0A3C0005141001", "type 00"),
        ("0A3C2000141001", "subtype 00"),
        ("0A3C20FF141001", "subtype FF"),
        ("053C2005141001", "06 to 37"),
        ("383C2005141001", "06 to 37"),
        ("033C9833141001", "04 to 37"),
        ("383C9033141001", "06 to 37"),
    ],
)
def test_startup_information_that_no_card_has_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(MalformedCardData, match=complaint):
        StartupInformation.parse(bytes.fromhex(text))


@pytest.mark.parametrize("text", ["003C0205141001", "043C9833141001", "0A3C2005141001AABB"])
def test_unusual_startup_information_is_kept(text: str) -> None:
    assert StartupInformation.parse(bytes.fromhex(text)).encode().hex().upper() == text


@given(st.binary(min_size=7, max_size=12))
def test_startup_information_round_trips(raw: bytes) -> None:
    try:
        startup = StartupInformation.parse(raw)
    except MalformedCardData:
        return
    assert startup.encode() == raw


def test_revision_1_atr_gives_startup_information_and_serial() -> None:
    identity = parse_rev1_atr(bytes.fromhex("3B8F8001805A0A010320031124B77FE7829000F7"))
    assert identity is not None
    assert identity.startup.encode().hex().upper() == "030A0103200311"
    assert identity.serial.hex().upper() == "0000000024B77FE7"


@pytest.mark.parametrize(
    "atr",
    [
        "3B888001000000009171710098",  # anonymous ISO 14443-4
        "3B6F0000805A28114210122B26147C55829000",  # contact form, 19 bytes
        "3B8F8001805A0A010320031124B77FE782900100",
        "3B8F8001806A0A010320031124B77FE7829000F7",
    ],
)
def test_other_atrs_are_no_revision_1(atr: str) -> None:
    assert parse_rev1_atr(bytes.fromhex(atr)) is None
