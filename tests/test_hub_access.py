"""May I push there? Asked of a stand-in for the Hub on this machine, in a process of its own: huggingface_hub reads its
environment once, at import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import hub_server
import pytest

ROOT = Path(__file__).parent.parent

# token, repository → what is said
CASES = {
    ("hf_write", "maria/new"): "Hub: maria may write to maria/new: it does not exist and would be made",
    ("hf_write", "maria/old"): "Hub: maria may write to maria/old: it exists, and a push adds a commit",
    ("hf_write", "lab/new"): "Hub: maria may write to lab/new",
    ("hf_fine", "maria/new"): "Hub: maria may write to maria/new",
    ("hf_fine_repo", "maria/old"): "Hub: maria may write to maria/old",
    ("hf_unknown_kind", "maria/new"): "is not told by the Hub",
    ("hf_fine_repo", "maria/new"): "may write to maria/old; give it repo.write for maria",
    ("hf_fine_read", "maria/new"): "may write to nothing; give it repo.write for maria",
    ("hf_read", "maria/new"): "the token may only read; type `hf auth login`",
    ("hf_write", "club/new"): "maria is in club with the role 'read', which may not write",
    ("hf_write", "stranger/new"): "not a member of 'stranger'; type --hub maria/new, or one of: lab/new, club/new",
    ("hf_write", "tickets"): "expected OWNER/NAME, such as maria/tickets",
    ("hf_write", "a/b/c"): "expected OWNER/NAME",
    ("hf_revoked", "maria/new"): "does not know the token it was given (expired or revoked); type `hf auth login`",
    ("hf_busy", "maria/new"): "too many requests; wait",
    ("hf_down", "maria/new"): "the Hub answers 503",
    (None, "maria/new"): "there is no token for the Hub here; type `hf auth login`",
}
CODE = """
import json, os, sys
from hfft import hub_access
from hfft.errors import InputError
out = []
for token, repo in json.load(sys.stdin):
    os.environ.pop("HF_TOKEN", None)
    if token:
        os.environ["HF_TOKEN"] = token
    try:
        out.append(hub_access.check(repo))
    except InputError as error:
        out.append("refused: " + str(error))
print(json.dumps(out))
"""


def ask(cases, tmp_path, **environment: str) -> list[str]:
    """What is said of each (token, repository), in one fresh process without a stored token."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    kept |= {"PYTHONPATH": str(ROOT), "HF_HOME": str(tmp_path), "NO_PROXY": "127.0.0.1"} | environment
    done = subprocess.run(
        [sys.executable, "-c", CODE], input=json.dumps(cases), env=kept, cwd=tmp_path,
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    with hub_server.running() as hub:
        hub.made("maria/old")
        home = tmp_path_factory.mktemp("hub")
        said = ask(list(CASES), home, **hub_server.environment(hub, home, token=None))
        assert not hub.writes, "asking makes nothing"
    return dict(zip(CASES, said, strict=True))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]} {case[1]}")
def test_one_sentence_says_whether_a_push_would_work(case, answers):
    said = answers[case]
    assert CASES[case] in said and "\n" not in said
    assert said.startswith("refused: ") != CASES[case].startswith(("Hub:", "is not told"))
    assert not any(token in said for token in [*hub_server.TOKENS, "hf_revoked", "hf_busy", "hf_down"]), (
        "a token is never shown"
    )


def test_offline_and_unreachable_are_told_apart(tmp_path):
    case = [("hf_write", "maria/new")]
    assert "HF_HUB_OFFLINE is set" in ask(case, tmp_path, HF_HUB_OFFLINE="1")[0]
    said = ask(case, tmp_path, HF_ENDPOINT="http://127.0.0.1:9")[0]
    assert said.startswith("refused: http://127.0.0.1:9 does not answer (") and "check the network" in said
