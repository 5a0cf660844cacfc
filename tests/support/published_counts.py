"""Exchanges with card and SAM of each published sequence.

sequences, summary of counts: the published column, also where the reference terminal needs more (stored
value inside: 4 and 5; multiple sessions: 6 with the SAM).
"""

from __future__ import annotations

PUBLISHED_COUNTS = {
    "plain-pin": (3, 0),
    "key-and-pin-update": (5, 2),
    "data-signing-outside": (2, 1),
    "data-signing-inside": (3, 4),
    "stored-value-outside": (3, 2),
    "stored-value-inside": (3, 4),
    "validation": (7, 3),
    "validation-prefetched": (7, 2),
    "sale": (3, 3),
    "ciphered-pin-inside": (5, 4),
    "multiple-sessions": (5, 5),
    "early-authentication": (8, 5),
    "encrypted-session": (8, 8),
}
