"""`cardbench sam`: make SAMs, look into them, write them down and read them back.

A SAM that lives on is a card file (`emulator.storage`); as JSON it is a document that people can read
and change. Key values never show, but in an exported document, whose purpose they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cardbench.sam_emulator.document import SamDocument
    from cardbench.sam_emulator.personalisation import Personalisation

SEED_BYTES = 32

sam_app = typer.Typer(
    no_args_is_help=True, help="Make SAMs, look into them, write them down and read them back."
)

CardPath = Annotated[Path, typer.Argument(metavar="FILE", help="The SAM's card file.")]


@sam_app.command(
    "new",
    help="Make a SAM from a preset, or from a TOML file, and keep it in a card file.\n\n"
    "Presets: bench, locked, control, pki, and one for each product: sam-c1, hsm-c1, sam-s1e1, sam-s1dx.",
    epilog="[bold]Examples[/]\n\n"
    "cardbench sam new bench gate.sam --serial AEC11A36\n\n"
    "cardbench sam new my-sam.toml gate.sam --answer-delay 0.05",
)
def new(
    preset: Annotated[str, typer.Argument(help="A preset, or a TOML file of your own.")],
    file: CardPath,
    *,
    serial: Annotated[
        str | None, typer.Option(help="Serial number, 8 hexadecimal digits.", metavar="HEX")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, help="Where its randomness comes from; without it the system is asked."
        ),
    ] = None,
    answer_delay: Annotated[
        float | None, typer.Option(help="Seconds that every answer comes late.", metavar="SECONDS")
    ] = None,
    busy_delay: Annotated[
        float | None,
        typer.Option(
            help="Seconds that a failed PSO verification keeps it busy.", metavar="SECONDS"
        ),
    ] = None,
) -> None:
    """Make a SAM."""
    import os

    from cardbench.emulator.chassis import Entropy, EntropyState, Snapshot
    from cardbench.emulator.storage import CardFile
    from cardbench.protocol.calypso.suite import load_suite
    from cardbench.protocol.hexadecimal import from_hex, to_hex
    from cardbench.sam_emulator import SamCard
    from cardbench.sam_emulator.personalisation import personalise
    from cardbench.scenarios.card_files import SAM, labels

    suite = load_suite()
    personalisation = _personalisation(preset).with_delays(answer_delay, busy_delay)
    memory = personalise(
        personalisation, suite=suite, serial=None if serial is None else from_hex(serial)
    )
    first = os.urandom(SEED_BYTES) if seed is None else f"{seed}/sam".encode()
    sam = SamCard(memory, entropy=Entropy(first), suite=suite)
    snapshot = Snapshot(memory.image(), EntropyState(first, 0), 0.0)
    CardFile.create(file, snapshot, labels=labels(SAM, suite.name)).close()
    print(f"{file}: {personalisation.product}, serial number {to_hex(sam.serial)}")


@sam_app.command(
    "show",
    help="Show a SAM: keys by KIF/KVC with their parameters, event counters against their ceilings.",
    epilog="[bold]Examples[/]\n\ncardbench sam show gate.sam\n\ncardbench sam show control --json",
)
def show(
    what: Annotated[
        str, typer.Argument(metavar="FILE|PRESET", help="A card file, a JSON document or a preset.")
    ],
    *,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on standard output, nothing else.")
    ] = False,
    every: Annotated[
        bool, typer.Option("--all", help="Show the counters that nothing uses, too.")
    ] = False,
) -> None:
    """Show a SAM."""
    from cardbench.scenarios.cli.sam_view import as_json, print_sam
    from cardbench.scenarios.cli.show import print_json

    document = _document(what)
    if json:
        print_json(as_json(document))
    else:
        print_sam(document, with_all=every)


@sam_app.command(
    "export",
    help="Write a SAM down as JSON, with its keys, counters and randomness.\n\n"
    "The document holds the key values: import needs them.",
)
def export_document(
    file: CardPath,
    target: Annotated[
        Path | None,
        typer.Argument(metavar="[JSON]", help="Where to; standard output without it."),
    ] = None,
) -> None:
    """Write a SAM down."""
    from cardbench.sam_emulator.document import encode_document
    from cardbench.scenarios.cli.files import write_secret

    text = encode_document(_document(str(file)))
    if target is None:
        print(text, end="")
        return
    write_secret(target, text)


@sam_app.command("import", help="Make a card file from a JSON document.")
def import_document(
    document: Annotated[Path, typer.Argument(metavar="JSON", help="What export wrote.")],
    file: CardPath,
) -> None:
    """Read a SAM back."""
    from cardbench.emulator.storage import CardFile
    from cardbench.protocol.hexadecimal import to_hex
    from cardbench.sam_emulator.document import parse_document, snapshot_of
    from cardbench.scenarios.card_files import SAM, labels
    from cardbench.scenarios.cli.files import read_text

    read = parse_document(read_text(document), str(document))
    CardFile.create(file, snapshot_of(read), labels=labels(SAM)).close()
    print(f"{file}: {read.product}, serial number {to_hex(read.serial)}")


def _personalisation(name: str) -> Personalisation:
    from cardbench.sam_emulator.personalisation import load_preset, parse_personalisation
    from cardbench.scenarios.cli.files import read_text

    path = Path(name)
    if path.suffix == ".toml":
        return parse_personalisation(read_text(path), name)
    return load_preset(name)


def _document(name: str) -> SamDocument:
    """Return the SAM of a preset, of a JSON document or of a card file."""
    from cardbench.emulator.chassis import EntropyState, Snapshot
    from cardbench.protocol.calypso.suite import load_suite
    from cardbench.sam_emulator.document import document_of, parse_document
    from cardbench.sam_emulator.personalisation import load_preset, personalise, presets
    from cardbench.scenarios.card_files import SAM, snapshot_in
    from cardbench.scenarios.cli.files import read_text

    path = Path(name)
    if name in presets() and not path.exists():
        memory = personalise(load_preset(name), suite=load_suite())
        return document_of(Snapshot(memory.image(), EntropyState(b"", 0), 0.0))
    if path.suffix == ".json":
        return parse_document(read_text(path), name)
    return document_of(snapshot_in(path, SAM))
