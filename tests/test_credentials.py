"""Secrets stay out of recipes, and whatever is printed or written has them masked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hfft import credentials, environment, public_files, recipe, sources, storages
from hfft.errors import InputError
from hfft.phrases import safe, sayer
from hfft.recipe import Data
from tests.command import hfft

SECRET = "s3cr3t-W0rd_9"
TOKEN = "hf_" + "AbCdEfGhIj" * 3
TREE = {"task": "text_classification", "data": {"path": "csv"}, "model": {"name": "m"}}
ADDRESSES = {
    f"postgresql+psycopg://me:{SECRET}@host:5432/db": "postgresql+psycopg://me:***@host:5432/db",
    f"https://me:{SECRET}@host/x.csv?a=1": "https://me:***@host/x.csv?a=1",
    f"https://host/x.csv?token={SECRET}&a=1": "https://host/x.csv?token=***&a=1",
    f"https://host/x.csv?a=1&X-Amz-Signature={SECRET}": "https://host/x.csv?a=1&X-Amz-Signature=***",
    f"https://host/x?sig={SECRET}": "https://host/x?sig=***",
    f"https://{SECRET}{SECRET}@github.com/me/x": "https://***@github.com/me/x",
    f"s3://key:{SECRET}@bucket/x": "s3://key:***@bucket/x",
    "postgresql://me:pa/s3cr3t-W0rd_9@host/db": "postgresql://me:***@host/db",
    "postgresql://me:p@s3/cr?e#t@host/db, or": "postgresql://me:***@host/db, or",
    "scheme://me:p@ssword1@host": "scheme://me:***@host",
    "https://me:p@ss@host/x.csv": "https://me:***@host/x.csv",
    "https://me:pa/ss@host/x.csv": "https://me:***@host/x.csv",
    f"git+https://me:{SECRET}@host/me/x.git@v1": "git+https://me:***@host/me/x.git@v1",
    f"'another://me:{SECRET}'s@host/db','x@y'": "'another://me:***@host/db','x@y'",
    f"https://me:{SECRET}@host/x,https://you:{SECRET}@host/y": "https://me:***@host/x,https://you:***@host/y",
    f"--token {TOKEN}, he said": "--token ***, he said",
    "AKIAIOSFODNN7EXAMPLE": "***",
}
PLAIN = ["https://host/x.csv?page=2", "pkg://some/rows.csv", "mail me@home.org", "a:b@c", "hf_short", "max_tokens=5"]
PLAIN += ["12:30 @ the station", "sk-8 and sk-9", "?monkey=1 in a text", "label=token", "http://localhost:7860/x"]
PLAIN += ["https://host/a@b", "https://host:8080/x@y", "https://host:8080?mail=x@y", "http://[::1]:8080/x@y"]
PLAIN += ["file://c:/rows/x@y.csv", "zip://x.csv::https://host/x@y", "'https://host:80/x','me@home.org'"]
PLAIN += ["see https://host: it is of me@home.org", "https://me:${PASSWORD_OF_ME}/x@y", "https://host?token=***"]


@pytest.mark.parametrize(("text", "shown"), ADDRESSES.items())
def test_secrets_are_masked(text, shown):
    assert credentials.masked(text) == shown
    assert credentials.masked(shown) == shown
    assert credentials.mistakes({"path": text}, "data")[0].startswith("data.path: a secret in a recipe")
    assert SECRET not in "".join(credentials.mistakes({"path": text}, "data"))


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_none_stays(text):
    assert credentials.masked(text) == text
    assert not credentials.mistakes({"path": text, "sep": text}, "data")


@given(st.text(st.characters(codec="utf-8"), max_size=80))
def test_masking_twice_is_masking_once(text):
    assert credentials.masked(credentials.masked(text)) == credentials.masked(text)


def test_what_the_environment_keeps_is_masked(monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", "not-of-any-form-1")
    sayer(False)("sent with not-of-any-form-1\x1b[31m")
    assert capsys.readouterr().out == "sent with ***⟨U+001B⟩[31m\n"


def test_what_the_environment_keeps_is_masked_whatever_stands_around_it(monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "hunter2hunter2")
    monkeypatch.setattr(credentials, "_filled", set())
    assert safe("login with hunter2hunter2 failed") == "login with *** failed"


def test_a_name_of_the_environment_in_an_address_is_no_secret():
    for text in ("https://${ME}:${WORD}@host/x?token=${T}", "postgresql://me:${WORD}@host/db", "https://${H}:${P}/x@y"):
        assert not credentials.mistakes({"path": text}, "data")
    assert credentials.mistakes({"path": "postgresql://me:${WORD}/more@host/db?x=${T}&key=abc"}, "data")


OPTIONS = {"token": SECRET}, {"storage_options": {"secret": SECRET}}, {"storage_options": {"password": SECRET}}
OPTIONS += ({"use_auth_token": SECRET}, {"storage_options": {"aws_secret_access_key": SECRET}}, {"api_key": 12345678})


@pytest.mark.parametrize("options", OPTIONS)
def test_a_secret_in_a_recipe_is_refused_and_not_shown(options):
    with pytest.raises(InputError, match=r"data\.options\.[\w.]+: a secret in a recipe is in every copy") as told:
        recipe.build(TREE | {"data": {"path": "csv", "options": options}})
    assert SECRET not in str(told.value)


def test_what_only_sounds_like_a_secret_is_let_pass():
    data = {
        "path": "csv",
        "options": {"token": True, "sep": ",", "encoding": "utf-8"},
        "labels": {"password": "account"},
    }
    model = {"name": "m", "config": {"pad_token_id": 0, "bos_token": "<s>"}}
    made = recipe.build(TREE | {"data": data, "model": model})
    assert made.data.labels == {"password": "account"} and made.data.options["token"] is True


def test_a_secret_comes_from_the_environment(tmp_path, monkeypatch):
    (tmp_path / "rows.csv").write_text("text,label\none,a\ntwo,b\n")
    monkeypatch.setattr(credentials, "_filled", set())
    data = Data(path="csv", data_files="${ROWS_AT}", options={"sep": "${ROWS_SEP}"})
    monkeypatch.delenv("ROWS_AT", raising=False)
    with pytest.raises(InputError, match=r"\$\{ROWS_AT\} is not in the environment; type export ROWS_AT="):
        sources.load(data)
    monkeypatch.setenv("ROWS_AT", str(tmp_path / "rows.csv"))
    monkeypatch.setenv("ROWS_SEP", ",")
    assert sources.load(data)["train"]["text"][:] == ["one", "two"]
    assert str(tmp_path / "rows.csv") not in safe(f"read {tmp_path / 'rows.csv'}"), "masked from here on"
    made = recipe.build(TREE | {"data": {"path": "csv", "data_files": "${ROWS_AT}"}})
    assert "${ROWS_AT}" in recipe.dump(made) and str(tmp_path) not in recipe.dump(made)


def test_a_storage_keeps_its_password(monkeypatch):
    monkeypatch.setenv("STUDIES", f"nosuchdb://me:{SECRET}@host/db")
    with pytest.raises(InputError, match=r"--storage '\*\*\*': expected a URL"):
        storages.opened("${STUDIES}", Path())
    with pytest.raises(InputError, match=r"--storage 'another://me:\*\*\*@host/db': expected a URL"):
        storages.opened(f"another://me:{SECRET}@host/db", Path())
    with pytest.raises(InputError, match="NO_STUDIES is not set"):
        storages.opened("${NO_STUDIES}", Path())


def test_no_message_shows_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(TREE))
    words = [f"data.path=https://me:{SECRET}@host/x.csv", f"data.options.token={SECRET}"]
    words += [f"model.name=https://host/x?token={SECRET}"]
    for word in words:
        assert hfft("check", "mine.yaml", "--fast", word) == 2
        said = "".join(capsys.readouterr())
        assert "a secret in a recipe" in said and SECRET not in said


def test_a_traceback_has_it_masked(tmp_path):
    """As a process of its own: what a library raises and nobody expects."""
    code = (
        "from hfft import cli, recipe\n"
        f"def broken(*_): raise RuntimeError('cannot reach https://me:{SECRET}@host')\n"
        "recipe.shipped = broken\n"
        "import sys; sys.argv = ['hfft', 'ls']; cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "RuntimeError: cannot reach https://me:***@host" in done.stderr
    assert SECRET not in done.stderr + done.stdout


def test_what_is_published_and_what_is_kept_of_the_machine_has_none(monkeypatch):
    tree = {"data": {"path": f"https://me:{SECRET}@host/x.csv", "options": {"token": SECRET}}}
    assert SECRET not in json.dumps(public_files.public_recipe(tree))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    kept = environment.versions(), environment.hardware(1, [], 1), environment.git_commit(), environment.git_changed()
    assert TOKEN not in repr(kept) and "@" not in repr(kept)
