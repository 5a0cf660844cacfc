"""The test-kit structures of the facts sheet as data: files, access, keys, first contents.

Source: calypso-card §8.3; access notation §3.5.
"""

from __future__ import annotations

from typing import NamedTuple


class File(NamedTuple):
    """One EF: LID, SFI, type, number of records, size, access of groups 0 to 3, data reference."""

    lid: int
    sfi: int
    kind: str
    records: int
    size: int
    access: str
    reference: int = 0


class Structure(NamedTuple):
    """One application on one preset.

    Attributes:
        preset: which card.
        lid, aid, type, subtype: identity.
        keys: KIFs, KVC, ALG.
        access: of the DF.
        files: in the order of the sheet.
        contents: (SFI, record) and what it holds from the factory; every other record is zero.
    """

    preset: str
    name: str
    lid: int
    aid: str
    type: int
    subtype: int
    keys: tuple[str, int, int]
    files: tuple[File, ...]
    access: str = "S1 S3 NN NN"
    contents: tuple[tuple[int, int, str], ...] = ()

    def title(self) -> str:
        """Name the structure."""
        return f"{self.preset} {self.name}"


LINEAR, CYCLIC, COUNTERS, BINARY, SIMULATED = "02", "04", "09", "01", "08"
RT, SV_KIFS, NDEF_KIFS = "212730", "010710", "414750"

STORED_VALUE = (
    File(0x1014, 0x14, CYCLIC, 1, 29, "AA NN NN NN"),
    File(0x1015, 0x15, CYCLIC, 3, 29, "AA NN NN NN"),
)
_AFTER_ID = (
    File(0x2001, 0x07, LINEAR, 1, 29, "AA S1 NN NN"),
    File(0x2010, 0x08, CYCLIC, 3, 29, "AA S3 S3 S3"),
    File(0x2040, 0x1D, LINEAR, 1, 29, "AA S3 NN NN"),
    File(0x2050, 0x1E, LINEAR, 1, 29, "AA S3 NN NN"),
    File(0x2020, 0x09, LINEAR, 4, 29, "AA S2 S3 NN"),
    File(0x2069, 0x19, COUNTERS, 1, 29, "AA S2 S3 S2"),
)
TRANSPORT = (
    File(0x0002, 0x02, LINEAR, 1, 29, "AA NN S1 NN"),
    File(0x0003, 0x03, LINEAR, 1, 29, "PN S2 NN NN"),
    *_AFTER_ID,
)
_BLANK = "00000F" + "FF" * 26
_BLANK_CONTRACTS = tuple((0x09, number, _BLANK) for number in (1, 2, 3, 4))
_SHARED_LIST = File(0x2050, 0x1E, LINEAR, 1, 29, "AA S3 NN NN", 0x2050)
GTML = (
    File(0x0002, 0x02, LINEAR, 1, 29, "AA NN NN NN"),
    TRANSPORT[1],
    *(_SHARED_LIST if file.lid == 0x2050 else file for file in _AFTER_ID),
    File(0x2030, 0x06, LINEAR, 1, 29, "AA S3 NN NN", 0x2050),
    *(
        File(lid, sfi, SIMULATED, 1, 29, "AA S2 S3 S2", 0x1900 + number)
        for number, (lid, sfi) in enumerate(
            [
                *zip(range(0x202A, 0x2030), range(0x0A, 0x10), strict=True),
                *zip(range(0x2060, 0x2063), range(0x10, 0x13), strict=True),
            ],
            1,
        )
    ),
)


def hoplink(*, pictures: bool) -> tuple[File, ...]:
    """Hoplink, subtype 0D with picture files or 0C without."""
    records, size = (16, 48) if pictures else (8, 24)
    files = (
        File(0x2111, 0x14, LINEAR, 1, 32, "AA S1 NN NN", 0x2111),
        File(0x2112, 0x15, LINEAR, records, 64, "AA S2 S3 NN", 0x2112),
        File(0x2113, 0x1A, LINEAR, records, 48, "AA AA NN NN", 0x2113),
        File(0x2114, 0x1B, COUNTERS, 1, size, "AA S2 AA S2", 0x2114),
        File(0x2115, 0x1C, COUNTERS, 1, size, "AA S2 S3 S2", 0x2115),
        File(0x2116, 0x18, LINEAR, records, 64, "AA S3 NN NN", 0x2116),
    )
    return (
        files
        + (
            File(0x2117, 0x12, BINARY, 1, 4096, "AA S2 NN NN", 0x2117),
            File(0x2118, 0x13, LINEAR, 1, 64, "AA S2 NN NN", 0x2118),
        )
        * pictures
    )


def _hoplink_contracts(count: int) -> tuple[tuple[int, int, str], ...]:
    return tuple((0x15, number, "00" * 10 + "FF" + "00" * 53) for number in range(1, count + 1))


INTERCODE = (
    File(0x2201, 0x01, LINEAR, 1, 80, "AA S1 NN NN"),
    File(0x2202, 0x02, LINEAR, 1, 48, "PN S2 NN NN"),
    File(0x2203, 0x03, LINEAR, 8, 64, "AA S2 S3 NN"),
    File(0x2204, 0x04, LINEAR, 8, 56, "AA S2 S3 NN"),
    File(0x2205, 0x05, COUNTERS, 1, 48, "AA S2 S3 S2"),
    File(0x2206, 0x06, COUNTERS, 1, 24, "AA S2 AA S2"),
    File(0x2207, 0x07, LINEAR, 1, 80, "AA S3 NN NN"),
    File(0x2208, 0x08, LINEAR, 3, 48, "AA S3 NN NN"),
    File(0x2209, 0x09, LINEAR, 3, 48, "AA S3 NN NN"),
    File(0x220A, 0x0A, CYCLIC, 3, 48, "AA S3 S3 S3"),
    File(0x220B, 0x0B, LINEAR, 1, 64, "AA AA AA NN"),
)
_F3 = (
    File(0x220C, 0x0C, LINEAR, 1, 48, "C3 C1 NN NN"),
    File(0x220D, 0x0D, LINEAR, 1, 48, "P3 C2 NN NN"),
    File(0x220E, 0x0E, COUNTERS, 1, 24, "C3 C2 C3 C2"),
    File(0x220F, 0x0F, CYCLIC, 3, 48, "C3 C3 C3 C3"),
)
_SHARED = (
    File(0x2211, 0x14, LINEAR, 1, 32, "AA NN NN NN", 0x2111),
    File(0x2212, 0x15, LINEAR, 16, 64, "AA NN S3 NN", 0x2112),
    File(0x2213, 0x1A, LINEAR, 16, 48, "AA AA NN NN", 0x2113),
    File(0x2214, 0x1B, COUNTERS, 1, 48, "AA NN AA NN", 0x2114),
    File(0x2215, 0x1C, COUNTERS, 1, 48, "AA NN S3 NN", 0x2115),
    File(0x2216, 0x18, LINEAR, 16, 64, "AA S3 NN NN", 0x2116),
    File(0x2217, 0x12, BINARY, 1, 4096, "AA NN NN NN", 0x2117),
    File(0x2218, 0x13, LINEAR, 1, 64, "AA NN NN NN", 0x2118),
)
INTERCODE_F3 = (*INTERCODE, *_F3, *_SHARED)
NDEF = (
    File(0xE103, 0x01, BINARY, 1, 15, "AA S1 NN NN"),
    File(0xE104, 0x02, BINARY, 1, 2048, "AA AA AA NN"),
)
LIGHT_CLASSIC = (
    File(0x2001, 0x07, LINEAR, 1, 29, "AA S1 NN NN"),
    File(0x2010, 0x08, CYCLIC, 3, 29, "AA S3 S3 S3"),
    File(0x2040, 0x1D, LINEAR, 1, 29, "AA S3 NN NN"),
    File(0x2050, 0x1E, LINEAR, 1, 29, "AA S3 NN NN"),
    File(0x2020, 0x09, LINEAR, 2, 29, "AA S2 S3 NN"),
    File(0x2069, 0x19, COUNTERS, 1, 29, "AA S2 S3 S2"),
)
LIGHT_REFERENCE = (
    File(0x2014, 0x14, LINEAR, 1, 32, "AA S1 NN NN"),
    File(0x2015, 0x15, LINEAR, 2, 64, "AA S2 S3 NN"),
    File(0x201A, 0x1A, LINEAR, 2, 48, "AA S3 NN NN"),
    File(0x201B, 0x1B, COUNTERS, 1, 6, "AA S2 S3 S2"),
    File(0x201C, 0x1C, COUNTERS, 1, 6, "AA S2 S3 S2"),
    File(0x2009, 0x09, LINEAR, 2, 64, "AA S2 NN NN"),
    File(0x2008, 0x08, CYCLIC, 2, 64, "AA S3 NN S3"),
    File(0x201E, 0x1E, CYCLIC, 2, 64, "AA S3 NN S3"),
)
BASIC = (
    File(0x2001, 0x07, LINEAR, 1, 29, "AA S1 NN NN"),
    File(0x2010, 0x08, CYCLIC, 2, 29, "AA S3 S3 S3"),
    File(0x2050, 0x1E, LINEAR, 1, 29, "AA S3 NN NN"),
    File(0x2020, 0x09, LINEAR, 1, 29, "AA S2 S3 NN"),
    File(0x2069, 0x19, COUNTERS, 1, 3, "AA S2 S3 S2"),
)

_SV, _TRANSPORT, _HOPLINK = "A000000291FF9201", "A000000291FF9101", "A000000291A00000019102"
_INTERCODE, _NDEF, _GTML = "A000000291FF9111", "D2760000850101", "315449432E49434131"
_PICTURES = hoplink(pictures=True)
_FULL = _hoplink_contracts(16)


def _kit(preset: str, types: str) -> tuple[Structure, ...]:
    """The five applications of an AES kit; their types in order of the sheet."""
    sv, transport, t2, intercode, ndef = bytes.fromhex(types)
    aes = ((SV_KIFS, 0x74, 0xA0), (RT, 0x74, 0xA0), (RT, 0x09, 0xA0), (RT, 0x75, 0xB0))
    return (
        Structure(preset, "Stored Value", 0x1000, _SV, sv, 0x20, aes[0], STORED_VALUE),
        Structure(preset, "transport", 0x2000, _TRANSPORT, transport, 0x02, aes[1], TRANSPORT,
                  contents=_BLANK_CONTRACTS),
        Structure(preset, "Hoplink", 0x2100, _HOPLINK, t2, 0x0D, aes[2], _PICTURES, contents=_FULL),
        Structure(preset, "Intercode", 0x2200, _INTERCODE, intercode, 0xF3, aes[3], INTERCODE_F3,
                  contents=_FULL),
        Structure(preset, "NDEF", 0xE100, _NDEF, ndef, 0xF4, aes[3], NDEF),
    )  # fmt: skip


STRUCTURES = (
    Structure("kit-regular", "Stored Value", 0x1000, _SV, 0x23, 0x20, (SV_KIFS, 0x79, 0x40), STORED_VALUE),
    Structure("kit-regular", "transport", 0x2000, _TRANSPORT, 0x23, 0x02, (RT, 0x79, 0x40), TRANSPORT,
              contents=_BLANK_CONTRACTS),
    Structure("kit-regular", "Hoplink", 0x2100, _HOPLINK, 0x21, 0x0D, (RT, 0x0C, 0x40), _PICTURES,
              contents=_FULL),
    Structure("kit-regular", "Intercode", 0x2200, _INTERCODE, 0x23, 0x13, (RT, 0x78, 0x40),
              (*INTERCODE, *_SHARED), contents=_FULL),
    Structure("kit-regular", "NDEF", 0xE100, _NDEF, 0x21, 0xF4, (NDEF_KIFS, 0x79, 0x40), NDEF),
    *_kit("kit-extended", "2B 2B 29 2B 29"),
    *_kit("kit-pki", "2B 3B 29 3B 39"),
    Structure("gtml", "CD Light / GTML", 0x2000, _GTML, 0x23, 0x05, (RT, 0x79, 0x40), GTML,
              contents=_BLANK_CONTRACTS),
    Structure("gtml", "Stored Value", 0x1000, "304554502E494341", 0x23, 0x20, (SV_KIFS, 0x79, 0x40),
              STORED_VALUE),
    Structure("hoplink-small", "Hoplink", 0x2100, _HOPLINK, 0x21, 0x0C, (RT, 0x0C, 0x40),
              hoplink(pictures=False), contents=_hoplink_contracts(8)),
    Structure("light-classic", "Light classic", 0x2000, _TRANSPORT, 0x90, 0x32, (RT, 0x79, 0x40),
              LIGHT_CLASSIC, contents=_BLANK_CONTRACTS[:2]),
    Structure("light-reference", "Light reference", 0x2000, _INTERCODE, 0x90, 0x31, (RT, 0x79, 0x40),
              LIGHT_REFERENCE),
    Structure("basic", "Basic", 0x2000, _TRANSPORT, 0x98, 0x33, (RT, 0x73, 0x40), BASIC,
              access="NN S3 NN NN"),
)  # fmt: skip
"""Every structure of the sheet, on the preset that has it."""
