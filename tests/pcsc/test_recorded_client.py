"""The recorded conversations are those of real clients: the machine's own library says the same today."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from support.recorded_steps import requests

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.pcsc.conftest import User


@pytest.mark.pcsc
@pytest.mark.slow
def test_this_machines_client_library_sends_what_was_recorded(
    myself: User, repository: Path, need: Callable[..., None]
) -> None:
    need("pyscard")
    done = myself.run(myself.python, myself.programs / "recorded_client.py")
    assert done.returncode == 0, done.stderr
    sent = requests(json.loads(done.stdout))
    recorded = json.loads((repository / "tests" / "vectors" / "pcsclite-clients.json").read_text())
    minor = sent[0][12]
    same = [requests(client["steps"]) for client in recorded["clients"] if client["minor"] == minor]
    assert sent in same
