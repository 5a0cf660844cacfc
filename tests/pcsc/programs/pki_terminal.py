"""A terminal of its own: authenticates the one card in the one PC/SC reader; run as a program of its own.

    pki_terminal.py FOLDER_OF_SECOND_PKI ROOT_MODULUS

It knows pyscard and the second implementation of the PKI, nothing of the project. There must be one
reader: no SAM is anywhere. Prints one JSON object; an exception ends it with another status than 0.
"""

from __future__ import annotations

import json
import secrets
import sys

sys.path.insert(0, sys.argv[1])
import second_pki
from smartcard.System import readers

AID = "A000000291FF9101"

(reader,) = readers()
card = reader.createConnection()
card.connect()


def send(command: str) -> tuple[bytes, bytes]:
    """Send a command; return it and the whole answer, which must be a success."""
    raw = bytes.fromhex(command)
    data, sw1, sw2 = card.transmit(list(raw))
    assert (sw1, sw2) == (0x90, 0x00), f"{command} was answered {sw1:02X}{sw2:02X}"
    return raw, bytes((*data, sw1, sw2))


def data(command: str) -> bytes:
    """Send a command; return the data of its answer."""
    return send(command)[1][:-2]


data(f"00A40400{len(AID) // 2:02X}{AID}00")
ca_certificate = data("00CADF4A00")[5:] + data("00CADF4B00")
card_certificate = data("00CADF4C00")[5:] + data("00CADF4D00")
issuer = second_pki.open_ca(ca_certificate, int(sys.argv[2], 16))
certificate = second_pki.open_card(card_certificate, issuer.modulus)
assert certificate.issuer == issuer.target

challenge = secrets.token_bytes(8).hex()
exchange = [*send(f"008A083B0900{challenge}00"), *send("00B2014C1D"), *send("00B201CC1D")]
signature = data("008E000000")
second_pki.ec_verify(certificate.public, second_pki.session_message(exchange), signature)

print(
    json.dumps(
        {
            "reader": str(reader),
            "aid": certificate.aid.hex().upper(),
            "serial": certificate.serial.hex().upper(),
            "project_modules": [name for name in sys.modules if name.startswith("cardbench")],
        }
    )
)
