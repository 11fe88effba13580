"""The stand-in of the Hub speaks its protocol: `huggingface_hub` makes, fills, tags, reads and pulls repositories."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import hub_server
import pytest

# huggingface_hub's own way of handing files to its HTTP library.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")


@pytest.fixture
def hub(monkeypatch, tmp_path):
    import huggingface_hub

    with hub_server.running() as hub:
        hub_server.connected(hub, monkeypatch, tmp_path / "cache")
        yield hub
        huggingface_hub.close_session()


def test_what_is_pushed_comes_back_and_the_token_is_nowhere_in_it(hub, tmp_path):
    from huggingface_hub import CommitOperationAdd, HfApi, hf_hub_download, snapshot_download

    api, weights = HfApi(), bytes(range(256)) * 100
    api.create_repo("maria/moods", private=True)
    api.create_repo("maria/moods", private=True, exist_ok=True)
    files = {"model.safetensors": weights, "sub/notes.txt": b"hello", "README.md": b"---\nlicense: mit\n---\n# x\n"}
    adds = [CommitOperationAdd(path, data) for path, data in files.items()]
    done = api.create_commit("maria/moods", adds, commit_message="one", parent_commit=api.repo_info("maria/moods").sha)
    api.create_tag("maria/moods", tag="v1")
    assert {ref.name: ref.target_commit for ref in api.list_repo_refs("maria/moods").tags} == {"v1": done.oid}
    assert api.repo_info("maria/moods").private and len(api.list_repo_commits("maria/moods")) == 2
    pulled = snapshot_download("maria/moods", revision=done.oid, cache_dir=tmp_path / "empty")
    assert {path: (Path(pulled) / path).read_bytes() for path in files} == files
    assert Path(hf_hub_download("maria/moods", "sub/notes.txt", revision="v1")).read_bytes() == b"hello"
    assert set(hub.tokens) == {"hf_write"} and not any(b"hf_write" in part for part in hub.received)
    sent = [
        json.loads(line)
        for part in hub.received
        if b'"key": "file"' in part
        for line in part.split(b"\n")
        if line[:1] == b"{"
    ]
    assert b"hello" in [base64.b64decode(line["value"].get("content", "")) for line in sent]
    assert [line.split("?")[0] for line in hub.writes if line.startswith("PUT")], "the weights came as a large file"


def test_it_refuses_as_the_hub_does(hub, monkeypatch, tmp_path):
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

    def refused(call) -> int:
        with pytest.raises(HfHubHTTPError) as caught:
            call()
        return caught.value.response.status_code

    def add(repo: str, parent: str | None = None):
        adds = [CommitOperationAdd("a.txt", str(parent).encode())]
        return api.create_commit(repo, adds, commit_message="m", parent_commit=parent)

    hub.made("maria/old")
    hub.made("stranger/hidden", private=True)
    hub.made("stranger/open")
    api = HfApi()
    head = api.repo_info("maria/old").sha
    assert refused(lambda: api.create_repo("stranger/new")) == 403
    assert refused(lambda: add("stranger/open")) == 403
    assert refused(lambda: api.create_repo("maria/old")) == 409
    with pytest.raises(RepositoryNotFoundError):
        api.repo_info("stranger/hidden")
    add("maria/old")
    assert refused(lambda: add("maria/old", head)) == 412, "somebody was faster"
    with pytest.raises(ValueError, match="license"):
        api.create_commit(
            "maria/old", [CommitOperationAdd("README.md", b"---\nlicense: mine\n---\n")], commit_message="m"
        )
    hub_server.connected(hub, monkeypatch, tmp_path, "hf_read")
    assert refused(lambda: api.create_repo("maria/new")) == 403
    hub_server.connected(hub, monkeypatch, tmp_path, None)
    assert refused(lambda: api.create_repo("maria/new")) == 401


@pytest.mark.parametrize("trouble", ["cut", 503])
def test_an_upload_that_breaks_off_works_on_the_second_try(trouble, hub, monkeypatch):
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.utils import _http

    monkeypatch.setattr(_http.time, "sleep", lambda _: None)
    hub.made("maria/old")
    hub.trouble("PUT /lfs", trouble)
    adds = [CommitOperationAdd("model.safetensors", bytes(300_000)), CommitOperationAdd("a.txt", b"a")]
    HfApi().create_commit("maria/old", adds, commit_message="m")
    assert sum(line.startswith("PUT") for line in hub.asked) == 2
    assert hub.repos["model", "maria/old"].files["model.safetensors"] == bytes(300_000)
