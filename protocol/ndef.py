"""An NFC Forum Type 4 Tag on the wire: identifiers, file identifiers and the capability container.

    capability container: CCLEN 2 | mapping version 1 | MLe 2 | MLc 2 | NDEF File Control TLV 8
    NDEF File Control TLV: 04 06 | file identifier 2 | maximum size 2 | read access 1 | write access 1
    NDEF file:             NLEN 2 | NDEF message

Inferred from: the published layout of the capability container (TI SLOA227B, NFC Forum T4T mapping
version 2.0); MLe and MLc are our choice.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from cardbench.protocol.errors import ProtocolError

NDEF_AID: Final = bytes.fromhex("D2760000850101")
CAPABILITY_CONTAINER_FILE: Final = 0xE103
NDEF_FILE: Final = 0xE104
MAPPING_VERSION_2: Final = 0x20
NDEF_FILE_CONTROL_TAG: Final = 0x04
ACCESS_FREE: Final = 0x00
ACCESS_NEVER: Final = 0xFF
SELECT_BY_FILE_IDENTIFIER: Final = 0x00  # P1 of SELECT
SELECT_WITHOUT_FCI: Final = 0x0C  # P2 of SELECT
NLEN_SIZE_BYTES: Final = 2
CONTAINER_SIZE_BYTES: Final = 15


class CapabilityContainer(NamedTuple):
    """What the tag says of itself: one NDEF file, mapping version 2.0.

    Attributes:
        max_read_bytes: MLe, the most that one READ BINARY gives.
        max_write_bytes: MLc, the most that one UPDATE BINARY takes.
        file_identifier: of the NDEF file.
        file_size_bytes: of the NDEF file, NLEN included.
        read_access: 00 free.
        write_access: 00 free, FF never.
    """

    max_read_bytes: int
    max_write_bytes: int
    file_identifier: int
    file_size_bytes: int
    read_access: int = ACCESS_FREE
    write_access: int = ACCESS_FREE

    def encode(self) -> bytes:
        """Write the 15 bytes of the capability container file."""
        return (
            CONTAINER_SIZE_BYTES.to_bytes(2)
            + bytes((MAPPING_VERSION_2,))
            + self.max_read_bytes.to_bytes(2)
            + self.max_write_bytes.to_bytes(2)
            + bytes((NDEF_FILE_CONTROL_TAG, 6))
            + self.file_identifier.to_bytes(2)
            + self.file_size_bytes.to_bytes(2)
            + bytes((self.read_access, self.write_access))
        )

    @classmethod
    def parse(cls, raw: bytes) -> CapabilityContainer:
        """Read a capability container whose first TLV is the NDEF file's.

        Raises:
            ProtocolError: too short, another major version, or no NDEF File Control TLV in front.
        """
        if len(raw) < CONTAINER_SIZE_BYTES or int.from_bytes(raw[:2]) < CONTAINER_SIZE_BYTES:
            raise ProtocolError(f"capability container of {len(raw)} byte(s); 15 are needed")
        if raw[2] >> 4 != MAPPING_VERSION_2 >> 4:
            raise ProtocolError(f"mapping version {raw[2] >> 4}.{raw[2] & 0xF}; 2.x is understood")
        if raw[7] != NDEF_FILE_CONTROL_TAG or raw[8] != 6:
            raise ProtocolError(f"TLV {raw[7]:02X} {raw[8]:02X} comes first; 04 06 was expected")
        return cls(
            max_read_bytes=int.from_bytes(raw[3:5]),
            max_write_bytes=int.from_bytes(raw[5:7]),
            file_identifier=int.from_bytes(raw[9:11]),
            file_size_bytes=int.from_bytes(raw[11:13]),
            read_access=raw[13],
            write_access=raw[14],
        )
