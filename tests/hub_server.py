"""A stand-in for the Hugging Face Hub on this machine: enough of its HTTP API for `huggingface_hub` to push and pull.

It keeps models and spaces in memory, asks for tokens as the Hub does, really checks the front matter of cards, and
remembers every byte that it was sent. `Hub.trouble` makes it fail where a test wants it to. It is never asked directly:
tests talk to `huggingface_hub`, which `connected` points here (its constants are read when it calls), or a process of
its own with `environment`.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from hub_validator import front, mistakes

LARGE = (".safetensors", ".onnx", ".bin", ".tflite", ".png")  # kept as LFS objects, as .gitattributes says there
ORGS = [{"name": "lab", "roleInOrg": "write"}, {"name": "club", "roleInOrg": "read"}]
Answer = tuple[int, Any, dict[str, str]]


def scoped(name: str, *permissions: str) -> dict[str, Any]:
    grants = [{"entity": {"type": "user", "name": name}, "permissions": list(permissions)}]
    return {"role": "fineGrained", "fineGrained": {"global": [], "scoped": grants}}


# token → (user, what whoami says of the token)
TOKENS = {
    "hf_write": ("maria", {"role": "write"}),
    "hf_read": ("maria", {"role": "read"}),
    "hf_fine": ("maria", scoped("maria", "repo.content.read", "repo.write")),
    "hf_fine_repo": ("maria", scoped("maria/old", "repo.write")),
    "hf_fine_read": ("maria", scoped("maria", "repo.content.read")),
    "hf_unknown_kind": ("maria", {}),
    "hf_stranger": ("stranger", {"role": "write"}),
}
BUSY = {"hf_busy": 429, "hf_down": 503}  # what the Hub answers these, whatever they ask


@dataclass
class Repo:
    """files: of each commit, path → bytes; the last one is main's."""

    private: bool = False
    sdk: str | None = None
    commits: list[tuple[str, str, dict[str, bytes]]] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)

    def commit(self, message: str, files: dict[str, bytes]) -> str:
        text = repr(
            (len(self.commits), message, sorted((name, hashlib.sha1(x).hexdigest()) for name, x in files.items()))
        )
        self.commits.append((hashlib.sha1(text.encode()).hexdigest(), message, dict(files)))
        return self.head

    @property
    def head(self) -> str:
        return self.commits[-1][0]

    @property
    def files(self) -> dict[str, bytes]:
        return self.commits[-1][2]

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        oid = self.head if revision == "main" else self.tags.get(revision, revision)
        return next(((made, files) for made, _, files in self.commits if made == oid), None)


@dataclass
class Hub:
    """The Hub's memory. received: each request without its Authorization line; tokens: those that came in one."""

    url: str = ""
    repos: dict[tuple[str, str], Repo] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    received: list[bytes] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    troubles: list[list[Any]] = field(default_factory=list)
    lock: Any = field(default_factory=threading.RLock)

    def made(self, name: str, kind: str = "model", private: bool = False, **files: bytes) -> Repo:
        """A repository that is already there. files: with `__` for the dot of an ending: README__md."""
        repo = self.repos[kind, name] = Repo(private)
        repo.commit("initial commit", {".gitattributes": b"*.safetensors filter=lfs\n"})
        if files:
            repo.commit("theirs", repo.files | {path.replace("__", "."): data for path, data in files.items()})
        return repo

    def trouble(self, pattern: str, what: int | str | Callable[[], Any], times: int = 1) -> None:
        """Of the next `times` requests whose "METHOD /path" matches: a status, "cut" half way, or a thing to do."""
        self.troubles.append([re.compile(pattern), what, times])

    def due(self, line: str) -> int | str | None:
        for one in self.troubles:
            if one[2] > 0 and one[0].search(line):
                one[2] -= 1
                if not callable(one[1]):
                    return one[1]
                one[1]()
        return None

    @property
    def writes(self) -> list[str]:
        """Requests that changed something."""
        quiet = ("validate-yaml", "preupload", "objects/batch", "/verify")
        return [
            line for line in self.asked if not line.startswith(("GET", "HEAD")) and not any(q in line for q in quiet)
        ]


class Handler(BaseHTTPRequestHandler):
    hub: Hub

    def _any(self) -> None:
        line = f"{self.command} {self.path}"
        with self.hub.lock:
            self.hub.asked.append(line)
            trouble = self.hub.due(line)
        head = "".join(f"{k}: {v}\r\n" for k, v in self.headers.items() if k.lower() != "authorization")
        body = self._body(trouble == "cut")
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        with self.hub.lock:
            self.hub.received.append(f"{line}\r\n{head}\r\n".encode() + body)
            self.hub.tokens += [token] if token else []
            if trouble == "cut":
                self.connection.close()
                return
            if isinstance(trouble, int):
                self._reply(trouble, {"error": f"trouble {trouble}"}, {})
                return
            self._reply(*self._answer(token, body))

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _any  # noqa: N815

    def _body(self, cut: bool) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            parts = []
            while size := int(self.rfile.readline().strip() or b"0", 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
                if cut:
                    return b"".join(parts)
            return b"".join(parts)
        length = int(self.headers.get("Content-Length") or 0)
        return self.rfile.read(length // 2 if cut else length)

    def _reply(self, status: int, body: Any, headers: dict[str, str]) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for key, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _answer(self, token: str, body: bytes) -> Answer:  # noqa: PLR0911
        hub, parts = self.hub, urlsplit(self.path)
        path = unquote(parts.path).strip("/").split("/")
        if token in BUSY:
            return BUSY[token], {"error": "not now"}, {}
        if token and token not in TOKENS:
            return (
                401,
                {"error": "Invalid credentials"},
                {"X-Error-Message": "Invalid credentials in Authorization header"},
            )
        user, role = TOKENS.get(token, ("", {}))
        if path[:2] == ["api", "whoami-v2"]:
            me = {"type": "user", "name": user, "orgs": ORGS if user == "maria" else [], "auth": {"accessToken": role}}
            return (200, me, {}) if user else (401, {"error": "Unauthorized"}, {})
        if path[:2] == ["api", "validate-yaml"]:
            asked = json.loads(body)
            errors = [{"message": one} for one in mistakes(asked["content"], asked.get("repoType") or "model")]
            return 400 if errors else 200, {"errors": errors, "warnings": []}, {}
        if path[:3] == ["api", "repos", "create"]:
            return self._create(user, role, json.loads(body))
        if path[0] == "lfs":  # what a signed address points to: no token there
            return self._stored(path[1], body)
        api = path[0] == "api"
        kind = {"spaces": "space", "datasets": "dataset"}.get(path[1 if api else 0], "model")
        rest = path[2:] if api else path[kind != "model" :]
        name, rest = "/".join(rest[:2]).removesuffix(".git"), rest[2:]
        repo = hub.repos.get((kind, name))
        if repo is None or (repo.private and user != name.partition("/")[0]):
            return 404 if user else 401, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"}
        if self.command in ("POST", "DELETE") and not self._may(user, role, name):
            return 403, {"error": f"Forbidden: you don't have the rights for {name}"}, {}
        verb = rest[0] if rest else "info"
        ask = {"info": self._info, "revision": self._info, "tree": self._tree, "refs": self._refs, "tag": self._tag}
        ask |= {"resolve": self._resolve, "preupload": self._preupload, "commit": self._commit, "commits": self._log}
        if verb == "info" and rest[1:2] == ["lfs"]:
            return self._batch(repo, body)
        return ask[verb](repo, name, rest[1:], body) if verb in ask else (404, {"error": "Not found"}, {})

    def _may(self, user: str, role: dict[str, Any], name: str) -> bool:
        owner = name.partition("/")[0]
        write = role.get("role") in ("write", None) or any(
            part["entity"]["name"] in (owner, name) and "repo.write" in part["permissions"]
            for part in role.get("fineGrained", {}).get("scoped", [])
        )
        return write and (user == owner or (user == "maria" and owner == "lab"))

    def _create(self, user: str, role: dict[str, Any], asked: dict[str, Any]) -> Answer:
        name, kind = f"{asked.get('organization') or user}/{asked['name']}", asked.get("type") or "model"
        where = f"{self.hub.url}/{'spaces/' * (kind == 'space')}{name}"
        if not user:
            return 401, {"error": "Unauthorized"}, {}
        if not self._may(user, role, name):
            return 403, {"error": f"You don't have the rights to create {name}"}, {}
        if (kind, name) in self.hub.repos:
            return 409, {"error": "You already created this repo", "url": where}, {}
        self.hub.made(name, kind, asked.get("visibility") == "private").sdk = asked.get("sdk")
        return 200, {"url": where, "name": name}, {}

    def _info(self, repo: Repo, name: str, rest: list[str], body: bytes) -> Answer:
        found = repo.at(rest[0] if rest else "main")
        if found is None:
            return 404, {"error": "Revision not found"}, {"X-Error-Code": "RevisionNotFound"}
        files = [{"rfilename": path} for path in sorted(found[1])]
        facts = {
            "id": name,
            "modelId": name,
            "sha": found[0],
            "private": repo.private,
            "siblings": files,
            "sdk": repo.sdk,
        }
        facts["cardData"] = front(found[1].get("README.md", b"").decode()) or None
        return 200, facts | {"tags": [], "downloads": 0, "likes": 0}, {}

    def _tree(self, repo: Repo, name: str, rest: list[str], body: bytes) -> Answer:
        found = repo.at(rest[0])
        if found is None:
            return 404, {"error": "Revision not found"}, {"X-Error-Code": "RevisionNotFound"}
        out = []
        for path, data in sorted(found[1].items()):
            out.append({"type": "file", "path": path, "size": len(data), "oid": _blob(data)})
            if path.endswith(LARGE):
                out[-1]["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
        return 200, out, {}

    def _refs(self, repo: Repo, name: str, rest: list[str], body: bytes) -> Answer:
        tags = [{"name": tag, "ref": f"refs/tags/{tag}", "targetCommit": oid} for tag, oid in repo.tags.items()]
        main = {"name": "main", "ref": "refs/heads/main", "targetCommit": repo.head}
        return 200, {"branches": [main], "tags": tags, "converts": []}, {}

    def _tag(self, repo: Repo, name: str, rest: list[str], body: bytes) -> Answer:
        if self.command == "DELETE":
            return (200, {}, {}) if repo.tags.pop(rest[0], None) else (404, {}, {"X-Error-Code": "RevisionNotFound"})
        tag = json.loads(body)["tag"]
        found = repo.at(rest[0])
        if tag in repo.tags or found is None:
            return 409, {"error": f"Tag {tag} already exists"}, {}
        repo.tags[tag] = found[0]
        return 200, {}, {}

    def _log(self, repo: Repo, name: str, rest: list[str], body: bytes) -> Answer:
        made = [{"id": oid, "title": title, "message": "", "date": "2026-01-01T00:00:00.000Z", "authors": []}
                for oid, title, _ in reversed(repo.commits)]  # fmt: skip
        return 200, made, {}

    def _resolve(self, repo: Repo, name: str, rest: list[str], body: bytes) -> Answer:
        found = repo.at(rest[0])
        if found is None:
            return 404, {"error": "Revision not found"}, {"X-Error-Code": "RevisionNotFound"}
        data = found[1].get("/".join(rest[1:]))
        headers = {"X-Repo-Commit": found[0]}
        if data is None:
            return 404, {"error": "Entry not found"}, headers | {"X-Error-Code": "EntryNotFound"}
        large = rest[-1].endswith(LARGE)
        digest = hashlib.sha256(data).hexdigest() if large else _blob(data)
        headers["ETag"] = f'"{digest}"'
        headers |= {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(data))} if large else {}
        if begin := re.match(r"bytes=(\d+)-", self.headers.get("Range", "")):
            return (
                206,
                data[int(begin[1]) :],
                headers | {"Content-Range": f"bytes {begin[1]}-{len(data) - 1}/{len(data)}"},
            )
        return 200, data, headers

    def _preupload(self, repo: Repo, name: str, rest: list[str], body: bytes) -> Answer:
        out = []
        for one in json.loads(body)["files"]:
            large, there = one["path"].endswith(LARGE), repo.files.get(one["path"])
            oid = None if there is None else hashlib.sha256(there).hexdigest() if large else _blob(there)
            out.append(
                {"path": one["path"], "uploadMode": "lfs" if large else "regular", "shouldIgnore": False, "oid": oid}
            )
        return 200, {"files": out}, {}

    def _batch(self, repo: Repo, body: bytes) -> Answer:
        out = []
        for one in json.loads(body)["objects"]:
            out.append({"oid": one["oid"], "size": one["size"]})
            if one["oid"] not in self.hub.large:
                where = {"href": f"{self.hub.url}/lfs/{one['oid']}?signature=x"}
                out[-1]["actions"] = {"upload": where, "verify": {"href": f"{self.hub.url}/lfs/{one['oid']}/verify"}}
        return 200, {"transfer": "basic", "objects": out}, {}

    def _stored(self, oid: str, body: bytes) -> Answer:
        if self.command == "PUT":
            if hashlib.sha256(body).hexdigest() != oid:
                return 400, {"error": "the bytes are not those of the digest"}, {}
            self.hub.large[oid] = body
        return (200, {}, {"ETag": f'"{oid}"'}) if oid in self.hub.large else (404, {"error": "not stored"}, {})

    def _commit(self, repo: Repo, name: str, rest: list[str], body: bytes) -> Answer:
        files, message, lines = dict(repo.files), "", [json.loads(line) for line in body.splitlines()]
        for key, value in [(line["key"], line["value"]) for line in lines]:
            if key == "header":
                message = value["summary"]
                if value.get("parentCommit") not in (None, repo.head):
                    return 412, {"error": "The branch has moved: a commit has happened since"}, {}
            elif key == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif key == "lfsFile" and value["oid"] in self.hub.large:
                files[value["path"]] = self.hub.large[value["oid"]]
            elif key == "deletedFile" and value["path"] in files:
                del files[value["path"]]
            else:
                return 400, {"error": f"{key} {value['path']}: not there"}, {}
        oid = repo.commit(message, files)
        return 200, {"commitUrl": f"{self.hub.url}/{name}/commit/{oid}", "commitOid": oid, "success": True}, {}

    def log_message(self, *_: Any) -> None:
        """Quiet."""


def _blob(data: bytes) -> str:
    """What git calls these bytes."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@contextlib.contextmanager
def running() -> Iterator[Hub]:
    """A Hub on a free port of this machine."""
    hub = Hub()
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": hub})) as server:
        hub.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()


def connected(hub: Hub, patch: Any, home: Any, token: str | None = "hf_write") -> None:
    """Let `huggingface_hub` in this process talk to `hub` with this token and a cache of its own. patch: pytest's."""
    import huggingface_hub
    from huggingface_hub import constants

    huggingface_hub.close_session()
    new = {"ENDPOINT": hub.url, "HUGGINGFACE_CO_URL_TEMPLATE": hub.url + "/{repo_id}/resolve/{revision}/{filename}"}
    new |= {
        "HF_HUB_OFFLINE": False,
        "HF_HUB_DISABLE_XET": True,
        "HF_HUB_CACHE": str(home),
        "HF_TOKEN_PATH": f"{home}/token",
    }
    for name, value in new.items():
        patch.setattr(constants, name, value)
    patch.setenv("NO_PROXY", "127.0.0.1")
    patch.delenv("HF_TOKEN", raising=False)
    if token:
        patch.setenv("HF_TOKEN", token)


def environment(hub: Hub, home: Any, token: str | None = "hf_write") -> dict[str, str]:
    """The same for a process of its own."""
    out = {"HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0", "HF_HOME": str(home)}
    out |= {"HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "127.0.0.1"}
    return out | ({"HF_TOKEN": token} if token else {})
