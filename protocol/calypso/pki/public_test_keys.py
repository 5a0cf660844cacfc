"""Public keys for tests: a PCA and a CA whose private keys everybody knows, and a published PCA.

THESE KEYS PROTECT NOTHING. They exist so that a card preset, a SAM preset and a terminal agree on a
chain without exchanging files, and so that a trace can be repeated. A real chain starts with keys of
its own (`cardbench pki issue --fresh-keys`).

The private keys are throw-away keys, generated for the facts sheet; any Calypso terminal library in
test mode accepts what they sign. Of the published PCA only the public half is known: it is the root of
test cards on the market.

Source: calypso-pki §11 (own chain), §10 (published PCA, from the Eclipse Keyple examples).
"""

from __future__ import annotations

import hashlib
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Final

from cardbench.protocol.calypso.pki.ca_certificate import CaCertificate, Scope, SigningRight
from cardbench.protocol.calypso.pki.card_key import (
    KEY_MATERIAL_SIZE_BYTES,
    generate_private_key,
)
from cardbench.protocol.calypso.pki.iso9796 import private_key_of, public_key_of
from cardbench.protocol.calypso.pki.issuing import CaRequest, Issuer, issue_ca_certificate
from cardbench.protocol.calypso.pki.key_reference import KeyReference
from cardbench.protocol.calypso.pki.verification import (
    CaCertificateContent,
    TrustRules,
    pca_content,
    verify_ca_certificate,
)
from cardbench.protocol.hexadecimal import from_hex

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

TEST_CHAIN_START: Final = date(2024, 1, 1)
TEST_CHAIN_END: Final = date(2099, 12, 31)

_PCA_REFERENCE: Final = "0BA000000291A0000101B0010000000000000000000000000000000002"
_CA_REFERENCE: Final = "0BA000000291A001000240010000000000000000000000000000000001"

_PUBLISHED_PCA_MODULUS: Final = """
    C2494557ECE5979A497424833489CCCACF4DEE3FD7576A99C3999D8F468174E7
    6F393D4E5C3802AC6C3CB192EB687F5505D24EBA01FFC60D5752CE6910D50B4A
    DAC8C93159165109C3901FCA383A9F6603D576390FD59899A10873936D3A369B
    3EB8403ADFF476547B039ACC7DCB3C1FAF4F954E29A8C2E2AED7721272AF5CDC
    0A3B2994715261A4364EC1256D00004E084914DC4727349D715C3848D7C54AD5
    8DB0F6907549FED51D564E3A853D44F071A852AB536356C7974B16FC03E1FFE9
    DEE7527FBADDA5BC1116156DBFA5C13F06ACBBCDCEE3F9F4564034A8AD20F407
    32B2AB414891D940ED96DA6DA6E98F766A1CDBC7FD0C17A708BD5F68B816AA47
"""
_PCA_MODULUS: Final = """
    C8E15B73EE812DCCCD5856DCA8BB487EDADA14274237B5F070DFBDF3A1B5D3F4
    B4D74A290A259A22FB8EC94672FEB73BD5CAC0D45B6AB826D544B0F616A73F48
    02BBA0501969A564844A1BCEF33BC1EA9717F465D519A5ACB01D5F9DFC67B7F0
    9E70D7B68F851868EAE7968E543B251A4EDC0246176E08B07C3DC8C3CCFE6244
    A226EF3D50A11730937CD117EDD95FA9690F55B496B05B2300013ACE28FF3386
    3A0E70AE6D61AD16ED170BAAD73A07723A3D57EBB7620BAE4E9C08DE026A7047
    7B5FD3CC2142D6D8CB4FB14BB2FFE97A926BC3075EBF321518F2E4E36728F2F1
    B2BBF06745C0BD47E1176B9DD51A58C83A1936DD94BA67C5EBFD2599054F459B
"""
_PCA_PRIME: Final = """
    E5D6B78A0BF6CCFE666D34963C1B662A152D3B0C059E42ACF2182509D40A3CE8
    A9351737659CE052AB59DA1D16ACB0DA4150582DD030E9FB2F4D2896A5738C53
    E179B3FA9921CDE3E74DCB855CD07D7CCBBD42BB955BA752EE2BFAD2CA37A6A4
    A2B8863FA682F623A6CB59C0C089C491191CD21128C3F3B41CCD68ECA892A939
"""
_CA_MODULUS: Final = """
    CE2852A505A2AC486B4A19AEDABF4BB2FD5F337242EB105B8C7944689C13C343
    0C07C87743DF3B9239E82D3BE8589D9F8073D2D501A473C2B9B4265D0B61EFED
    7D5C53CE6D42A264CE55B3D9855E3E2855474263D40124338476E08C18452985
    B8EB949159B24B5CE76AA2A593CBBAB1D8BB46AB6E41F496786B87761C89641E
    0F38A996B42AB3077E79D531E496EF101E98672AF05EE47C5038BAB7CC502A85
    3AAAB0BAD2D08CB29652852F96FBD678ADA1A50D71FF836ABC6C15B1D2D10A45
    D46DC9EEA709C23FD78D5EBC388C6305248E29A85E9C196E45021DA3D27E6560
    3F7453ABCB2ED9C5BBB49F897FA87C1EA361227DDD3E4601EA50113C2DD2B05B
"""
_CA_PRIME: Final = """
    FBFD7721B8F08EDDA92504F296D997F0AC74B79165216C74AFA7DE75D9E8A77E
    3101E4216B4A737C56B3B28DFD64E77CC78425EC8E0E99BAC198B2DCAC594FBF
    764A2E26A15F6F65198D104645DE5EB48D4A9F56ACED54F5E9E3010E5F8681C2
    F5B36E59698F5AEA60F83A053288CEFF966D87CD7870773EC5AD749D9C95A787
"""


@cache
def published_test_pca() -> CaCertificateContent:
    """Return the published test PCA, the root of test cards on the market; its private key is not here.

    Source: calypso-pki §10.
    """
    return pca_content(
        KeyReference(from_hex(_PCA_REFERENCE)), public_key_of(from_hex(_PUBLISHED_PCA_MODULUS))
    )


@cache
def public_test_pca() -> Issuer:
    """Return the PCA of the project's own test chain. Its reference is that of the published one."""
    private_key = _private_key(_PCA_MODULUS, _PCA_PRIME)
    reference = KeyReference(from_hex(_PCA_REFERENCE))
    return Issuer(private_key=private_key, content=pca_content(reference, private_key.public_key()))


@cache
def public_test_ca_certificate() -> CaCertificate:
    """Return the certificate of the test CA: 2024 to 2099, may sign both kinds, test scope, any AID."""
    request = CaRequest(
        target=KeyReference(from_hex(_CA_REFERENCE)),
        public_key=_private_key(_CA_MODULUS, _CA_PRIME).public_key(),
        start_date=TEST_CHAIN_START,
        end_date=TEST_CHAIN_END,
        card_certificates=SigningRight.ALLOWED,
        ca_certificates=SigningRight.ALLOWED,
        scope=Scope.TEST,
    )
    return issue_ca_certificate(public_test_pca(), request, today=TEST_CHAIN_START)


@cache
def public_test_ca() -> Issuer:
    """Return the CA of the project's own test chain, which signs the certificates of test cards."""
    rules = TrustRules(today=TEST_CHAIN_START, is_test=True)
    content = verify_ca_certificate(public_test_ca_certificate(), public_test_pca().content, rules)
    return Issuer(private_key=_private_key(_CA_MODULUS, _CA_PRIME), content=content)


def public_test_card_key(serial: bytes, aid: bytes) -> ec.EllipticCurvePrivateKey:
    """Return the public test key of a card's application: 40 bytes of SHA-512 of its names make it.

    Args:
        serial: full serial number, 8 bytes.
        aid: DF name of the application.
    """
    material = hashlib.sha512(b"cardbench public test card key" + serial + aid).digest()
    return generate_private_key(material[:KEY_MATERIAL_SIZE_BYTES])


def _private_key(modulus: str, prime: str) -> rsa.RSAPrivateKey:
    p = from_hex(prime)
    q = int.from_bytes(from_hex(modulus)) // int.from_bytes(p)
    return private_key_of(p, q.to_bytes(len(p)), is_known=True)
