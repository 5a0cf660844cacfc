"""The JSON report of the Calypso Card Analyzer: its fields, read and checked.

The Analyzer is a tool of the Calypso Networks Association: it walks a card through a reader and writes down
what it sees: applications, files, access conditions, KIF and KVC, and the records that are free to read.
The profiles of the test kits that come with it have the same form, with fewer fields.

    id, infos, date, version, software, traceability
    applicationList: fci, calypsoRevision, aid, csn, csnDec, sessionModif, …, lid, status, kif1 … kvc3
        accessConditions: group0 … group3: accessCondition, keyLevel, description
        fileList: sfi, lid, efType, ref, recSize, numRec, accessConditions
            recordDataList: index, value

Bytes and numbers are text in hexadecimal. What ends in `Dec` repeats a number in decimal and is not read;
a name that is not known is skipped, for the tool may come to write more. A comma behind the last of a list
is let pass: one of the published profiles has one, and the tool itself reads it.

Source: the tool's published source (github.com/calypsonet/calypso-card-analyzer, release 2.0.3: classes
CardStructureData, CardApplicationData, CardFileData, AccessConditions, RecordData and ToolUtils, and the
folder card_profiles), for the names of the fields and the form of their values.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Final

from pydantic import AfterValidator, AliasGenerator, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from cardbench.emulator.calypso.profile import Part, validated
from cardbench.emulator.calypso.words import HexBytes, access_words
from cardbench.protocol.calypso.startup import RECORD_NUMBER_MAX
from cardbench.protocol.errors import MalformedImage

_MARK: Final = "applicationList"
_LAST_COMMA: Final = re.compile(r",(\s*[\]}])")


def _number(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return int.from_bytes(bytes.fromhex(value))
    except ValueError:
        raise ValueError("not hexadecimal, or an odd number of digits") from None


def _without_status_word(answer: bytes) -> bytes:
    """Cut an answer at the end of the FCI; one that is none is left as it is."""
    size = 2 + answer[1] if len(answer) > 1 else 0
    return answer[:size] if len(answer) == size + 2 else answer


HexNumber = Annotated[int, Field(ge=0, le=0xFFFF), BeforeValidator(_number)]
"""A number of one or two bytes, without a fixed width."""
HexByte = Annotated[int, Field(ge=0, le=0xFF), BeforeValidator(_number)]
RecordNumber = Annotated[int, Field(ge=1, le=RECORD_NUMBER_MAX), BeforeValidator(_number)]


class ReportPart(Part):
    """Part of a report: names in camel case, unknown ones skipped."""

    model_config = ConfigDict(
        extra="ignore", alias_generator=AliasGenerator(validation_alias=to_camel)
    )


class ConditionReport(ReportPart):
    """One access condition: its byte, and the index of its key."""

    access_condition: HexByte
    key_level: HexByte


class ConditionsReport(ReportPart):
    """The access conditions of groups 0 to 3."""

    group0: ConditionReport
    group1: ConditionReport
    group2: ConditionReport
    group3: ConditionReport

    @property
    def words(self) -> tuple[str, ...]:
        """The conditions as a personalisation names them."""
        groups = (self.group0, self.group1, self.group2, self.group3)
        conditions = bytes(each.access_condition for each in groups)
        return access_words(conditions, bytes(each.key_level for each in groups))


class RecordReport(ReportPart):
    """A record: its number from 1, and its content."""

    index: RecordNumber
    value: HexBytes


class FileReport(ReportPart):
    """A file; `ref` is its data reference in a report, the LID of its partner in a profile."""

    sfi: HexNumber
    lid: HexNumber = 0
    ef_type: HexNumber
    ref: HexNumber = 0
    rec_size: HexNumber | None = None
    num_rec: HexNumber = 1
    access_conditions: ConditionsReport
    record_data_list: tuple[RecordReport, ...] = ()


class IssuerReport(ReportPart):
    """The software issuer."""

    value: HexByte


class ApplicationReport(ReportPart):
    """An application; a profile has neither FCI nor serial number nor startup bytes.

    `fci` is the whole answer to Select Application, its status word at the end.
    """

    aid: HexBytes
    lid: HexNumber
    fci: Annotated[HexBytes, AfterValidator(_without_status_word)] = b""
    csn: HexBytes = b""
    calypso_revision: str = ""
    session_modif: HexNumber | None = None
    platform: HexNumber | None = None
    application_type: HexNumber
    application_subtype: HexNumber
    issuer: IssuerReport | None = None
    version: HexNumber | None = None
    revision: HexNumber | None = None
    transaction_counter: str = ""
    access_conditions: ConditionsReport
    status: HexNumber = 0
    kif1: HexNumber
    kif2: HexNumber
    kif3: HexNumber
    kvc1: HexNumber
    kvc2: HexNumber
    kvc3: HexNumber
    file_list: tuple[FileReport, ...] = ()


class CardReport(ReportPart):
    """A whole report."""

    id: str = "report"
    traceability: HexBytes = b""
    application_list: tuple[ApplicationReport, ...] = Field(min_length=1)


def is_report(fields: object) -> bool:
    """Whether JSON looks like a report."""
    return isinstance(fields, dict) and _MARK in fields


def parse_report(text: str, source: str = "report") -> CardReport:
    """Read a report.

    Args:
        text: JSON.
        source: what to call it in errors.

    Raises:
        MalformedImage: no JSON, or no report.
        UsageError: a field is missing or malformed; the text says where.
    """
    fields = load_json(text, source)
    if not is_report(fields):
        raise MalformedImage(f"{source}: no report of the Calypso Card Analyzer")
    return validated(CardReport, fields, source)


def load_json(text: str, source: str) -> Any:  # noqa: ANN401 - whatever JSON is
    """Read JSON in which a list may end with a comma.

    Raises:
        MalformedImage: it is none.
    """
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return json.loads(_LAST_COMMA.sub(r"\1", text))
    except ValueError as error:
        raise MalformedImage(f"{source}: no JSON: {error}") from None
