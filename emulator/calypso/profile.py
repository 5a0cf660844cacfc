"""What a product type does, as data: the files in `profiles/`, read and checked.

Source: our choice; calypso-card §1 says what each field of a profile is about.
"""

from __future__ import annotations

import difflib
import tomllib
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from cardbench.emulator.calypso import commands as _handlers  # noqa: F401 - they fill the table
from cardbench.emulator.calypso.table import COMMANDS
from cardbench.emulator.calypso.words import Byte
from cardbench.protocol.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Part(BaseModel):
    """Part of a card's description: no unknown names, no changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


PartType = TypeVar("PartType", bound=Part)


class ProfileModel(Part):
    """What a product type does.

    Attributes:
        name, description: for people.
        application_types: ranges of startup byte 2 that such a product has.
        classes: CLA values accepted for every command.
        select_classes: further ones for Select Application.
        stored_value_classes: further ones for the SV commands.
        options: option bits of startup byte 2 that mean something.
        deselect_ratifies: always, never, or unless the option "ratification command required" is set.
        buffer_operations: session buffer in modifying commands; 0: bytes, by the modification byte.
        postpones_counters: in a session, Increase and Decrease give their result with Close.
        algorithms: ALG values that Change Key accepts.
        extended_only_algorithms: ALG values of keys that open no regular session.
        descriptor_lid_offset: where a file descriptor has its LID.
        descriptor_shows_kif: a DF's descriptor shows the KIFs.
        signed_lc_in_digest: the digest reads Lc as a signed byte, as the reference terminal does.
        has_fci: an FCI tells what the application is; otherwise the ATR does, for the whole card.
        commands: rows of the command table that the product has.
    """

    name: str
    description: str
    application_types: tuple[tuple[Byte, Byte], ...]
    classes: tuple[Byte, ...]
    select_classes: tuple[Byte, ...]
    stored_value_classes: tuple[Byte, ...]
    options: Byte
    deselect_ratifies: Literal["always", "never", "option"]
    buffer_operations: int = Field(ge=0)
    postpones_counters: bool
    algorithms: tuple[Byte, ...]
    extended_only_algorithms: tuple[Byte, ...]
    descriptor_lid_offset: Literal[20, 21]
    descriptor_shows_kif: bool
    signed_lc_in_digest: bool
    has_fci: bool = True
    commands: tuple[str, ...]

    @field_validator("commands")
    @classmethod
    def _exist(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        unknown = set(names) - {row.name for row in COMMANDS}
        if unknown:
            raise ValueError(f"no such command: {', '.join(sorted(unknown))}")
        return names


def profile_names() -> tuple[str, ...]:
    """Return the names of the packaged product profiles."""
    return names_in("profiles")


def load_profile(name: str, /, **changes: object) -> ProfileModel:
    """Read a packaged product profile.

    Args:
        name: of the profile.
        changes: fields that are different.

    Raises:
        UsageError: there is none of that name (the text lists them), or a change is not valid.
    """
    document = tomllib.loads(packaged("profiles", name, "card profile"))
    return validated(ProfileModel, document | changes, f"profile {name}")


def validated(model: type[PartType], document: Mapping[str, Any], origin: str) -> PartType:
    """Check a description.

    Raises:
        UsageError: a value is missing, unknown or out of range; the text names every place.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise UsageError(f"{origin}: {'; '.join(_complaints(error, model, document))}") from None


def _complaints(
    error: ValidationError, model: type[Part], document: Mapping[str, Any]
) -> Iterable[str]:
    found = error.errors(include_input=False, include_url=False)
    for each in found:
        if each["type"] == "too_short" and any(
            _is_within(other["loc"], each["loc"]) for other in found
        ):
            continue  # what does not fit is not counted; that it does not fit is said
        place = _place(each["loc"], document) or model.__name__.lower()
        if each["type"] == "extra_forbidden":
            yield f"{place}: no such name{_meant(str(each['loc'][-1]), _every_name(Part))}"
        else:
            message = each["msg"].removeprefix("Value error, ")
            yield f"{place}: {message.removeprefix(place.rpartition('.')[2] + ': ')}"


def _is_within(path: tuple[str | int, ...], of: tuple[str | int, ...]) -> bool:
    return len(path) > len(of) and path[: len(of)] == of


_LISTS_BY_LID = {"applications": "DF", "files": "EF"}


def _place(path: tuple[str | int, ...], document: object) -> str:
    """Say where: applications and files by their LID, anything else by its name or number."""
    words: list[str] = []
    at = document
    for part in path:
        try:
            at = at[part]  # type: ignore[index]  # what cannot be followed is caught
        except (LookupError, TypeError):
            at = None
        lid = at.get("lid") if isinstance(at, dict) else None
        if words and words[-1] in _LISTS_BY_LID and lid is not None:
            shown = f"{lid:04X}" if isinstance(lid, int) else str(lid)
            words[-1] = f"{_LISTS_BY_LID[words[-1]]} {shown}"
        else:
            words.append(str(part))
    return ".".join(words)


def _every_name(model: type[Part]) -> set[str]:
    """Return the names of all parts of a description."""
    below = (_every_name(child) for child in model.__subclasses__())
    return set(model.model_fields).union(*below)


def _meant(given: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(given, sorted(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def names_in(folder: str) -> tuple[str, ...]:
    """Return the names of the packaged TOML files of a folder."""
    found = files("cardbench.emulator.calypso").joinpath(folder).iterdir()
    return tuple(sorted(e.name.removesuffix(".toml") for e in found if e.name.endswith(".toml")))


def packaged(folder: str, name: str, what: str) -> str:
    """Return the text of a packaged TOML file.

    Raises:
        UsageError: there is none of that name; the text lists them.
    """
    known = names_in(folder)
    if name not in known:
        hint = _meant(name, known)
        raise UsageError(f"no {what} {name!r}{hint or ';'} there are: {', '.join(known)}")
    root = files("cardbench.emulator.calypso")
    return root.joinpath(folder, f"{name}.toml").read_text(encoding="utf-8")
