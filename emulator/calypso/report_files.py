"""The files of a report: which of them share their content, what is in them, what is filled in.

`ref` is read in two ways, for a report has the data reference of the card in it, and a profile the LID of
the file with which the content is shared: files of one reference share, and files that name each other.

Source: our choice; calypso-card §3.6 (references), §8.1 (simulated counters), §8.3 (logs).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from cardbench.protocol.calypso.file_header import EfType
from cardbench.protocol.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cardbench.emulator.calypso.analyzer_report import ApplicationReport, FileReport

Place: TypeAlias = "tuple[bytes, int, int]"
"""Where a file is: AID, SFI, LID."""

_COUNTERS, _SIMULATED = int(EfType.COUNTERS), int(EfType.SIMULATED_COUNTERS)
_LOG_SHAPES: Final = {(0x14, 1): "load", (0x15, 3): "debit"}
"""SFI and number of records of the Stored Value logs."""
_LOG_SIZE: Final = 29
_BINARY_SIZE: Final = 2048


class Notes:
    """What was filled in, each thing said once."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.empty: dict[int, list[int]] = {}
        """SFIs of the files without a reported content, by the LID of their DF."""

    def all(self) -> tuple[str, ...]:
        """Return everything."""
        return (
            *self.said,
            *(
                f"DF {lid:04X}: zero, for the report has no content: {', '.join(f'{n:02X}' for n in sfis)}"
                for lid, sfis in self.empty.items()
            ),
        )

    def once(self, note: str) -> None:
        """Note something."""
        if note not in self.said:
            self.said.append(note)


class ReportedFiles:
    """The files of all applications of a report.

    Args:
        origin: what to call the report in errors.
        applications: all of them.
        notes: told of what is filled in.
    """

    def __init__(
        self, origin: str, applications: Sequence[ApplicationReport], notes: Notes
    ) -> None:
        self._origin = origin
        self._applications = applications
        self._notes = notes
        self._shared = _shared_references(applications)
        self._given: set[int] = set()

    def of(self, application: ApplicationReport, *, has_purse: bool) -> Iterator[dict[str, Any]]:
        """Return the files of an application as a personalisation takes them.

        Raises:
            UsageError: a file that the emulator cannot have; the text says which.
        """
        taken = {file.lid for file in application.file_list}
        images = 0
        for file in application.file_list:
            name = f"DF {application.lid:04X}, file of SFI {file.sfi:02X}"
            fields = {
                "lid": file.lid or self._new_lid(application, file, name, taken),
                "sfi": file.sfi,
                "type": self._type(file, name),
                "records": file.num_rec,
                "size": self._size(file, name),
                "access": file.access_conditions.words,
            }
            log = _purse_log(file)
            if file.ef_type == _SIMULATED:
                images += 1
                yield fields | {"reference": file.ref or self._image(application, images)}
            elif has_purse and log:
                yield fields | {"purse_log": log}
            else:
                yield fields | self._content(application, file)

    def purse_logs(self) -> tuple[bytes, tuple[bytes, ...]]:
        """Return what is in the load log and in the debit log; empty where nothing is reported."""
        load: bytes = b""
        debits: tuple[bytes, ...] = ()
        for application in self._applications:
            for file in application.file_list:
                kind, contents = _purse_log(file), _records(file)
                if kind == "load" and contents:
                    load = contents[0]
                elif kind == "debit":
                    debits = contents
        return load, debits

    def _new_lid(
        self, application: ApplicationReport, file: FileReport, name: str, taken: set[int]
    ) -> int:
        """Make a LID up; a revision 2 card need not tell it."""
        lid = application.lid & 0xFF00 | file.sfi
        if lid in taken:
            raise UsageError(f"{self._origin}: {name} has no LID, and {lid:04X} is taken")
        taken.add(lid)
        self._notes.once(f"{name}: LID {lid:04X}, for the report has none")
        return lid

    def _type(self, file: FileReport, name: str) -> str:
        try:
            return EfType(file.ef_type).name.lower().replace("_", " ")
        except ValueError:
            raise UsageError(f"{self._origin}: {name}: no EF type {file.ef_type:02X}") from None

    def _size(self, file: FileReport, name: str) -> int:
        if file.rec_size is not None:
            return file.rec_size
        if file.ef_type != EfType.BINARY:
            raise UsageError(f"{self._origin}: {name}: recSize is missing")
        self._notes.once(f"{name}: {_BINARY_SIZE} bytes, for the report has no size")
        return _BINARY_SIZE

    def _image(self, application: ApplicationReport, number: int) -> int:
        """Return the reference of the n-th simulated counter: counter n of the counters file."""
        sfis = [each.sfi for each in application.file_list if each.ef_type == _COUNTERS]
        self._notes.once(
            f"DF {application.lid:04X}: simulated counters are images of the counters in their order"
        )
        return (sfis[0] if sfis else 0) << 8 | number

    def _content(self, application: ApplicationReport, file: FileReport) -> dict[str, Any]:
        """Return reference and content; of files that share, the first one gives it."""
        reference = self._reference(application, file)
        if reference in self._given:
            return {"reference": reference}
        if reference:
            self._given.add(reference)
        contents = _records(file) or self._contents_of(reference)
        if not contents:
            self._notes.empty.setdefault(application.lid, []).append(file.sfi)
        return {"reference": reference, "content": contents}

    def _reference(self, application: ApplicationReport, file: FileReport) -> int:
        return self._shared.get((application.aid, file.sfi, file.lid), file.ref)

    def _contents_of(self, reference: int) -> tuple[bytes, ...]:
        """Return what the report has in another file of a reference."""
        for application in self._applications:
            for file in application.file_list:
                if reference and self._reference(application, file) == reference:
                    contents = _records(file)
                    if contents:
                        return contents
        return ()


def _purse_log(file: FileReport) -> str | None:
    """Say whether a file has the shape of a Stored Value log, and of which."""
    if file.ef_type != EfType.CYCLIC or file.rec_size != _LOG_SIZE:
        return None
    return _LOG_SHAPES.get((file.sfi, file.num_rec))


def _records(file: FileReport) -> tuple[bytes, ...]:
    """Return the records in their order; one that is not there is empty."""
    by_number = {each.index: each.value for each in file.record_data_list}
    return tuple(by_number.get(n, b"") for n in range(1, max(by_number, default=0) + 1))


def _shared_references(applications: Sequence[ApplicationReport]) -> dict[Place, int]:
    """Return one reference for the files that share their content.

    It is the one that they all have, or, where they name each other, the lowest LID of them.
    """
    groups: list[list[tuple[Place, FileReport]]] = []
    for application in applications:
        for file in application.file_list:
            if not file.ref or file.ef_type == _SIMULATED:
                continue
            joined = [group for group in groups if any(_share(file, one) for _, one in group)]
            merged = [each for group in joined for each in group]
            place = (application.aid, file.sfi, file.lid)
            groups = [group for group in groups if group not in joined]
            groups.append([*merged, (place, file)])
    found: dict[Place, int] = {}
    for group in groups:
        references = {file.ref for _, file in group}
        is_named = len(references) > 1
        reference = min(file.lid for _, file in group) if is_named else references.pop()
        found |= dict.fromkeys((place for place, _ in group), reference)
    return found


def _share(one: FileReport, other: FileReport) -> bool:
    return one.ref == other.ref or (one.ref == other.lid and other.ref == one.lid)
