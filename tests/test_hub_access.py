"""May I push there? Asked of a stand-in for the Hub on this machine, in a process of its own: huggingface_hub reads its
environment once, at import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def scoped(name: str, *permissions: str) -> dict:
    grants = [{"entity": {"type": "user", "name": name}, "permissions": list(permissions)}]
    return {"role": "fineGrained", "fineGrained": {"global": [], "scoped": grants}}


ORGS = [{"name": "lab", "roleInOrg": "write"}, {"name": "club", "roleInOrg": "read"}]
TOKENS = {
    "hf_write": {"role": "write"},
    "hf_read": {"role": "read"},
    "hf_fine": scoped("maria", "repo.content.read", "repo.write"),
    "hf_fine_repo": scoped("maria/old", "repo.write"),
    "hf_fine_read": scoped("maria", "repo.content.read"),
    "hf_unknown_kind": {},
}
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


class Hub(BaseHTTPRequestHandler):
    """GET whoami-v2 and model info, as the Hub answers them."""

    def do_GET(self):
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        status, body = 404, {"error": "Repository not found"}
        if token in ("hf_busy", "hf_down"):
            status = 429 if token == "hf_busy" else 503
        elif self.path.startswith("/api/whoami-v2"):
            known = TOKENS.get(token)
            status = 200 if known is not None else 401
            body = {"type": "user", "name": "maria", "orgs": ORGS, "auth": {"accessToken": known}}
        elif self.path.startswith("/api/models/maria/old"):
            status, body = 200, {"id": "maria/old", "modelId": "maria/old"}
        data = json.dumps(body).encode()
        self.send_response(status)
        if status == 404:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Quiet."""


def ask(cases, tmp_path, **environment: str) -> list[str]:
    """What is said of each (token, repository), in one fresh process without a stored token."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    kept |= {"PYTHONPATH": str(ROOT), "HF_HOME": str(tmp_path), "HF_HUB_DISABLE_XET": "1"} | environment
    kept |= {"HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        [sys.executable, "-c", CODE], input=json.dumps(cases), env=kept, cwd=tmp_path,
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        cases = list(CASES)
        said = ask(cases, tmp_path_factory.mktemp("hub"), HF_ENDPOINT=f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    return dict(zip(cases, said, strict=True))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]} {case[1]}")
def test_one_sentence_says_whether_a_push_would_work(case, answers):
    said = answers[case]
    assert CASES[case] in said and "\n" not in said
    assert said.startswith("refused: ") != CASES[case].startswith(("Hub:", "is not told"))
    assert not any(token in said for token in [*TOKENS, "hf_revoked", "hf_busy", "hf_down"]), "a token is never shown"


def test_offline_and_unreachable_are_told_apart(tmp_path):
    case = [("hf_write", "maria/new")]
    assert "HF_HUB_OFFLINE is set" in ask(case, tmp_path, HF_HUB_OFFLINE="1")[0]
    said = ask(case, tmp_path, HF_ENDPOINT="http://127.0.0.1:9")[0]
    assert "http://127.0.0.1:9 cannot be reached (ConnectError); check the network" in said
