"""Writing ceilings into a SAM that is somewhere else: prepared with a control SAM here, played there.

Three steps: the target's side exports a context; the control side makes commands of it; the target's side
plays them. Context and commands are JSON, in the form that the reference library writes. Each command is
bound to the counter of the target's reloading key: the commands must be played in their order, and each
once.

Not thread-safe: one transaction, one thread.

Source: legacy-sam §8.2, §8.3, §12.3; terminal-api §18.3.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from cardbench.protocol.calypso.ins import SamIns
from cardbench.protocol.errors import ProtocolError, UsageError
from cardbench.terminal.card.journal import Journal
from cardbench.terminal.card.requests import SUCCESS, ChannelControl
from cardbench.terminal.legacy_sam import writing
from cardbench.terminal.legacy_sam.link import CHALLENGE_BYTES, CONTROL_SAM, SamLink
from cardbench.terminal.legacy_sam.sam import KeyParameter, LegacySam, SystemKeyType
from cardbench.terminal.legacy_sam.secure_write import PreparedWrite, WriteCommands
from cardbench.terminal.legacy_sam.transaction import SamTransaction, nothing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cardbench.terminal.card.channel import CardChannel
    from cardbench.terminal.card.handle import Handle
    from cardbench.terminal.legacy_sam.secure_write import SamSecuritySetting
    from cardbench.terminal.legacy_sam.writing import SealedObject
    from cardbench.terminal.readers.reader import Reader

COMMAND_CLASS = "org.eclipse.keyple.card.calypso.crypto.legacysam.CommandWriteCeilings"
COMMAND_REFERENCE = "WRITE_CEILINGS"
COMMAND_NAME = "Write Ceilings"
COUNTER_BYTES = 3
CLA_WRITE_CEILINGS = 0x80  # whatever the target's product


class MalformedSamDocument(ProtocolError):
    """A context or a list of commands is not what the format allows."""


class TargetSamContext(NamedTuple):
    """What a control SAM must know of a target.

    Attributes:
        serial: 4 bytes.
        kvcs: versions of its system keys.
        counter_numbers: their event counters; a key without one is missing.
        counter_values: values of these counters.
    """

    serial: bytes
    kvcs: Mapping[SystemKeyType, int]
    counter_numbers: Mapping[SystemKeyType, int]
    counter_values: Mapping[int, int]

    def challenge(self, kind: SystemKeyType, commands_before: int) -> bytes:
        """Return what the block of a command is bound to: the value that the key's counter will have."""
        number = self.counter_numbers.get(kind)
        if number is None:
            return bytes(CHALLENGE_BYTES)
        value = self.counter_values[number] + commands_before
        return value.to_bytes(COUNTER_BYTES).rjust(CHALLENGE_BYTES, b"\0")


def export_context(
    serial: bytes, keys: Mapping[SystemKeyType, KeyParameter], counters: Mapping[int, int]
) -> str:
    """Write a target's context as JSON; every number is hexadecimal text."""
    document = {
        "serialNumber": serial.hex().upper(),
        "isDynamicMode": False,
        "systemKeyTypeToCounterNumberMap": {
            kind.name: f"{key.counter_number:02X}"
            for kind, key in keys.items()
            if key.counter_number
        },
        "systemKeyTypeToKvcMap": {kind.name: f"{key.kvc:02X}" for kind, key in keys.items()},
        "counterNumberToCounterValueMap": {
            f"{number:02X}": _hexadecimal(value) for number, value in counters.items()
        },
    }
    return json.dumps(document, separators=(",", ":"))


def _hexadecimal(value: int) -> str:
    text = f"{value:X}"
    return text.rjust(len(text) + len(text) % 2, "0")


def import_context(text: str) -> TargetSamContext:
    """Read a target's context.

    Raises:
        MalformedSamDocument: not what the format allows.
    """
    document = _load(text)
    try:
        counters = {
            SystemKeyType[name]: int(number, 16)
            for name, number in document["systemKeyTypeToCounterNumberMap"].items()
        }
        values = {
            int(number, 16): int(value, 16)
            for number, value in document["counterNumberToCounterValueMap"].items()
        }
        context = TargetSamContext(
            bytes.fromhex(document["serialNumber"]),
            {
                SystemKeyType[name]: int(kvc, 16)
                for name, kvc in document["systemKeyTypeToKvcMap"].items()
            },
            {kind: number for kind, number in counters.items() if number},
            values,
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise MalformedSamDocument(f"no context of a SAM: {error!r}") from None
    if len(context.serial) != 4 or not set(context.counter_numbers.values()) <= set(values):
        raise MalformedSamDocument("no context of a SAM: serial number or counters do not fit")
    return context


def _load(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (json.JSONDecodeError, TypeError) as error:
        raise MalformedSamDocument(f"no JSON: {error}") from None
    if not isinstance(document, dict):
        raise MalformedSamDocument("not a JSON object")
    return document


class SamAsyncCreator(WriteCommands):
    """Makes commands for a SAM that is somewhere else.

    Args:
        context: what the target's side exported.
        setting: the control SAM.
        journal: notes the exchanges with the control SAM; None: one of the transaction's own.

    Raises:
        MalformedSamDocument: the context is none.
    """

    def __init__(
        self, context: str, setting: SamSecuritySetting, *, journal: Journal | None = None
    ) -> None:
        self.context = import_context(context)
        self.journal = Journal() if journal is None else journal
        self._control = SamLink.of(setting.control_reader, setting.control_sam)
        self._queue: list[PreparedWrite] = []
        self._changes: dict[int, dict[int, writing.CounterConfiguration]] = {}

    def _add(self, sealed: SealedObject) -> Handle[None]:
        write = PreparedWrite(sealed)
        self._queue.append(write)
        return write

    def _configure(
        self, record: int, changes: dict[int, writing.CounterConfiguration]
    ) -> Handle[None]:
        self._changes.setdefault(record, {}).update(changes)
        return PreparedWrite(None)

    def process_commands(self) -> None:
        """Refuse: there is no target here.

        Raises:
            UsageError: always; `export_commands` is what is meant.
        """
        raise UsageError("the target SAM is somewhere else: export_commands() is what is meant")

    def export_commands(self) -> str:
        """Seal everything prepared, in one exchange with the control SAM; return the commands as JSON.

        Raises:
            UsageError: a configuration does not name all nine counters of its record, or the target
                has no reloading key.
            CryptoModuleError: the control SAM refused, or cannot be reached.
        """
        objects = [write.sealed for write in self._queue if write.sealed is not None]
        objects += [
            writing.ceiling_record(record, changes, keeps_others=False)
            for record, changes in sorted(self._changes.items())
        ]
        control, context = self._control, self.context
        image = LegacySam(b"")
        blocks = []
        for index, sealed in enumerate(objects):
            kvc = context.kvcs.get(sealed.key)
            if kvc is None:
                raise UsageError(f"the context names no {sealed.key.name.lower()} key")
            control.select_diversifier(context.serial)
            challenge = context.challenge(sealed.key, index)
            random = bytes((control.cla, SamIns.GIVE_RANDOM, 0, 0, len(challenge)))
            control.push(random + challenge, "Give Random")
            seal = bytes((control.cla,)) + sealed.seal(image, kvc)
            blocks.append(control.ask_data(seal, f"seal {sealed.name}"))
        with control.noted_in(self.journal, CONTROL_SAM):
            apdus = [
                sealed.command(CLA_WRITE_CEILINGS, block.result(), is_static=True)
                for sealed, block in zip(objects, blocks, strict=True)
            ]
        self._queue.clear()
        self._changes.clear()
        return json.dumps(
            {
                "samCommandsTypes": [COMMAND_CLASS] * len(apdus),
                "samCommands": [_document(apdu) for apdu in apdus],
            },
            separators=(",", ":"),
        )


def _document(apdu: bytes) -> dict[str, Any]:
    return {
        "commandRef": COMMAND_REFERENCE,
        "le": "00",
        "name": COMMAND_NAME,
        "apduRequest": {
            "apdu": apdu.hex().upper(),
            "successfulStatusWords": [f"{sw:04X}" for sw in sorted(SUCCESS)],
            "info": COMMAND_NAME,
        },
    }


class SamAsyncExecutor(SamTransaction):
    """Plays commands that were made somewhere else.

    Args:
        reader: where the target SAM is.
        sam: its image.
        commands: what the control side exported.
        journal: notes the exchanges; None: one of the transaction's own.

    Raises:
        MalformedSamDocument: the commands are none.
    """

    def __init__(
        self,
        reader: Reader | CardChannel,
        sam: LegacySam,
        commands: str,
        *,
        journal: Journal | None = None,
    ) -> None:
        super().__init__(reader, sam, journal=journal)
        document = _load(commands)
        try:
            self._commands = [
                (bytes.fromhex(one["apduRequest"]["apdu"]), str(one.get("name", COMMAND_NAME)))
                for one in document["samCommands"]
            ]
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise MalformedSamDocument(f"no list of SAM commands: {error!r}") from None
        if any(len(apdu) < 4 for apdu, _ in self._commands):
            raise MalformedSamDocument("no list of SAM commands: one is shorter than a header")

    def process_commands(self, channel_control: ChannelControl = ChannelControl.KEEP_OPEN) -> None:
        """Play the commands, in one exchange.

        Raises:
            CryptoModuleError: the SAM refused one; those behind it were not sent.
            CryptoModuleUnreachable: the link failed.
        """
        commands, self._commands = self._commands, []
        try:
            for apdu, name in commands:
                self._link.ask(apdu, name, nothing)
            with self._link.noted_in(self.journal):
                self._link.flush()
        finally:
            self._finish(channel_control)
