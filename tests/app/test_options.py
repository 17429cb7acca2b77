"""What a command line of `memvos reproduce` asks for."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from memvos.app.options import Options, load_table
from memvos.errors import InputError
from memvos.paths import experiments_dir


@pytest.mark.parametrize("given", [["--config-dir", "mine"], ["--config-dir=mine"]])
def test_a_folder_of_configurations_is_passed_on_to_the_jobs(tmp_path, monkeypatch, given):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    options = Options.parse([*given, "qdmn_table5", "scale=smoke"])
    assert options.name == "qdmn_table5"
    assert options.overrides == [f"hydra.searchpath=['file://{tmp_path / 'mine'}']", "scale=smoke"]


def test_a_folder_of_configurations_may_have_any_name(tmp_path):
    folder = tmp_path / "it's [mine], é=1"
    folder.mkdir()
    options = Options.parse(["qdmn_table5", "--config-dir", str(folder)])
    parsed = OverridesParser.create().parse_overrides(options.overrides)
    assert [override.value() for override in parsed] == [[f"file://{folder}"]]


def test_a_folder_of_configurations_that_is_not_there_is_told():
    with pytest.raises(InputError, match="--config-dir: no folder 'nowhere'; give one of the form of conf/"):
        Options.parse(["qdmn_table5", "--config-dir", "nowhere"])


@pytest.mark.parametrize("line", [["--config-dir"], ["--config-dir="], ["--config-dir=", "scale=smoke"]])
def test_a_folder_of_configurations_needs_a_value(line):
    with pytest.raises(InputError, match="--config-dir has no value; expected --config-dir FOLDER"):
        Options.parse(["qdmn_table5", *line])


@pytest.mark.parametrize("key", ["output", "output_dir"])
def test_the_folder_of_a_table_needs_a_value(key):
    with pytest.raises(InputError, match=f"{key}= has no value; expected {key}=FOLDER"):
        Options.parse(["qdmn_table5", f"{key}="])


def test_options_of_the_runner_and_overrides_of_the_jobs_are_kept_apart():
    options = Options.parse(
        ["qdmn_table5", "scale=mini", "seeds=3", "jobs=4", "rows=qam,both", "output=there", "threads=1"]
    )
    assert (options.name, options.seeds, options.jobs, options.rows) == ("qdmn_table5", 3, 4, ("qam", "both"))
    assert str(options.output) == "there"
    assert options.overrides == ["scale=mini", "threads=1"]


@pytest.mark.parametrize("key", ["seed", "row", "table", "run_name", "fingerprint"])
def test_what_a_table_sets_by_itself_is_refused(key):
    with pytest.raises(InputError, match=f"{key}= is set by the table itself; choose with seeds=N"):
        Options.parse(["qdmn_table5", f"{key}=1"])


def test_the_data_to_train_on_is_kept_apart_and_has_a_name():
    options = Options.parse(["qdmn_table1", "data=davis2016", "train_data=paper", "+train_data.main.reverse=0"])
    assert options.overrides == ["data=davis2016"]
    assert options.train_data == ["data=paper", "+data.main.reverse=0"]
    with pytest.raises(InputError, match="name the data set to train on, too"):
        Options.parse(["qdmn_table1", "train_data.root=/x"])


@pytest.mark.parametrize(
    ("argument", "remedy"),
    [
        ("weights=a.ckpt", r"start from model\.backbone\.weights=FILE; memvos train weights=FILE"),
        ("stage=main", r"write the stages of your own into a copy of its \.yaml file"),
        ("+untrained=true", r"write the stages of your own into a copy of its \.yaml file"),
        ("resume=false", "output=FOLDER, a new one, starts anew"),
    ],
)
def test_what_would_train_other_networks_under_the_same_fingerprint_is_refused(argument, remedy):
    with pytest.raises(InputError, match=f"= is set by the table itself; .*{remedy}"):
        Options.parse(["qdmn_table5", argument])


def test_the_split_is_the_users_to_choose():
    assert Options.parse(["qdmn_table5", "split=val"]).overrides == ["split=val"]


@pytest.mark.parametrize("line", [["a", "b"], [], ["scale=mini"], ["-m", "qdmn_table5"]])
def test_exactly_one_table_is_expected(line):
    with pytest.raises(InputError, match="expected one table"):
        Options.parse(line)


def test_a_specification_is_found_by_name_or_path(tmp_path):
    assert load_table("qdmn_table5").name == "qdmn_table5"
    mine = tmp_path / "mine.yaml"
    mine.write_text((experiments_dir() / "qdmn_table4.yaml").read_text())
    assert load_table(str(mine)).title == load_table("qdmn_table4").title


def test_a_specification_that_is_wrong_is_bad_input(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("name: mine")
    with pytest.raises(InputError, match=r"mine.yaml"):
        load_table(str(mine))


@pytest.mark.parametrize("option", ["seeds=many", "jobs=0", "jobs=-1"])
def test_numbers_of_the_runner_are_positive(option):
    with pytest.raises(InputError, match=r"expected (seeds|jobs)=N with N of at least 1, got"):
        Options.parse(["qdmn_table5", option])


def test_a_table_that_is_not_there_is_answered_with_those_that_are():
    with pytest.raises(InputError, match=r"no table or figure 'qdmn_table55'; there are .*qdmn_table5, "):
        load_table("qdmn_table55")
