"""An NFC Forum Type 4 Tag: two files, one of which holds an NDEF message.

    class INS               P1 P2       data     answers
    00    A4 SELECT         00 0C (00)  file     6A82 no such file, 6A86 other P1 P2, 6700 not two bytes
    00    B0 READ BINARY    offset      –        6986 no file, 6B00 offset outside
    00    D6 UPDATE BINARY  offset      bytes    6986 no file, 6982 not writable, 6B00 offset outside,
                                                 6A84 past the end, 6700 no data
    other class 6E00, other instruction 6D00

The applet may be selected on several logical channels; each has a current file of its own. READ BINARY
past the end gives what there is. UPDATE BINARY is atomic; writing a message safely, with the length last, is
the writer's business (NLEN 0, message, NLEN), as on any tag.

Installation data: write access (00 free, FF never), maximum size of the NDEF file (2 bytes), NDEF message.
Without any: writable, 256 bytes, no message.

Inferred from: the command set of the Type 4 Tag Operation Specification 2.0 as implementations follow it;
status words where it leaves them open are those of ISO/IEC 7816-4, by our choice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cardbench.emulator.javacard import (
    APDU,
    ISO7816,
    Applet,
    ByteArray,
    InstallData,
    ISOException,
    JCSystem,
    MultiSelectable,
    Package,
    ShortArray,
    Util,
    short,
)
from cardbench.protocol.ndef import (
    ACCESS_FREE,
    ACCESS_NEVER,
    CAPABILITY_CONTAINER_FILE,
    NDEF_AID,
    NDEF_FILE,
    NLEN_SIZE_BYTES,
    SELECT_BY_FILE_IDENTIFIER,
    SELECT_WITHOUT_FCI,
    CapabilityContainer,
)

if TYPE_CHECKING:
    from cardbench.emulator.javacard import GlobalArray

MAX_READ_BYTES: Final = 255
MAX_WRITE_BYTES: Final = 255
DEFAULT_FILE_SIZE_BYTES: Final = 256
LARGEST_FILE_SIZE_BYTES: Final = 0x7FFF
CHANNELS: Final = 4
CHANNEL_BITS: Final = 0x03
NO_FILE: Final = 0


class NdefTag(Applet, MultiSelectable):
    """A Type 4 Tag, mapping version 2.0."""

    _container: ByteArray
    _message: ByteArray
    _is_writable: bool
    _current: ShortArray

    @classmethod
    def install(cls, array: GlobalArray, offset: int, length: int) -> None:
        """Make a tag; see the module text for the installation data.

        Raises:
            ISOException: 6A80 installation data of another form, or a message that does not fit.
        """
        cls(bytes(array[offset : offset + length]))

    def __init__(self, data: bytes) -> None:
        fields = InstallData.parse(data)
        if fields is None:
            ISOException.throw_it(ISO7816.SW_WRONG_DATA)
        own = fields.parameters or bytes((ACCESS_FREE, *DEFAULT_FILE_SIZE_BYTES.to_bytes(2)))
        access, size, message = own[:1], int.from_bytes(own[1:3]), own[3:]
        if (
            len(own) < 3
            or access[0] not in {ACCESS_FREE, ACCESS_NEVER}
            or not NLEN_SIZE_BYTES + len(message) <= size <= LARGEST_FILE_SIZE_BYTES
        ):
            ISOException.throw_it(ISO7816.SW_WRONG_DATA)
        container = CapabilityContainer(
            max_read_bytes=MAX_READ_BYTES,
            max_write_bytes=MAX_WRITE_BYTES,
            file_identifier=NDEF_FILE,
            file_size_bytes=size,
            write_access=access[0],
        ).encode()
        self._container = ByteArray(len(container))
        Util.array_copy(container, 0, self._container, 0, len(container))
        self._message = ByteArray(size)
        Util.set_short(self._message, 0, len(message))
        Util.array_copy(message, 0, self._message, NLEN_SIZE_BYTES, len(message))
        self._is_writable = access[0] == ACCESS_FREE
        # One current file for each logical channel: the channels share the array.
        self._current = JCSystem.make_transient_short_array(CHANNELS, JCSystem.CLEAR_ON_DESELECT)
        self.register()

    def select(self) -> bool:
        """Accept."""
        return True

    def multi_select(self, *, app_inst_already_active: bool) -> bool:  # noqa: ARG002
        """Accept another channel, which begins without a current file."""
        self._current[JCSystem.get_assigned_channel()] = NO_FILE
        return True

    def multi_deselect(self, *, app_inst_still_active: bool) -> None:
        """Leave a channel: nothing to do, the next selection forgets its file."""

    def process(self, apdu: APDU) -> None:
        """Answer a command."""
        if self.selecting_applet():
            return
        buffer = apdu.get_buffer()
        if buffer[ISO7816.OFFSET_CLA] & ~CHANNEL_BITS != ISO7816.CLA_ISO7816:
            ISOException.throw_it(ISO7816.SW_CLA_NOT_SUPPORTED)
        match buffer[ISO7816.OFFSET_INS]:
            case ISO7816.INS_SELECT:
                self._select_file(apdu)
            case ISO7816.INS_READ_BINARY:
                self._read_binary(apdu)
            case ISO7816.INS_UPDATE_BINARY:
                self._update_binary(apdu)
            case _:
                ISOException.throw_it(ISO7816.SW_INS_NOT_SUPPORTED)

    def _select_file(self, apdu: APDU) -> None:
        buffer = apdu.get_buffer()
        if buffer[ISO7816.OFFSET_P1] != SELECT_BY_FILE_IDENTIFIER or buffer[
            ISO7816.OFFSET_P2
        ] not in {0, SELECT_WITHOUT_FCI}:
            ISOException.throw_it(ISO7816.SW_INCORRECT_P1P2)
        if apdu.set_incoming_and_receive() != 2:
            ISOException.throw_it(ISO7816.SW_WRONG_LENGTH)
        file = Util.get_short(buffer, ISO7816.OFFSET_CDATA)
        if file not in {short(CAPABILITY_CONTAINER_FILE), short(NDEF_FILE)}:
            ISOException.throw_it(ISO7816.SW_FILE_NOT_FOUND)
        self._current[APDU.get_cla_channel()] = file

    def _current_file(self) -> ByteArray:
        file = self._current[APDU.get_cla_channel()]
        if file == NO_FILE:
            ISOException.throw_it(ISO7816.SW_COMMAND_NOT_ALLOWED)
        return self._message if file == short(NDEF_FILE) else self._container

    @staticmethod
    def _offset_within(apdu: APDU, file: ByteArray) -> int:
        offset = Util.get_short(apdu.get_buffer(), ISO7816.OFFSET_P1)
        if not 0 <= offset < len(file):
            ISOException.throw_it(ISO7816.SW_WRONG_P1P2)
        return offset

    def _read_binary(self, apdu: APDU) -> None:
        file = self._current_file()
        offset = self._offset_within(apdu, file)
        count = min(apdu.set_outgoing(), len(file) - offset)
        apdu.set_outgoing_length(count)
        apdu.send_bytes_long(file, offset, count)

    def _update_binary(self, apdu: APDU) -> None:
        file = self._current_file()
        if file is not self._message or not self._is_writable:
            ISOException.throw_it(ISO7816.SW_SECURITY_STATUS_NOT_SATISFIED)
        offset = self._offset_within(apdu, file)
        count = apdu.set_incoming_and_receive()
        if not count:
            ISOException.throw_it(ISO7816.SW_WRONG_LENGTH)
        if offset + count > len(file):
            ISOException.throw_it(ISO7816.SW_FILE_FULL)
        Util.array_copy(apdu.get_buffer(), ISO7816.OFFSET_CDATA, file, offset, count)


NDEF_PACKAGE_AID: Final = NDEF_AID[:-1]

NDEF_PACKAGE: Final = Package(aid=NDEF_PACKAGE_AID, applets={NDEF_AID: NdefTag})
