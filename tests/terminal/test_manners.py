"""Python manners of the terminal stack: one error tree, nothing global, threads told, types published."""

from __future__ import annotations

import ast
import dataclasses
import enum
import importlib
import inspect
import pkgutil
from typing import TYPE_CHECKING, Any

import pytest

import cardbench
from cardbench import terminal
from cardbench.protocol.errors import CardbenchError, UsageError
from cardbench.terminal.calypso import (
    AsymmetricSecuritySetting,
    CalypsoCard,
    CalypsoSelection,
    SecurePkiModeTransactionManager,
    SecureSymmetricTransactionManager,
    SymmetricSecuritySetting,
    TransactionManager,
)
from cardbench.terminal.card import CardChannel, Handle, Journal
from cardbench.terminal.generic import GenericTransaction
from cardbench.terminal.legacy_sam import (
    BasicSignature,
    LegacySamCryptoFactory,
    SamAsyncCreator,
    SamAsyncExecutor,
    SamFreeTransaction,
    SamResourceService,
    SamSecureWriteTransaction,
    SamSecuritySetting,
)
from cardbench.terminal.readers import Reader
from cardbench.terminal.readers.observation import ObservableCardReader
from cardbench.terminal.readers.pcsc import PcscReader
from cardbench.terminal.selection import CardSelectionManager, IsoCardSelector

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

MODULES: list[ModuleType] = [
    importlib.import_module(found.name)
    for found in pkgutil.walk_packages(terminal.__path__, "cardbench.terminal.")
]


def classes() -> Iterator[type[Any]]:
    for module in MODULES:
        for value in vars(module).values():
            if inspect.isclass(value) and value.__module__ == module.__name__:
                yield value


def test_every_error_of_the_stack_is_in_the_one_tree() -> None:
    own = [each for each in classes() if issubclass(each, BaseException)]
    assert len(own) >= 3
    for each in own:
        assert issubclass(each, CardbenchError)


def test_nothing_is_raised_that_is_not_in_the_tree() -> None:
    """But what marks a method of a protocol, or a handle, as somebody else's work."""
    raised = {
        node.exc.func.id
        for module in MODULES
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and isinstance(node.exc.func, ast.Name)
    }
    for name in raised:
        known = [getattr(module, name) for module in MODULES if hasattr(module, name)]
        assert all(issubclass(each, CardbenchError) for each in known if inspect.isclass(each))
    assert len(raised) > 15


def test_nothing_is_global() -> None:
    """No module keeps anything: no `global`, and no object of the stack's own made at import."""
    for module in MODULES:
        tree = ast.parse(inspect.getsource(module))
        assert not any(isinstance(node, ast.Global) for node in ast.walk(tree))
        for name, value in vars(module).items():
            kind = type(value)
            if kind.__module__.startswith("cardbench.terminal") and not name.startswith("_"):
                assert isinstance(value, (enum.Enum, frozenset, tuple)), f"{module.__name__}.{name}"


STATEFUL = (
    AsymmetricSecuritySetting,
    CalypsoCard,
    CalypsoSelection,
    CardChannel,
    CardSelectionManager,
    GenericTransaction,
    Journal,
    LegacySamCryptoFactory,
    ObservableCardReader,
    PcscReader,
    Reader,
    SamAsyncCreator,
    SamAsyncExecutor,
    SamFreeTransaction,
    SamResourceService,
    SamSecureWriteTransaction,
    SecurePkiModeTransactionManager,
    SecureSymmetricTransactionManager,
    TransactionManager,
)


@pytest.mark.parametrize("kind", STATEFUL)
def test_what_has_a_state_says_what_threads_may_do_with_it(kind: type[Any]) -> None:
    told = f"{kind.__doc__} {inspect.getdoc(inspect.getmodule(kind))}"
    assert "thread" in told.casefold()


def test_every_public_class_and_method_says_what_it_is() -> None:
    for each in classes():
        if each.__name__.startswith("_"):
            continue
        assert each.__doc__, each
        for name, member in vars(each).items():
            function = member.fget if isinstance(member, property) else member
            if inspect.isfunction(function) and not name.startswith("_"):
                assert inspect.getdoc(function), f"{each.__name__}.{name}"


def test_settings_and_filters_are_frozen_values() -> None:
    for kind in (SymmetricSecuritySetting, SamSecuritySetting, BasicSignature, IsoCardSelector):
        assert dataclasses.is_dataclass(kind)
        assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    selector = IsoCardSelector(aid=bytes(5))
    with pytest.raises(dataclasses.FrozenInstanceError):
        selector.aid = None  # type: ignore[misc]
    assert selector == IsoCardSelector(aid=bytes(5))


def test_enumerations_have_no_two_names_for_one_thing() -> None:
    own = [each for each in classes() if issubclass(each, enum.Enum)]
    assert len(own) > 12
    for each in own:
        assert len(each.__members__) == len(list(each))


@pytest.mark.parametrize(
    "kind",
    [
        CardChannel.__enter__,
        SecureSymmetricTransactionManager.secure_session,
        SecurePkiModeTransactionManager.secure_session,
        ObservableCardReader.detecting,
        ObservableCardReader.card_processing,
        SamResourceService.resource,
    ],
)
def test_what_must_be_ended_can_be_a_with_block(kind: Any) -> None:  # noqa: ANN401
    assert "with` block" in inspect.getdoc(kind)


def test_every_prepare_call_gives_a_typed_handle() -> None:
    """Selection extensions alone give none: their results are in the image of each card."""
    for kind in (TransactionManager, GenericTransaction, SamFreeTransaction):
        prepared = [name for name in dir(kind) if name.startswith("prepare_")]
        assert prepared
        for name in prepared:
            returns = inspect.signature(getattr(kind, name)).return_annotation
            assert str(returns).startswith("Handle["), name
    assert Handle.__parameters__  # type: ignore[attr-defined]


def test_a_wrong_argument_is_a_value_error() -> None:
    assert issubclass(UsageError, ValueError)


def test_types_are_published(repository: Path) -> None:
    assert (repository / "src" / "cardbench" / "py.typed").exists()
    assert "Typing :: Typed" in (repository / "pyproject.toml").read_text("utf-8")
    assert cardbench.__all__
