"""What both ends of a T=0 link agree on: procedure status bytes and GET RESPONSE.

Source: ISO/IEC 7816-3 §10.3.3, §12.2; pcsc (transport behaviour).
"""

from __future__ import annotations

SW1_DATA_AVAILABLE = 0x61
"""First status byte: as many bytes as the second one says wait for GET RESPONSE (`00`: 256 or more)."""

SW1_EXACT_LENGTH = 0x6C
"""First status byte: send the command again with the second one as Le."""

GET_RESPONSE = b"\xc0\x00\x00"
"""INS, P1 and P2 of GET RESPONSE."""

GET_RESPONSE_CLASSES = frozenset((0x00, 0x80, 0x94))
"""Classes that a card takes GET RESPONSE in; some readers send 00, others repeat the command's."""
