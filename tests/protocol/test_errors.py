"""The error tree: drawn as it is, reachable, and safe to hand from process to process."""

from __future__ import annotations

import copy
import pickle
import re
from typing import TYPE_CHECKING

import pytest

from cardbench.protocol import errors
from cardbench.protocol.errors import (
    CardbenchError,
    CardError,
    CertificateExpired,
    FileNotFound,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


def below(parent: type[CardbenchError]) -> Iterator[type[CardbenchError]]:
    for child in parent.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from below(child)


def drawn_tree() -> dict[str, tuple[str, str]]:
    """Return name → (parent, text behind the name) of the drawing in the module's docstring."""
    assert errors.__doc__
    found: dict[str, tuple[str, str]] = {}
    branch: list[str] = []
    for line in errors.__doc__.splitlines():
        match = re.fullmatch(r"    ((?:[│ ]   )*)(├── |└── )?(\w+) *(.*)", line)
        if not match or (not match[2] and match[3] != "CardbenchError"):
            continue
        depth = len(match[1]) // 4 + bool(match[2])
        found[match[3]] = (branch[depth - 1] if depth else "", match[4])
        branch[depth:] = [match[3]]
    return found


def test_the_drawing_shows_the_classes_as_they_are() -> None:
    drawn = {name: parent for name, (parent, _) in drawn_tree().items()}
    real = {child.__name__: child.__bases__[0].__name__ for child in below(CardbenchError)}
    assert drawn == {"CardbenchError": "", **real}


def test_the_drawing_names_the_status_words_of_each_card_error() -> None:
    drawn = drawn_tree()
    for child in CardError.__subclasses__():
        words = ", ".join(f"{word:04X}" for word in sorted(child.status_words))
        assert drawn[child.__name__][1] == words


def test_the_drawing_has_one_root_and_no_dangling_branch() -> None:
    assert errors.__doc__
    lines = [line for line in errors.__doc__.splitlines() if "──" in line]
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        column = line.index("──") - 1
        continues = len(following) > column and following[column] in "├└│"
        assert (line[column] == "├") is continues, line


@pytest.mark.parametrize("child", CardError.__subclasses__())
def test_every_status_word_with_a_meaning_reaches_its_error(child: type[CardError]) -> None:
    assert child.status_words
    for sw in child.status_words:
        assert type(CardError.of(sw, "Read Record")) is child


def test_no_two_card_errors_claim_one_status_word() -> None:
    words = [sw for child in CardError.__subclasses__() for sw in child.status_words]
    assert len(words) == len(set(words))


def test_a_status_word_without_a_meaning_is_a_plain_card_error() -> None:
    assert type(CardError.of(0x6F12, "Read Record")) is CardError


def test_a_card_error_says_what_was_sent_what_came_and_what_was_allowed() -> None:
    error = CardError.of(0x6A82, "Select File 00A4…", (0x9000, 0x6283))
    assert str(error) == "Select File 00A4…: the card answered 6A82, allowed: 9000, 6283"
    assert (error.sw, error.command, error.allowed) == (
        0x6A82,
        "Select File 00A4…",
        (0x9000, 0x6283),
    )


@pytest.mark.parametrize(
    "error",
    [
        UsageError("no"),
        CardError(0x6F00, "Get Data"),
        CardError.of(0x6A82, "Get Data"),
        errors.SessionBufferOverflow("Update Record", 35, 10),
        errors.UnauthorizedKey("key 30/79 is not allowed", 0x30, 0x79),
        CertificateExpired("card certificate", "valid to 2001-01-01"),
    ],
)
def test_errors_survive_copying_and_another_process(error: CardbenchError) -> None:
    sent = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    for twin in (copy.copy(error), copy.deepcopy(error), sent):
        assert type(twin) is type(error)
        assert str(twin) == str(error)
        assert vars(twin) == vars(error)


def test_a_usage_error_is_a_value_error_and_the_others_are_not() -> None:
    assert issubclass(UsageError, ValueError)
    assert [child for child in below(CardbenchError) if issubclass(child, ValueError)] == [
        UsageError,
        *below(UsageError),
    ]
    assert not issubclass(FileNotFound, OSError)
