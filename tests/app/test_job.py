import pytest

from memvos.app.job import STEPS_FILE, Job, teller


@pytest.fixture
def job(tmp_path):
    """A job whose folder is there."""
    return Job("a", "main", ("train",), tmp_path, lambda: False)


def test_the_end_of_a_log_leaves_out_progress_bars_that_were_redrawn(job):
    assert job.last_lines() == "    (no log)"
    job.log.write_text("0%\r50%\r100%\n\nlast words\n")
    assert job.last_lines(2) == "    100%\n    last words"


def test_steps_are_known_once_a_whole_report_is_there(job):
    assert job.steps() is None
    job.steps_file.write_text("[3,")
    assert job.steps() is None
    job.steps_file.write_text("[1, 3, 9]")
    assert job.steps() == (1, 3, 9)


def test_a_process_tells_its_steps_only_where_a_run_of_many_jobs_waits_for_them(job, monkeypatch):
    monkeypatch.delenv(STEPS_FILE, raising=False)
    assert teller() is None
    monkeypatch.setenv(STEPS_FILE, str(job.steps_file))
    teller()(2, 5, 64)
    assert job.steps() == (2, 5, 64)
