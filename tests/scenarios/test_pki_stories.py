"""The stories `pki-session` and `pki-personalise` on software cards, and the cards that they refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from independent import second_pki

from cardbench.emulator.calypso import CalypsoCard, new_card
from cardbench.emulator.chassis import Clock, Entropy
from cardbench.emulator.readers.in_process import CardSlot
from cardbench.protocol.calypso.pki.public_test_keys import public_test_ca
from cardbench.protocol.errors import (
    CardbenchError,
    CertificateExpired,
    CertificateNotYetValid,
    CryptoModuleError,
    InvalidCardSignature,
    InvalidCertificateSignature,
    WrongAid,
    WrongIssuer,
    WrongSerialNumber,
)
from cardbench.sam_emulator import new_sam
from cardbench.scenarios import runner
from cardbench.scenarios.backends import open_backend
from cardbench.scenarios.campaigns.tear import TearCampaign
from cardbench.scenarios.pki.needs import CertifiedCardNeeds, CertifyingSamNeeds
from cardbench.scenarios.stories import find_story
from cardbench.scenarios.stories.story import Stage
from cardbench.scenarios.ticketing.terminal import TRANSPORT_AID
from cardbench.scenarios.trace import Role
from cardbench.terminal.card import CardChannel
from cardbench.terminal.readers import InProcessReader

if TYPE_CHECKING:
    from cardbench.protocol.link import Card
    from cardbench.scenarios.stories.story import StoryResult

LID = 0x2000
CA_MODULUS = public_test_ca().content.public_key.public_numbers().n


def play(name: str, seed: int = 1) -> StoryResult:
    story = find_story(name)
    with runner.world_for(story, open_backend("in-process")) as world:
        return runner.run(story, world, seed=seed)


def play_with(card: CalypsoCard, days: float = 0) -> CardbenchError | None:
    """Play the session with a card of our own, some days after the world began."""
    story = find_story("pki-session")
    with runner.world_for(story, open_backend("in-process")) as world:
        runner.prepare(story, world, 1)
        world.plug({Role.CARD: card})
        world.clock.advance(86_400 * days)
        try:
            story.play(Stage(world))
        except CardbenchError as error:
            return error
    return None


# The session


def test_card_is_authenticated_without_a_sam() -> None:
    story = find_story("pki-session")
    assert list(story.needs) == [Role.CARD]
    result = play("pki-session")
    assert result.ok
    assert result.facts["authentic"] is True
    assert result.facts["root"] == "cardbench public test root"
    assert result.facts["trips_left"] == 10
    assert result.traffic[Role.CARD] == (4, 8)


def test_same_seed_gives_the_same_bytes() -> None:
    tapes = []
    story = find_story("pki-personalise")
    for _ in range(2):
        with runner.world_for(story, open_backend("in-process")) as world:
            assert runner.run(story, world, seed=7).ok
            tapes.append(list(world.tape.entries))
    assert tapes[0] == tapes[1]


@pytest.mark.parametrize("preset", ["pki", "pki-hce"])
def test_native_card_and_phone_are_authenticated(preset: str) -> None:
    assert play_with(new_card(preset, entropy=Entropy(b"card"))) is None


def tampered(name: str, certificate: bytes | None = None, *, flip: int = -1) -> CalypsoCard:
    """A card with another PKI object, or one with a flipped bit."""
    card = new_card("pki", entropy=Entropy(b"card"))
    old = card.memory["pki", LID, name]
    assert isinstance(old, bytes)
    changed = bytearray(old)
    changed[flip] ^= 1
    card.memory.commit({("pki", LID, name): certificate or bytes(changed)})
    return card


def certificate(**fields: str | int | bytes) -> bytes:
    card = new_card("pki", entropy=Entropy(b"card"))
    pair = card.memory["pki", LID, "key pair"]
    assert isinstance(pair, bytes)
    key = public_test_ca().private_key.private_numbers()
    given = {
        "issuer": public_test_ca().content.reference.raw,
        "aid": TRANSPORT_AID,
        "serial": card.structure.serial,
        "public": pair[:64],
        "startup": bytes(7),
    }
    return second_pki.make_card(second_pki.RsaKey(CA_MODULUS, key.d), **(given | fields))


def test_certificate_of_the_second_implementation_is_trusted() -> None:
    assert play_with(tampered("card certificate", certificate())) is None


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"serial": bytes(8)}, WrongSerialNumber),
        ({"aid": TRANSPORT_AID + b"\x01"}, WrongAid),
        ({"issuer": bytes(29)}, WrongIssuer),
        ({"start": "20260106"}, CertificateNotYetValid),
        ({"end": "20260104"}, CertificateExpired),
    ],
)
def test_card_with_a_wrong_certificate_is_refused(
    fields: dict[str, str | bytes], error: type[CardbenchError]
) -> None:
    assert type(play_with(tampered("card certificate", certificate(**fields)))) is error


@pytest.mark.parametrize("name", ["card certificate", "CA certificate"])
def test_card_with_an_altered_certificate_is_refused(name: str) -> None:
    assert isinstance(play_with(tampered(name)), InvalidCertificateSignature)


def test_copy_of_a_certificate_is_no_card() -> None:
    """A card with the right certificates and a key of its own."""
    private = (12345).to_bytes(32)
    pair = second_pki.ec_public(12345) + private
    assert isinstance(play_with(tampered("key pair", pair)), InvalidCardSignature)


def test_chain_ends_with_its_century() -> None:
    card = new_card("pki", entropy=Entropy(b"card"))
    assert isinstance(play_with(card, days=366 * 75), CertificateExpired)


def test_torn_session_does_no_harm() -> None:
    report = TearCampaign(find_story("pki-session"), seed=5).run()
    assert report.faults == []
    assert report.cuts > 20


# Personalisation


def test_card_is_personalised_and_then_trusted() -> None:
    result = play("pki-personalise")
    assert result.ok
    assert result.facts["authentic"] is True
    assert result.traffic[Role.CARD] == (5, 10)
    assert result.traffic[Role.SAM] == (1, 4)


@pytest.mark.slow
def test_interrupted_personalisation_is_finished_by_playing_it_again() -> None:
    report = TearCampaign(find_story("pki-personalise"), seed=5).run()
    assert report.faults == []
    assert report.is_repeatable


def test_key_pair_that_is_there_stays() -> None:
    story = find_story("pki-personalise")
    card = new_card("pki", entropy=Entropy(b"card"))
    with runner.world_for(story, open_backend("in-process")) as world:
        runner.prepare(story, world, 1)
        world.plug({Role.CARD: card})
        before = card.memory["pki", LID, "key pair"]
        stage = Stage(world)
        story.play(stage)
    assert card.memory["pki", LID, "key pair"] == before
    assert any("already" in note for step in stage.steps for note in step.notes)


def test_sam_that_certifies_nothing_ends_the_story() -> None:
    story = find_story("pki-personalise")
    with runner.world_for(story, open_backend("in-process")) as world:
        runner.prepare(story, world, 1)
        world.plug({Role.SAM: new_sam(entropy=Entropy(b"sam"), clock=Clock())})
        with pytest.raises(CryptoModuleError):
            story.play(Stage(world))


# Needs


def channel_to(card: Card) -> CardChannel:
    slot = CardSlot("reader")
    slot.insert(card)
    return CardChannel(InProcessReader(slot))


def test_card_without_certificate_is_named() -> None:
    needs = CertifiedCardNeeds(aid=TRANSPORT_AID)
    assert needs.missing(channel_to(new_card("pki"))) == []
    assert needs.missing(channel_to(new_card("bench"))) == [
        "the application has no card certificate"
    ]


def test_sam_without_ca_is_named() -> None:
    needs = CertifyingSamNeeds(keys=((0x30, 0x74),))
    sams = {
        preset: new_sam(preset, entropy=Entropy(b"sam"), clock=Clock())
        for preset in ("pki", "bench")
    }
    assert needs.missing(channel_to(sams["pki"])) == []
    assert needs.missing(channel_to(sams["bench"])) == ["the SAM has no CA certificate"]
