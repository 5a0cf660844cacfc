"""The commands `cardbench pki …` and their options. Each body imports what it needs when it runs."""

from __future__ import annotations

from enum import Enum, unique
from typing import Annotated

import typer

pki_app = typer.Typer(
    name="pki",
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Certificates of the Calypso PKI: issue a test chain, show one in words, verify a chain.",
)

AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on standard output, nothing else.")
]
Today = Annotated[
    str | None,
    typer.Option("--today", help="Day that dates are checked against, YYYY-MM-DD; else this day."),
]
Roots = Annotated[
    list[str] | None,
    typer.Option("--root", help="File of a root (JSON: reference, modulus). May be repeated."),
]
CERTIFICATE_HELP = "a file of bytes or of hexadecimal text, or hexadecimal text"


@unique
class ScopeName(Enum):
    """Scopes as they are written on the command line."""

    TEST = "test"
    PRODUCTION = "production"
    UNRESTRICTED = "unrestricted"


@unique
class ExpiryName(Enum):
    """Expiry rules as they are written on the command line."""

    REFUSE = "refuse"
    WARN = "warn"


@pki_app.command(
    help="Issue a chain for tests: a root, a CA certificate below it, a card certificate below that.\n\n"
    "Root and CA have public test keys, known to everybody, unless fresh ones are asked for. The folder "
    "gets the root, both certificates, and all private keys.",
    epilog="[bold]Examples[/]\n\n"
    "cardbench pki issue chain\n\n"
    "cardbench pki issue chain --fresh-keys --serial 00000000C0FFEE01 --end 2030-12-31",
)
def issue(
    folder: Annotated[str, typer.Argument(help="Where the files go; it is made if need be.")],
    *,
    aid: Annotated[str, typer.Option("--aid", help="DF name of the card's application.")] = (
        "A000000291FF9101"
    ),
    serial: Annotated[str, typer.Option("--serial", help="Serial number, 8 bytes.")] = (
        "0000000011223344"
    ),
    startup: Annotated[
        str, typer.Option("--startup", help="Startup information, 7 bytes.")
    ] = "0A3C3B02141001",
    index: Annotated[int, typer.Option("--index", min=0, help="Card index.")] = 0,
    start: Annotated[
        str | None, typer.Option("--start", help="First day of both certificates; else no limit.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--end", help="Last day of both certificates; else no limit.")
    ] = None,
    scope: Annotated[ScopeName, typer.Option("--scope", help="Scope of the CA.")] = ScopeName.TEST,
    target_aid: Annotated[
        str | None, typer.Option("--target-aid", help="AID that the CA may certify; else any.")
    ] = None,
    longer_aid: Annotated[
        bool, typer.Option("--longer-aid", help="Every AID that begins so, too.")
    ] = False,
    fresh_keys: Annotated[
        bool, typer.Option("--fresh-keys", help="Random keys for root and CA.")
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option("--seed", min=0, help="Make the card's key of this; else it is random."),
    ] = None,
    today: Today = None,
    json: AsJson = False,
) -> None:
    """Issue a test chain."""
    from cardbench.protocol.calypso.pki.ca_certificate import Scope
    from cardbench.scenarios.cli.pki import IssueOptions
    from cardbench.scenarios.cli.pki import issue as issue_chain

    issue_chain(
        IssueOptions(
            folder=folder,
            aid=aid,
            serial=serial,
            startup=startup,
            index=index,
            start=start,
            end=end,
            scope=Scope[scope.name],
            target_aid=target_aid,
            longer_aid=longer_aid,
            fresh_keys=fresh_keys,
            seed=seed,
            today=today,
            as_json=json,
        )
    )


@pki_app.command(
    help="Show a certificate in words, whatever is wrong with it.\n\n"
    "What a card certificate carries in its signature (dates, key) is shown if a key at hand opens it: "
    "the test roots, the public test CA, and what --root and --ca name."
)
def show(
    certificate: Annotated[str, typer.Argument(help=CERTIFICATE_HELP)],
    *,
    root: Roots = None,
    ca: Annotated[
        list[str] | None,
        typer.Option("--ca", help="Certificate of the CA that signed it. May be repeated."),
    ] = None,
    json: AsJson = False,
) -> None:
    """Show a certificate."""
    from cardbench.scenarios.cli.pki import show as show_certificate

    show_certificate(certificate, roots=root or (), cas=ca or (), as_json=json)


@pki_app.command(
    help="Verify a chain: CA certificates from the root down, then perhaps a card certificate.\n\n"
    "Without --root the chain must end at one of the test roots. The refusal names the step that failed; "
    "the exit status is then 1.",
    epilog="[bold]Example[/]\n\n"
    "cardbench pki verify --root chain/root.json chain/ca-certificate.bin chain/card-certificate.bin",
)
def verify(
    certificates: Annotated[list[str], typer.Argument(help=f"Each {CERTIFICATE_HELP}.")],
    *,
    root: Roots = None,
    today: Today = None,
    expiry: Annotated[
        ExpiryName, typer.Option("--expiry", help="What an end date in the past leads to.")
    ] = ExpiryName.REFUSE,
    production: Annotated[
        bool, typer.Option("--production", help="Verify as in production: test scope is refused.")
    ] = False,
    chain_max: Annotated[
        int, typer.Option("--chain-max", min=0, help="Most CA certificates in the chain.")
    ] = 3,
    serial: Annotated[
        str | None, typer.Option("--serial", help="Serial number that the card has, 8 bytes.")
    ] = None,
    aid: Annotated[str | None, typer.Option("--aid", help="DF name that was selected.")] = None,
    json: AsJson = False,
) -> None:
    """Verify a chain."""
    from cardbench.protocol.calypso.pki.verification import ExpiryRule
    from cardbench.scenarios.cli.pki import VerifyOptions
    from cardbench.scenarios.cli.pki import verify as verify_chain

    verify_chain(
        VerifyOptions(
            certificates=tuple(certificates),
            roots=tuple(root or ()),
            today=today,
            expiry=ExpiryRule[expiry.name],
            production=production,
            ca_certificates_max=chain_max,
            serial=serial,
            aid=aid,
            as_json=json,
        )
    )
