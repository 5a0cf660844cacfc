"""A software card of a report: structure and data of the card that was analysed, with keys of our own.

What a report does not say is filled in, and each such thing is noted for the user:

* keys: the public test keys of their KIF and KVC; a KIF that the card does not tell is the usual one;
* algorithm of the keys: AES where the application has the extended mode, else the legacy one;
* PIN, answer to reset, transaction counter: those of the product's preset;
* contents that are not free to read, and those of binary files: zero;
* balance and number of the purse: those of the newest of its logs;
* which counter a simulated counter is the image of, where no reference says it: in their order.

Source: our choice; calypso-card §3.4 (conditions), §5.4 (usual KIFs), §6.3 (logs), §8.3.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cardbench.emulator.calypso.personalisation import Personalisation, load_preset
from cardbench.emulator.calypso.profile import load_profile, validated
from cardbench.emulator.calypso.report_files import Notes, ReportedFiles
from cardbench.protocol.calypso.fci import Fci
from cardbench.protocol.calypso.startup import ApplicationOption, StartupInformation
from cardbench.protocol.calypso.suite import load_suite, public_test_master
from cardbench.protocol.calypso.sv_log import SvDebitLog, SvLoadLog
from cardbench.protocol.errors import CardbenchError, UsageError
from cardbench.protocol.hexadecimal import to_hex

if TYPE_CHECKING:
    from cardbench.emulator.calypso.analyzer_report import ApplicationReport, CardReport

PRESETS: Final = {
    "PRIME_REVISION_1": "prime-1",
    "PRIME_REVISION_2": "prime-2",
    "PRIME_REVISION_3": "bench",
    "LIGHT": "light-classic",
    "BASIC": "basic",
}
"""By the product type as the Analyzer names it: the preset that fills in what a report does not say."""
_INVALIDATED: Final = 0x01
_MASTER_FILE: Final = 0x3F00
_STORED_VALUE_SUBTYPE: Final = 0x20
_UNKNOWN_KIF: Final = 0xFF
_USUAL_KIFS: Final = (0x21, 0x27, 0x30)
_PURSE_KIFS: Final = (0x01, 0x07, 0x10)
_LEGACY, _AES = 0x40, 0xA0
_SERIAL_SIZE: Final = 8


class FromReport(NamedTuple):
    """A card, and what was filled in: sentences for the user."""

    card: Personalisation
    notes: tuple[str, ...]


def card_from_report(report: CardReport, *, serial: bytes | None = None) -> FromReport:
    """Return the card that a report describes.

    Args:
        report: of the Analyzer, or one of its profiles.
        serial: another serial number than the analysed card's, 8 bytes.

    Raises:
        UsageError: what is reported is no card that the emulator can be; the text says where.
    """
    return _Reading(report, serial).read()


class _Reading:
    """One report being read."""

    def __init__(self, report: CardReport, serial: bytes | None) -> None:
        self.report = report
        self.notes = Notes()
        self.applications = self._distinct()
        self.preset = load_preset(self._preset_name())
        self.profile = load_profile(self.preset.profile)
        self.startups = [self._startup(each) for each in self.applications]
        self.serial = serial or self._serial()
        self.files = ReportedFiles(report.id, self.applications, self.notes)

    def read(self) -> FromReport:
        first = self.startups[0]
        fields: dict[str, Any] = {
            "name": self.report.id.removesuffix(".json") or "report",
            "description": "A card from a report of the Calypso Card Analyzer",
            "profile": self.preset.profile,
            "serial": self.serial,
            "atr": self.preset.atr,
            "traceability": self.report.traceability,
            "transaction_counter": self._transaction_counter(),
            "pin": self.preset.pin,
            **_shared_startup(first),
            "purse": self._purse(),
        }
        fields["applications"] = [
            self._application(each, startup)
            for each, startup in zip(self.applications, self.startups, strict=True)
        ]
        self.notes.once(f"PIN {to_hex(self.preset.pin)} and answer to reset are those of a preset")
        self.notes.once("keys are the public test keys of their KIF and KVC")
        return FromReport(validated(Personalisation, fields, self.report.id), self.notes.all())

    # Identity

    def _distinct(self) -> list[ApplicationReport]:
        by_aid = {each.aid: each for each in reversed(self.report.application_list)}
        if len(by_aid) < len(self.report.application_list):
            self.notes.once("an application that is reported twice is taken once")
        return [by_aid[aid] for aid in reversed(by_aid)]

    def _preset_name(self) -> str:
        names = {each.calypso_revision or _revision_of(each) for each in self.applications}
        if len(names) > 1:
            raise UsageError(
                f"{self.report.id}: applications of different products, {', '.join(sorted(names))}; a card "
                f"is of one: leave the others out"
            )
        (name,) = names
        if name not in PRESETS:
            raise UsageError(
                f"{self.report.id}: calypsoRevision {name!r}; known are {', '.join(PRESETS)}"
            )
        return PRESETS[name]

    def _startup(self, application: ApplicationReport) -> StartupInformation:
        """Return the startup information: of the FCI, or put together; the preset says what is missing."""
        if application.fci:
            try:
                return Fci.parse(application.fci).startup
            except CardbenchError as error:
                self.notes.once(f"DF {application.lid:04X}: the FCI cannot be read ({error})")
        issuer = application.issuer
        reported: dict[str, int | None] = {
            "session_modification": application.session_modif,
            "platform": application.platform,
            "software_issuer": None if issuer is None else issuer.value,
            "software_version": application.version,
            "software_revision": application.revision,
        }
        if None in reported.values():
            self.notes.once("startup information is filled in from a preset")
        whole: dict[str, int] = {
            name: getattr(self.preset, name) if value is None else value
            for name, value in reported.items()
        }
        return StartupInformation(
            whole["session_modification"],
            whole["platform"],
            application.application_type,
            application.application_subtype,
            whole["software_issuer"],
            whole["software_version"],
            whole["software_revision"],
        )

    def _serial(self) -> bytes:
        """Return the serial number: of the FCI, where an HCE card has its token too, or as reported."""
        found = []
        for application in self.applications:
            serial = application.csn
            if application.fci:
                with suppress(CardbenchError):  # that it cannot be read was noted
                    serial = Fci.parse(application.fci).serial
            if len(serial) == _SERIAL_SIZE:
                found.append(serial)
        if not found:
            self.notes.once(f"serial number {to_hex(self.preset.serial)}: the report has none")
            return self.preset.serial
        if len(set(found)) > 1:
            self.notes.once(f"serial number {to_hex(found[0])}: applications have different ones")
        return found[0]

    def _transaction_counter(self) -> int:
        try:
            return int(self.applications[0].transaction_counter, 16)
        except ValueError:
            counter = self.preset.transaction_counter
            self.notes.once(f"transaction counter {counter:,}: the report has none")
            return counter

    # Applications

    def _application(
        self, application: ApplicationReport, startup: StartupInformation
    ) -> dict[str, Any]:
        if startup.application_type & self.profile.options & ApplicationOption.PKI_MODE:
            self.notes.once(f"DF {application.lid:04X}: no key pair, no certificates")
        own = {
            name: value
            for name, value in _shared_startup(startup).items()
            if value != _shared_startup(self.startups[0])[name]
        }
        return {
            "lid": application.lid,
            "aid": application.aid,
            "type": startup.application_type,
            "subtype": startup.application_subtype,
            **own,
            "master": application.lid == _MASTER_FILE,
            "access": application.access_conditions.words,
            "keys": self._keys(application, startup),
            "invalidated": bool(application.status & _INVALIDATED),
            "files": list(self.files.of(application, has_purse=self._has_purse(startup))),
        }

    def _keys(
        self, application: ApplicationReport, startup: StartupInformation
    ) -> list[dict[str, Any]]:
        kifs = (application.kif1, application.kif2, application.kif3)
        kvcs = (application.kvc1, application.kvc2, application.kvc3)
        is_purse = startup.application_subtype == _STORED_VALUE_SUBTYPE
        usual = _PURSE_KIFS if is_purse else _USUAL_KIFS
        keys = []
        for kif, kvc, known in zip(kifs, kvcs, usual, strict=True):
            key: dict[str, Any] = {"kif": kif, "kvc": kvc, "algorithm": self._algorithm(startup)}
            if (kif in (0, _UNKNOWN_KIF)) and kvc:
                self.notes.once(
                    f"DF {application.lid:04X}: KIFs that the card does not tell are usual"
                )
                if kif == _UNKNOWN_KIF:  # the card goes on telling it, and has the usual key
                    key["value"] = load_suite().diversify(
                        public_test_master(known, kvc), self.serial
                    )
                else:
                    key["kif"] = known
            keys.append(key)
        return keys

    def _has_purse(self, startup: StartupInformation) -> bool:
        options = startup.application_type & self.profile.options
        return bool(options & ApplicationOption.STORED_VALUE)

    def _algorithm(self, startup: StartupInformation) -> int:
        extended = ApplicationOption.EXTENDED_MODE & self.profile.options
        return _AES if startup.application_type & extended else _LEGACY

    def _purse(self) -> dict[str, Any] | None:
        having = [
            (application, startup)
            for application, startup in zip(self.applications, self.startups, strict=True)
            if self._has_purse(startup)
        ]
        if not having:
            return None
        purse: dict[str, Any] = self._newest_logs()
        own = [
            application
            for application, startup in having
            if startup.application_subtype == _STORED_VALUE_SUBTYPE
        ]
        if own:
            return purse | {"keys_of": own[0].lid}
        application, startup = having[0]
        _, load, debit = _PURSE_KIFS
        for name, kif, kvc in (
            ("load", load, application.kvc2),
            ("debit", debit, application.kvc3),
        ):
            purse[name] = {"kif": kif, "kvc": kvc, "algorithm": self._algorithm(startup)}
        self.notes.once(
            f"keys of the purse are {load:02X}/{application.kvc2:02X} and "
            f"{debit:02X}/{application.kvc3:02X}: a report does not tell them"
        )
        return purse

    def _newest_logs(self) -> dict[str, Any]:
        """Return the logs of the purse, and the balance and number that the newest of them has."""
        load, debits = self.files.purse_logs()
        logs: list[SvLoadLog | SvDebitLog] = []
        if any(load):
            logs.append(SvLoadLog.parse(load))
        if any(map(any, debits)):
            logs.append(SvDebitLog.parse(debits[0]))
        newest = max(logs, key=lambda log: log.sv_tnum, default=None)
        self.notes.once("balance and number of the purse are those of its newest log")
        return {
            "balance": newest.balance if newest else 0,
            "transaction_number": newest.sv_tnum if newest else 0,
            "load_log": load if any(load) else b"",
            "debit_logs": debits,
        }


def _revision_of(application: ApplicationReport) -> str:
    """Return the product type by the application type, where the report does not name it."""
    for name, preset in PRESETS.items():
        ranges = load_profile(load_preset(preset).profile).application_types
        if any(low <= application.application_type <= high for low, high in ranges):
            return name
    return ""


def _shared_startup(startup: StartupInformation) -> dict[str, int]:
    return {
        "session_modification": startup.session_modification,
        "platform": startup.platform,
        "software_issuer": startup.software_issuer,
        "software_version": startup.software_version,
        "software_revision": startup.software_revision,
    }
