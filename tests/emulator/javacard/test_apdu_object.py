"""The APDU object: states, errors, lengths, buffer."""

from __future__ import annotations

from typing import Any

import pytest
from support.javacard_scene import LONG_AID, PROBE_AID, Bench

from cardbench.emulator.javacard import (
    APDU,
    ISO7816,
    APDUException,
    ApduState,
    Applet,
    ByteArray,
    ISOException,
    Util,
)

CASE_1 = "80100102"
CASE_2 = "8010010208"
CASE_3 = "8010010203A1A2A3"
CASE_4 = "8010010203A1A2A308"


@pytest.fixture
def bench() -> Bench:
    return Bench()


def refused(bench: Bench, action: Any, command: str = CASE_4) -> int:
    with pytest.raises(APDUException) as error:
        bench.do(action, command)
    reason: int = error.value.reason
    return reason


# Buffer


@pytest.mark.parametrize(
    ("command", "p3"), [(CASE_1, 0), (CASE_2, 8), (CASE_3, 3), (CASE_4, 3), ("8010010200", 0)]
)
def test_process_finds_the_header_and_zeros_behind_it(bench: Bench, command: str, p3: int) -> None:
    buffer = bench.do(lambda _, apdu: bytes(apdu.get_buffer()), command)
    assert buffer[:5] == bytes((0x80, 0x10, 0x01, 0x02, p3))
    assert not any(buffer[5:])
    assert len(buffer) == 261


def test_nothing_of_a_command_is_left_in_the_buffer_for_the_next(bench: Bench) -> None:
    bench.do(lambda _, apdu: apdu.set_incoming_and_receive(), "80100000FF" + "55" * 255)
    assert not any(bench.do(lambda _, apdu: bytes(apdu.get_buffer()), CASE_1)[4:])


def test_the_current_apdu_is_found_from_anywhere(bench: Bench) -> None:
    assert bench.do(lambda _, apdu: APDU.get_current_apdu() is apdu)
    assert bench.do(lambda _, apdu: APDU.get_current_apdu_buffer() is apdu.get_buffer())


# Incoming


def test_the_data_come_with_the_first_receive(bench: Bench) -> None:
    def work(_: object, apdu: APDU) -> tuple[object, ...]:
        count = apdu.set_incoming_and_receive()
        state = apdu.get_current_state()
        return count, state, apdu.get_incoming_length(), bytes(apdu.get_buffer()[5:9])

    assert bench.do(work, CASE_3) == (3, APDU.STATE_FULL_INCOMING, 3, b"\xa1\xa2\xa3\0")


@pytest.mark.parametrize("command", [CASE_1, CASE_2])
def test_without_data_nothing_is_received(bench: Bench, command: str) -> None:
    assert bench.do(lambda _, apdu: apdu.set_incoming_and_receive(), command) == 0


def test_a_second_first_receive_is_illegal(bench: Bench) -> None:
    def twice(_: object, apdu: APDU) -> None:
        apdu.set_incoming_and_receive()
        apdu.set_incoming_and_receive()

    assert refused(bench, twice) == APDUException.ILLEGAL_USE


def test_more_bytes_before_the_first_are_illegal(bench: Bench) -> None:
    assert refused(bench, lambda _, apdu: apdu.receive_bytes(5)) == APDUException.ILLEGAL_USE


def test_the_incoming_length_before_the_data_is_illegal(bench: Bench) -> None:
    assert refused(bench, lambda _, apdu: apdu.get_incoming_length()) == APDUException.ILLEGAL_USE


def test_after_all_data_nothing_more_is_received(bench: Bench) -> None:
    def work(_: object, apdu: APDU) -> int:
        apdu.set_incoming_and_receive()
        return apdu.receive_bytes(5)

    assert bench.do(work, CASE_3) == 0


@pytest.mark.parametrize("offset", [-1, 261])
def test_receiving_outside_the_buffer_is_out_of_bounds(bench: Bench, offset: int) -> None:
    def work(_: object, apdu: APDU) -> None:
        apdu.set_incoming_and_receive()
        apdu.receive_bytes(offset)

    assert refused(bench, work) == APDUException.BUFFER_BOUNDS


def test_data_cannot_be_received_after_sending_began(bench: Bench) -> None:
    def work(_: object, apdu: APDU) -> None:
        apdu.set_outgoing()
        apdu.set_incoming_and_receive()

    assert refused(bench, work) == APDUException.ILLEGAL_USE


# Outgoing


@pytest.mark.parametrize(
    ("command", "expected"),
    [(CASE_1, 0), (CASE_2, 8), (CASE_3, 0), (CASE_4, 8), ("8010010200", 256)],
)
def test_set_outgoing_tells_le(bench: Bench, command: str, expected: int) -> None:
    assert bench.do(lambda _, apdu: apdu.set_outgoing(), command) == expected
    assert bench.do(lambda _, apdu: apdu.set_outgoing_no_chaining(), command) == expected


def test_a_response_goes_through_the_states(bench: Bench) -> None:
    def work(_: object, apdu: APDU) -> list[ApduState]:
        seen = [apdu.get_current_state()]
        apdu.set_incoming_and_receive()
        seen.append(apdu.get_current_state())
        apdu.set_outgoing()
        seen.append(apdu.get_current_state())
        apdu.set_outgoing_length(4)
        seen.append(apdu.get_current_state())
        apdu.send_bytes(0, 1)
        seen.append(apdu.get_current_state())
        apdu.send_bytes_long(b"xyz", 0, 3)
        seen.append(apdu.get_current_state())
        return seen

    assert bench.do(work) == [
        APDU.STATE_INITIAL,
        APDU.STATE_FULL_INCOMING,
        APDU.STATE_OUTGOING,
        APDU.STATE_OUTGOING_LENGTH_KNOWN,
        APDU.STATE_PARTIAL_OUTGOING,
        APDU.STATE_FULL_OUTGOING,
    ]
    assert bench.response == "8078797A9000"


def test_an_array_of_the_card_can_be_sent(bench: Bench) -> None:
    def work(_: object, apdu: APDU) -> None:
        array = ByteArray(4)
        Util.set_short(array, 1, 0x1234)
        apdu.set_outgoing()
        apdu.set_outgoing_length(2)
        apdu.send_bytes_long(array, 1, 2)

    bench.do(work)
    assert bench.response == "12349000"


def test_set_outgoing_and_send_is_the_three_in_one(bench: Bench) -> None:
    bench.do(lambda _, apdu: apdu.set_outgoing_and_send(0, 2), CASE_2)
    assert bench.response == "80109000"


@pytest.mark.parametrize(
    "work",
    [
        lambda apdu: (apdu.set_outgoing(), apdu.set_outgoing()),
        lambda apdu: (apdu.set_outgoing(), apdu.set_outgoing_and_send(0, 1)),
        lambda apdu: apdu.set_outgoing_length(1),
        lambda apdu: (apdu.set_outgoing(), apdu.send_bytes(0, 1)),
        lambda apdu: apdu.send_bytes(0, 1),
        lambda apdu: (
            apdu.set_outgoing(),
            apdu.set_outgoing_length(1),
            apdu.set_outgoing_length(1),
        ),
        lambda apdu: (apdu.set_outgoing(), apdu.set_outgoing_length(1), apdu.send_bytes(0, 2)),
        lambda apdu: (apdu.set_outgoing_and_send(0, 1), apdu.send_bytes(0, 1)),
        lambda apdu: (apdu.set_outgoing_and_send(0, 1), apdu.set_outgoing()),
    ],
)
def test_what_the_state_does_not_allow_is_illegal_use(bench: Bench, work: Any) -> None:
    assert refused(bench, lambda _, apdu: work(apdu)) == APDUException.ILLEGAL_USE
    assert bench.response == "6F00"


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, -1), (261, 1), (0, 262)])
def test_sending_outside_the_buffer_is_out_of_bounds(
    bench: Bench, offset: int, length: int
) -> None:
    def announced(_: object, apdu: APDU) -> None:
        apdu.set_outgoing()
        apdu.set_outgoing_length(1)
        apdu.send_bytes(offset, length)

    assert refused(bench, announced) == APDUException.BUFFER_BOUNDS
    at_once = refused(bench, lambda _, apdu: apdu.set_outgoing_and_send(offset, length))
    assert at_once == APDUException.BUFFER_BOUNDS


@pytest.mark.parametrize("length", [-1, 257])
def test_a_response_longer_than_an_apdu_is_a_bad_length(bench: Bench, length: int) -> None:
    def announced(_: object, apdu: APDU) -> None:
        apdu.set_outgoing()
        apdu.set_outgoing_length(length)

    assert refused(bench, announced) == APDUException.BAD_LENGTH


def test_sending_257_bytes_at_once_is_a_bad_length(bench: Bench) -> None:
    reason = refused(bench, lambda _, apdu: apdu.set_outgoing_and_send(0, 257))
    assert reason == APDUException.BAD_LENGTH


@pytest.mark.parametrize("sent", [0, 3])
def test_fewer_bytes_than_announced_are_6f00(bench: Bench, sent: int) -> None:
    def work(_: object, apdu: APDU) -> None:
        apdu.set_outgoing()
        apdu.set_outgoing_length(4)
        if sent:
            apdu.send_bytes(0, sent)

    assert bench.answer(work, CASE_2) == "6F00"
    assert isinstance(bench.faults[-1], APDUException)


def test_an_announced_length_of_nothing_is_fine(bench: Bench) -> None:
    def work(_: object, apdu: APDU) -> None:
        apdu.set_outgoing()
        apdu.set_outgoing_length(0)

    assert bench.answer(work, CASE_2) == "9000"


def test_a_response_longer_than_le_is_cut_to_le(bench: Bench) -> None:
    bench.do(lambda _, apdu: apdu.set_outgoing_and_send(0, 4), "8010010202")
    assert bench.response == "80109000"


def test_a_response_without_le_is_sent_whole(bench: Bench) -> None:
    bench.do(lambda _, apdu: apdu.set_outgoing_and_send(0, 4), CASE_1)
    assert bench.response == "801001029000"


# Exceptions to status words


@pytest.mark.parametrize("sw", [0x6300, 0x6A80, 0x1234, 0x9000, 0xFFFF])
def test_an_iso_exception_is_its_reason(bench: Bench, sw: int) -> None:
    assert bench.answer(lambda _, __: ISOException.throw_it(sw)) == f"{sw:04X}"


def test_a_negative_reason_is_taken_as_a_short(bench: Bench) -> None:
    assert bench.answer(lambda _, __: ISOException.throw_it(-0x7000)) == "9000"


@pytest.mark.parametrize(
    ("sw", "kept"),
    [
        *((sw, True) for sw in (0x9000, 0x9123, 0x6102, 0x6200, 0x63C1)),
        *((sw, False) for sw in (0x6400, 0x6982, 0x6F00)),
    ],
)
def test_data_stay_with_a_success_or_a_warning_only(bench: Bench, sw: int, kept: bool) -> None:
    def work(_: object, apdu: APDU) -> None:
        apdu.set_outgoing_and_send(0, 1)
        ISOException.throw_it(sw)

    assert bench.answer(work, CASE_2) == ("80" if kept else "") + f"{sw:04X}"


def test_an_exception_can_be_changed_and_thrown_again(bench: Bench) -> None:
    def work(_: object, __: object) -> None:
        try:
            ISOException.throw_it(0x6985)
        except ISOException as caught:
            caught.set_reason(caught.get_reason() + 1)
            raise

    assert bench.answer(work) == "6986"


@pytest.mark.parametrize("error", [APDUException(1), IndexError(), ZeroDivisionError(), KeyError()])
def test_every_other_exception_is_6f00_and_reported(bench: Bench, error: Exception) -> None:
    def work(_: object, __: object) -> None:
        raise error

    assert bench.answer(work) == "6F00"
    assert bench.faults == [error]


def test_an_applet_without_process_answers_6f00(bench: Bench) -> None:
    assert bench.answer(Applet.process) == "6F00"
    assert isinstance(bench.faults[-1], NotImplementedError)


# Class byte


@pytest.mark.parametrize(
    ("cla", "is_iso", "is_chained", "is_secure"),
    [
        ("00", True, False, False),
        ("10", True, True, False),
        ("0C", True, False, True),
        ("80", False, False, False),
        ("94", False, True, True),
    ],
)
def test_the_class_is_read(
    bench: Bench, cla: str, *, is_iso: bool, is_chained: bool, is_secure: bool
) -> None:
    found = bench.do(
        lambda _, apdu: (
            apdu.is_iso_interindustry_cla(),
            apdu.is_command_chaining_cla(),
            apdu.is_secure_messaging_cla(),
            apdu.get_protocol(),
        ),
        cla + "100000",
    )
    assert found == (is_iso, is_chained, is_secure, 1)
    bench.do(lambda _, apdu: apdu.wait_extension())


# Extended length


def test_an_extended_apdu_is_for_applets_that_take_it(bench: Bench) -> None:
    assert bench.send("80100000000001AA") == "6700"
    assert bench.send("80100000000000") == "6700"


def test_an_extended_command_comes_in_parts() -> None:
    bench = Bench(LONG_AID)
    data = bytes(range(256)) * 3

    def work(_: object, apdu: APDU) -> tuple[bytes, int, int]:
        buffer = apdu.get_buffer()
        offset = apdu.get_offset_cdata()
        received = b""
        count = apdu.set_incoming_and_receive()
        length = apdu.get_incoming_length()
        states = {apdu.get_current_state()}
        while count:
            received += buffer[offset : offset + count]
            count = apdu.receive_bytes(offset)
            states.add(apdu.get_current_state())
        assert states == {APDU.STATE_PARTIAL_INCOMING, APDU.STATE_FULL_INCOMING}
        return received, offset, length

    command = "80100000" + f"00{len(data):04X}" + data.hex()
    assert bench.do(work, command) == (data, ISO7816.OFFSET_EXT_CDATA, len(data))


def test_an_extended_response_may_be_long() -> None:
    bench = Bench(LONG_AID)

    def work(_: object, apdu: APDU) -> int:
        expected = apdu.set_outgoing()
        apdu.set_outgoing_length(1000)
        apdu.send_bytes_long(bytes(1000), 0, 1000)
        return expected

    assert bench.do(work, "80100000000000") == 0x7FFF
    assert len(bench.response) == 2 * 1002
    bench.do(work, "80100000000064")
    assert len(bench.response) == 2 * 102
    bench.do(work, "8010000000")
    assert len(bench.response) == 2 * 258


def test_select_in_extended_form_reaches_those_that_take_it_only() -> None:
    bench = Bench(LONG_AID, PROBE_AID)
    assert bench.send(f"00A40400000006{PROBE_AID.hex()}") == "6700"
    assert bench.do(lambda _, apdu: apdu.get_offset_cdata(), "80100000") == 5
    assert bench.send(f"00A40400000006{LONG_AID.hex()}") == "9000"
