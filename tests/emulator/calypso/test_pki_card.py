"""The card's PKI: what it signs, what it keeps, and what a power failure leaves of it.

The other end is the second implementation, which imports nothing of the project.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from independent import second_pki
from support.calypso_peer import Peer
from support.calypso_workshop import made

from cardbench.emulator.calypso import card_of
from cardbench.emulator.calypso.personalisation import load_preset, parse_personalisation
from cardbench.emulator.chassis import Entropy, Moment, Tear
from cardbench.protocol.errors import UsageError
from cardbench.protocol.link import PowerLoss

if TYPE_CHECKING:
    from cardbench.emulator.calypso import CalypsoCard

OWN: dict[str, Any] = tomllib.loads(
    (Path(__file__).parents[2] / "vectors" / "calypso-pki.toml").read_text()
)["own"]
CA_MODULUS = int(OWN["ca_modulus"].replace("\n", ""), 16)
PCA_MODULUS = int(OWN["pca_modulus"].replace("\n", ""), 16)
CARD_CERTIFICATE = bytes.fromhex(OWN["card_certificate"])
CA_CERTIFICATE = bytes.fromhex(OWN["ca_certificate"])
KEY_PAIR = bytes.fromhex(OWN["card_public_key"]) + bytes.fromhex(OWN["card_private_key"])

OPEN = "008A00030900C1C2C3C4C5C6C7C800"
OPEN_RECORD = "008A083B0900C1C2C3C4C5C6C7C800"
CLOSE = "008E000000"
GENERATE = "004600000A06082A8648CE3D030107"
SELECT = "00A4040008A000000291FF9101"
PERSONALISE = (
    f"00DADF3C60{KEY_PAIR.hex()}",
    f"00DADF4CFADF4C82013C{CARD_CERTIFICATE[:245].hex()}",
    f"00DADF4D47{CARD_CERTIFICATE[245:].hex()}",
    f"00DADF4AFADF4A820180{CA_CERTIFICATE[:245].hex()}",
    f"00DADF4B8B{CA_CERTIFICATE[245:].hex()}",
)


class Terminal:
    """Sends commands, writes down what a session signs, and verifies it."""

    def __init__(self, card: CalypsoCard) -> None:
        self.card = card
        self.card.power_on()
        self.apdus: list[bytes] = []

    def send(self, command: str, *, signed: bool = True) -> str:
        raw = bytes.fromhex(command)
        answer = self.card.transmit(raw)
        if signed:
            self.apdus += [raw, answer]
        return answer.hex().upper()

    def ok(self, *commands: str, signed: bool = False) -> str:
        answer = ""
        for command in commands:
            answer = self.send(command, signed=signed)
            assert answer[-4:] == "9000", f"{command} was answered {answer}"
        return answer[:-4]

    def open(self, command: str = OPEN) -> str:
        self.apdus = []
        return self.ok(command, signed=True)

    def close(self) -> None:
        """Close, and verify the signature."""
        signature = bytes.fromhex(self.ok(CLOSE))
        public = bytes.fromhex(self.ok("00CADF2C00"))[3:]
        second_pki.ec_verify(public, second_pki.session_message(self.apdus), signature)


def free_card() -> CalypsoCard:
    """The PKI card with a file that anybody may write: SFI 0D, two records of 8 bytes."""
    text = """
        base = "pki"
        [[applications]]
        lid = 0x2000
        [[applications.files]]
        lid = 0x3008
        sfi = 0x0D
        type = "linear"
        records = 2
        size = 8
        access = ["AA", "AA", "AA", "NN"]
    """
    return card_of(parse_personalisation(text, origin="test"), entropy=Entropy(b"card"))


@pytest.fixture
def terminal() -> Terminal:
    return Terminal(free_card())


# The chain


def certificates(terminal: Terminal) -> tuple[bytes, bytes]:
    parts = [bytes.fromhex(terminal.ok(f"00CADF{tag}00")) for tag in ("4C", "4D", "4A", "4B")]
    return parts[0][5:] + parts[1], parts[2][5:] + parts[3]


@pytest.mark.parametrize("preset", ["pki", "pki-hce"])
def test_factory_chain_verifies(preset: str) -> None:
    terminal = Terminal(made(preset))
    card, ca = certificates(terminal)
    issuer = second_pki.open_ca(ca, PCA_MODULUS)
    certificate = second_pki.open_card(card, issuer.modulus)
    structure = terminal.card.structure
    application = structure.applications[0]
    assert certificate.issuer == issuer.target
    assert certificate.aid == application.aid
    assert certificate.serial == b"\0\0" + structure.serial[2:]
    assert bytes.fromhex(terminal.ok("00CADF2C00"))[3:] == certificate.public
    assert application.fci.endswith(certificate.startup)


def test_parts_are_cut_where_the_sheet_says(terminal: Terminal) -> None:
    sizes = [len(terminal.ok(f"00CADF{tag}00")) // 2 for tag in ("4C", "4D", "4A", "4B")]
    assert sizes == [250, 71, 250, 139]


def test_factory_takes_a_given_key_and_dates() -> None:
    text = f"""
        base = "bench"
        [[applications]]
        lid = 0x2000
        [applications.pki]
        private_key = "{OWN["card_private_key"]}"
        end_date = 2030-01-31
        index = 7
    """
    terminal = Terminal(card_of(parse_personalisation(text, origin="test")))
    certificate = second_pki.open_card(certificates(terminal)[0], CA_MODULUS)
    assert certificate.public == KEY_PAIR[:64]
    assert (certificate.start.hex(), certificate.end.hex()) == ("20240101", "20300131")
    assert certificate.index == 7


def test_certificate_needs_the_pki_option() -> None:
    text = 'base = "bench"\n[[applications]]\nlid = 0x2000\ntype = 0x2B\npki = {}'
    with pytest.raises(UsageError, match="no PKI mode"):
        parse_personalisation(text, origin="test")


def test_private_key_is_not_shown() -> None:
    assert "private_key" not in repr(load_preset("pki").applications[0].pki)


# The session


def test_open_says_who_the_card_is(terminal: Terminal) -> None:
    data = bytes.fromhex(terminal.open(OPEN_RECORD))
    assert data[:17].hex().upper() == "08A000000291FF91010000000011223344"
    assert data[17] == 0
    assert data[18:21] == (200_000 - 1).to_bytes(3)
    assert data[26:29] == b"\0\0\0"
    assert data[29] == 29
    assert len(data) == 30 + 29


def test_open_of_a_phone_leaves_its_token_out() -> None:
    data = bytes.fromhex(Terminal(made("pki-hce")).open())
    assert data[9:17].hex().upper() == "00000080FEDCBA98"


def test_session_is_signed(terminal: Terminal) -> None:
    terminal.open(OPEN_RECORD)
    terminal.ok("00B2014C1D", "00B2013C1D", signed=True)
    terminal.close()


def test_every_kind_of_command_is_signed_as_it_was_exchanged(terminal: Terminal) -> None:
    terminal.open()
    for command in (
        "00B2014C00",  # case 2
        "00A4020002200700",  # case 4
        "0084000008",
        "0020000000",  # case 1, as five bytes
        "002000000430303030",
        "00B2014C1D",
        "00B201FC1D",  # no such file
        "00DC013C0101",  # not allowed
        "00FF000000",  # unknown
    ):
        terminal.send(command)
    terminal.close()


@pytest.mark.parametrize("command", ["00CADF4C00", "00CADF2C00", "00CA006F00", "00CA018500"])
def test_get_data_is_answered_and_not_signed(terminal: Terminal, command: str) -> None:
    terminal.open()
    terminal.ok(command)
    terminal.ok("00B2014C1D", signed=True)
    terminal.close()


@pytest.mark.parametrize("command", ["00B3014D045402000100", "00A2014F0500000100FF00"])
def test_what_terminals_ask_outside_only_is_not_signed(terminal: Terminal, command: str) -> None:
    terminal.open()
    terminal.ok(command)
    terminal.close()


def test_signature_covers_the_terminal_challenge(terminal: Terminal) -> None:
    terminal.open()
    terminal.apdus[0] = terminal.apdus[0][:6] + bytes(8) + b"\0"
    with pytest.raises(second_pki.Refused):
        terminal.close()


def test_first_session_is_signed_as_the_second_is_not(terminal: Terminal) -> None:
    terminal.open()
    terminal.close()
    first = list(terminal.apdus)
    terminal.open()
    terminal.close()
    assert terminal.apdus[1] != first[1]


def test_same_seed_gives_the_same_signature() -> None:
    answers = set()
    for _ in range(2):
        terminal = Terminal(made("pki"))
        terminal.open()
        answers.add(terminal.ok(CLOSE))
    assert len(answers) == 1


def test_forks_go_on_with_a_transcript_of_their_own(terminal: Terminal) -> None:
    terminal.open()
    twin = Terminal.__new__(Terminal)
    twin.card, twin.apdus = terminal.card.fork(), list(terminal.apdus)
    terminal.ok("00B2014C1D", signed=True)
    twin.ok("00B2013C1D", signed=True)
    terminal.close()
    twin.close()


def test_signed_lc_is_a_quirk_of_the_profile() -> None:
    personalisation = load_preset("pki")
    quirky = type(personalisation).model_validate(
        personalisation.model_dump() | {"product": {"signed_lc_in_digest": True}}
    )
    for card, is_kept in ((card_of(personalisation), True), (card_of(quirky), False)):
        terminal = Terminal(card)
        terminal.open()
        terminal.send("00B2014CFF")
        if not is_kept:
            terminal.apdus[-2] = terminal.apdus[-2][:-1]
        terminal.close()


# What may be changed


def test_only_what_is_always_allowed_is_written(terminal: Terminal) -> None:
    terminal.open()
    assert terminal.send("00DC013C0101") == "6982"  # S1
    assert terminal.send("00DC016C0101") == "9000"  # AA
    assert terminal.send("0004000000") == "6982"
    assert terminal.ok("00B2016C08", signed=True) == "01" + "00" * 7
    terminal.close()
    assert terminal.ok("00B2016C08") == "01" + "00" * 7


def test_abort_is_a_close(terminal: Terminal) -> None:
    terminal.open()
    terminal.ok("00DC016C0101", signed=True)
    terminal.close()  # nobody can tell them apart
    assert terminal.ok("00B2016C01") == "01"


@pytest.mark.parametrize("ending", [SELECT, "reset"])
def test_session_that_is_not_closed_leaves_nothing(terminal: Terminal, ending: str) -> None:
    terminal.open()
    terminal.ok("00DC016C0101")
    if ending == "reset":
        terminal.card.reset()
    else:
        terminal.ok(ending)
    assert terminal.ok("00B2016C01") == "00"
    assert terminal.send(CLOSE) == "6985"


def test_session_buffer_holds(terminal: Terminal) -> None:
    terminal.open()
    answers = [terminal.send("00DC016C08" + "11" * 8) for _ in range(31)]
    assert answers == ["9000"] * 30 + ["6400"]  # 14 bytes each, of 430
    terminal.close()


def test_pin_may_be_presented_in_clear(terminal: Terminal) -> None:
    terminal.open()
    assert terminal.send("00B2011C1D") == "6982"
    terminal.ok("002000000430303030", signed=True)
    terminal.ok("00B2011C1D", signed=True)
    terminal.close()


def test_close_leaves_the_df_ratified(terminal: Terminal) -> None:
    terminal.card.memory.commit({("ratified", 0x2000): 0})
    assert bytes.fromhex(terminal.open())[26] == 1
    terminal.close()
    assert bytes.fromhex(terminal.open())[26] == 0


def test_transaction_counter_counts(terminal: Terminal) -> None:
    first = int(terminal.open()[36:42], 16)
    terminal.close()
    assert int(terminal.open()[36:42], 16) == first - 1


# Personalisation


def test_card_makes_its_own_key_pair() -> None:
    terminal = Terminal(made("bench"))
    terminal.ok(GENERATE)
    public = bytes.fromhex(terminal.ok("00CADF2C00"))[3:]
    pair = terminal.card.memory["pki", 0x2000, "key pair"]
    assert isinstance(pair, bytes)
    assert second_pki.ec_public(int.from_bytes(pair[64:])) == public
    assert terminal.send(OPEN, signed=False) == "6985"  # no certificate yet


def test_key_pair_comes_from_the_cards_random() -> None:
    keys = set()
    for seed in (b"a", b"a", b"b"):
        terminal = Terminal(made("bench", seed=seed))
        terminal.ok(GENERATE)
        keys.add(terminal.ok("00CADF2C00"))
    assert len(keys) == 2


def test_card_is_personalised_by_put_data() -> None:
    terminal = Terminal(made("bench"))
    terminal.ok(*PERSONALISE)
    assert certificates(terminal) == (CARD_CERTIFICATE, CA_CERTIFICATE)
    terminal.open()
    terminal.close()


def test_certificate_may_be_replaced(terminal: Terminal) -> None:
    terminal.ok(*PERSONALISE[1:3])
    assert certificates(terminal)[0] == CARD_CERTIFICATE


def change_key_1(terminal: Terminal) -> str:
    peer = Peer(terminal.card)
    return "00D8000120" + peer.key_cryptogram(peer.ok("0084000008"), 0x21, 0x75)


def test_new_key_1_erases_the_pki(terminal: Terminal) -> None:
    assert terminal.send(change_key_1(terminal)) == "9000"
    for tag in ("2C", "4A", "4B", "4C", "4D"):
        assert terminal.send(f"00CADF{tag}00") == "6A88"
    assert terminal.send(OPEN) == "6985"
    terminal.ok(GENERATE)


def test_another_key_leaves_the_pki(terminal: Terminal) -> None:
    command = change_key_1(terminal).replace("00D80001", "00D80002")
    assert terminal.send(command) == "9000"
    terminal.open()
    terminal.close()


def test_card_rebuilt_from_its_memory_goes_on(terminal: Terminal) -> None:
    twin = Terminal(type(terminal.card)(terminal.card.memory, entropy=Entropy(b"twin")))
    twin.open()
    twin.close()


# Power failures


def state(card: CalypsoCard) -> dict[Any, Any]:
    return {key: value for key, value in card.memory.objects().items() if key[0] != "structure"}


def torn_everywhere(card: CalypsoCard, *before: str, command: str) -> list[dict[Any, Any]]:
    """Cut the last of several commands at every moment of every write; return what each cut left."""
    left = []
    for write in range(20):
        for moment in Moment:
            twin = card.fork()
            twin.power_on()
            for each in before:
                assert twin.transmit(bytes.fromhex(each))[-2:] == b"\x90\0"
            twin.memory.arm(Tear(write, moment))
            try:
                twin.transmit(bytes.fromhex(command))
            except PowerLoss:
                twin.power_on()
                left.append(state(twin))
            else:
                assert left
                return left
    raise AssertionError("a command with more than 20 writes")


@pytest.mark.parametrize(
    ("before", "command"),
    [
        ((), GENERATE),
        ((), PERSONALISE[0]),
        (PERSONALISE[:2], PERSONALISE[2]),
        (PERSONALISE[3:4], PERSONALISE[4]),
    ],
    ids=["generate", "key pair", "card certificate", "CA certificate"],
)
def test_torn_object_is_there_or_not(before: tuple[str, ...], command: str) -> None:
    card = made("bench")
    done = card.fork()
    done.power_on()
    for each in before:
        done.transmit(bytes.fromhex(each))
    untouched = state(done)
    done.transmit(bytes.fromhex(command))
    left = torn_everywhere(card, *before, command=command)
    assert all(each in (untouched, state(done)) for each in left)
    assert untouched in left
    assert state(done) in left


def test_torn_close_commits_all_or_nothing() -> None:
    card = free_card()
    before = (OPEN, "00DC016C0101", "00DC026C0102")
    left = torn_everywhere(card, *before, command=CLOSE)
    contents = {each["file", 0x2000, 0x3008] for each in left}
    assert contents == {bytes(16), b"\x01" + bytes(7) + b"\x02" + bytes(7)}


def test_torn_change_of_key_1_keeps_key_and_pki_together() -> None:
    card = made("pki")
    terminal = Terminal(card.fork())
    challenge, command = "0084000008", change_key_1(terminal)
    old_slot = state(card)["key", 0x2000, 1]
    seen = set()
    for each in torn_everywhere(card, challenge, command=command):
        is_old = each["key", 0x2000, 1] == old_slot
        has_pki = ("pki", 0x2000, "key pair") in each
        assert is_old is has_pki
        assert has_pki is (("pki", 0x2000, "card certificate") in each)
        seen.add(is_old)
    assert seen == {True, False}
