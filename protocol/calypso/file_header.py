"""File descriptors: the 23 bytes, under tag 85, in which a card describes an EF or a DF.

Source: calypso-card §3.2 (layout), §3.3 (EF types), §3.4 (access conditions), §3.6 (data reference),
§2.4.1 (EF list).
"""

from __future__ import annotations

from enum import IntEnum, unique
from typing import NamedTuple

from cardbench.protocol.errors import MalformedCardData, UsageError

TAG_FILE_HEADER = 0x85
FILE_HEADER_SIZE_BYTES = 23
TAG_EF_LIST = 0xC0
TAG_EF_LIST_ENTRY = 0xC1

_HEAD = bytes((TAG_FILE_HEADER, FILE_HEADER_SIZE_BYTES))
_ENTRY_HEAD = bytes((TAG_EF_LIST_ENTRY, 6))
_ENTRY_SIZE_BYTES = 8
_INVALIDATED = 0x01


@unique
class FileType(IntEnum):
    """Kind of file."""

    MF = 0x01
    DF = 0x02
    EF = 0x04


@unique
class EfType(IntEnum):
    """Kind of elementary file."""

    BINARY = 0x01
    LINEAR = 0x02
    CYCLIC = 0x04
    SIMULATED_COUNTERS = 0x08
    COUNTERS = 0x09


@unique
class AccessCondition(IntEnum):
    """What an operation on a file needs; with it comes a key index."""

    NEVER = 0x00
    PIN = 0x01
    SESSION = 0x10
    CONFIDENTIAL = 0x14  # session with encryption active
    PIN_AND_CONFIDENTIAL = 0x15
    ALWAYS = 0x1F


@unique
class EfAccess(IntEnum):
    """Access group of an operation on an EF."""

    READ = 0
    UPDATE = 1
    WRITE_DECREASE = 2
    APPEND_INCREASE = 3


@unique
class DfAccess(IntEnum):
    """Access group of an operation on a DF."""

    REHABILITATE = 0
    INVALIDATE = 1


def _groups(name: str, groups: bytes) -> bytes:
    if len(groups) != 4:
        raise UsageError(
            f"{name}: {len(groups)} byte(s); one for each of the four groups is needed"
        )
    return groups


class FileHeader(NamedTuple):
    """Description of an elementary file.

    Attributes:
        lid: long identifier, 0…FFFF.
        sfi: short file identifier, 0…30; 0: none.
        ef_type: kind of EF.
        record_size_bytes: size of a record; of a binary file, its size.
        record_count: number of records; 1 for binary and counter files.
        access_conditions: 4 bytes, groups 0 to 3; empty when not known.
        key_indexes: 4 bytes, groups 0 to 3; empty when not known.
        df_status: status byte of the DF, bit 01 = invalidated; None when not known.
        shared_reference: what the data are shared with, 0 = private; None when not known.
    """

    lid: int
    sfi: int
    ef_type: EfType
    record_size_bytes: int
    record_count: int
    access_conditions: bytes = b""
    key_indexes: bytes = b""
    df_status: int | None = None
    shared_reference: int | None = None

    def encode(self) -> bytes:
        """Write `85 17` and the 23 bytes; what is not known is written as zero.

        Raises:
            UsageError: a number or the groups do not fit their place.
        """
        if self.ef_type is EfType.BINARY:
            size = self.record_size_bytes.to_bytes(2)
        else:
            size = bytes((self.record_size_bytes, self.record_count))
        return b"".join(
            (
                _HEAD,
                bytes((self.sfi, FileType.EF, self.ef_type)),
                size,
                _groups("access conditions", self.access_conditions or bytes(4)),
                _groups("key indexes", self.key_indexes or bytes(4)),
                bytes((self.df_status or 0,)),
                (self.shared_reference or 0).to_bytes(2),
                bytes(5),
                self.lid.to_bytes(2),
            )
        )


class DirectoryHeader(NamedTuple):
    """Description of a DF or of the MF.

    Attributes:
        lid: long identifier, 0…FFFF.
        file_type: `MF` or `DF`.
        access_conditions, key_indexes: 4 bytes each, groups 0 to 3.
        df_status: bit 01 = invalidated.
        kvcs, kifs: 3 bytes each: keys 1 (issuer), 2 (load) and 3 (debit).
    """

    lid: int
    file_type: FileType
    access_conditions: bytes
    key_indexes: bytes
    df_status: int
    kvcs: bytes
    kifs: bytes

    @property
    def is_invalidated(self) -> bool:
        """Whether the DF is invalidated."""
        return bool(self.df_status & _INVALIDATED)

    def kif(self, key_index: int) -> int:
        """KIF of key 1, 2 or 3 (a `WriteAccessLevel`).

        Raises:
            UsageError: another index.
        """
        return self.kifs[_key(key_index)]

    def kvc(self, key_index: int) -> int:
        """KVC of key 1, 2 or 3 (a `WriteAccessLevel`).

        Raises:
            UsageError: another index.
        """
        return self.kvcs[_key(key_index)]

    def encode(self) -> bytes:
        """Write `85 17` and the 23 bytes.

        Raises:
            UsageError: groups, KVCs or KIFs of the wrong size.
        """
        if len(self.kvcs) != 3 or len(self.kifs) != 3:
            raise UsageError("a DF has three KVCs and three KIFs")
        return b"".join(
            (
                _HEAD,
                bytes((0, self.file_type, 0, 0, 0)),
                _groups("access conditions", self.access_conditions),
                _groups("key indexes", self.key_indexes),
                bytes((self.df_status,)),
                self.kvcs,
                self.kifs,
                b"\0",
                self.lid.to_bytes(2),
            )
        )


def _key(index: int) -> int:
    if not 1 <= index <= 3:
        raise UsageError(f"key {index}; a DF has 1 to 3")
    return index - 1


def parse_file_header(raw: bytes, *, lid_offset: int = 21) -> FileHeader | DirectoryHeader:
    """Read a file descriptor, `85 17` and 23 bytes.

    Args:
        raw: the descriptor, without status word.
        lid_offset: where the LID is; 20 for a Prime revision 2 card.

    Raises:
        MalformedCardData: wrong tag or length, unknown file or EF type.
    """
    if len(raw) != FILE_HEADER_SIZE_BYTES + 2 or not raw.startswith(_HEAD):
        raise MalformedCardData(
            f"file descriptor of {len(raw)} byte(s) that begins {raw[:2].hex()}; expected 8517 and 23 bytes"
        )
    content = raw[2:]
    lid = int.from_bytes(content[lid_offset : lid_offset + 2])
    kind = content[1]
    if kind != FileType.EF:
        if kind not in (FileType.MF, FileType.DF):
            raise MalformedCardData(f"file type {kind:02X}; known: 01 MF, 02 DF, 04 EF")
        return DirectoryHeader(
            lid,
            FileType(kind),
            content[5:9],
            content[9:13],
            content[13],
            content[14:17],
            content[17:20],
        )
    ef_type = _ef_type(content[2])
    size, count = content[3], content[4]
    if ef_type is EfType.BINARY:
        size, count = size << 8 | count, 1
    return FileHeader(
        lid,
        content[0],
        ef_type,
        size,
        count,
        content[5:9],
        content[9:13],
        content[13],
        int.from_bytes(content[14:16]),
    )


def _ef_type(value: int) -> EfType:
    try:
        return EfType(value)
    except ValueError:
        raise MalformedCardData(f"EF type {value:02X}; known: 01, 02, 04, 08, 09") from None


def parse_ef_list(raw: bytes) -> tuple[FileHeader, ...]:
    """Read the EF list of a DF: `C0 length`, then `C1 06 LID SFI type size count` for each EF.

    Access conditions, status and shared reference are not in it.

    Raises:
        MalformedCardData: wrong tags or lengths, unknown EF type.
    """
    if (
        len(raw) < 2
        or raw[0] != TAG_EF_LIST
        or raw[1] != len(raw) - 2
        or raw[1] % _ENTRY_SIZE_BYTES
    ):
        raise MalformedCardData(f"EF list of {len(raw)} byte(s) that begins {raw[:2].hex()}")
    headers = []
    for start in range(2, len(raw), _ENTRY_SIZE_BYTES):
        entry = raw[start : start + _ENTRY_SIZE_BYTES]
        if not entry.startswith(_ENTRY_HEAD):
            raise MalformedCardData(f"EF list entry that begins {entry[:2].hex()}; expected C106")
        ef_type = _ef_type(entry[5])
        size, count = entry[6], entry[7]
        if ef_type is EfType.BINARY:
            size, count = size << 8 | count, 1
        headers.append(FileHeader(int.from_bytes(entry[2:4]), entry[4], ef_type, size, count))
    return tuple(headers)


def encode_ef_list(headers: tuple[FileHeader, ...]) -> bytes:
    """Write the EF list of a DF.

    Raises:
        UsageError: more EFs than one length byte holds.
    """
    if len(headers) * _ENTRY_SIZE_BYTES > 0xFF:
        raise UsageError(f"an EF list of {len(headers)} EFs; at most 31 fit")
    entries = []
    for header in headers:
        size = (
            header.record_size_bytes.to_bytes(2)
            if header.ef_type is EfType.BINARY
            else bytes((header.record_size_bytes, header.record_count))
        )
        entries.append(
            _ENTRY_HEAD + header.lid.to_bytes(2) + bytes((header.sfi, header.ef_type)) + size
        )
    body = b"".join(entries)
    return bytes((TAG_EF_LIST, len(body))) + body
