"""One client on the socket: reads its requests, answers them, one at a time, until it leaves.

The client's first message says which protocol minor it speaks; from then on the connection behaves as
that minor. Whatever breaks the protocol (a wrong size, an unknown command, a foreign handle, a length
beyond the limits) ends the connection; others never notice.

Source: pcsclite-protocol §2 to §8.
"""

from __future__ import annotations

import logging
import socket
import struct
import threading
from typing import TYPE_CHECKING

from cardbench.emulator.readers.pcsclite import messages
from cardbench.emulator.readers.pcsclite.messages import Command
from cardbench.emulator.readers.pcsclite.reader import (
    ClientGone,
    Handle,
    PublishedReader,
    check_connection_request,
)
from cardbench.protocol.pcsc import Disposition, ReturnCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from cardbench.emulator.readers.pcsclite.service import PcscService

_LOG = logging.getLogger(__name__)

HANDLES_PER_CONTEXT_MAX = 200
SCOPES = range(4)
SEND_TIMEOUT_S = 30  # a client that reads nothing for so long is dropped

_CHUNK_SIZE_BYTES = 4096
_RECEIVE_PCI_SIZE = 16
_RECEIVE_PCI_PROTOCOL = 1  # what the real daemon's virtual driver says, whatever the protocol
_EVENT = messages.WAIT.pack(0, ReturnCode.SUCCESS)
_CANCELLED_EVENT = messages.WAIT.pack(0, ReturnCode.CANCELLED)
_STOP_ANSWER = _EVENT
_TRANSMIT = int(Command.TRANSMIT)


class Connection:
    """A client's connection, served by a thread of its own.

    Args:
        client: the accepted socket; blocking.
        service: whose readers are served.

    `is_registered`, `context` and `send` are the service's too, under its monitor.
    """

    def __init__(self, client: socket.socket, service: PcscService) -> None:
        self.context = 0
        self.is_registered = False
        self._client = client
        self._service = service
        self._monitor = service.monitor
        self._minor = messages.MINOR_WAIT_ANSWERS
        self._is_arming = False  # 4.6: asked to wait, has not been told the states yet
        self._is_cancelled = False  # 4.6: cancelled before it was told
        self._seen_generation = -1
        self._handles: dict[int, Handle] = {}
        self._pending = b""
        self._is_closing = False
        client.setsockopt(
            socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", SEND_TIMEOUT_S, 0)
        )
        self._answers: dict[int, Callable[[bytes], None]] = {
            Command.VERSION: self._agree_version,
            Command.ESTABLISH_CONTEXT: self._establish,
            Command.RELEASE_CONTEXT: self._release,
            Command.CONNECT: self._connect,
            Command.RECONNECT: self._reconnect,
            Command.DISCONNECT: self._disconnect,
            Command.BEGIN_TRANSACTION: self._begin,
            Command.END_TRANSACTION: self._end,
            Command.CONTROL: self._control,
            Command.STATUS: self._status,
            Command.CANCEL: self._cancel,
            Command.GET_ATTRIB: self._get_attribute,
            Command.SET_ATTRIB: self._set_attribute,
            Command.GET_READERS_STATE: self._give_states,
            Command.WAIT_READER_STATE_CHANGE: self._wait,
            Command.STOP_WAITING_READER_STATE_CHANGE: self._stop_waiting,
            Command.GET_READER_EVENTS: self._give_reader_events,
            Command.GET_READERS_STATE_SIZE: self._give_states_size,
            Command.GET_READERS_STATE_ARRAY: self._give_states,
        }
        self.thread = threading.Thread(target=self._serve, name="pcsc-client", daemon=True)

    # Life

    def close(self) -> None:
        """End the connection; its thread cleans up behind it."""
        self._is_closing = True
        try:
            self._client.shutdown(socket.SHUT_RDWR)
        except OSError:
            _LOG.debug("the client was faster")

    def _serve(self) -> None:
        try:
            self._answer_requests()
        except (ClientGone, OSError):
            pass
        except Exception:
            _LOG.exception("a PC/SC client is dropped")
        finally:
            self._clean_up()

    def _clean_up(self) -> None:
        with self._monitor:
            self.is_registered = False
        for handle in tuple(self._handles.values()):
            try:
                handle.reader.abandon(handle)
            except Exception:
                _LOG.exception("%s: a dead client's connection", handle.reader.name)
        self._handles.clear()
        self._client.close()
        self._service.forget(self)

    def _check_client(self) -> None:
        """Notice, in the middle of a call, that nobody waits for its answer any more."""
        if self._is_closing:
            raise ClientGone
        try:
            if self._client.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
                return
        except BlockingIOError:
            return
        raise ClientGone

    # Bytes

    def send(self, data: bytes) -> None:
        """Send without ever blocking, for use under the monitor; a client that is full is dropped."""
        try:
            sent = self._client.send(data, socket.MSG_DONTWAIT)
        except OSError:
            sent = -1
        if sent != len(data):
            self.close()

    def _read(self, size_bytes: int) -> bytes:
        """Take exactly so many bytes."""
        data = self._pending
        while len(data) < size_bytes:
            more = self._client.recv(max(size_bytes - len(data), _CHUNK_SIZE_BYTES))
            if not more:
                raise ClientGone
            data += more
        self._pending = data[size_bytes:]
        return data[:size_bytes]

    def _answer_requests(self) -> None:
        read, send, unpack = self._read, self._client.sendall, messages.TRANSMIT.unpack
        while True:
            size, command = messages.HEADER.unpack(read(messages.HEADER.size))
            if command != _TRANSMIT or size != messages.TRANSMIT.size:
                self._answer(size, command)
                continue
            fields = unpack(read(size))
            if fields[3] > messages.MESSAGE_DATA_SIZE_BYTES:
                raise ClientGone
            send(self._transmit(fields, read(fields[3])))

    def _answer(self, size: int, command: int) -> None:
        first = messages.FIRST_MINOR.get(command)
        if first is not None and self._minor < first:
            raise ClientGone
        if command in messages.BODILESS:
            body = b""
            if self._minor < messages.MINOR_WAIT_ANSWERS and command in (
                Command.WAIT_READER_STATE_CHANGE,
                Command.STOP_WAITING_READER_STATE_CHANGE,
            ):
                if size != messages.WAIT.size:
                    raise ClientGone
                body = self._read(messages.WAIT.size)
        elif messages.BODY_SIZES_BYTES.get(command) == size:
            body = self._read(size)
        else:
            raise ClientGone
        self._answers[command](body)

    # Version and context

    def _agree_version(self, body: bytes) -> None:
        major, minor, _ = messages.VERSION.unpack(body)
        code = ReturnCode.SUCCESS
        if major != messages.PROTOCOL_MAJOR or minor < messages.OLDEST_MINOR:
            # Offer no more than the client speaks: a client that can adapt would take it as a promise.
            code, minor = ReturnCode.SERVICE_STOPPED, messages.MINOR_WAIT_ANSWERS
        elif minor > messages.NEWEST_MINOR:
            code, minor = ReturnCode.SERVICE_STOPPED, messages.NEWEST_MINOR
        else:
            self._minor = minor
        self._client.sendall(messages.VERSION.pack(messages.PROTOCOL_MAJOR, minor, code))

    def _establish(self, body: bytes) -> None:
        scope, context, _ = messages.ESTABLISH.unpack(body)
        code = ReturnCode.INVALID_VALUE
        if scope in SCOPES:
            context = self._service.new_context(self)
            code = ReturnCode.SUCCESS
        self._client.sendall(messages.ESTABLISH.pack(scope, context, code))

    def _release(self, body: bytes) -> None:
        context, _ = messages.RELEASE.unpack(body)
        code = ReturnCode.SUCCESS
        if not self.context:
            code = ReturnCode.INVALID_HANDLE
        elif context != self.context:
            code = ReturnCode.INVALID_VALUE
        else:
            while self._handles:
                _, handle = self._handles.popitem()
                handle.reader.abandon(handle)
            self._service.release_context(self)
        self._client.sendall(messages.RELEASE.pack(context, code))

    def _cancel(self, body: bytes) -> None:
        context, _ = messages.CANCEL.unpack(body)
        code = self._service.cancel(context)
        self._client.sendall(messages.CANCEL.pack(context, code))

    # Connections to readers

    def _handle(self, number: int) -> Handle:
        """The handle of this number, which must be this connection's own."""
        handle = self._handles.get(number)
        if handle is None:
            raise ClientGone
        return handle

    def _make_handle(self, reader: PublishedReader) -> Handle:
        return Handle(self._service.new_number(), reader)

    def _connect(self, body: bytes) -> None:
        context, raw_name, share, preferred, number, active, _ = messages.CONNECT.unpack(body)
        handle: Handle | None = None
        number = 0
        code = check_connection_request(share, preferred)
        if code is ReturnCode.SUCCESS:
            reader = self._service.find(raw_name.partition(b"\0")[0])
            if reader is None:
                code = ReturnCode.UNKNOWN_READER
            else:
                code, handle, reached = reader.connect(
                    share, preferred, self._make_handle, self._check_client
                )
                active = active if reached is None else reached
        if handle is not None:
            number = handle.number
            code = self._keep(handle, context)
        self._client.sendall(
            messages.CONNECT.pack(context, raw_name, share, preferred, number, active, code)
        )

    def _keep(self, handle: Handle, context: int) -> ReturnCode:
        code = ReturnCode.SUCCESS
        if not self.context:
            code = ReturnCode.INVALID_HANDLE
        elif context != self.context:
            code = ReturnCode.INVALID_VALUE
        elif len(self._handles) >= HANDLES_PER_CONTEXT_MAX:
            code = ReturnCode.NO_MEMORY
        if code is ReturnCode.SUCCESS:
            self._handles[handle.number] = handle
        else:
            handle.reader.disconnect(handle, Disposition.LEAVE, self._check_client)
        return code

    def _reconnect(self, body: bytes) -> None:
        number, share, preferred, initialization, _, _ = messages.RECONNECT.unpack(body)
        handle = self._handle(number)
        if handle.reader.is_gone:
            code, active = ReturnCode.INVALID_VALUE, 0
        else:
            code, active = handle.reader.reconnect(handle, share, preferred, initialization)
        self._client.sendall(
            messages.RECONNECT.pack(number, share, preferred, initialization, active, code)
        )

    def _disconnect(self, body: bytes) -> None:
        number, disposition, _ = messages.DISCONNECT.unpack(body)
        handle = self._handle(number)
        code = handle.reader.disconnect(handle, disposition, self._check_client)
        if code is ReturnCode.SUCCESS:
            del self._handles[number]
        self._client.sendall(messages.DISCONNECT.pack(number, disposition, code))

    def _begin(self, body: bytes) -> None:
        number, _ = messages.BEGIN.unpack(body)
        handle = self._handle(number)
        code = self._gone(handle) or handle.reader.begin(handle)
        self._client.sendall(messages.BEGIN.pack(number, code))

    def _end(self, body: bytes) -> None:
        number, disposition, _ = messages.END.unpack(body)
        handle = self._handle(number)
        code = self._gone(handle) or handle.reader.end(handle, disposition)
        self._client.sendall(messages.END.pack(number, disposition, code))

    def _status(self, body: bytes) -> None:
        number, _ = messages.STATUS.unpack(body)
        handle = self._handle(number)
        code = self._gone(handle) or handle.reader.status(handle)
        self._client.sendall(messages.STATUS.pack(number, code))

    @staticmethod
    def _gone(handle: Handle) -> ReturnCode:
        return ReturnCode.INVALID_VALUE if handle.reader.is_gone else ReturnCode.SUCCESS

    # The card

    def _transmit(self, fields: tuple[int, ...], command: bytes) -> bytes:
        number, protocol, pci_size, size, receive_protocol, receive_size, room, _ = fields
        handle = self._handle(number)
        if handle.reader.is_gone:
            code, response = ReturnCode.INVALID_VALUE, b""
        else:
            code, response = handle.reader.transmit(handle, protocol, command)
            if code is ReturnCode.SUCCESS:
                receive_protocol, receive_size = _RECEIVE_PCI_PROTOCOL, _RECEIVE_PCI_SIZE
        length = len(response)
        if length > room:
            code, response = ReturnCode.INSUFFICIENT_BUFFER, b""
        return (
            messages.TRANSMIT.pack(
                number, protocol, pci_size, size, receive_protocol, receive_size, length, code
            )
            + response
        )

    def _control(self, body: bytes) -> None:
        number, control_code, size, room, _, _ = messages.CONTROL.unpack(body)
        handle = self._handle(number)
        if size > messages.MESSAGE_DATA_SIZE_BYTES:
            raise ClientGone
        self._read(size)
        code = self._gone(handle) or handle.reader.control(handle)
        self._client.sendall(messages.CONTROL.pack(number, control_code, size, room, 0, code))

    def _get_attribute(self, body: bytes) -> None:
        number, identifier, value, length, _ = messages.ATTRIBUTE.unpack(body)
        handle = self._handle(number)
        if length > messages.ATTRIBUTE_SIZE_BYTES:
            raise ClientGone
        code = self._gone(handle)
        if code is ReturnCode.SUCCESS:
            code, found = handle.reader.attribute(handle, identifier)
            if code is ReturnCode.SUCCESS:
                if len(found) > length:
                    code = ReturnCode.INSUFFICIENT_BUFFER
                else:
                    value = found
                length = len(found)
        self._client.sendall(messages.ATTRIBUTE.pack(number, identifier, value, length, code))

    def _set_attribute(self, body: bytes) -> None:
        number, identifier, value, length, _ = messages.ATTRIBUTE.unpack(body)
        handle = self._handle(number)
        if length > messages.ATTRIBUTE_SIZE_BYTES:
            raise ClientGone
        code = self._gone(handle) or handle.reader.status(handle) or ReturnCode.NOT_TRANSACTED
        self._client.sendall(messages.ATTRIBUTE.pack(number, identifier, value, length, code))

    # States and events: what is told and the registration are one step, under the monitor

    def notify(self, event: bytes = _EVENT) -> None:
        """Push an event, which uses up the registration; the monitor is held."""
        self.is_registered = False
        self.send(event)

    def cancel_wait(self) -> None:
        """End a wait, if there is one; the monitor is held."""
        if self.is_registered:
            self.notify(_CANCELLED_EVENT)
        elif self._is_arming:
            self._is_cancelled = True

    def _give_states(self, _body: bytes) -> None:
        with self._monitor:
            self.send(self._service.states())
            self._seen_generation = self._service.generation
            if self._is_arming:
                self._is_arming = False
                self.is_registered = True
                if self._is_cancelled:
                    self.notify(_CANCELLED_EVENT)
            self._is_cancelled = False

    def _wait(self, _body: bytes) -> None:
        with self._monitor:
            if self._minor >= messages.MINOR_STATES_BY_SIZE:
                # An event between here and the states would be taken for their number.
                self._is_arming = True
                self._is_cancelled = False
            elif self._minor >= messages.MINOR_WAIT_ANSWERS:
                self.send(self._service.states())
                self.is_registered = True
            else:
                self.is_registered = True
                if self._seen_generation != self._service.generation:
                    self.notify()  # it changed after the client looked, before it began to wait

    def _stop_waiting(self, _body: bytes) -> None:
        with self._monitor:
            if self.is_registered or self._is_arming:
                self.is_registered = self._is_arming = False
                self.send(_STOP_ANSWER)

    def _give_reader_events(self, _body: bytes) -> None:
        with self._monitor:
            self.send(messages.READER_EVENTS.pack(self._service.reader_events, ReturnCode.SUCCESS))

    def _give_states_size(self, _body: bytes) -> None:
        with self._monitor:
            self.send(messages.STATES_SIZE.pack(messages.SLOT_COUNT))
