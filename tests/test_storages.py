"""One search, several workers: two processes on one file, and two on a real PostgreSQL, at once."""

from __future__ import annotations

import os
import socket

import pytest

from hfft import recipe, spaces, storages, studies, trialling
from hfft.errors import InputError
from hfft.records import read_json
from tests import postgres
from tests.command import hfft
from tests.processes import beside, together

WORDS = ("tiny_textcls", "data.limit=120", "train.max_steps=1", "train.per_device_train_batch_size=64")
SPACE = "train.learning_rate=1e-5..1e-1"


@pytest.fixture(scope="module")
def installed():
    """Without the programs of PostgreSQL its tests are skipped, but in CI they fail."""
    if postgres.programs() is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no initdb here: install the package postgresql")
        pytest.skip("no PostgreSQL here")


@pytest.fixture(scope="module")
def database(installed, tmp_path_factory):
    with postgres.server(tmp_path_factory.mktemp("postgres")) as url:
        yield url


def both(*first: str, second: tuple[str, ...]) -> list[str]:
    """What two workers say, each of which comes to a search that the other may have begun."""
    words = ("tune", *WORDS, "--space", SPACE, "--trials", "4", "--resume", "--no-pruning")
    return beside("hfft", (*words, *first), (*words, *second))


def test_two_workers_share_a_file(tmp_path):
    root = str(tmp_path / "search")
    said = both("--output-dir", root, second=("--output-dir", root))
    facts = read_json(tmp_path / "search" / "tuning.json")
    assert [row["state"] for row in facts["trials"]] == ["finished"] * 4 and facts["gain"]["trials"] == 4
    assert len({str(row["params"]) for row in facts["trials"]}) == 4, "no trial was done twice"
    assert all("trial 1 of 4" in part or "trial 2 of 4" in part for part in said), "both had a part in it"


def test_two_processes_of_one_launch_train_each_trial_together(tmp_path):
    words = ("tune", *WORDS, "--space", SPACE, "--trials", "2", "--output-dir", str(tmp_path / "search"))
    assert together("hfft", *words).count("trial 2 of 2") == 1, "the second process says nothing"
    facts = read_json(tmp_path / "search" / "tuning.json")
    assert [row["state"] for row in facts["trials"]] == ["finished"] * 2 and facts["gain"]["trials"] == 2
    spent = [read_json(tmp_path / "search" / f"trial-{number}" / "environment.json") for number in (0, 1)]
    assert all(each["hardware"]["processes"] == 2 for each in spent)


def test_two_workers_share_a_postgresql_database(database, tmp_path):
    """As from two machines: they have no folder in common."""
    roots = [tmp_path / name for name in "ab"]
    named = ("--storage", database, "--study", "shared")
    both(*named, "--output-dir", str(roots[0]), second=(*named, "--output-dir", str(roots[1])))
    wanted = recipe.load(WORDS[0], WORDS[1:])
    settings = {"recipe": recipe.dump(wanted), "space": [one.told for one in spaces.read([SPACE])]}
    study = studies.opened(database, tmp_path, "shared", settings | {"folds": None, "shares": [1.0]}, True)
    done = studies.trials(study)
    studies.closed(study)
    assert len(done) == 4 and {trial.state.name for trial in done} == {"COMPLETE"}
    here = [{path.name for path in root.glob("trial-*")} for root in roots]
    assert here[0] | here[1] == {f"trial-{trial.number}" for trial in done} and not here[0] & here[1]
    assert all(here), "both had a part in it"
    facts = [read_json(root / "tuning.json") for root in roots]
    assert max(sum(row["state"] == "finished" for row in each["trials"]) for each in facts) == 4
    assert {trial.user_attrs["host"] for trial in done} == {socket.gethostname()}


def test_a_study_of_another_recipe_in_the_same_database_is_refused(database, tmp_path, capsys):
    begun = {"recipe": "seed: 1", "space": [], "folds": None, "shares": [1.0]}
    studies.closed(studies.opened(database, tmp_path, "other", begun, True))
    words = ("tune", *WORDS, "--space", SPACE, "--storage", database, "--study", "other")
    assert hfft(*words, "--output-dir", str(tmp_path / "c")) == 2
    assert "the study 'other' was begun with another recipe" in capsys.readouterr().err


def test_a_database_that_goes_away_leaves_what_is_finished(installed, tmp_path, monkeypatch, capsys):
    (tmp_path / "pg").mkdir()
    monkeypatch.setattr(trialling.verbs, "run", lambda *given: None)
    monkeypatch.setattr(trialling, "_scored", lambda *given: 0.5)
    words = ("tune", *WORDS, "--space", SPACE, "--study", "gone", "--trials", "3", "--output-dir", str(tmp_path / "a"))
    with postgres.server(tmp_path / "pg") as url:
        assert hfft(*words, "--storage", url) == 0
    capsys.readouterr()
    assert hfft(*words, "--storage", url, "--resume") == 2
    err = capsys.readouterr().err
    assert "cannot be reached" in err and "finished trials are kept" in err and "Traceback" not in err
    assert len(read_json(tmp_path / "a" / "tuning.json")["trials"]) == 3


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (ModuleNotFoundError("No module named 'psycopg'"), "pip install 'hfft[postgres]'"),
        (OSError(113, "No route to host"), "No route to host; finished trials are kept"),
    ],
)
def test_what_goes_wrong_with_a_storage_is_one_sentence(raised, told):
    with pytest.raises(InputError, match=told.replace("[", r"\[")), storages.reached("postgresql://me:x@host/db"):
        raise raised
