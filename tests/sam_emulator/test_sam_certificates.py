"""The SAM as a certification authority: its certificates are those of the published vector."""

import hashlib
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from independent import second_pki
from support.sam_scene import Scene

from cardbench.emulator.chassis import Clock, Entropy
from cardbench.protocol.calypso.pki.ca_certificate import CaCertificate
from cardbench.protocol.calypso.pki.card_certificate import CardCertificate
from cardbench.protocol.calypso.pki.public_test_keys import public_test_pca
from cardbench.protocol.calypso.pki.verification import (
    TrustRules,
    verify_ca_certificate,
    verify_card_certificate,
)
from cardbench.sam_emulator import new_sam
from cardbench.sam_emulator.personalisation import load_preset

_VECTORS = Path(__file__).parents[1] / "vectors" / "calypso-pki.toml"
OWN: dict[str, Any] = tomllib.loads(_VECTORS.read_text())["own"]
AID, SERIAL, STARTUP = OWN["card_aid"], OWN["card_serial"], OWN["card_startup"]
PUBLIC = OWN["card_public_key"].replace("\n", "")
GENERATE = "804680000A06082A8648CE3D03010763"
RULES = TrustRules(today=date(2026, 6, 1), is_test=True)


def request(
    key: str = "",
    *,
    aid: str = f"08{AID}{'00' * 8}",
    serial: str = SERIAL,
    dates: str = "2024010120991231",
    rights: str = "00",
    rfu: str = "00" * 18,
    inner: str | None = None,
) -> str:
    body = f"{aid}{serial}00000000{dates}{rights}{STARTUP}{rfu}{key}"
    inner = inner or f"{len(body) // 2:02X}"
    return f"802AEEAC{len(body) // 2 + 3:02X}DF25{inner}{body}FF"


def whole(scene: Scene, command: str) -> bytes:
    """Send a command whose answer is chained; return all its data."""
    answer = scene.send(command)
    data = answer[:-4]
    while answer[-4:-2] == "61":
        answer = scene.send(f"00C00000{answer[-2:]}")
        data += answer[:-4]
    assert answer[-4:] == "9000", answer
    return bytes.fromhex(data)


@pytest.fixture
def scene() -> Scene:
    return Scene("pki")


def test_certificate_of_a_given_key_is_the_one_of_the_vector(scene: Scene) -> None:
    certificate = whole(scene, request(PUBLIC))
    assert certificate[:5].hex().upper() == "DF4582013C"
    assert certificate[5:] == bytes.fromhex(OWN["card_certificate"])


def test_ca_certificate_is_handed_out_in_two_parts(scene: Scene) -> None:
    assert scene.send("80CADF43FF")[-4:] == "6186"
    data = whole(scene, "80CADF43FF")
    assert data == bytes.fromhex("DF43820180" + OWN["ca_certificate"])


def test_key_pair_and_its_certificate_belong_together(scene: Scene) -> None:
    pair = bytes.fromhex(scene.ok(GENERATE))
    assert pair[:3].hex() == "df3c60"
    public, private = pair[3:67], pair[67:]
    assert second_pki.ec_public(int.from_bytes(private)) == public
    opened = second_pki.open_card(
        whole(scene, request())[5:], int(OWN["ca_modulus"].replace("\n", ""), 16)
    )
    assert opened.public == public


def test_chain_of_the_sam_verifies(scene: Scene) -> None:
    scene.ok(GENERATE)
    ca = CaCertificate.parse(whole(scene, "80CADF43FF")[5:])
    card = CardCertificate.parse(whole(scene, request())[5:])
    issuer = verify_ca_certificate(ca, public_test_pca().content, RULES)
    content = verify_card_certificate(
        card, issuer, RULES, serial=bytes.fromhex(SERIAL), df_name=bytes.fromhex(AID)
    )
    assert content.recovered.startup.hex().upper() == STARTUP


def test_inner_length_is_not_looked_at(scene: Scene) -> None:
    scene.ok(GENERATE)
    assert whole(scene, request(inner="7F")) == whole(scene, request())


def test_key_pair_made_last_is_the_one_that_is_certified(scene: Scene) -> None:
    first = scene.ok(GENERATE)
    second = scene.ok(GENERATE)
    assert first != second
    modulus = int(OWN["ca_modulus"].replace("\n", ""), 16)
    opened = second_pki.open_card(whole(scene, request())[5:], modulus)
    assert opened.public.hex().upper() == second[6:134]


def test_reset_forgets_the_key_pair(scene: Scene) -> None:
    scene.ok(GENERATE)
    scene.sam.reset()
    assert scene.send(request()) == "6985"
    assert whole(scene, request(PUBLIC))


def test_same_seed_makes_the_same_key_pair() -> None:
    answers = {Scene("pki", seed=seed).ok(GENERATE) for seed in (b"a", b"a", b"b")}
    assert len(answers) == 2


def test_each_certificate_counts_one_step(scene: Scene) -> None:
    scene.ok(GENERATE)
    for expected in (1, 2):
        whole(scene, request())
        assert scene.sam.counter(6) == expected
    assert scene.send(request(rights="01")) == "6A80"
    assert scene.sam.counter(6) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"aid": f"04{AID}{'00' * 8}"},
        {"aid": f"11{AID}{'00' * 8}"},
        {"aid": f"08{'00' * 16}"},
        {"aid": f"07{AID}{'00' * 8}"},
        {"serial": "1234000011223344"},
        {"dates": "2024010120991331"},
        {"dates": "20240A0120991231"},
        {"rights": "01"},
        {"rfu": "00" * 17 + "01"},
    ],
)
def test_values_that_no_certificate_has_are_refused(scene: Scene, wrong: dict[str, str]) -> None:
    assert scene.send(request(PUBLIC, **wrong)) == "6A80"


def test_key_without_certificate_signs_nothing(scene: Scene) -> None:
    scene.change("ca certificate", value=None)
    assert scene.send(request(PUBLIC)) == "6985"
    assert scene.send("80CADF43FF") == "6A88"


def test_locked_sam_refuses() -> None:
    scene = Scene("locked")
    assert scene.send(GENERATE) == "6985"
    assert scene.send(request(PUBLIC)) == "6985"


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"ca_certificate": None}, "not the one of the CA certificate"),
        ({"ca_key": {"modulus": OWN["pca_modulus"], "prime": OWN["pca_prime"]}}, "not the one"),
        ({"ca_key": {"modulus": OWN["pca_modulus"], "prime": OWN["ca_prime"]}}, "divides"),
        ({"ca_key": {"modulus": OWN["pca_modulus"], "prime": "00" * 128}}, "1024 bits"),
    ],
)
def test_ca_key_must_be_the_one_of_the_certificate(
    changes: dict[str, object], complaint: str
) -> None:
    preset = load_preset("pki")
    with pytest.raises(ValueError, match=complaint):
        type(preset).model_validate(preset.model_dump() | changes)


def test_preset_holds_the_vector() -> None:
    sam = new_sam("pki", entropy=Entropy(b""), clock=Clock())
    certificate = sam.memory["ca certificate",]
    assert isinstance(certificate, bytes)
    expected = hashlib.sha256(bytes.fromhex(OWN["ca_certificate"])).digest()
    assert hashlib.sha256(certificate).digest() == expected


def test_ca_key_is_not_shown() -> None:
    key = load_preset("pki").ca_key
    assert key is not None
    assert "prime" not in repr(key)
