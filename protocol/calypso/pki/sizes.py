"""Sizes and fixed bytes of the Calypso PKI, for those who carry its objects without looking inside.

Source: calypso-pki §1, §2.2, §4.
"""

from __future__ import annotations

from typing import Final

PUBLIC_KEY_SIZE_BYTES: Final = 64
"""X ‖ Y of a card's key."""
PRIVATE_KEY_SIZE_BYTES: Final = 32
KEY_PAIR_SIZE_BYTES: Final = PUBLIC_KEY_SIZE_BYTES + PRIVATE_KEY_SIZE_BYTES
CARD_SIGNATURE_SIZE_BYTES: Final = 64
"""r ‖ s of a session's signature."""
CA_CERTIFICATE_SIZE_BYTES: Final = 384
CARD_CERTIFICATE_SIZE_BYTES: Final = 316
CURVE_OID: Final = bytes.fromhex("06082A8648CE3D030107")
"""Object identifier of secp256r1 with tag and length: data of Generate Asymmetric Key Pair."""
