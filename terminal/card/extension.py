"""What a card solution (Calypso, SAM, generic…) gives to selection, and gets from it.

Source: terminal-api §3.4, §7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from cardbench.terminal.card.requests import SUCCESS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cardbench.terminal.card.requests import ApduRequest


class SmartCard(Protocol):
    """The image of a selected card."""

    @property
    def power_on_data(self) -> bytes | None:
        """ATR, or what the reader gives in its place; None if there is none."""
        ...

    @property
    def select_application_response(self) -> bytes | None:
        """Answer to SELECT by DF name, status word included; None if none was sent."""
        ...


class CardSelectionRequest(NamedTuple):
    """What one case of a selection sends besides SELECT.

    Attributes:
        requests: commands to send after the SELECT.
        success: status words of SELECT that count as a match.
        stop_on_unsuccessful: whether a command whose status word is no success ends the selection with
            an error; otherwise all commands are sent, whatever the answers.
    """

    requests: Sequence[ApduRequest] = ()
    success: frozenset[int] = SUCCESS
    stop_on_unsuccessful: bool = False


class CardSelectionResponse(NamedTuple):
    """What came of one case.

    Attributes:
        power_on_data: ATR or equivalent; None if the reader gives none.
        select_application_response: answer to SELECT, status word included; None if none was sent.
        has_matched: the card passed every filter.
        responses: answers to the requests of the case, in order; empty when it did not match.
    """

    power_on_data: bytes | None
    select_application_response: bytes | None
    has_matched: bool
    responses: tuple[bytes, ...] = ()


CardT_co = TypeVar("CardT_co", bound=SmartCard, covariant=True)


class CardSelectionExtension(Protocol[CardT_co]):
    """A card solution's part of a selection case."""

    def card_selection_request(self) -> CardSelectionRequest:
        """Return what to send besides SELECT."""
        ...

    def parse(self, response: CardSelectionResponse) -> CardT_co:
        """Make the card's image.

        Raises:
            ProtocolError: the answers do not decode.
            CardError: a command that must succeed was refused.
        """
        ...
