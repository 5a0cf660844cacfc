"""Certificates and roots as files, or as hexadecimal on the command line.

A certificate is a file of its bytes, a file of hexadecimal text, or the hexadecimal text itself; tag and
length of a card's or SAM's answer may stand before it. A root is a JSON file of reference and modulus.

Source: our choice.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from cardbench.protocol.calypso.pki.ca_certificate import CA_CERTIFICATE_TYPE, CaCertificate
from cardbench.protocol.calypso.pki.card_certificate import CARD_CERTIFICATE_TYPE, CardCertificate
from cardbench.protocol.calypso.pki.iso9796 import modulus_of, public_key_of
from cardbench.protocol.calypso.pki.key_reference import KeyReference
from cardbench.protocol.calypso.pki.verification import CaCertificateContent, pca_content
from cardbench.protocol.errors import UsageError
from cardbench.protocol.hexadecimal import from_hex, to_hex

_HEADS: Final = tuple(
    bytes.fromhex(head) for head in ("DF4A820180", "DF43820180", "DF4C82013C", "DF4582013C")
)
PRIVATE_MODE: Final = 0o600


def read_certificate(text: str) -> CaCertificate | CardCertificate:
    """Read a certificate from a file, or from hexadecimal text.

    Raises:
        UsageError: neither a file nor hexadecimal, or no certificate by its first byte.
        MalformedCertificate: it does not decode.
    """
    raw = _bytes_of(text)
    for head in _HEADS:
        raw = raw.removeprefix(head)
    if raw[:1] == bytes((CA_CERTIFICATE_TYPE,)):
        return CaCertificate.parse(raw)
    if raw[:1] == bytes((CARD_CERTIFICATE_TYPE,)):
        return CardCertificate.parse(raw)
    raise UsageError(
        f"{_short(text)}: begins with {to_hex(raw[:1]) or 'nothing'}; "
        "a CA certificate begins with 90, a card certificate with 91"
    )


def _bytes_of(text: str) -> bytes:
    path = Path(text)
    if _is_file(path):
        content = path.read_bytes()
        if content[:1] in (b"\x90", b"\x91", b"\xdf"):
            return content
        try:
            return bytes.fromhex(content.decode("ascii"))
        except (UnicodeDecodeError, ValueError):
            return content
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise UsageError(f"{_short(text)}: no such file, and no hexadecimal text") from None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # hexadecimal text is too long for a file name
        return False


def read_root(text: str) -> CaCertificateContent:
    """Read a root: a JSON file with `reference` (29 bytes) and `modulus` (256 bytes), hexadecimal.

    Raises:
        UsageError: no such file, or not what it should be.
    """
    try:
        document = json.loads(Path(text).read_text(encoding="utf-8"))
        reference, modulus = from_hex(document["reference"]), from_hex(document["modulus"])
        return pca_content(KeyReference(reference), public_key_of(modulus))
    except OSError as error:
        raise UsageError(f"root {text}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"root {text}: a JSON object with `reference` and `modulus` is needed ({error})"
        ) from None


def root_document(content: CaCertificateContent) -> str:
    """Write a root as `read_root` takes it."""
    document = {
        "reference": str(content.reference),
        "modulus": to_hex(modulus_of(content.public_key)),
    }
    return json.dumps(document, indent=2) + "\n"


def write_files(folder: str, files: dict[str, bytes], *, secret: frozenset[str]) -> None:
    """Write new files into a folder, which is made if it is not there.

    Args:
        folder: where.
        files: content by name.
        secret: names of files that only their owner may read.

    Raises:
        UsageError: one of the files is there already, or the folder cannot be written.
    """
    place = Path(folder)
    there = sorted(name for name in files if (place / name).exists())
    if there:
        raise UsageError(f"{folder} has {', '.join(there)} already; nothing was written")
    try:
        place.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            path = place / name
            path.touch(mode=PRIVATE_MODE if name in secret else 0o666, exist_ok=False)
            path.write_bytes(content)
    except OSError as error:
        raise UsageError(f"{folder}: {error.strerror}") from None


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}…"
