"""The commands and their options. Each body imports what it needs when it runs."""

from __future__ import annotations

from typing import Annotated

import typer

import cardbench

app = typer.Typer(
    name="cardbench",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


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
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
) -> None:
    """Software smart cards, virtual readers and a terminal stack on one bench."""


@app.command()
def doctor(
    *,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of a table.")
    ] = False,
) -> None:
    """Tell what this machine can do, what is missing, and the command that mends it.

    The exit status is 1 where the bench cannot run at all, 0 otherwise: a missing part that only some
    work needs is named, no more.
    """
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
