"""With the network down and HF_HUB_OFFLINE not set: what wants the Hub says what to bring and where to put it, without
trying for minutes, and what does not want it does not ask.
"""

import time
from types import SimpleNamespace

import pytest
from huggingface_hub import constants

from hfft import reaching
from tests.command import hfft


@pytest.fixture
def online(monkeypatch):
    """As for a user who has set nothing."""
    import datasets

    monkeypatch.setattr(reaching, "_known", {})
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", False)


@pytest.fixture
def naps(monkeypatch):
    """Seconds that libraries slept before they tried again."""
    slept, real = [], time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: (slept.append(seconds), real(min(seconds, 0.01))))
    return slept


MODEL = ["hf download google-bert/bert-base-uncased;", "models--google-bert--bert-base-uncased of its cache to "]
TIMM = ["hf download timm/resnet18.a1_in1k;", "models--timm--resnet18.a1_in1k of its cache to "]
ROWS = ["hf download --repo-type dataset stanfordnlp/imdb --local-dir imdb;", "type data.path=imdb"]
PAGE = ["https://example.com/rows.csv: cannot be fetched", "type data.data_files=FILE"]
CASES = {
    "a text model": (["run", "tiny_textcls", "model.name=google-bert/bert-base-uncased"], MODEL),
    "a model to check": (["check", "tiny_textcls", "model.name=google-bert/bert-base-uncased"], MODEL),
    "a picture model of timm": (["run", "tiny_imgcls", "model={name: timm/resnet18.a1_in1k}"], TIMM),
    "a mask model of timm": (["run", "tiny_semseg", "model={name: timm/resnet18.a1_in1k}"], TIMM),
    "rows": (["run", "tiny_textcls", "data={path: stanfordnlp/imdb}"], ROWS),
    "rows to check": (["check", "tiny_textcls", "data={path: stanfordnlp/imdb}"], ROWS),
    "a stream": (["run", "tiny_textcls", "data={path: stanfordnlp/imdb, streaming: true, split: {by: hash}}"], ROWS),
    "a page": (["run", "tiny_textcls", "data={path: csv, data_files: 'https://example.com/rows.csv'}"], PAGE),
    "models to rank": (["rank", "tiny_textcls", "--models", "google-bert/bert-base-uncased", "a/b"], MODEL),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_out_of_reach_says_what_to_bring(case, online, network_down, naps, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words, parts = CASES[case]
    assert hfft(*words) == 2
    said = "".join(capsys.readouterr())
    told = " ".join(said.split()).replace("`", "")
    assert all(part in told for part in [*parts, "docs/offline.md"]), said
    assert "does not answer" in told or case == "a page"
    assert "Traceback" not in said and not (tmp_path / "runs").exists()
    assert sum(naps) < 3, "nobody waits for what does not come"


def test_a_push_is_refused_at_once(online, network_down, naps, monkeypatch):
    from hfft import hub_access
    from hfft.errors import InputError

    monkeypatch.setenv("HF_TOKEN", "hf_write")
    with pytest.raises(InputError, match=r"https://huggingface.co does not answer \(.*so nothing can be pushed"):
        hub_access.check("maria/new")
    assert not naps


def test_a_hub_that_takes_the_line_and_says_nothing(online, monkeypatch):
    """A firewall that swallows everything: no look-up fails, and nothing comes."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr(reaching, "SECONDS", 0.2)
        assert "does not answer" in reaching.why() and constants.HF_HUB_OFFLINE
        assert reaching.why().startswith(constants.ENDPOINT), "it is not asked again, and the reason stays"


def test_a_hub_that_answers_is_asked_once(online, monkeypatch):
    asked = []
    monkeypatch.setattr("huggingface_hub.get_session", lambda: SimpleNamespace(head=lambda *a, **_: asked.append(a)))
    assert reaching.why() == reaching.why() == "" and len(asked) == 1 and not constants.HF_HUB_OFFLINE


@pytest.mark.parametrize("name", ["tiny_textcls", "tiny_imgcls"])
def test_a_run_on_what_is_here_asks_nobody(name, online, without_pages, tmp_path, monkeypatch):
    """Whoever reaches out is found out by `nothing_reached_out`, without HF_HUB_OFFLINE to hold it back."""
    monkeypatch.chdir(tmp_path)
    assert hfft("run", name, "data.limit=150", "train.max_steps=2", "--output-dir", "here") == 0
    assert hfft("eval", "here") in (0, 3)
    assert not constants.HF_HUB_OFFLINE and not reaching._known
