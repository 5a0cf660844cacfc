"""The security module: a software Calypso SAM on the card chassis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardbench.protocol.calypso.suite import load_suite
from cardbench.sam_emulator.card import SamCard

if TYPE_CHECKING:
    from cardbench.emulator.chassis import Clock, Entropy
    from cardbench.protocol.calypso.suite import SymmetricSuite

__all__ = ["SamCard", "new_sam"]


def new_sam(
    preset: str = "bench",
    *,
    entropy: Entropy,
    clock: Clock,
    suite: SymmetricSuite | None = None,
    serial: bytes | None = None,
    answer_delay_s: float | None = None,
    busy_delay_s: float | None = None,
) -> SamCard:
    """Make a fresh SAM from a preset.

    Args:
        preset: a file of `presets`, without its suffix.
        entropy: where challenges and random keys come from.
        clock: the virtual clock.
        suite: the symmetric functions; the default suite where none is given.
        serial: serial number, 4 bytes, in place of the preset's.
        answer_delay_s: how late every answer comes, 0…60, in place of the preset's.
        busy_delay_s: how long a failed PSO Verify Signature in busy mode keeps the SAM busy, 0…10.

    Raises:
        UsageError: no such preset, a serial number of another length, or a delay out of range.
    """
    # The models cost a tenth of a second to import; a SAM rebuilt from its memory needs none.
    from cardbench.sam_emulator.personalisation import load_preset, personalise  # noqa: PLC0415

    suite = suite or load_suite()
    personalisation = load_preset(preset).with_delays(answer_delay_s, busy_delay_s)
    memory = personalise(personalisation, suite=suite, serial=serial)
    return SamCard(memory, entropy=entropy, clock=clock, suite=suite)
