"""Get Challenge, PIN status, Verify PIN, Change PIN, Change Key.

Source: calypso-card §4.11 to §4.14.
"""

from __future__ import annotations

from support.calypso_cases.case import Row
from support.calypso_cases.steps import (
    RIGHT_PIN,
    WRONG_PIN,
    altered,
    blocked,
    ciphered_pin,
    ciphered_pin_too_late,
    exhausted,
    invalid,
    new_key,
    new_pin,
    ok,
    send,
    session,
    verified,
)

row = Row("Get Challenge")
row(0x9000, "0084000008")
row(0x6700, "0084000000")
row(0x6700, "00840000")
row(0x6700, "0084000004")
row(0x6B00, "0084010008")

for _name, _form in (("PIN status", "00"), ("Verify PIN (plain)", "0430303030")):
    row = Row(_name)
    row(0x9000, f"00200000{_form}")
    row(0x9000, f"00200000{_form}", session())
    row(0x6983, f"00200000{_form}", blocked)
    row(0x6985, f"00200000{_form}", invalid)
    row(0x6B00, f"00200100{_form}")
    row(0x6700, "00200000053030303030")
    row(0x6D00, f"00200000{_form}", preset="light-classic")
row = Row("PIN status")
row(0x63C2, "0020000000", send(WRONG_PIN))
row(0x63C1, "0020000000", send(WRONG_PIN, WRONG_PIN))
row(0x6983, "0020000000", send(WRONG_PIN, WRONG_PIN, WRONG_PIN))
row = Row("Verify PIN (plain)")
row(0x63C2, WRONG_PIN)
row(0x63C1, WRONG_PIN, send(WRONG_PIN))
row(0x6983, WRONG_PIN, send(WRONG_PIN, WRONG_PIN))
row(0x6983, RIGHT_PIN, send(WRONG_PIN, WRONG_PIN, WRONG_PIN))
row(0x6900, RIGHT_PIN, exhausted)
row = Row("Verify PIN (ciphered)")
row(0x9000, ciphered_pin())
row(0x9000, ciphered_pin(), session(2))
row(0x63C2, ciphered_pin("39393939"))
row(0x63C2, altered(ciphered_pin()))
row(0x63C1, ciphered_pin("39393939"), send(WRONG_PIN))
row(0x6983, ciphered_pin(), blocked)
row(0x6900, ciphered_pin(), exhausted)
row(0x6982, "00200000081122334455667788")
row(0x6982, ciphered_pin_too_late)
row(0x6985, ciphered_pin(), invalid)
row(0x6700, "00200000051122334455")
row(0x6B00, "00200001081122334455667788")
row(0x6D00, "00200000081122334455667788", preset="basic")

row = Row("Change PIN")
row(0x9000, "00D800FF0434353637", verified)
row(0x9000, new_pin("34353637"))
row(0x9000, new_pin("34353637", "30303030"))
row(0x9000, new_pin("34353637"), blocked)
row(0x6982, "00D800FF0434353637")
row(0x6982, "00D800FF0434353637", verified, send(WRONG_PIN))
row(0x6982, "00D800FF10" + "11" * 16)
row(0x6985, "00D800FF0434353637", verified, session())
row(0x6985, "00D800FF0434353637", verified, invalid)
row(0x6988, altered(new_pin("34353637")))
row(0x6A80, new_pin("34353637", "39393939"))
row(0x6A87, "00D800FF20" + "11" * 32)
row(0x6900, "00D800FF0434353637", verified, exhausted)
row(0x6700, "00D800FF053435363738")
row(0x6B00, "00D801FF0434353637")

row = Row("Change Key")
row(0x9000, new_key(3, 0x30, 0x75))
row(0x9000, new_key(1, 0x21, 0x79, 0x40))
row(0x6982, "00D8000320" + "11" * 32)
row(0x6985, new_key(3, 0x30, 0x75), session())
row(0x6985, new_key(3, 0x30, 0x75), invalid)
row(0x6988, altered(new_key(3, 0x30, 0x75)))
row(0x6A80, new_key(3, 0x30, 0x75, 0x01))
row(0x6A80, new_key(3, 0x00, 0x75))
row(0x6A80, "00D8000318" + "11" * 24, ok("0084000008"))
row(0x6A87, "00D800030434353637")
row(0x6900, new_key(3, 0x30, 0x75), exhausted)
row(0x6700, "00D8000321" + "11" * 33)
row(0x6B00, "00D8000420" + "11" * 32)
row(0x6B00, "00D8000020" + "11" * 32)
