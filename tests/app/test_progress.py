"""The line of a run of many jobs: counts, steps, time left; with and without a terminal."""

import io
from pathlib import Path

from memvos.app.job import Job
from memvos.app.progress import Display, duration


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def job(name: str, kind: str = "main", folder: Path = Path("/nowhere")) -> Job:
    return Job(name, kind, (), folder, bool)


def test_time_left_comes_from_jobs_of_the_same_kind():
    clock = Clock()
    display = Display(parallel=2, stream=io.StringIO(), clock=clock)
    jobs = [job(name) for name in "abcde"]
    display.begin(jobs, jobs)
    display.finished(jobs[0], seconds=100)
    clock.now = 40
    # b started at 0 (60 s left), c at 20 (80 s left), d and e not yet (100 s each): 340 s of work in two slots
    assert display.seconds_left([(jobs[1], 0), (jobs[2], 20)]) == (170, 0)


def test_time_left_is_at_least_that_of_the_longest_job():
    display = Display(parallel=4, stream=io.StringIO(), clock=Clock())
    jobs = [job("a"), job("b")]
    display.begin(jobs, jobs)
    display.finished(jobs[0], seconds=100)
    assert display.seconds_left([]) == (100, 0)


def test_steps_of_a_running_job_give_a_first_estimate(tmp_path):
    clock = Clock()
    display = Display(parallel=1, stream=io.StringIO(), clock=clock)
    running = job("a", folder=tmp_path)
    display.begin([running], [running])
    assert display.line([(running, 0)]) == "[0/1] a · time left: not known yet"
    (tmp_path / "steps.json").write_text("[0, 5, 20]")
    clock.now = 10
    assert display.seconds_left([(running, 0)]) == (30, 0)
    assert display.line([(running, 0)]) == "[0/1] a 5/20 · about 30 s left"


def test_a_job_that_goes_on_is_estimated_by_its_own_steps(tmp_path):
    clock = Clock()
    display = Display(parallel=1, stream=io.StringIO(), clock=clock)
    resumed, fresh = job("a", folder=tmp_path), job("b")
    display.begin([resumed, fresh], [resumed, fresh])
    (tmp_path / "steps.json").write_text("[60, 80, 100]")
    clock.now = 10  # half a second per step: 20 steps are left of a, 100 of b
    assert display.seconds_left([(resumed, 0)]) == (10 + 50, 0)
    display.finished(resumed, seconds=20)
    assert display.seconds_left([]) == (50, 0)


def test_a_job_that_is_slower_than_others_of_its_kind_goes_by_its_own_steps_from_a_tenth_on(tmp_path):
    clock = Clock()
    display = Display(parallel=1, stream=io.StringIO(), clock=clock)
    quick, slow, last = job("a"), job("b", folder=tmp_path), job("c")
    display.begin([quick, slow, last], [quick, slow, last])
    display.finished(quick, seconds=100)
    clock.now = 20
    (tmp_path / "steps.json").write_text("[0, 9, 100]")  # of which an unknown part is its start
    assert display.seconds_left([(slow, 0)]) == (80 + 100, 0)
    (tmp_path / "steps.json").write_text("[0, 10, 100]")  # 2 s a step: 200 s in all, 150 s in the mean of the kind
    assert display.seconds_left([(slow, 0)]) == (180 + 150, 0)


def test_jobs_of_a_kind_that_is_not_known_yet_are_not_guessed():
    display = Display(parallel=1, stream=io.StringIO(), clock=Clock())
    jobs = [job("a"), job("b"), job("c", "evaluate")]
    display.begin(jobs, jobs)
    display.finished(jobs[0], seconds=80)
    assert display.line([]) == "[1/3] at least 80 s left"


def test_a_terminal_gets_one_line_that_is_rewritten():
    clock, stream = Clock(), Terminal()
    display = Display(parallel=1, stream=stream, clock=clock)
    display.begin([job("a")], [job("a")])
    display.show([(job("a"), 0)])
    clock.now = 2
    display.show([(job("a"), 0)])
    assert stream.getvalue().count("\n") == 0
    assert stream.getvalue().count("\r\033[K[0/1] a") == 2


def test_a_log_file_gets_a_line_every_half_minute():
    clock, stream = Clock(), io.StringIO()
    display = Display(parallel=1, stream=stream, clock=clock)
    display.begin([job("a")], [job("a")])
    for clock.now in range(60):
        display.show([(job("a"), 0)])
    assert len(stream.getvalue().splitlines()) == 2


def test_what_was_done_before_counts_as_done():
    stream = io.StringIO()
    display = Display(parallel=1, stream=stream)
    display.begin([job("a"), job("b")], [job("b")])
    assert "1 of 2 jobs are done already" in stream.getvalue()
    assert display.line([]).startswith("[1/2]")


def test_durations_are_short():
    assert [duration(seconds) for seconds in (5, 89, 100, 5000, 11100)] == [
        "5 s",
        "89 s",
        "2 min",
        "83 min",
        "3 h 05 min",
    ]
