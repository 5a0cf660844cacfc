"""`cardbench card`: make Calypso cards, look into them, change them, write them down and read them back.

A card that lives on is a card file (`emulator.storage`); as JSON it is a document that people can read
and change. PIN and keys show only where they are asked for, and in an exported document.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

card_app = typer.Typer(
    no_args_is_help=True,
    help="Make Calypso cards, look into them, change them, write them down and read them back.",
)

CardPath = Annotated[Path, typer.Argument(metavar="FILE", help="The card's file.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on standard output, nothing else.")
]
Serial = Annotated[
    str | None, typer.Option(help="Serial number, 16 hexadecimal digits.", metavar="HEX")
]
Seed = Annotated[
    int | None,
    typer.Option(min=0, help="Where its randomness comes from; without it the system is asked."),
]
Application = Annotated[
    str,
    typer.Option(
        "--application",
        "-a",
        help="Which application: its LID, or its AID or the beginning of it; without it the first.",
        metavar="HEX",
    ),
]


@card_app.command("presets", help="List the presets: what cards there are to begin with.")
def presets(*, json: AsJson = False) -> None:
    """List the presets."""
    from cardbench.emulator.calypso.personalisation import load_preset, preset_names
    from cardbench.scenarios.cli.card_view import presets_as_json, print_presets
    from cardbench.scenarios.cli.show import print_json

    found = {name: load_preset(name) for name in preset_names()}
    if json:
        print_json({"presets": presets_as_json(found)})
    else:
        print_presets(found)


@card_app.command(
    "new",
    help="Make a card from a preset, for a story, or from a TOML file, and keep it in a card file.\n\n"
    "[bold]story:NAME[/] is the card that a story needs, with the contents it needs.",
    epilog="[bold]Examples[/]\n\n"
    "cardbench card new bench my.card\n\n"
    "cardbench card new story:validation gate.card\n\n"
    "cardbench card new my-card.toml my.card --serial 00000000AABBCCDD",
)
def new(
    preset: Annotated[
        str, typer.Argument(help="A preset, story:NAME, or a TOML file of your own.")
    ],
    file: CardPath,
    *,
    serial: Serial = None,
    seed: Seed = None,
) -> None:
    """Make a card."""
    from cardbench.scenarios.cli.card_files import described, write_card

    write_card(described(preset, serial=serial), file, seed=seed)


@card_app.command(
    "show",
    help="Show a card: applications, files with their records and counters, keys by KIF/KVC, status.",
    epilog="[bold]Examples[/]\n\ncardbench card show my.card\n\ncardbench card show kit-regular -a 2200",
)
def show(
    what: Annotated[
        str,
        typer.Argument(
            metavar="FILE|PRESET", help="A card file, a JSON document, a TOML file or a preset."
        ),
    ],
    *,
    application: Application = "",
    json: AsJson = False,
    show_secrets: Annotated[
        bool, typer.Option("--show-secrets", help="Show PIN and key values, too.")
    ] = False,
) -> None:
    """Show a card."""
    from cardbench.scenarios.cli.card_files import described
    from cardbench.scenarios.cli.card_view import card_as_json, print_card
    from cardbench.scenarios.cli.show import print_json

    card = described(what)
    if json:
        print_json(card_as_json(card, with_secrets=show_secrets))
    else:
        print_card(card, application=application, with_secrets=show_secrets)


@card_app.command(
    "set",
    help="Change what is on a card in a file: all that is asked for, or nothing.\n\n"
    "Files are named by their SFI in hexadecimal, or by their LID in four digits; records and counters are "
    "counted from 1. Options that name a file, a key or a status are about the application of "
    "--application.",
    epilog="[bold]Examples[/]\n\n"
    "cardbench card set my.card --record 09:1=0102AB --counter 19:1=5\n\n"
    "cardbench card set my.card --balance 1000 --pin 31323334 --pin-tries 1\n\n"
    "cardbench card set my.card --key 3=30/7A --invalidated\n\n"
    "cardbench card set kit.card -a 2200 --record 03:8=FF",
)
def set_contents(
    file: CardPath,
    *,
    application: Application = "",
    record: Annotated[
        list[str] | None,
        typer.Option(
            help="Content of a record; the rest of it becomes zero.", metavar="SFI:NUMBER=HEX"
        ),
    ] = None,
    binary: Annotated[
        list[str] | None,
        typer.Option(
            help="Bytes of a binary file; the rest of it stays.", metavar="SFI:OFFSET=HEX"
        ),
    ] = None,
    counter: Annotated[
        list[str] | None,
        typer.Option(help="Value of a counter.", metavar="SFI:NUMBER=VALUE"),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(
            help="KIF and KVC of key 1, 2 or 3, and its algorithm where it is to be another: the public "
            "test key of that KIF and KVC.",
            metavar="INDEX=KIF/KVC[/ALG]",
        ),
    ] = None,
    pin: Annotated[
        str | None, typer.Option(help="The PIN, 8 hexadecimal digits.", metavar="HEX")
    ] = None,
    pin_tries: Annotated[
        int | None, typer.Option(help="PIN tries left, 0 to 3; 0: blocked.")
    ] = None,
    balance: Annotated[
        int | None, typer.Option(help="Balance of the purse; its logs stay.")
    ] = None,
    sv_number: Annotated[
        int | None, typer.Option(help="Transaction number of the purse, 0 to 65535.")
    ] = None,
    transactions: Annotated[
        int | None, typer.Option(help="Transaction counter: transactions left, 0 to 16777215.")
    ] = None,
    invalidated: Annotated[
        bool | None, typer.Option("--invalidated/--valid", help="Status of the application.")
    ] = None,
    ratified: Annotated[
        bool | None,
        typer.Option("--ratified/--not-ratified", help="Whether its last session is ratified."),
    ] = None,
) -> None:
    """Change what is on a card."""
    from cardbench.scenarios.cli.card_set import Changes, set_card

    set_card(
        file,
        Changes(
            application=application,
            records=record or [],
            binaries=binary or [],
            counters=counter or [],
            keys=key or [],
            values={"pin": pin, "pin_tries": pin_tries, "transaction_counter": transactions},
            purse={"balance": balance, "transaction_number": sv_number},
            status={"invalidated": invalidated, "ratified": ratified},
        ),
    )


@card_app.command(
    "export",
    help="Write a card down as JSON, with its contents, PIN, keys and randomness.\n\n"
    "The document is the personalisation of the card as it is now; import makes the same card of it.",
)
def export_document(
    file: CardPath,
    target: Annotated[
        Path | None,
        typer.Argument(metavar="[JSON]", help="Where to; standard output without it."),
    ] = None,
) -> None:
    """Write a card down."""
    from cardbench.emulator.calypso.document import document_of, encode_document
    from cardbench.scenarios.card_files import CALYPSO, snapshot_in
    from cardbench.scenarios.cli.files import write_secret

    text = encode_document(document_of(snapshot_in(file, CALYPSO)))
    if target is None:
        print(text, end="")
    else:
        write_secret(target, text)


@card_app.command(
    "import",
    help="Make a card file from a JSON document: what export wrote, or the report that the Calypso Card "
    "Analyzer wrote of a real card.\n\n"
    "A report gives structure and data; keys, PIN and all else that it does not say are filled in, and "
    "each such thing is told. It may hold somebody's journeys: keep it and the card file to yourself.",
    epilog="[bold]Examples[/]\n\ncardbench card import my.json my.card\n\n"
    "cardbench card import 20240514_CardData_287454020.json real.card --serial 0000000011223344",
)
def import_document(
    document: Annotated[
        Path, typer.Argument(metavar="JSON", help="What export or the Card Analyzer wrote.")
    ],
    file: CardPath,
    *,
    serial: Annotated[
        str | None,
        typer.Option(
            help="For a report: another serial number than the analysed card's.", metavar="HEX"
        ),
    ] = None,
    seed: Seed = None,
) -> None:
    """Read a card back."""
    from cardbench.scenarios.cli.card_files import import_card

    import_card(document, file, serial=serial, seed=seed)
