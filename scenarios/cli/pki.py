"""`cardbench pki`: issue a test chain, show a certificate in words, verify a chain."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cardbench.protocol.calypso.pki import card_key, public_test_keys
from cardbench.protocol.calypso.pki.ca_certificate import CaCertificate, Scope, SigningRight
from cardbench.protocol.calypso.pki.card_certificate import (
    CardCertificate,
    CardCertificateRecoverable,
)
from cardbench.protocol.calypso.pki.iso9796 import KEY_SIZE_BITS, PUBLIC_EXPONENT, recover
from cardbench.protocol.calypso.pki.issuing import (
    CardRequest,
    CaRequest,
    Issuer,
    issue_ca_certificate,
    issue_card_certificate,
)
from cardbench.protocol.calypso.pki.verification import (
    ExpiryRule,
    TrustRules,
    pca_content,
    verify_ca_certificate,
    verify_card_certificate,
)
from cardbench.protocol.errors import (
    CardbenchError,
    InvalidCertificate,
    InvalidSignature,
    UnknownIssuer,
    UsageError,
)
from cardbench.protocol.hexadecimal import from_hex, to_hex
from cardbench.scenarios.cli.pki_files import (
    read_certificate,
    read_root,
    root_document,
    write_files,
)
from cardbench.scenarios.cli.show import print_json
from cardbench.scenarios.pki.trust import ROOTS, Root
from cardbench.scenarios.pki.words import Row, ca_rows, card_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cryptography.hazmat.primitives.asymmetric import ec

    from cardbench.protocol.calypso.pki.verification import CaCertificateContent

PUBLIC_KEYS_WORD: Final = (
    "The keys of root and CA are PUBLIC TEST KEYS: everybody knows their private halves. "
    "They protect nothing."
)
FRESH_KEYS_WORD: Final = (
    "Root and CA have fresh random keys, in the files beside the certificates; "
    "nobody can make them again."
)
SEEDED_KEY_WORD: Final = "The card's key is made of the seed: the same seed makes the same key."
RANDOM_KEY_WORD: Final = "The card's key is random; nobody can make it again."

SIGNATURE: Final = "signature"
SHOWN_DIGITS: Final = 32


def day_of(text: str | None) -> date | None:
    """Read a date of the command line, YYYY-MM-DD.

    Raises:
        UsageError: it is none.
    """
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no date; write it as 2026-01-31") from None


def today() -> date:
    """Return the day of this machine: the command line is an edge."""
    return date.today()  # noqa: DTZ011 - certificates have local days


# Issue


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueOptions:
    """What `cardbench pki issue` was asked for; see its help."""

    folder: str
    aid: str
    serial: str
    startup: str
    index: int
    start: str | None
    end: str | None
    scope: Scope
    target_aid: str | None
    longer_aid: bool
    fresh_keys: bool
    seed: int | None
    today: str | None
    as_json: bool


def issue(options: IssueOptions) -> None:
    """Issue a chain and write it into files.

    Raises:
        UsageError: a value is out of range, or a file is there already.
        InvalidCertificate: a verifier would refuse it.
    """
    day = day_of(options.today) or today()
    start, end = day_of(options.start), day_of(options.end)
    pca, ca_key = _authorities(fresh=options.fresh_keys)
    ca_request = CaRequest(
        target=public_test_keys.public_test_ca().content.reference,
        public_key=ca_key.public_key(),
        start_date=start,
        end_date=end,
        card_certificates=SigningRight.ALLOWED,
        ca_certificates=SigningRight.FORBIDDEN,
        scope=options.scope,
        target_aid=None if options.target_aid is None else from_hex(options.target_aid),
        allows_longer_aid=options.longer_aid,
    )
    ca_certificate = issue_ca_certificate(pca, ca_request, today=day)
    rules = TrustRules(today=day, is_test=options.scope is not Scope.PRODUCTION)
    ca = Issuer(
        private_key=ca_key,
        content=verify_ca_certificate(ca_certificate, pca.content, rules),
    )
    key = _card_key(options.seed)
    card_request = CardRequest(
        aid=from_hex(options.aid),
        serial=from_hex(options.serial),
        startup=from_hex(options.startup),
        public_key=key.public_key(),
        start_date=start,
        end_date=end,
        index=options.index,
    )
    card_certificate = issue_card_certificate(ca, card_request, today=day)
    files = {
        "root.json": root_document(pca.content).encode(),
        "root-key.pem": _pem(pca.private_key),
        "ca-key.pem": _pem(ca_key),
        "ca-certificate.bin": ca_certificate.raw,
        "card-key.pem": _pem(key),
        "card-certificate.bin": card_certificate.raw,
    }
    write_files(
        options.folder, files, secret=frozenset(name for name in files if name.endswith(".pem"))
    )
    _tell_issued(options, files, ca_certificate, card_certificate)


def _authorities(*, fresh: bool) -> tuple[Issuer, rsa.RSAPrivateKey]:
    """Return the root and the private key of the CA."""
    test_root = public_test_keys.public_test_pca()
    if not fresh:
        return test_root, public_test_keys.public_test_ca().private_key
    root_key, ca_key = (rsa.generate_private_key(PUBLIC_EXPONENT, KEY_SIZE_BITS) for _ in range(2))
    content = pca_content(test_root.content.reference, root_key.public_key())
    return Issuer(private_key=root_key, content=content), ca_key


def _card_key(seed: int | None) -> ec.EllipticCurvePrivateKey:
    """Return a key out of the seed, or a random one."""
    size = card_key.KEY_MATERIAL_SIZE_BYTES
    if seed is None:
        return card_key.generate_private_key(secrets.token_bytes(size))
    from cardbench.emulator.chassis import Entropy

    return card_key.generate_private_key(Entropy(f"{seed}/card key".encode()).draw(size))


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _tell_issued(
    options: IssueOptions,
    files: dict[str, bytes],
    ca_certificate: CaCertificate,
    card_certificate: CardCertificate,
) -> None:
    words = [
        FRESH_KEYS_WORD if options.fresh_keys else PUBLIC_KEYS_WORD,
        RANDOM_KEY_WORD if options.seed is None else SEEDED_KEY_WORD,
    ]
    if options.as_json:
        print_json(
            {
                "folder": options.folder,
                "files": list(files),
                "public_test_keys": not options.fresh_keys,
                "ca_certificate": to_hex(ca_certificate.raw),
                "card_certificate": to_hex(card_certificate.raw),
                "words": words,
            }
        )
        return
    console = Console(highlight=False)
    console.print(f"written to [bold]{escape(options.folder)}[/]: {', '.join(files)}")
    for word in words:
        console.print(word, soft_wrap=True)
    console.print(
        f"to check it: cardbench pki verify --root {options.folder}/root.json "
        f"{options.folder}/ca-certificate.bin {options.folder}/card-certificate.bin",
        markup=False,
        soft_wrap=True,
    )


# Show


def show(certificate: str, *, roots: Sequence[str], cas: Sequence[str], as_json: bool) -> None:
    """Show a certificate in words, with what its signature carries if a known key opens it.

    Args:
        certificate: a file, or hexadecimal text.
        roots: files of roots, besides the test roots.
        cas: certificates of CAs that may have signed it.
        as_json: print one object.

    Raises:
        UsageError, MalformedCertificate: it cannot be read.
    """
    parsed = read_certificate(certificate)
    signer, recovered = _open(parsed, _keys(roots, cas))
    if isinstance(parsed, CaCertificate):
        rows = ca_rows(parsed)
    else:
        inside = None if recovered is None else CardCertificateRecoverable.parse(recovered)
        rows = card_rows(parsed, inside)
    verdict = "not verified: no key at hand has made it" if signer is None else f"of {signer}"
    rows.append(Row(SIGNATURE, to_hex(parsed.signature), verdict))
    if as_json:
        print_json(
            {
                "certificate": "CA" if isinstance(parsed, CaCertificate) else "card",
                "signature_of": signer,
                "fields": [row._asdict() for row in rows],
            }
        )
    else:
        _print_rows(str(parsed), rows)


def _keys(roots: Sequence[str], cas: Sequence[str]) -> list[tuple[str, CaCertificateContent]]:
    """Return the keys at hand by name; of the CAs those whose signature is of one of the roots."""
    known = [(root.name, root.content) for root in _roots(roots)]
    known.append(("cardbench public test CA", public_test_keys.public_test_ca().content))
    # Only signatures count here: dates, rights and scope are what `verify` is for.
    for text in cas:
        certificate = read_certificate(text)
        if not isinstance(certificate, CaCertificate):
            raise UsageError(f"{text} is a card certificate; a CA certificate is needed")
        signer, _ = _open(certificate, known)
        if signer is None:
            raise UnknownIssuer(str(certificate), "no key at hand has signed it")
        content = dict(known)[signer]
        rules = TrustRules(
            today=certificate.fields.start_date or date.min,
            is_test=certificate.fields.scope != Scope.PRODUCTION,
            expiry=ExpiryRule.WARN,
        )
        known.append((text, verify_ca_certificate(certificate, content, rules)))
    return known


def _roots(files: Iterable[str]) -> list[Root]:
    return [*(Root(file, read_root(file)) for file in files), *ROOTS]


def _open(
    certificate: CaCertificate | CardCertificate, keys: Iterable[tuple[str, CaCertificateContent]]
) -> tuple[str | None, bytes | None]:
    """Return the name of the key that signed a certificate, and what its signature carries."""
    for name, content in keys:
        if content.reference == certificate.fields.issuer:
            try:
                carried = recover(content.public_key, certificate.signature, certificate.signed)
            except InvalidSignature:
                continue
            return name, carried
    return None, None


def _print_rows(title: str, rows: Iterable[Row]) -> None:
    table = Table(title=title, title_justify="left", show_header=False, pad_edge=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    for name, value, meaning in rows:
        shown = f"{value[:SHOWN_DIGITS]}…" if name == SIGNATURE else value
        table.add_row(*(escape(text) for text in (name, shown, meaning)))
    Console().print(table)


# Verify


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyOptions:
    """What `cardbench pki verify` was asked for; see its help."""

    certificates: tuple[str, ...]
    roots: tuple[str, ...]
    today: str | None
    expiry: ExpiryRule
    production: bool
    ca_certificates_max: int
    serial: str | None
    aid: str | None
    as_json: bool


def verify(options: VerifyOptions) -> None:
    """Verify a chain from its first CA certificate to its last certificate.

    Raises:
        UsageError: an argument cannot be read.
        InvalidCertificate: the chain is refused; the child names the step.
    """
    rules = TrustRules(
        today=day_of(options.today) or today(),
        is_test=not options.production,
        expiry=options.expiry,
        ca_certificates_max=options.ca_certificates_max,
    )
    good: list[str] = []
    warnings: list[str] = []
    error: CardbenchError | None = None
    try:
        _verify_chain(options, rules, good, warnings)
    except InvalidCertificate as refused:
        error = refused
    if options.as_json:
        refusal = None
        if isinstance(error, InvalidCertificate):
            refusal = {"kind": type(error).__name__, "step": error.step, "message": str(error)}
        print_json({"ok": error is None, "good": good, "warnings": warnings, "error": refusal})
    else:
        console = Console(highlight=False)
        for name in good:
            console.print(f"[green]✓[/] {escape(name)}", soft_wrap=True)
        for warning in warnings:
            console.print(f"[yellow]![/] {escape(warning)}", soft_wrap=True)
    if error is not None:
        raise error


def _verify_chain(
    options: VerifyOptions, rules: TrustRules, good: list[str], warnings: list[str]
) -> None:
    issuer: CaCertificateContent | None = None
    for text in options.certificates:
        certificate = read_certificate(text)
        issuer = issuer or _root_of(certificate, options.roots)
        if isinstance(certificate, CaCertificate):
            issuer = verify_ca_certificate(certificate, issuer, rules)
            warnings += issuer.warnings
        else:
            fields = certificate.fields
            content = verify_card_certificate(
                certificate,
                issuer,
                rules,
                serial=fields.serial if options.serial is None else from_hex(options.serial),
                df_name=None if options.aid is None else from_hex(options.aid),
            )
            warnings += [each for each in content.warnings if each not in warnings]
        good.append(str(certificate))


def _root_of(
    certificate: CaCertificate | CardCertificate, files: Sequence[str]
) -> CaCertificateContent:
    """Return the root that signed the first certificate of a chain.

    Of several with the right reference, the one whose key opens the signature; if none does, the first,
    so that the refusal names the signature.
    """
    candidates = [
        root for root in _roots(files) if root.content.reference == certificate.fields.issuer
    ]
    if not candidates:
        raise UnknownIssuer(
            str(certificate), f"signed by {certificate.fields.issuer}, which is no root at hand"
        )
    signer, _ = _open(certificate, [(root.name, root.content) for root in candidates])
    chosen = next((root for root in candidates if root.name == signer), candidates[0])
    return replace(chosen.content, name=chosen.name)
