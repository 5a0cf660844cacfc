"""The commands and their options. Each body imports what it needs when it runs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

import cardbench
from cardbench.scenarios.backends import KINDS
from cardbench.scenarios.cli import DEFAULT_WALLET_PIN, WALLET_LINES
from cardbench.scenarios.cli.card import card_app
from cardbench.scenarios.cli.pki_app import pki_app
from cardbench.scenarios.cli.sam import sam_app

BACKENDS = "; ".join(f"[bold]{kind.name}[/]: {kind.summary}" for kind in KINDS)

app = typer.Typer(
    name="cardbench",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,
    epilog="[bold]Start here:[/] cardbench stories, then cardbench run validation --trace",
)

app.add_typer(card_app, name="card")
app.add_typer(sam_app, name="sam")
app.add_typer(pki_app, name="pki")

StrictT0 = Annotated[
    bool,
    typer.Option(
        "--strict-t0", help="Software cards with contacts (the SAM) carry T=0 alone, strictly."
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        "--seed", min=0, help="Where all randomness comes from; without it a seed is drawn."
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on standard output, nothing else.")
]


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"cardbench {cardbench.__version__}")
        raise typer.Exit


@app.callback()
def root(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an error came from; may stand anywhere.")
    ] = False,
) -> None:
    """Software smart cards, virtual readers and a terminal stack on one bench."""


@app.command(
    help="Play a story: a terminal does its work with the cards in its readers.\n\n"
    "Told are the steps, what was seen and decided, and what each reader carried. An exchange is one "
    "group of commands with its answers. The exit status is 0 when the story comes to the end that it "
    "promises.",
    epilog="[bold]Examples[/]\n\n"
    "cardbench run validation\n\n"
    "cardbench run validation --trace --seed 7   (every APDU; seed 7 gives the same bytes each time)\n\n"
    "cardbench run identify --json | jq .outcome.serial\n\n"
    "cardbench run sale --sequence   (what went to whom, exchange by exchange)\n\n"
    "cardbench run sale --mermaid > sale.mmd   (the same as a diagram)\n\n"
    "cardbench run validation --repeat 1000   (fresh cards each time, seeds one after the other)\n\n"
    "cardbench run validation --card gate.card --sam gate.sam   (cards in files, which live on)\n\n"
    "cardbench run identify --backend readers --card-reader Omnikey   (a real card in that reader)",
)
def run(
    story: Annotated[str, typer.Argument(help="Which story; `cardbench stories` lists them.")],
    *,
    backend: Annotated[
        str, typer.Option("--backend", "-b", help=f"How cards come to the terminal. {BACKENDS}.")
    ] = KINDS[0].name,
    card_reader: Annotated[
        str | None,
        typer.Option(
            "--card-reader",
            help="With --backend readers: a part of the reader's name, or a pattern; or PLUGIN:READER, a "
            "reader of an installed plug-in.",
        ),
    ] = None,
    sam_reader: Annotated[
        str | None, typer.Option("--sam-reader", help="The same, for the reader of the SAM.")
    ] = None,
    allow_write: Annotated[
        str | None,
        typer.Option(
            "--allow-write",
            metavar="SERIAL",
            help="With --backend readers: the card that the story may change. A story that changes keys, "
            "PIN, value or status is refused without it; `cardbench run identify` says the serial number.",
        ),
    ] = None,
    card_file: Annotated[
        Path | None,
        typer.Option(
            "--card",
            metavar="FILE",
            help="Play with the Calypso card in this file, as it is; what changes on it stays.",
        ),
    ] = None,
    sam_file: Annotated[
        Path | None, typer.Option("--sam", metavar="FILE", help="The same, with the SAM in it.")
    ] = None,
    begins: Annotated[
        datetime | None,
        typer.Option(
            "--at",
            formats=["%Y-%m-%dT%H:%M", "%Y-%m-%d"],
            help="When the story begins, without it 2026-01-05T08:00, or now with --backend readers; a card "
            "that lives on remembers the last time.",
        ),
    ] = None,
    strict_t0: StrictT0 = False,
    seed: Seed = None,
    repeat: Annotated[
        int, typer.Option("--repeat", min=1, help="Play it so many times, seed after seed.")
    ] = 1,
    json: AsJson = False,
    trace: Annotated[bool, typer.Option("--trace", help="Show every APDU.")] = False,
    sequence: Annotated[
        bool,
        typer.Option(
            "--sequence", help="Tell the exchanges, each with its commands by name and its outcome."
        ),
    ] = False,
    mermaid: Annotated[
        bool,
        typer.Option(
            "--mermaid",
            help="Print the sequence as a Mermaid diagram on standard output, nothing else.",
        ),
    ] = False,
    show_secrets: Annotated[
        bool, typer.Option("--show-secrets", help="Do not hide plain PINs in the trace.")
    ] = False,
) -> None:
    """Play a story."""
    from cardbench.scenarios.cli.play import PlayOptions, play

    play(
        story,
        PlayOptions(
            backend=backend,
            card_reader=card_reader,
            sam_reader=sam_reader,
            allow_write=allow_write,
            card_file=card_file,
            sam_file=sam_file,
            begins=begins and begins.replace(tzinfo=UTC),
            strict_t0=strict_t0,
            seed=seed,
            repeat=repeat,
            as_json=json,
            with_trace=trace,
            with_sequence=sequence,
            as_mermaid=mermaid,
            with_secrets=show_secrets,
        ),
    )


@app.command()
def readers(*, json: AsJson = False) -> None:
    """List the readers that PC/SC shows, and the cards in them."""
    from cardbench.scenarios.cli.pcsc import tell_readers

    tell_readers(as_json=json)


Presets = "Presets, such as bench, sam:bench or wallet, or card files; without any, a Calypso card and a SAM."


@app.command(
    help="Plug cards into readers for other programs, until stopped with Ctrl-C.\n\n"
    "By default the readers are those of a PC/SC service of your own, which needs no root: programs that "
    "have the printed variable in their environment see it. With --vpcd they are those of this machine's "
    "pcscd, which every program sees.",
    epilog="[bold]Examples[/]\n\ncardbench up\n\ncardbench up card:bench sam:bench --vpcd\n\n"
    "cardbench up gate.card gate.sam   (cards in files: what other programs change on them stays)\n\n"
    "cardbench up wallet   (its PIN is 31323334)",
)
def up(
    presets: Annotated[
        list[str] | None, typer.Argument(help=Presets, metavar="[PRESET]...")
    ] = None,
    *,
    vpcd: Annotated[
        bool, typer.Option("--vpcd", help="Plug into this machine's pcscd instead.")
    ] = False,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="Where the socket is made; a folder that is yours alone."),
    ] = None,
    strict_t0: StrictT0 = False,
    seed: Seed = None,
) -> None:
    """Plug cards in and keep them there."""
    from cardbench.scenarios.cli.pcsc import stay_up

    stay_up(presets or [], vpcd=vpcd, folder=folder, strict_t0=strict_t0, seed=seed)


@app.command(
    help="Run any PC/SC program against cards of its own, and end with its exit status.\n\n"
    "Nobody else sees these cards; they are gone when the program ends.",
    epilog="[bold]Examples[/]\n\n"
    "cardbench pcsc -- opensc-tool --list-readers\n\n"
    "cardbench pcsc --plug card:bench -- pcsc_scan -r",
)
def pcsc(
    command: Annotated[list[str], typer.Argument(help="The program and its arguments, behind --.")],
    *,
    plug: Annotated[
        list[str] | None, typer.Option("--plug", help=Presets, metavar="PRESET")
    ] = None,
    strict_t0: StrictT0 = False,
    seed: Seed = None,
) -> None:
    """Run a PC/SC program on a bench of its own."""
    from cardbench.scenarios.cli.pcsc import run_program

    raise typer.Exit(run_program(command, plug or [], strict_t0=strict_t0, seed=seed))


@app.command()
def stories(*, json: AsJson = False) -> None:
    """List the stories that `cardbench run` plays, and what each needs in the readers."""
    from cardbench.scenarios.cli.show import print_json, print_stories
    from cardbench.scenarios.stories import STORIES, find_story

    found = [find_story(name) for name in STORIES]
    if json:
        listed = [
            {"name": story.name, "summary": story.summary, "readers": list(story.needs)}
            for story in found
        ]
        print_json({"stories": listed})
    else:
        print_stories(found)


@app.command(
    WALLET_LINES,
    help="A Java Card with a Wallet, spoken to line by line: command APDUs in hexadecimal on standard input, "
    "response APDUs on standard output.\n\n"
    "The Wallet is installed, not selected. RESET answers ATR and the answer to reset; NEW, or NEW and a "
    "PIN, takes another card and answers OK. Blank lines and lines that begin with # have no answer; what is "
    "no hexadecimal is answered with ! and a name.",
    epilog="[bold]Example[/]\n\nprintf '00A4040008F234123456100001\\nB050000002\\n' | cardbench wallet-lines",
)
def wallet_lines(
    *,
    pin: Annotated[
        str, typer.Option("--pin", help="PIN of the Wallet: 1 to 8 bytes in hexadecimal.")
    ] = DEFAULT_WALLET_PIN,
) -> None:
    """Speak to a Wallet line by line."""
    from cardbench.scenarios.cli.wallet_lines import run as run_wallet_lines

    run_wallet_lines(pin)


@app.command(
    help="Tear a story: cut the card's power before, inside and after every write of its memory, again at "
    "every write of the recovery that follows, and after every command.\n\n"
    "After each cut the card must be as before or as after the story, never a mixture; its transaction "
    "counter may have moved one step, never back; and the story, played again, must come to its end.",
    epilog="[bold]Examples[/]\n\ncardbench tear validation\n\ncardbench tear sale --seed 7 --json",
)
def tear(
    story: Annotated[str, typer.Argument(help="Which story; `cardbench stories` lists them.")],
    *,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed", min=0, help="Where all randomness comes from; without it a seed is drawn."
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """Tear a story."""
    from cardbench.scenarios.cli.tear import tear as tear_story

    tear_story(story, seed=seed, as_json=json)


@app.command(
    help="Pull card and SAM out of their readers in the middle of a story: before every command, and again "
    "before its answer.\n\n"
    "After each pull the terminal must have ended in the documented error, with an image of the card that is "
    "true; card and SAM must hold what the commands before made of them; the same readers must serve the "
    "next card; and the pulled card must be recovered, or refused as just used, when it comes to a gate.",
    epilog="[bold]Examples[/]\n\ncardbench pull validation\n\n"
    "cardbench pull multiple-sessions --seed 7 --json\n\n"
    "cardbench pull validation --backend rootless   (the same through PC/SC)",
)
def pull(
    story: Annotated[str, typer.Argument(help="Which story; `cardbench stories` lists them.")],
    *,
    backend: Annotated[
        str,
        typer.Option(
            "--backend",
            "-b",
            help="Which readers: in-process, or rootless for the way through PC/SC.",
        ),
    ] = KINDS[0].name,
    seed: Seed = None,
    json: AsJson = False,
) -> None:
    """Pull card and SAM out of a story."""
    from cardbench.scenarios.cli.pull import pull as pull_story

    pull_story(story, backend=backend, seed=seed, as_json=json)


@app.command(
    help="Tell what this machine can do, what is missing, and the command that mends it.\n\n"
    "The exit status is 1 where the bench cannot run at all, 0 otherwise: a missing part that only some "
    "work needs is named, no more."
)
def doctor(*, json: AsJson = False) -> None:
    """Examine the machine."""
    from cardbench.scenarios.cli.doctor import examine, is_fit
    from cardbench.scenarios.cli.show import print_findings, print_json

    findings = examine()
    if json:
        print_json(
            {
                "ok": is_fit(findings),
                "version": cardbench.__version__,
                "findings": [finding.as_json() for finding in findings],
            }
        )
    else:
        print_findings(findings)
    if not is_fit(findings):
        raise typer.Exit(1)
