"""Where a SAM keeps what in its non-volatile memory.

| Key                     | Value                                                             |
|-------------------------|-------------------------------------------------------------------|
| `("product",)`          | product name, text                                                |
| `("atr",)`              | answer to reset                                                   |
| `("serial",)`           | serial number, 4 bytes                                            |
| `("features",)`         | `Features` as a tuple of numbers                                  |
| `("parameters",)`       | SAM parameters, 29 bytes                                          |
| `("key", reference)`    | key block 13 ‖ value 16; 01…7E, C1…C4, E0 (lock)                  |
| `("caad", n)`           | CAAD record n, 29 bytes, n = 1…7                                  |
| `("counter", n)`        | event counter, n = 0…26                                           |
| `("ceiling", n)`        | its ceiling                                                       |
| `("free", r)`           | free-increment bits of ceiling record r = 1…3, bit i = counter i  |
| `("sv number",)`        | SAM transaction number of Stored Value                            |
| `("busy until",)`       | end of the busy time, milliseconds of the clock                   |
| `("ca certificate",)`   | CA certificate of Get Data, 384 bytes                             |
| `("ca key",)`           | the CA's private key: its primes p and q, 128 bytes each          |
| `("ca counter",)`       | number of the CA key's event counter; 0: it has none              |

Objects that are not there are not personalised. The memory alone is the SAM: nothing else is needed to
go on from a snapshot.

Source: our choice, for the objects of legacy-sam §4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from cardbench.emulator.chassis import Key

PRODUCT: Key = ("product",)
ATR: Key = ("atr",)
SERIAL: Key = ("serial",)
FEATURES: Key = ("features",)
PARAMETERS: Key = ("parameters",)
SV_NUMBER: Key = ("sv number",)
BUSY_UNTIL: Key = ("busy until",)
CA_CERTIFICATE: Key = ("ca certificate",)
CA_KEY: Key = ("ca key",)
CA_COUNTER: Key = ("ca counter",)


def key_at(reference: int) -> Key:
    """Where the key of this reference is."""
    return ("key", reference)


def caad_at(number: int) -> Key:
    """Where a CAAD record is; 1…7."""
    return ("caad", number)


def counter_at(number: int) -> Key:
    """Where an event counter is; 0…26."""
    return ("counter", number)


def ceiling_at(number: int) -> Key:
    """Where a ceiling is; 0…26."""
    return ("ceiling", number)


def free_at(record: int) -> Key:
    """Where the free-increment bits of a ceiling record are; 1…3."""
    return ("free", record)


class Features(NamedTuple):
    """What sets a product apart; numbers, so that they fit the memory.

    Attributes:
        extended: 1 when extended sessions, proofs and encryption are offered.
        update_multiple: 1 when Digest Update Multiple is offered.
        digest_bytes_max: most data bytes of one Digest Update.
        answer_delay_ms: how late every answer comes.
        busy_delay_ms: how long a failed busy-mode verification keeps the SAM busy.

    Source: legacy-sam §1; the delays are our choice.
    """

    extended: int
    update_multiple: int
    digest_bytes_max: int
    answer_delay_ms: int
    busy_delay_ms: int
