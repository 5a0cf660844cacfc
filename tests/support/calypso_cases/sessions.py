"""Open, Close, abort and Manage Secure Session; Invalidate and Rehabilitate.

Source: calypso-card §4.16 to §4.19, §5.9.
"""

from __future__ import annotations

from support.calypso_cases.case import Row
from support.calypso_cases.steps import (
    OPEN_PKI,
    OPEN_PKI_RECORD,
    buffer_full,
    closing,
    encrypted,
    exhausted,
    invalid,
    legacy_key,
    no_key_3,
    pki_session,
    send,
    session,
    terminal_proof,
    toggled,
)

# Invalidate, Rehabilitate

for _name, _ins, _given, _wrong in (
    ("Invalidate", "04", (), (invalid,)),
    ("Rehabilitate", "44", (invalid,), ()),
):
    row = Row(_name)
    row(0x9000, f"00{_ins}000000", *_given, session(1))
    row(0x6982, f"00{_ins}000000", *_given)
    row(0x6985, f"00{_ins}000000", *_wrong, session(1))
    row(0x6700, f"00{_ins}00000111", *_given, session(1))
    row(0x6B00, f"00{_ins}010000", *_given, session(1))
Row("Invalidate")(0x9000, "00040000", session(3))
Row("Invalidate")(0x6400, "0004000000", buffer_full)
Row("Rehabilitate")(0x6982, "0044000000", invalid, session(3))
Row("Rehabilitate")(0x6400, "0044000000", invalid, toggled)

# Sessions


def opening(
    cla: str, p1: int, low: int, data: str, *, key: int = 3, sfi: int = 0, record: int = 0
) -> str:
    return f"{cla}8A{p1 | record << 3 | key:02X}{sfi << 3 | low:02X}{data}00"


for _name, _preset, _form in (
    # row, card, (class, fixed bits of P1, fixed bits of P2, Lc and data)
    ("Open Secure Session (revision 1)", "prime-1 workshop", ("94", 0x00, 0, "04C1C2C3C4")),
    ("Open Secure Session (revision 2)", "prime-2 workshop", ("94", 0x80, 0, "04C1C2C3C4")),
    ("Open Secure Session (regular)", "workshop", ("00", 0x00, 1, "04C1C2C3C4")),
    ("Open Secure Session (extended)", "workshop", ("00", 0x00, 2, "0900C1C2C3C4C5C6C7C8")),
):
    row = Row(_name, _preset)
    row(0x9000, opening(*_form))
    row(0x9000, opening(*_form, key=1, sfi=0x07, record=1))
    row(0x9000, opening(*_form), invalid)
    row(0x6900, opening(*_form), exhausted)
    row(0x6981, opening(*_form, sfi=0x04, record=1))
    row(0x6982, opening(*_form, sfi=0x13, record=1))
    row(0x6985, opening(*_form, sfi=0x01, record=1))
    row(0x6985, opening(*_form), send(opening(*_form)))
    row(0x6986, opening(*_form, record=1))
    row(0x6A81, opening(*_form, key=0))
    row(0x6A81, opening(*_form, key=4))
    row(0x6A81, opening(*_form, key=7))
    row(0x6A81, opening(*_form), no_key_3)
    row(0x6A82, opening(*_form, sfi=0x1F, record=1))
    row(0x6A83, opening(*_form, sfi=0x07, record=2))
    row(0x6700, f"{_form[0]}8A{_form[1] | 3:02X}{_form[2]:02X}051122334455")
    row(0x6B00, f"{_form[0]}8A{_form[1] | 3:02X}07{_form[3]}00")
row = Row("Open Secure Session (extended)")
row(0x6A80, "008A03020901C1C2C3C4C5C6C7C800")
row(0x6B00, "008A03020900C1C2C3C4C5C6C7C800", preset="kit-regular")
row(0x6B00, "008A03020900C1C2C3C4C5C6C7C800", preset="light-classic")
row(0x6B00, "008A03020900C1C2C3C4C5C6C7C800", preset="basic")
row(0x6982, opening("00", 0, 2, "0900C1C2C3C4C5C6C7C8", sfi=0x0B, record=1))

row = Row("Open Secure Session (pre-open)")
row(0x6200, "008A0302010000")
row(0x6900, "008A0302010000", exhausted)
row(0x6985, "008A0302010000", session())
row(0x6A80, "008A0302010100")
row(0x6A81, "008A0402010000")
row(0x6A81, "008A0302010000", no_key_3)
row(0x6B00, "008A0B02010000")

row = Row("Open Secure Session (PKI)")
row(0x9000, OPEN_PKI, preset="pki")
row(0x9000, OPEN_PKI_RECORD, preset="pki")
row(0x9000, OPEN_PKI, preset="pki-hce")
row(0x6985, OPEN_PKI)
row(0x6985, OPEN_PKI_RECORD, session())
row(0x6985, OPEN_PKI, pki_session, preset="pki")
row(0x6900, OPEN_PKI, exhausted, preset="pki")
row(0x6981, "008A08D30900C1C2C3C4C5C6C7C800", preset="pki")
row(0x6982, "008A081B0900C1C2C3C4C5C6C7C800", preset="pki")
row(0x6986, "008A08030900C1C2C3C4C5C6C7C800", preset="pki")
row(0x6A80, "008A00030901C1C2C3C4C5C6C7C800")
row(0x6A82, "008A08FB0900C1C2C3C4C5C6C7C800", preset="pki")
row(0x6A83, "008A283B0900C1C2C3C4C5C6C7C800", preset="pki")
row(0x6B00, "008A03030900C1C2C3C4C5C6C7C800")
row(0x6B00, OPEN_PKI, preset="kit-extended")
row(0x6700, "008A000304C1C2C3C400")

row = Row("Close Secure Session")
row(0x9000, closing(), session())
row(0x9000, closing(0x00), session())
row(0x9000, closing(), session(mode="extended"))
row(0x9000, closing(), session(mode="revision 2"), preset="prime-2")
row(0x6700, "008E800008112233445566778800", session())
row(0x6700, "008E8000041122334400", session(mode="extended"))
row(0x6700, "008E800005112233445500", session())
row(0x6700, "008E800000", session())
row(0x6985, "008E8000041122334400")
row(0x6988, "008E8000041122334400", session())
row(0x6988, "008E8000081122334455667788", session(mode="extended"))
row(0x6B00, "008E4000041122334400", session())
row(0x6B00, "008E8001041122334400", session())

row = Row("Abort Secure Session")
row(0x9000, "008E000000", session(), data="")
row(0x9000, "008E0000", session(mode="extended"), data="")
row(0x6985, "008E000000")
row(0x6B00, "008E000100", session())
row(0x6B00, "008E010000", session())
row(0x6700, "008E00000111", session())

extended = session(mode="extended")
row = Row("Manage Secure Session (encryption)")
row(0x9000, "0082000200", extended, data="")
row(0x9000, "0082000000", encrypted, data="")
row(0x6985, "0082000200")
row(0x6985, "0082000200", session())
row(0x6985, "0082000200", legacy_key)
row(0x6700, "0082000208112233445566778800", extended)
row(0x6B00, "0082010200", extended)
row(0x6B00, "0082000400", extended)
row(0x6D00, "0082000200", preset="kit-regular")
row = Row("Manage Secure Session (authentication)")
row(0x9000, terminal_proof(), extended)
row(0x9000, terminal_proof(0x03), extended)
row(0x9000, terminal_proof(0x03), encrypted)
row(0x6985, "0082000108112233445566778800")
row(0x6985, "0082000108112233445566778800", session())
row(0x6985, "0082000108112233445566778800", legacy_key)
row(0x6988, "0082000108112233445566778800", extended)
row(0x6700, "0082000100", extended)
row(0x6700, "00820001071122334455667700", extended)
row(0x6B00, "0082010108112233445566778800", extended)
row(0x6D00, "0082000108112233445566778800", preset="light-classic")
