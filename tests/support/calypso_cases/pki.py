"""Key pair, certificates and PKI sessions.

Source: calypso-card §2.5, §4.21, §5.10.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from support.calypso_cases.case import Row
from support.calypso_cases.steps import invalid, ok, pki_session, session

row = Row("Close Secure Session")
row(0x6700, "008E8000081122334455667788", pki_session, preset="pki")
row = Row("Abort Secure Session")
row(0x9000, "008E000000", pki_session, preset="pki")
row(0x6700, "008E00000111", pki_session, preset="pki")
row(0x6B00, "008E000100", pki_session, preset="pki")
for _name, _command in (
    ("Manage Secure Session (encryption)", "0082000200"),
    ("Manage Secure Session (authentication)", "0082000108112233445566778800"),
    ("SV Get", "007C000900"),
    ("Verify PIN (ciphered)", "00200000081122334455667788"),
    ("Change PIN", "00D800FF0431313131"),
    ("Change Key", "00D8000120" + "11" * 32),
):
    Row(_name)(0x6985, _command, pki_session, preset="pki")
for _name, _command in (
    ("SV Reload", "00B8000017" + "00" * 23),
    ("SV Debit", "00BA000014" + "00" * 20),
    ("SV Undebit", "00BC000014" + "00" * 20),
):
    Row(_name)(0x6985, _command, pki_session, preset="pki")

_PKI = tomllib.loads((Path(__file__).parents[2] / "vectors" / "calypso-pki.toml").read_text())[
    "own"
]
KEY_PAIR = _PKI["card_public_key"].replace("\n", "") + _PKI["card_private_key"]
CARD_CERTIFICATE = _PKI["card_certificate"].replace("\n", "")
CA_CERTIFICATE = _PKI["ca_certificate"].replace("\n", "")
PUT_KEY_PAIR = "00DADF3C60" + KEY_PAIR
PUT_CARD_1 = "00DADF4CFADF4C82013C" + CARD_CERTIFICATE[:490]
PUT_CARD_2 = "00DADF4D47" + CARD_CERTIFICATE[490:]
PUT_CA_1 = "00DADF4AFADF4A820180" + CA_CERTIFICATE[:490]
PUT_CA_2 = "00DADF4B8B" + CA_CERTIFICATE[490:]
GENERATE = "004600000A06082A8648CE3D030107"

row = Row("Generate Asymmetric Key Pair")
row(0x9000, GENERATE, data="")
row(0x6985, GENERATE, ok(GENERATE))
row(0x6985, GENERATE, ok(PUT_KEY_PAIR))
row(0x6985, GENERATE, session())
row(0x6985, GENERATE, invalid)
row(0x6A80, GENERATE[:-2] + "22")
row(0x6700, "0046000009" + GENERATE[10:-2])
row(0x6B00, "00460100" + GENERATE[8:])
row(0x6D00, GENERATE, preset="kit-extended")
row = Row("Put Data (card key pair)")
row(0x9000, PUT_KEY_PAIR, data="")
row(0x6985, PUT_KEY_PAIR, ok(PUT_KEY_PAIR))
row(0x6985, PUT_KEY_PAIR, session())
row(0x6985, PUT_KEY_PAIR, invalid)
row(0x6A80, "00DADF3C5F" + KEY_PAIR[:-2])
row(0x6A87, PUT_KEY_PAIR[:-2] + "76")
row(0x6A87, "00DADF3C60" + "00" * 96)
row(0x6700, "00DADF3C00")
row(0x6B00, "00DADF3D60" + KEY_PAIR)
row(0x6D00, PUT_KEY_PAIR, preset="kit-extended")
row = Row("Put Data (CA certificate, first part)")
row(0x9000, PUT_CA_1, data="")
row(0x9000, "00DADF4AEBDF4A820180" + CA_CERTIFICATE[:460])
row(0x6985, PUT_CA_1, invalid)
row(0x6985, PUT_CA_1, session())
row(0x6A80, "00DADF4A34DF4A820180" + CA_CERTIFICATE[:94])
row(0x6A87, PUT_CA_1.replace("DF4A820180", "DF4A820181"))
row(0x6A87, PUT_CA_1.replace("8201809001", "8201809101"))
row(0x6700, "00DADF4A00")
row(0x6B00, "00DADE4AFADF4A820180" + CA_CERTIFICATE[:490])
row = Row("Put Data (CA certificate, last part)")
row(0x9000, PUT_CA_2, ok(PUT_CA_1), data="")
row(0x6985, PUT_CA_2)
row(0x6985, PUT_CA_2, ok(PUT_CA_1, PUT_CA_2))
row(0x6985, PUT_CA_2, ok(PUT_CA_1), invalid)
row(0x6985, PUT_CA_2, ok(PUT_KEY_PAIR, PUT_CARD_1))
row(0x6A80, "00DADF4B8A" + CA_CERTIFICATE[490:-2], ok(PUT_CA_1))
row(0x6700, "00DADF4B00")
row(0x6B00, "00DADE4B8B" + CA_CERTIFICATE[490:])
row = Row("Put Data (card certificate, first part)")
row(0x9000, PUT_CARD_1, ok(PUT_KEY_PAIR), data="")
row(0x9000, PUT_CARD_1, preset="pki")
row(0x6985, PUT_CARD_1)
row(0x6985, PUT_CARD_1, ok(PUT_KEY_PAIR), invalid)
row(0x6A80, "00DADF4C34DF4C82013C" + CARD_CERTIFICATE[:94], ok(PUT_KEY_PAIR))
row(0x6A87, PUT_CARD_1.replace("3C9101", "3C9102"), ok(PUT_KEY_PAIR))
row(0x6A8A, PUT_CARD_1.replace("A000000291FF9101", "A000000291FF9102"), ok(PUT_KEY_PAIR))
row(0x6A8A, PUT_CARD_1.replace("08A000000291FF", "07A000000291FF"), ok(PUT_KEY_PAIR))
row(0x6700, "00DADF4C00")
row(0x6B00, PUT_CARD_1.replace("00DADF", "00DADE", 1))
row = Row("Put Data (card certificate, last part)")
row(0x9000, PUT_CARD_2, ok(PUT_KEY_PAIR, PUT_CARD_1), data="")
row(0x6985, PUT_CARD_2, ok(PUT_KEY_PAIR))
row(0x6985, PUT_CARD_2, ok(PUT_KEY_PAIR, PUT_CARD_1, "00A4040008A000000291FF9101"))
row(0x6A80, PUT_CARD_2[:8] + "48" + PUT_CARD_2[10:] + "00", ok(PUT_KEY_PAIR, PUT_CARD_1))
row(0x6700, "00DADF4D00")
row(0x6B00, "00DADE4D47" + CARD_CERTIFICATE[490:])

row = Row("Get Data")
row(0x9000, "00CADF2C00", ok(PUT_KEY_PAIR), data="DF2C40" + KEY_PAIR[:128])
row(0x9000, "00CADF4C00", ok(PUT_KEY_PAIR, PUT_CARD_1, PUT_CARD_2), data=PUT_CARD_1[10:])
row(0x9000, "00CADF4D00", ok(PUT_KEY_PAIR, PUT_CARD_1, PUT_CARD_2), data=PUT_CARD_2[10:])
row(0x9000, "00CADF4A00", ok(PUT_CA_1, PUT_CA_2), data=PUT_CA_1[10:])
row(0x9000, "00CADF4B00", ok(PUT_CA_1, PUT_CA_2), data=PUT_CA_2[10:])
for _tag in ("2C", "4A", "4B", "4C", "4D"):
    row(0x6A88, f"00CADF{_tag}00")
row(0x6A88, "00CADF4C00", ok(PUT_KEY_PAIR, PUT_CARD_1))
row(0x6B00, "00CADF3C00", preset="pki")
