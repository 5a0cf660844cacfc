"""`cardbench pki`: what is issued verifies, in this implementation and in the second one."""

from __future__ import annotations

import json
import stat
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from independent import second_pki

from cardbench.scenarios.cli import main

VECTORS: dict[str, Any] = tomllib.loads(
    (Path(__file__).parents[1] / "vectors" / "calypso-pki.toml").read_text()
)
OWN, PUBLISHED = VECTORS["own"], VECTORS["published"]
DAY = ("--today", "2026-06-01")


class Outcome(dict[str, Any]):
    """What a command printed as JSON, its exit status and its error text."""

    def __init__(self, printed: dict[str, Any], status: int, error: str) -> None:
        super().__init__(printed)
        self.status = status
        self.error_text = error


Pki = Callable[..., Outcome]
Words = Callable[..., str]


@pytest.fixture
def pki(capsys: pytest.CaptureFixture[str]) -> Pki:
    def run(*arguments: str | Path) -> Outcome:
        with pytest.raises(SystemExit) as end:
            main(["pki", *map(str, arguments), "--json"])
        out, err = capsys.readouterr()
        code = end.value.code
        status = code if isinstance(code, int) else 0
        return Outcome(json.loads(out) if out else {}, status, err)

    return run


@pytest.fixture
def words(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Words:
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str | Path) -> str:
        with pytest.raises(SystemExit):
            main(["pki", *map(str, arguments)])
        out, err = capsys.readouterr()
        return out + err

    return run


def chain(folder: Path) -> tuple[Path, Path, Path]:
    return folder / "root.json", folder / "ca-certificate.bin", folder / "card-certificate.bin"


# Issue


def test_issued_chain_verifies(pki: Pki, tmp_path: Path) -> None:
    folder = tmp_path / "chain"
    issued = pki("issue", folder, *DAY)
    assert issued.status == 0
    assert issued["public_test_keys"] is True
    assert "PUBLIC TEST KEYS" in issued["words"][0]
    root, ca, card = chain(folder)
    verified = pki("verify", "--root", root, ca, card, *DAY)
    assert verified.status == 0
    assert verified["ok"] is True
    assert len(verified["good"]) == 2


@pytest.mark.slow
def test_fresh_keys_make_a_chain_of_their_own(pki: Pki, tmp_path: Path) -> None:
    issued = pki("issue", tmp_path / "fresh", "--fresh-keys", *DAY)
    assert issued["public_test_keys"] is False
    root, ca, card = chain(tmp_path / "fresh")
    assert pki("verify", "--root", root, ca, card, *DAY)["ok"]
    refused = pki("verify", ca, card, *DAY)
    assert refused.status == 1
    assert refused["error"]["kind"] == "InvalidCertificateSignature"
    modulus = int(json.loads(root.read_text())["modulus"], 16)
    issuer = second_pki.open_ca(ca.read_bytes(), modulus)
    second_pki.open_card(card.read_bytes(), issuer.modulus)


def test_seed_makes_the_same_card_key(pki: Pki, tmp_path: Path) -> None:
    first, same, other, random = (
        pki("issue", tmp_path / name, *seed, *DAY)["card_certificate"]
        for name, seed in (
            ("1", ("--seed", "5")),
            ("2", ("--seed", "5")),
            ("3", ("--seed", "6")),
            ("4", ()),
        )
    )
    assert first == same
    assert len({first, other, random}) == 3


def test_options_reach_the_certificates(pki: Pki, tmp_path: Path) -> None:
    pki(
        "issue", tmp_path / "x", "--aid", "A000000291FF9102", "--serial", "12340080FEDCBA98",
        "--startup", "0A3C2005141001", "--index", "7", "--start", "2026-01-01",
        "--end", "2026-12-31", "--scope", "unrestricted", "--target-aid", "A000000291",
        "--longer-aid", *DAY,
    )  # fmt: skip
    _, ca, card = chain(tmp_path / "x")
    pca_modulus = int(OWN["pca_modulus"].replace("\n", ""), 16)
    issuer = second_pki.open_ca(ca.read_bytes(), pca_modulus)
    assert (issuer.scope, issuer.rights, issuer.mode) == (0xFF, 0x09, 1)
    assert issuer.aid[: issuer.aid_size].hex() == "a000000291"
    opened = second_pki.open_card(card.read_bytes(), issuer.modulus)
    assert opened.aid.hex() == "a000000291ff9102"
    assert opened.serial.hex() == "00000080fedcba98"
    assert (opened.start.hex(), opened.end.hex()) == ("20260101", "20261231")
    assert (opened.index, opened.startup.hex()) == (7, "0a3c2005141001")


def test_private_keys_are_for_their_owner_only(pki: Pki, tmp_path: Path) -> None:
    pki("issue", tmp_path / "x", *DAY)
    for path in (tmp_path / "x").iterdir():
        is_open = bool(stat.S_IMODE(path.stat().st_mode) & 0o077)
        assert is_open is (path.suffix != ".pem")
    key = load_pem_private_key((tmp_path / "x" / "card-key.pem").read_bytes(), None)
    assert key is not None


def test_files_that_are_there_stay(pki: Pki, tmp_path: Path) -> None:
    pki("issue", tmp_path / "x", "--seed", "1", *DAY)
    before = {path.name: path.read_bytes() for path in (tmp_path / "x").iterdir()}
    refused = pki("issue", tmp_path / "x", "--seed", "2", *DAY)
    assert refused.status == 1
    assert "already" in refused.error_text
    assert {path.name: path.read_bytes() for path in (tmp_path / "x").iterdir()} == before


@pytest.mark.parametrize(
    "wrong",
    [
        ("--aid", "A0"),
        ("--aid", "XY"),
        ("--serial", "00"),
        ("--startup", "00"),
        ("--start", "yesterday"),
        ("--start", "2026-02-01", "--end", "2026-01-01"),
        ("--target-aid", "A000000292"),
    ],
)
def test_what_cannot_be_issued_is_one_sentence(pki: Pki, tmp_path: Path, wrong: tuple[str]) -> None:
    refused = pki("issue", tmp_path / "x", *wrong, *DAY)
    assert refused.status == 1
    assert refused.error_text.startswith("cardbench: ")
    assert len(refused.error_text.splitlines()) == 1
    assert not (tmp_path / "x").exists()


def test_folder_that_cannot_be_made_is_one_sentence(pki: Pki, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = pki("issue", tmp_path / "file" / "x", *DAY)
    assert refused.status == 1
    assert "cardbench: " in refused.error_text


def test_people_are_told_how_to_check(words: Words, tmp_path: Path) -> None:
    told = words("issue", tmp_path / "x", *DAY)
    assert "PUBLIC TEST KEYS" in told
    assert "cardbench pki verify --root" in told
    assert "random" in told
    assert "seed" in words("issue", tmp_path / "y", "--seed", "1", *DAY)


# Show


def fields(shown: Outcome) -> dict[str, dict[str, str]]:
    return {row["name"]: row for row in shown["fields"]}


def test_published_ca_certificate_is_shown(pki: Pki) -> None:
    shown = pki("show", PUBLISHED["ca_certificate"].replace("\n", ""))
    assert shown["certificate"] == "CA"
    assert shown["signature_of"] == "published test root"
    rows = fields(shown)
    assert rows["valid from"]["value"] == "2024-02-22"
    assert rows["valid to"]["value"] == "no limit"
    assert rows["card certificates"]["meaning"] == "may be signed"
    assert rows["CA certificates"]["meaning"] == "shall not be signed"
    assert rows["scope"]["meaning"] == "development and test"
    assert "AEC8E0EA" in rows["certified key"]["meaning"]


def test_card_certificate_is_opened_by_the_public_test_ca(pki: Pki) -> None:
    shown = pki("show", "DF4C82013C" + OWN["card_certificate"].replace("\n", ""))
    assert shown["signature_of"] == "cardbench public test CA"
    rows = fields(shown)
    assert rows["public key"]["value"] == OWN["card_public_key"].replace("\n", "")
    assert rows["startup information"]["meaning"] == "Prime revision 3"
    assert rows["valid to"]["value"] == "2099-12-31"


@pytest.mark.parametrize("form", ["bytes", "text", "lines"])
def test_certificate_is_read_from_a_file(pki: Pki, tmp_path: Path, form: str) -> None:
    path = tmp_path / "certificate"
    text = OWN["ca_certificate"]
    path.write_bytes(
        {
            "bytes": bytes.fromhex(text),
            "text": text.replace("\n", "").encode(),
            "lines": f"DF4A820180\n{text}".encode(),
        }[form]
    )
    assert pki("show", path)["signature_of"] == "cardbench public test root"


def test_altered_certificate_is_shown_and_not_verified(pki: Pki, words: Words) -> None:
    text = OWN["card_certificate"].replace("\n", "")
    altered = text[:-1] + "0"
    shown = pki("show", altered)
    assert shown.status == 0
    assert shown["signature_of"] is None
    assert "public key" not in fields(shown)
    assert "not verified" in words("show", altered)


def test_odd_fields_are_said_to_be_odd(pki: Pki) -> None:
    reference = bytes.fromhex(OWN["pca_reference"])
    key = second_pki.rsa_key(bytes.fromhex(OWN["pca_modulus"]), bytes.fromhex(OWN["pca_prime"]))
    raw = second_pki.make_ca(
        key, issuer=reference, target=b"\x04" + bytes(28), modulus=key.n, rights=0xFC, scope=0x02,
        aid=b"12345", mode=1,
    )  # fmt: skip
    rows = fields(pki("show", raw.hex()))
    assert rows["reserved rights"]["value"] == "F"
    assert "reserved" in rows["card certificates"]["meaning"]
    assert "nobody" in rows["scope"]["meaning"]
    assert "AID size" in rows["certified key"]["meaning"]
    assert "longer" in rows["AID restriction"]["meaning"]
    ca = second_pki.rsa_key(bytes.fromhex(OWN["ca_modulus"]), bytes.fromhex(OWN["ca_prime"]))
    odd = second_pki.make_card(
        ca, issuer=bytes.fromhex(OWN["ca_reference"]), aid=b"12345", serial=bytes(8),
        public=bytes(64), startup=bytes(7),
    )  # fmt: skip
    rows = fields(pki("show", odd.hex()))
    assert "secp256r1" in rows["public key"]["meaning"]
    assert "type 00" in rows["startup information"]["meaning"]


@pytest.mark.slow
def test_named_keys_open_a_certificate(pki: Pki, tmp_path: Path) -> None:
    pki("issue", tmp_path / "x", "--fresh-keys", *DAY)
    root, ca, card = chain(tmp_path / "x")
    assert pki("show", card)["signature_of"] is None
    assert pki("show", card, "--root", root, "--ca", ca)["signature_of"] == str(ca)
    assert pki("show", ca, "--root", root)["signature_of"] == str(root)
    assert pki("show", card, "--ca", ca).status == 1
    assert "card certificate" in pki("show", card, "--ca", card).error_text


@pytest.mark.parametrize("text", ["", "nowhere.bin", "80", "9001", "90" * 400])
def test_what_is_no_certificate_is_one_sentence(pki: Pki, text: str) -> None:
    refused = pki("show", text)
    assert refused.status == 1
    assert len(refused.error_text.splitlines()) == 1


def test_file_that_is_no_certificate_is_one_sentence(pki: Pki, tmp_path: Path) -> None:
    path = tmp_path / "noise"
    path.write_bytes(b"\xff\xfe")
    assert "begins with FF" in pki("show", path).error_text


def test_certificate_is_shown_in_a_table(words: Words) -> None:
    told = words("show", OWN["ca_certificate"].replace("\n", ""))
    assert "of cardbench public test root" in told
    assert "development and test" in told


# Verify


@pytest.mark.parametrize(
    ("options", "kind", "step"),
    [
        (("--today", "2023-12-31"), "CertificateNotYetValid", "start date"),
        (("--today", "2100-01-01"), "CertificateExpired", "end date"),
        ((*DAY, "--production"), "WrongScope", "scope"),
        ((*DAY, "--chain-max", "0"), "ChainTooLong", "length of chain"),
        ((*DAY, "--serial", "00" * 8), "WrongSerialNumber", "serial number"),
        ((*DAY, "--aid", "A000000291FF9102"), "WrongAid", "AID"),
    ],
)
def test_refusal_names_the_step(pki: Pki, options: tuple[str, ...], kind: str, step: str) -> None:
    ca, card = (OWN[f"{name}_certificate"].replace("\n", "") for name in ("ca", "card"))
    refused = pki("verify", ca, card, *options)
    assert refused.status == 1
    assert (refused["error"]["kind"], refused["error"]["step"]) == (kind, step)


def test_expiry_may_warn(pki: Pki, words: Words) -> None:
    ca, card = (OWN[f"{name}_certificate"].replace("\n", "") for name in ("ca", "card"))
    verified = pki("verify", ca, card, "--today", "2100-01-01", "--expiry", "warn")
    assert verified.status == 0
    assert len(verified["warnings"]) == 2
    told = words("verify", ca, card, "--today", "2100-01-01", "--expiry", "warn")
    assert told.count("!") == 2


def test_published_chain_verifies_against_the_published_root(pki: Pki) -> None:
    text = PUBLISHED["ca_certificate"].replace("\n", "")
    assert pki("verify", text, *DAY)["ok"]
    assert pki("verify", text, "--today", "2024-02-21")["error"]["kind"] == "CertificateNotYetValid"


def test_unknown_root_is_named(pki: Pki) -> None:
    card = OWN["card_certificate"].replace("\n", "")
    refused = pki("verify", card, *DAY)
    assert refused["error"]["kind"] == "UnknownIssuer"
    assert "no root at hand" in refused.error_text


@pytest.mark.parametrize("content", ["", "{}", '{"reference": "00", "modulus": "00"}', "[]"])
def test_root_that_is_none_is_one_sentence(pki: Pki, tmp_path: Path, content: str) -> None:
    path = tmp_path / "root.json"
    path.write_text(content)
    refused = pki("verify", "--root", path, OWN["ca_certificate"], *DAY)
    assert refused.status == 1
    assert "reference" in refused.error_text


def test_root_that_is_not_there_is_one_sentence(pki: Pki, tmp_path: Path) -> None:
    refused = pki("verify", "--root", tmp_path / "nowhere", OWN["ca_certificate"], *DAY)
    assert "No such file" in refused.error_text


def test_day_of_the_machine_is_the_default(pki: Pki) -> None:
    verified = pki("verify", PUBLISHED["ca_certificate"].replace("\n", ""))
    assert verified["ok"] is True
