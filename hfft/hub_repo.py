"""One repository of the Hugging Face Hub: what is there, one commit, a tag, and back again.

In: OWNER/NAME and a folder. Out: plain facts, or InputError with one sentence. It must not know what a run is. No token
is handed on, kept or shown: huggingface_hub finds it in HF_TOKEN or where `hf auth login` put it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hfft import hub_access, scratch
from hfft.errors import InputError

TRIES = 4  # of one push; huggingface_hub tries each request up to five times besides
WAIT = 2.0  # seconds before the second try, twice as long before each further one
BUSY = (429, 500, 502, 503, 504)
Say = Callable[[str], None]


@dataclass(frozen=True)
class Held:
    """A file of a repository. digest: its sha256 where `large`, else git's name for it."""

    size: int
    digest: str
    large: bool


@dataclass(frozen=True)
class Repo:
    """What is in a repository now. files: by their paths."""

    name: str
    kind: str = "model"
    exists: bool = False
    private: bool = False
    head: str | None = None
    files: dict[str, Held] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def changed(self, folder: Path, digests: Mapping[str, str]) -> list[str]:
        """Those of the paths in `folder` that are not in the repository as they are there. digests: path → sha256."""
        return [path for path, digest in digests.items() if not self._holds(path, folder / path, digest)]

    def _holds(self, path: str, file: Path, digest: str) -> bool:
        held = self.files.get(path)
        if held is None or held.size != file.stat().st_size:
            return False
        return held.digest == (digest if held.large else _git_name(file))


def state(name: str, kind: str = "model") -> Repo:
    """What is there; a repository that does not exist is no error."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError
    from huggingface_hub.hf_api import RepoFile

    with plainly(name):
        try:
            info = HfApi().repo_info(name, repo_type=kind)
        except RepositoryNotFoundError:
            return Repo(name, kind)
        held = HfApi().list_repo_tree(name, repo_type=kind, recursive=True, revision=info.sha)
        files = {one.path: _held(one) for one in held if isinstance(one, RepoFile)}
        tags = {tag.name: tag.target_commit for tag in HfApi().list_repo_refs(name, repo_type=kind).tags}
    return Repo(name, kind, True, bool(info.private), info.sha, files, tags)


def text(repo: Repo, path: str) -> str:
    """A small file of the repository; "" where there is none."""
    from huggingface_hub import hf_hub_download

    if path not in repo.files:
        return ""
    with plainly(repo.name), scratch.folder("hub") as empty:
        got = hf_hub_download(repo.name, path, repo_type=repo.kind, revision=repo.head, cache_dir=empty)
        return Path(got).read_text(encoding="utf-8", errors="replace")


def validate(card: str, name: str, kind: str) -> None:
    """Raise InputError for a card that the Hub would refuse; a commit asks the same, but of one repository alone."""
    from huggingface_hub import RepoCard

    try:
        RepoCard(card, ignore_metadata_errors=True).validate(repo_type=kind)
    except refusals() as error:
        if isinstance(error, ValueError) and not isinstance(error, OSError):
            told = " ".join(str(error).split())[:300]
            raise InputError(f"the Hub refuses the front matter of {name}'s card ({kind}): {told}") from error
        raise InputError(sentence(error, name)) from error


def make(name: str, kind: str, private: bool) -> None:
    """Make the repository."""
    from huggingface_hub import HfApi

    with plainly(name):
        HfApi().create_repo(name, repo_type=kind, private=private, space_sdk="gradio" if kind == "space" else None)


def commit(repo: Repo, folder: Path, added: Mapping[str, str], gone: list[str], message: str, say: Say) -> str:
    """Add files of `folder`, path → sha256, and remove `gone`, in one commit on top of what was seen. Returns its id.

    A connection that breaks is tried again; large files that are there already are not sent again. Raises InputError
    when somebody else has committed meanwhile.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    for attempt in range(1, TRIES + 1):
        # New ones each time: huggingface_hub writes into them.
        todo: list[Any] = [CommitOperationAdd(path, folder / path) for path in added]
        todo += [CommitOperationDelete(path) for path in gone]
        try:
            made = HfApi().create_commit(
                repo.name, todo, commit_message=message, repo_type=repo.kind, parent_commit=repo.head
            )
            return made.oid
        except refusals() as error:
            why = passing(error)
            if why is None or attempt == TRIES:
                raise InputError(sentence(error, repo.name)) from error
            wait = WAIT * 2 ** (attempt - 1)
            say(f"{why}; trying again in {wait:.0f} s ({attempt + 1} of {TRIES})")
            time.sleep(wait)
        now = state(repo.name, repo.kind)
        if now.head != repo.head and not now.changed(folder, added) and not set(gone) & set(now.files):
            return str(now.head)  # it had arrived; only the answer got lost
    raise AssertionError("the last try returns or raises")


def tag(repo: Repo, name: str, commit: str, message: str) -> None:
    """Let the tag name this commit; one that names another is moved."""
    from huggingface_hub import HfApi

    with plainly(repo.name):
        if name in repo.tags:
            HfApi().delete_tag(repo.name, tag=name, repo_type=repo.kind)
        HfApi().create_tag(repo.name, tag=name, revision=commit, tag_message=message, repo_type=repo.kind)


def pull(name: str, kind: str, commit: str, cache: Path) -> Path:
    """The repository at this commit, fetched into an empty cache."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    quiet = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        with plainly(name):
            return Path(snapshot_download(name, repo_type=kind, revision=commit, cache_dir=cache))
    finally:
        if not quiet:
            enable_progress_bars()


def known(name: str, kind: str) -> dict[str, Any] | None:
    """{"license": …} of a public model or data set of the Hub; None where there is none of that name."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError

    with plainly(name):
        try:
            info = HfApi().repo_info(name, repo_type=kind)
        except RepositoryNotFoundError:
            return None
    card = getattr(info, "card_data", None)
    return None if info.private else {"license": getattr(card, "license", None)}


@contextlib.contextmanager
def plainly(name: str) -> Iterator[None]:
    """What the Hub or the network refuses, as one sentence."""
    try:
        yield
    except refusals() as error:
        raise InputError(sentence(error, name)) from error


def refusals() -> tuple[type[Exception], ...]:
    """What huggingface_hub raises for what the Hub, the network or the disk refuses.

    RuntimeError: a file that could not be uploaded. ValueError: a card, a name, or an answer that is none.
    """
    from huggingface_hub.errors import HTTPError

    return HTTPError, OSError, ValueError, RuntimeError


def passing(error: BaseException) -> str | None:
    """Why it may work a moment later; None where it will not."""
    from huggingface_hub.errors import HfHubHTTPError, HTTPError

    for one in _causes(error):
        if isinstance(one, HfHubHTTPError):
            status = one.response.status_code
            return f"the Hub answers {status}" if status in BUSY else None
        if isinstance(one, (HTTPError, ConnectionError)):
            return f"the connection broke ({type(one).__name__})"
    return None


def sentence(error: BaseException, name: str) -> str:
    """One sentence for what came: what it was, and what to type. Nothing of a request is shown."""
    from huggingface_hub.errors import HfHubHTTPError, HTTPError

    causes = list(_causes(error))
    if found := next((one for one in causes if isinstance(one, HfHubHTTPError)), None):
        if any(isinstance(one, ValueError) and "Invalid metadata" in str(one) for one in causes):
            told = " ".join(str(error).split())
            return (
                f"the Hub refuses the front matter of the card: {told.removeprefix('Invalid metadata in README.md. ')}"
            )
        return _status(found, name)
    if any(isinstance(one, (HTTPError, ConnectionError)) for one in causes):
        broken = next(one for one in causes if isinstance(one, (HTTPError, ConnectionError)))
        return (
            f"the connection to the Hub broke ({type(broken).__name__}); type the same again: files that have arrived "
            "are not sent again"
        )
    return f"{name}: {' '.join(str(error).split())[:300]}"


def _status(error: Any, name: str) -> str:
    status, code = error.response.status_code, error.response.headers.get("X-Error-Code")
    if status == 404 or code == "RepoNotFound":
        return f"{name} is not there (any more), or this token may not see it; type the same again to make it anew"
    if status == 403:
        return f"the Hub does not let this token write to {name}; {hub_access.LOGIN}"
    if status in (409, 412):
        return (
            f"somebody else has written to {name} since this push began, so nothing was changed; look at "
            "what they did, and type the same again"
        )
    return hub_access.refusal(name, status)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _held(one: Any) -> Held:
    """Of a file as huggingface_hub lists it. Large ones lie in a store of their own, by their sha256."""
    return Held(one.lfs.size, one.lfs.sha256, True) if one.lfs else Held(one.size, one.blob_id, False)


def _git_name(path: Path) -> str:
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def read_tree(content: str) -> dict[str, Any]:
    """JSON that anybody may have edited; {} where it is none."""
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return tree if isinstance(tree, dict) else {}
