import os
import signal
import threading

import pytest

from memvos.stop_signals import SIGNALS, StopRequest, sigterm_interrupts


def handlers():
    return [signal.getsignal(number) for number in SIGNALS]


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_a_request_and_the_second_a_stop(number, capsys):
    before, request = handlers(), StopRequest("step")
    with request.listening():
        assert not request.arrived
        signal.raise_signal(number)
        assert request.arrived
        told = f"\n{number.name}: finishing this step and saving; once more stops at once\n"
        assert capsys.readouterr() == ("", told)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert handlers() == before


def test_a_request_is_answered_once(capsys):
    request = StopRequest("step")
    with request.listening():
        signal.raise_signal(signal.SIGINT)
    with request.listening():
        assert not request.arrived


def test_where_nothing_is_to_be_saved_the_first_signal_stops(capsys):
    request = StopRequest("frame", waits=False)
    with pytest.raises(KeyboardInterrupt), request.listening():
        signal.raise_signal(signal.SIGTERM)
    assert not request.arrived
    assert capsys.readouterr().err == ""


def test_a_thread_that_gets_no_signals_leaves_the_handlers_alone():
    before, during = handlers(), []

    def work():
        with StopRequest("step").listening():
            during.extend(handlers())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert during == before


def test_sigterm_is_taken_as_an_interrupt_within():
    before = handlers()
    with (
        pytest.raises(KeyboardInterrupt, match=r"Ended by SIGTERM\."),
        sigterm_interrupts(),
    ):
        os.kill(os.getpid(), signal.SIGTERM)
    assert handlers() == before
