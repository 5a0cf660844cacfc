"""Every status word that a command row declares is reached, by a case that is named after the pair.

A case is a list of commands; all but the last are sent to prepare, the last one gets the status word. A
step that is no text is called with the scene, and may return a command that needs computing.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.sam_scene import (
    AUTHENTICATION,
    CARD,
    GIVE_RANDOM,
    KEY_MANAGEMENT,
    OPEN_EXTENDED,
    OPEN_REGULAR,
    PERSONALIZATION,
    RELOADING,
    REQUEST,
    RESPONSE,
    SELECT_CARD,
    Scene,
    command,
    multiple,
    sv_debit_data,
    sv_load_data,
)

from cardbench.protocol.apdu import CommandApdu
from cardbench.sam_emulator.table import TABLE

Step = str | Callable[[Scene], str | None]
CASES: dict[tuple[str, int], tuple[str, tuple[Step, ...]]] = {}


def case(name: str, sw: int, *steps: Step, preset: str = "bench") -> None:
    assert (name, sw) not in CASES, f"{name} {sw:04X} is there twice"
    CASES[name, sw] = (preset, steps)


def exhausted(reference: int) -> Step:
    return lambda scene: scene.exhaust(reference)


def without(reference: int) -> Step:
    return lambda scene: scene.change("key", reference, value=None)


def param(reference: int, offset: int, value: int) -> Step:
    return lambda scene: scene.set_block(reference, offset, value)


# Challenges, diversifier, lock, data

case("Select Diversifier", 0x9000, SELECT_CARD)
case("Select Diversifier", 0x6700, "8014000005" + "00" * 5)
case("Select Diversifier", 0x6985, SELECT_CARD, preset="locked")
case("Get Challenge", 0x9000, "8084000008")
case("Get Challenge", 0x6700, "8084000005")
case("Give Random", 0x9000, GIVE_RANDOM)
case("Give Random", 0x6700, "808600000400000000")
UNLOCK = "802000001000112233445566778899AABBCCDDEEFF"
case("Unlock", 0x9000, UNLOCK, preset="locked")
case("Unlock", 0x6700, UNLOCK[:8] + "04" + UNLOCK[10:18], preset="locked")
case("Unlock", 0x6985, UNLOCK)
case("Unlock", 0x6988, UNLOCK[:-2] + "FE", preset="locked")
case("Get Data", 0x6700, "80CADF4301FF")
case("Get Data", 0x6A88, "80CADF43FF")
case(
    "Get Data",
    0x9000,
    lambda scene: scene.change("ca certificate", value=bytes(250)),
    "80CADF4300",
)
case("GET RESPONSE", 0x6985, "00C0000000")
case("GET RESPONSE", 0x6700, "00C000000100")
case("GET RESPONSE", 0x9000, "80BE00A010", "00C0000000")

# Digest

INIT = command("808A00FF", "3079" + OPEN_REGULAR)
INIT_EXTENDED = command("808A02FF", "3074" + OPEN_EXTENDED)
SESSION = ("8084000004", SELECT_CARD, INIT)
SESSION_EXTENDED = ("8084000008", SELECT_CARD, INIT_EXTENDED)
case("Digest Init", 0x9000, *SESSION)
case("Digest Init", 0x6700, *SESSION, "808A00FF05" + "3079000000")
case("Digest Init", 0x6900, exhausted(0x03), *SESSION)
case("Digest Init", 0x6985, "8084000004", INIT)
case("Digest Init", 0x6A00, "8084000004", SELECT_CARD, INIT.replace("00FF", "007F", 1))
case("Digest Init", 0x6A83, "8084000004", SELECT_CARD, command("808A00FF", "3011" + OPEN_REGULAR))
case("Digest Update", 0x9000, *SESSION, command("808C0000", REQUEST))
case("Digest Update", 0x6700, *SESSION, "808C0000")
case("Digest Update", 0x6985, command("808C0000", REQUEST))
case("Digest Update, encrypted", 0x9000, *SESSION_EXTENDED, command("808C0080", REQUEST))
case("Digest Update, encrypted", 0x6700, *SESSION_EXTENDED, "808C0080")
case("Digest Update, encrypted", 0x6985, *SESSION, command("808C0080", REQUEST))
case("Digest Update, encrypted", 0x6A80, *SESSION_EXTENDED, "808C00800400B20144")
case("Digest Update Multiple", 0x9000, *SESSION, multiple(REQUEST, RESPONSE))
case("Digest Update Multiple", 0x6700, *SESSION, "808C8000")
case("Digest Update Multiple", 0x6985, multiple(REQUEST, RESPONSE))
case("Digest Update Multiple", 0x6A80, *SESSION, "808C800003050000")
case("Digest Close", 0x9000, *SESSION, "808E000004")
case("Digest Close", 0x6700, *SESSION, "808E000008")
case("Digest Close", 0x6985, "808E000004")
case("Digest Internal Authenticate", 0x9000, *SESSION_EXTENDED, "8088800008")
case("Digest Internal Authenticate", 0x6700, *SESSION_EXTENDED, "808880000100")
case("Digest Internal Authenticate", 0x6985, *SESSION, "8088800008")


def close_right(scene: Scene) -> str:
    digest = scene.open_session()
    scene.ok("808E000004")
    return command("80820000", digest.card_mac()[:4].hex())  # type: ignore[attr-defined]


case("Digest Authenticate", 0x9000, close_right)
case("Digest Authenticate", 0x6700, "808200000500112233FF")
case("Digest Authenticate", 0x6985, *SESSION, "808200000400112233")
case("Digest Authenticate", 0x6988, *SESSION, "808E000004", "808200000400112233")

# PIN and card keys

for name, right in (
    ("Card Cipher PIN, presentation", "801280FF06307931323334"),
    ("Card Cipher PIN, change", "801240FF0A30790000000031323334"),
):
    case(name, 0x9000, SELECT_CARD, GIVE_RANDOM, right)
    case(name, 0x6700, SELECT_CARD, GIVE_RANDOM, right[:8] + "05" + right[10:20])
    case(name, 0x6900, exhausted(0x03), SELECT_CARD, GIVE_RANDOM, right)
    case(name, 0x6985, SELECT_CARD, right)
    case(name, 0x6A83, SELECT_CARD, GIVE_RANDOM, right[:10] + "0000" + right[14:])
for name, right, unknown in (
    ("Card Generate Key, by a key", "8012FFFF052179307990", "8012FFFF052179AABB90"),
    ("Card Generate Key, null key", "8012FF0003307990", "8012FF0003AABB90"),
):
    case(name, 0x9000, SELECT_CARD, GIVE_RANDOM, right)
    case(name, 0x6700, SELECT_CARD, GIVE_RANDOM, right[:8] + "04" + "00" * 4)
    case(name, 0x6985, SELECT_CARD, right)
    case(name, 0x6A80, SELECT_CARD, GIVE_RANDOM, right[:-2] + "91")
    case(name, 0x6A83, SELECT_CARD, GIVE_RANDOM, unknown)

# Stored Value

for name, right, data in (
    ("SV Prepare Load", "805601FF", sv_load_data()),
    ("SV Prepare Debit", "805401FF", sv_debit_data()),
    ("SV Prepare Undebit", "805C01FF", sv_debit_data("BC")),
):
    unknown = data.replace("790123", "AA0123", 1)
    unknown = unknown[:-12] + unknown[-12:].replace("79", "AA")
    if name == "SV Prepare Load":
        unknown = unknown.replace("32102179", "321021AA")
    case(name, 0x9000, SELECT_CARD, command(right, data))
    case(name, 0x6700, SELECT_CARD, command(right, data[2:]))
    case(name, 0x6985, command(right, data))
    case(name, 0x6A80, SELECT_CARD, command(right, "7D" + data[2:]))
    case(name, 0x6A83, SELECT_CARD, command(right, unknown))
SV_PREPARED = (SELECT_CARD, command("805401FF", sv_debit_data()))


def sv_check_right(scene: Scene) -> str:
    prepared = bytes.fromhex(scene.ok(*SV_PREPARED))
    message = bytes.fromhex(sv_debit_data()) + prepared[:6] + scene.sam.serial
    key = scene.card_key(0x10, 0x79)
    return command(
        "80580000", scene.suite.sv_signature_lo(key, message, prepared[6:], extended=False).hex()
    )


case("SV Check", 0x9000, sv_check_right)
case("SV Check", 0x6700, *SV_PREPARED, "8058000006" + "00" * 6)
case("SV Check", 0x6985, "8058000003AABBCC")
case("SV Check", 0x6988, *SV_PREPARED, "8058000003AABBCC")

# Signatures

DATA_CIPHER = "801C40000AEC85A1A2A3A4A5A6A7A8"
case("Data Cipher", 0x9000, SELECT_CARD, DATA_CIPHER)
case("Data Cipher", 0x6700, SELECT_CARD, "801C400009EC85A1A2A3A4A5A6A7")
case("Data Cipher", 0x6900, exhausted(0x1F), SELECT_CARD, DATA_CIPHER)
case("Data Cipher", 0x6985, DATA_CIPHER)
case("Data Cipher", 0x6A83, SELECT_CARD, DATA_CIPHER.replace("EC85", "EC86"))
PSO = "802A9E9A0EFF2B1988A1A2A3A4A5A6A7A8A9AA"
case("PSO Compute Signature", 0x9000, SELECT_CARD, PSO)
case("PSO Compute Signature", 0x6700, SELECT_CARD, "802A9E9A04FF2B1988")
case("PSO Compute Signature", 0x6900, exhausted(0x20), SELECT_CARD, PSO)
case("PSO Compute Signature", 0x6985, PSO)
case("PSO Compute Signature", 0x6A80, SELECT_CARD, PSO.replace("2B1988", "2B1989"))
case("PSO Compute Signature", 0x6A83, SELECT_CARD, PSO.replace("2B19", "2B18"))
VERIFY = "802A00A816FF2B1988A1A2A3A4A5A6A7A8A9AAC1C2C3C4C5C6C7C8"


def verify_right(scene: Scene) -> str:
    message = PSO[18:]
    signature = scene.suite.sign(scene.card_key(0x2B, 0x19), "pso", bytes.fromhex(message))
    return command("802A00A8", "FF2B1988" + message + signature.hex())


case("PSO Verify Signature", 0x9000, SELECT_CARD, verify_right)
case("PSO Verify Signature", 0x6700, SELECT_CARD, "802A00A805FF2B198800")
case("PSO Verify Signature", 0x6982, SELECT_CARD, VERIFY, VERIFY)
case("PSO Verify Signature", 0x6985, VERIFY)
case("PSO Verify Signature", 0x6A80, SELECT_CARD, VERIFY.replace("2B1988", "2B1998"))
case("PSO Verify Signature", 0x6A83, SELECT_CARD, VERIFY.replace("2B19", "2B18"))
case("PSO Verify Signature", 0x6988, SELECT_CARD, VERIFY)

# Reading

for name, right, unknown in (
    ("Read Key Parameters, by reference", "80BC0001020000", "80BC007E020000"),
    ("Read Key Parameters, by KIF and KVC", "80BC00F0023079", "80BC00F002AABB"),
    ("Read Key Parameters, first of a KIF", "80BC00F8023000", "80BC00F8029900"),
    ("Read Key Parameters, system key by KIF", "80BC00C002E100", "80BC00C0021100"),
):
    case(name, 0x9000, right)
    case(name, 0x6200, without(AUTHENTICATION), right)
    case(name, 0x6700, right[:8] + "0100")
    case(name, 0x6900, exhausted(AUTHENTICATION), right)
    case(name, 0x6A83, unknown)
READ_NEXT = "80BC00FA023000"
case("Read Key Parameters, next of a KIF", 0x9000, "80BC00F8023000", READ_NEXT)
case(
    "Read Key Parameters, next of a KIF",
    0x6200,
    without(AUTHENTICATION),
    "80BC00F8023000",
    READ_NEXT,
)
case("Read Key Parameters, next of a KIF", 0x6700, "80BC00FA0100")
case(
    "Read Key Parameters, next of a KIF",
    0x6900,
    "80BC00F8023000",
    lambda scene: scene.sam.memory.commit(
        {("ceiling", 20): 0, ("key", 0xC4): auth_counting(scene)}
    ),
    READ_NEXT,
)
case("Read Key Parameters, next of a KIF", 0x6A83, READ_NEXT)


def auth_counting(scene: Scene) -> bytes:
    row = scene.sam.memory["key", AUTHENTICATION]
    assert isinstance(row, bytes)
    return row[:6] + b"\x14" + row[7:]


case("Read Key Parameters, system key", 0x9000, "80BC00C1020000")
case("Read Key Parameters, system key", 0x6200, without(AUTHENTICATION), "80BC00C1020000")
case("Read Key Parameters, system key", 0x6700, "80BC00C10100")
case("Read Key Parameters, system key", 0x6900, exhausted(AUTHENTICATION), "80BC00C1020000")
case("Read Key Parameters, system key", 0x6A83, without(AUTHENTICATION), "80BC00C4020000")
case("Read Key Parameters, lock", 0x9000, "80BC00E0020000", preset="locked")
case(
    "Read Key Parameters, lock", 0x6200, without(AUTHENTICATION), "80BC00E0020000", preset="locked"
)
case("Read Key Parameters, lock", 0x6700, "80BC00E00100")
case(
    "Read Key Parameters, lock",
    0x6900,
    exhausted(AUTHENTICATION),
    "80BC00E0020000",
    preset="locked",
)
case("Read Key Parameters, lock", 0x6A83, "80BC00E0020000")
for name, right in (
    ("Read Event Counter, record", "80BE00E200"),
    ("Read Event Counter, one", "80BE008300"),
    ("Read Ceilings, record", "80BE00B300"),
    ("Read Ceilings, one", "80BE05B800"),
    ("Read Parameters", "80BE00A000"),
):
    case(name, 0x9000, right)
    case(name, 0x6200, without(AUTHENTICATION), right)
    case(name, 0x6700, right[:8] + "0100")
    case(name, 0x6900, exhausted(AUTHENTICATION), right)

# Control SAM: the keys in the control SAM are records 21 (E1), 22 (FD), 23 (E7)

for name, p2, record, kvc in (
    ("SAM Data Cipher, parameters", "A0", 0x21, "F1"),
    ("SAM Data Cipher, ceiling record", "B2", 0x23, "F3"),
    ("SAM Data Cipher, one ceiling", "B8", 0x23, "F3"),
    ("SAM Data Cipher, CAAD record", "E9", 0x22, "F2"),
):
    right = f"801600{p2}1E{kvc}" + "00" * 29
    prepared = ("801400000411223344", GIVE_RANDOM)
    case(name, 0x9000, *prepared, right, preset="control")
    case(name, 0x6700, *prepared, f"801600{p2}1D{kvc}" + "00" * 28, preset="control")
    case(name, 0x6900, exhausted(record), *prepared, right, preset="control")
    case(name, 0x6985, param(record, 3, 0x02), *prepared, right, preset="control")
    case(name, 0x6A83, *prepared, right, preset="bench")
for name, p2, kvc in (
    ("SAM Generate Key, work key", "40", "F2"),
    ("SAM Generate Key, work key in a free record", "F0", "F2"),
    ("SAM Generate Key, system key", "C0", "F1"),
    ("SAM Generate Key, lock", "E0", "F1"),
):
    right = f"801600{p2}0D{kvc}" + "3079" + "40" + "00" * 9
    case(name, 0x9000, *prepared, right, preset="control")
    case(name, 0x6700, *prepared, right[:8] + "0C" + right[10:-2], preset="control")
    case(name, 0x6985, GIVE_RANDOM, right, preset="control")
    case(name, 0x6A83, *prepared, right.replace("3079", "AABB"), preset="control")

# Writing

NEW_KEY = "AA71" + "40" + "03" + "00" * 9 + "5E" * 16
SYSTEM_KEY = "E7F5" + "40" + "07000003" + "00" * 6 + "5E" * 16
LOCK = "EF01" + "0000000000" + "21" + "0000000000" + "A0A1A2A3A4A5A6A7A8A9AAABACADAEAF"
ONE_CEILING = "05" + "000100" + "00" * 25
CEILINGS = "".join(f"{n:06X}" for n in range(1, 10)) + "01FE"
PARAMETERS = "06" + "5A" * 28


def write(ins: str, by: int, p2: int, content: str, *, p1: str = "00", tail: str = "") -> Step:
    def seal(scene: Scene) -> str:
        return command(f"80{ins}{p1}{p2:02X}", scene.sealed_now(by, p2, content) + tail)

    return seal


def badly_framed(ins: str, by: int, p2: int, content: str) -> Step:
    return lambda scene: command(
        f"80{ins}00{p2:02X}", scene.sealed_now(by, p2, content, padding="00000000000000810000")
    )


for name, ins, p2, by, content in (
    ("Write Key, work key", "1A", 0x40, KEY_MANAGEMENT, NEW_KEY),
    ("Write Key, work key in a free record", "1A", 0xF0, KEY_MANAGEMENT, NEW_KEY),
    ("Write Key, system key", "1A", 0xC0, PERSONALIZATION, SYSTEM_KEY),
    ("Write Key, lock", "1A", 0xE0, PERSONALIZATION, LOCK),
    ("Write Ceilings, one", "D8", 0xB8, RELOADING, ONE_CEILING),
    ("Write Ceilings, record", "D8", 0xB1, RELOADING, CEILINGS),
    ("Write Parameters", "D8", 0xA0, PERSONALIZATION, PARAMETERS),
):
    right = write(ins, by, p2, content)
    header = f"80{ins}00{p2:02X}"
    case(name, 0x9000, right)
    case(name, 0x6700, command(header, "00" * 47))
    case(name, 0x6900, exhausted(by), right)
    case(name, 0x6985, command(header, "00" * 48))  # no challenge
    case(name, 0x6988, "8084000008", command(header, "00" * 48))
    case(name, 0x6A00, command(f"80{ins}01{p2:02X}", "00" * 48))
    case(name, 0x6A80, badly_framed(ins, by, p2, content))
    case(name, 0x6A83, without(by), right)
    if ins == "1A":
        case(
            name,
            0x6A87,
            command(f"80{ins}{'80' if by == KEY_MANAGEMENT else '00'}{p2:02X}", "00" * 80),
        )


# Key pairs and certificates

GENERATE = "804680000A06082A8648CE3D030107"
CERTIFY = (
    "08A000000291FF91010000000000000000"  # AID
     "0000000011223344" + "00000000"  # serial number, index
    + "20240101" + "20991231" + "00" + "0A3C2005141001" + "00" * 18
)  # fmt: skip
CARD_KEY = (
    "2BE9721FA8C9105E308BBDEBD0FD5C306ED1672BBC81F7D01DEF0ABE4D995AE3"
    "9EC3F237650FD2740BCB089A34EE64640302AD9361636B66FE5ACA114F806F2A"
)


def certify(data: str = CERTIFY + CARD_KEY, tag: str = "DF25") -> str:
    """PSO Compute Certificate; extended, so that the answer comes in one piece."""
    length = len(data) // 2
    return f"802AEEAC00{length + 3:04X}{tag}{length:02X}{data}0200"


case("Card Generate Asymmetric Key Pair", 0x9000, GENERATE, preset="pki")
case("Card Generate Asymmetric Key Pair", 0x6700, "8046800001AA", preset="pki")
case("Card Generate Asymmetric Key Pair", 0x6985, GENERATE)
case("Card Generate Asymmetric Key Pair", 0x6A80, GENERATE[:-2] + "22", preset="pki")
case("PSO Compute Certificate", 0x9000, certify(), preset="pki")
case("PSO Compute Certificate", 0x6700, certify(CERTIFY + CARD_KEY[:-2]), preset="pki")
case(
    "PSO Compute Certificate",
    0x6900,
    lambda scene: scene.change("ceiling", 6, value=0),
    certify(),
    preset="pki",
)
case("PSO Compute Certificate", 0x6985, certify(CERTIFY), preset="pki")
case("PSO Compute Certificate", 0x6A80, certify(CERTIFY + "11" * 64), preset="pki")
case("PSO Compute Certificate", 0x6A88, certify(tag="DF26"), preset="pki")


@pytest.mark.parametrize(
    ("name", "sw"), sorted(CASES), ids=[f"{name}: {sw:04X}" for name, sw in sorted(CASES)]
)
def test_status_word(name: str, sw: int) -> None:
    preset, steps = CASES[name, sw]
    scene = Scene(preset)
    for step in steps[:-1]:
        last = step if isinstance(step, str) else step(scene)
        if isinstance(last, str):
            scene.send(last)
    final = steps[-1] if isinstance(steps[-1], str) else steps[-1](scene)
    assert final is not None
    before = scene.sam.memory.objects()
    assert scene.send(final)[-4:] == f"{sw:04X}"
    assert name in {row.name for row in TABLE.rows_for(CommandApdu.parse(bytes.fromhex(final)))}
    if sw not in {0x9000, 0x6200} and name != "PSO Verify Signature":  # where the SAM becomes busy
        assert scene.sam.memory.objects() == before


def test_the_cases_are_the_declared_status_words() -> None:
    declared = {(row.name, sw) for row in TABLE for sw in row.answers}
    assert set(CASES) == declared


@pytest.mark.parametrize("ins", sorted({row.ins for row in TABLE}))
def test_parameters_that_no_row_takes(ins: int) -> None:
    scene = Scene()
    rows = [row for row in TABLE if row.ins == ins]
    free = [
        (p1, p2)
        for p1 in range(256)
        for p2 in range(256)
        if not any(row.p1.allows(p1) and row.p2.allows(p2) for row in rows)
    ]
    for p1, p2 in free[:: max(1, len(free) // 200)]:
        answer = scene.send(f"80{ins:02X}{p1:02X}{p2:02X}")
        assert int(answer, 16) == TABLE.parameter_refusal(ins)


def test_the_answers_to_other_parameters_are_those_of_the_sheet() -> None:
    legacy = {0x12, 0x16, 0x1A, 0x54, 0x56, 0x5C, 0xBC, 0xBE, 0xD8}
    for row in TABLE:
        assert TABLE.parameter_refusal(row.ins) == (0x6A00 if row.ins in legacy else 0x6B00)


def test_only_known_instructions_are_answered() -> None:
    scene = Scene()
    known = {row.ins for row in TABLE}
    for ins in range(256):
        answer = scene.send(f"80{ins:02X}0000")
        assert (answer == "6D00") == (ins not in known)


def test_a_card_selects_nothing_of_the_bench() -> None:
    assert Scene().send(f"00A4040008{CARD}00") == "6E00"
