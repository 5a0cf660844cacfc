"""What every card is made of: power, non-volatile memory, command table, randomness, time."""

from cardbench.emulator.chassis.card import Snapshot, SoftwareCard
from cardbench.emulator.chassis.codec import decode_snapshot, encode_snapshot
from cardbench.emulator.chassis.commands import (
    ANY,
    ANY_DATA,
    NO_DATA,
    Answer,
    ByteRule,
    CommandRow,
    CommandTable,
    Refusal,
    between,
    bits,
    exactly,
)
from cardbench.emulator.chassis.entropy import Clock, Entropy, EntropyState
from cardbench.emulator.chassis.memory import (
    TORN,
    Area,
    Key,
    Memory,
    MemoryImage,
    Moment,
    Store,
    Tear,
    Value,
)

__all__ = [
    "ANY",
    "ANY_DATA",
    "NO_DATA",
    "TORN",
    "Answer",
    "Area",
    "ByteRule",
    "Clock",
    "CommandRow",
    "CommandTable",
    "Entropy",
    "EntropyState",
    "Key",
    "Memory",
    "MemoryImage",
    "Moment",
    "Refusal",
    "Snapshot",
    "SoftwareCard",
    "Store",
    "Tear",
    "Value",
    "between",
    "bits",
    "decode_snapshot",
    "encode_snapshot",
    "exactly",
]
