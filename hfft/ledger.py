"""The ledger of the test split: every look leaves lines, and each line is sealed to the one before it.

In: a run folder. Out: one line before a look and one after it in ledger.jsonl, and what the lines say. This file must
not know what is scored or how. No torch, no transformers.

Each line carries the digest of the line before (`previous`) and its own (`digest`, SHA-256 of the line without it), so
a line that was edited, inserted, moved or taken out shows. What is last has no successor to miss it: ledger.head beside
the ledger holds the number of lines and looks and the last digest. Whoever rewrites both by these rules is not found
out; this is a seal against slips and quiet corrections, not against a forger.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from hfft.errors import InputError, NoRoomError, counted, full
from hfft.records import write_whole
from hfft.run_folder import RunFolder

try:
    import fcntl
except ImportError:  # Windows: two processes that look at the same moment may break the chain, which is then told
    fcntl = None  # type: ignore[assignment]

EMPTY, CHAINED, PLAIN, BROKEN = "empty", "chained", "not chained", "broken"
OPENED, SCORED = "opened", "scored"
UNLABELLED = ("export onnx", "export openvino", "export litert")
GENESIS = "0" * 64
SEALED = re.compile(rb'(\{.*), "digest": "([0-9a-f]{64})"\}', re.DOTALL)


@dataclass(frozen=True)
class Ledger:
    """What a run's ledger says. state: "empty", "chained", "not chained" (lines of an older hfft) or "broken".

    looks: one entry per opening, oldest first: time, look, n, fingerprint, weights, and scores, None where the process
    ended before it had any. total: openings known of, which are more than `looks` where lines are gone. why: a sentence
    on a ledger that is broken or not chained, else "".
    """

    looks: list[dict[str, Any]]
    total: int
    state: str
    why: str

    @property
    def unlabelled(self) -> int:
        """Openings at which no label was read, as for an export of the same weights: nothing can be tuned by them."""
        return sum(not reads_labels(look) for look in self.looks)

    @property
    def count(self) -> int:
        """Looks: openings that could tell which model is the better one."""
        return self.total - self.unlabelled

    @property
    def weights(self) -> int:
        """How many different models have been looked at."""
        return len({look.get("weights") for look in self.looks})


@dataclass(frozen=True)
class _Chain:
    """entries: lines that can be read. digests: of every line, GENESIS before the first. trouble: what breaks it."""

    entries: list[dict[str, Any]]
    digests: list[str]
    plain: int
    trouble: str


def reads_labels(look: dict[str, Any]) -> bool:
    """Whether a look saw labels of the test rows. An older hfft did not write it down; its float exports saw none."""
    told = look.get("labels")
    return told is not False if "labels" in look else str(look.get("for", "")) not in UNLABELLED


def read(run: RunFolder) -> Ledger:
    """The run's ledger, checked line by line; a missing one is empty unless something says that it was there."""
    if not run.ledger.is_file():
        return _told(run, b"")
    with run.ledger.open("rb") as file, alone(file, shared=True):
        return _told(run, file.read())


def opened(run: RunFolder, n: int, fingerprint: str, weights: str, purpose: str = "", labels: bool = True) -> int:
    """Write down that the test split is about to be opened; returns which look this is, counting from 1.

    The line is on the disk when this returns: call it before the first test row is given to the model. n: test rows.
    fingerprint: of their ids. weights: digest of the model's. purpose: what a look is for that scores nothing, kept as
    "for". A broken chain is no obstacle: the new line says that it was found broken, so that it stays known. Raises
    InputError when nothing can be written: then nobody looks.
    """
    facts = {"split": "test", "n": n, "fingerprint": fingerprint, "weights": weights}
    facts |= ({"for": purpose} if purpose else {}) | ({} if labels else {"labels": False})
    try:
        return _append(run, OPENED, None, facts)
    except OSError as error:
        why = error.strerror or error
        kind, cure = (NoRoomError, "make room") if full(error) else (InputError, "make it writable")
        raise kind(
            f"{run.ledger} cannot be written ({why}), and the test split stays closed to looks that leave no line; "
            f"{cure}, or copy the run to where it is"
        ) from error


def scored(run: RunFolder, look: int, scores: dict[str, float | None]) -> None:
    """Write down what look number `look` gave: metric → value."""
    _append(run, SCORED, look, {"scores": scores})


def _append(run: RunFolder, event: str, look: int | None, facts: dict[str, Any]) -> int:
    with run.ledger.open("ab+", buffering=0) as file, alone(file):
        file.seek(0)
        text = file.read()
        found, chain = _told(run, text), _chain(text)
        number = found.total + 1 if look is None else look
        entry = {"event": event, "time": _now(), "look": number, **facts}
        if found.state == BROKEN and found.why not in {past.get("found_broken") for past in chain.entries}:
            entry["found_broken"] = found.why
        line, digest = _sealed(entry | {"previous": chain.digests[-1]})
        head = {"lines": len(chain.digests), "looks": max(number, found.total), "digest": digest}
        try:
            _put(file, (b"" if not text or text.endswith(b"\n") else b"\n") + line + b"\n")
            _write_head(run, head)
        except OSError:  # half a line would break the chain, and a whole one tell of a look that nobody takes
            file.truncate(len(text))
            raise
    return number


def _put(file: BinaryIO, line: bytes) -> None:
    """The line on the disk. Raises OSError for a part of one, of which a full disk does not tell."""
    if (written := file.write(line)) != len(line):
        raise OSError(errno.ENOSPC, f"No space left on device: {written} bytes of {len(line)} written")
    os.fsync(file.fileno())


def _sealed(entry: dict[str, Any]) -> tuple[bytes, str]:
    """(line without its end, digest)"""
    body = json.dumps(entry, ensure_ascii=False).encode("utf-8", "backslashreplace")
    digest = hashlib.sha256(body).hexdigest()
    return body[:-1] + f', "digest": "{digest}"}}'.encode(), digest


def _write_head(run: RunFolder, head: dict[str, Any]) -> None:
    """After the line, never before: a process killed in between leaves a head that is one line behind, and no worse."""
    write_whole(run.ledger_head, lambda target: target.write_text(json.dumps(head) + "\n", encoding="utf-8"))


def _told(run: RunFolder, text: bytes) -> Ledger:
    """What the ledger's bytes say, held against the head and the other files of the run."""
    chain, head = _chain(text), _head(run)
    looks = _looks(chain.entries)
    numbers = [look["look"] for look in looks if isinstance(look.get("look"), int)]
    count = max([len(looks), *numbers, head.get("looks", 0)])
    marks = [str(entry["found_broken"]) for entry in chain.entries if "found_broken" in entry]
    trouble = chain.trouble or _beheaded(run, chain, head) or (marks[-1] if marks else "")
    if trouble:
        return Ledger(looks, count, BROKEN, trouble)
    if not chain.entries:
        return Ledger([], 0, EMPTY, "")
    if chain.plain:
        why = f"{counted(chain.plain, 'line')} of an older hfft carry no digests, so nothing vouches for them"
        return Ledger(looks, count, PLAIN, why)
    return Ledger(looks, count, CHAINED, "")


def _chain(text: bytes) -> _Chain:
    """Every line held against the one before it; the first that does not fit is named."""
    lines = text.split(b"\n")
    torn = bool(lines.pop())
    lines += [text[text.rfind(b"\n") + 1 :]] if torn else []
    entries: list[dict[str, Any]] = []
    digests, plain, trouble = [GENESIS], 0, ""
    for number, line in enumerate(lines, 1):
        entry, digest = _opened_seal(line)
        entries += [entry] if entry else []
        if not entry:
            trouble = trouble or f"line {number} is not what was written"
        elif digest:
            if entry.get("previous") != digests[-1]:
                trouble = (
                    trouble or f"line {number} does not follow the line before it: one was moved, added or removed"
                )
        elif plain == number - 1:
            plain += 1
        else:
            trouble = trouble or f"line {number} carries no digest"
        # Lines of an older hfft are sealed all together by the first line that comes after them.
        digests.append(digest or hashlib.sha256(digests[-1].encode() + line).hexdigest())
    return _Chain(entries, digests, plain, trouble or ("the last line is cut off" if torn else ""))


def _opened_seal(line: bytes) -> tuple[dict[str, Any], str]:
    """(entry, digest): no entry where a line is not what was written, no digest where it never had one."""
    seal, body = SEALED.fullmatch(line), line
    if seal:
        body = seal[1] + b"}"
        if hashlib.sha256(body).hexdigest() != seal[2].decode():
            return {}, ""
    try:
        entry = json.loads(body)
    except (ValueError, RecursionError):
        return {}, ""
    if not isinstance(entry, dict) or (not seal and ("digest" in entry or "previous" in entry)):
        return {}, ""
    return entry, seal[2].decode() if seal else ""


def _head(run: RunFolder) -> dict[str, Any]:
    """The head; empty when there is none, and one that fits nothing when it cannot be read."""
    if not run.ledger_head.is_file():
        return {}
    try:
        head = json.loads(run.ledger_head.read_text(encoding="utf-8"))
        return {"lines": int(head["lines"]), "looks": int(head["looks"]), "digest": str(head["digest"])}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {"lines": -1, "looks": 0, "digest": ""}


def _beheaded(run: RunFolder, chain: _Chain, head: dict[str, Any]) -> str:
    """What the head, or the predictions of an earlier look, know of and the ledger does not; "" when they agree."""
    lines = len(chain.digests) - 1
    if not lines:
        if head:
            return f"its lines are gone: ledger.head knows of {max(head['lines'], 1):,}"
        return "it is gone, although the test split has been scored" if run.predictions("test").is_file() else ""
    if not head:
        # A first line without a head is what a process leaves that was killed between the two, before it predicted.
        killed = lines - chain.plain <= 1 and (chain.plain or not run.predictions("test").is_file())
        return "" if killed else "ledger.head is missing"
    if lines == chain.plain:
        return "its lines carry no digests, although ledger.head knows of some"
    if head["lines"] > lines:
        gone = head["lines"] - lines
        return "its last line is gone" if gone == 1 else f"its last {gone:,} lines are gone"
    behind = lines - head["lines"]
    return "" if behind in (0, 1) and head["digest"] == chain.digests[head["lines"]] else "ledger.head does not fit it"


def _looks(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One entry per opening, with the scores of the line that came after it; lines of an older hfft hold both."""
    looks: list[dict[str, Any]] = []
    for entry in entries:
        if entry.get("event") != SCORED:
            looks.append({"scores": None, **entry})
        elif met := [look for look in looks if look.get("look") == entry.get("look")]:
            met[-1]["scores"] = entry.get("scores")
    return looks


@contextlib.contextmanager
def alone(file: BinaryIO, shared: bool = False) -> Iterator[None]:
    """One writer at a time, where the system and the file system know locks; the lock goes when the file is closed."""
    if fcntl is not None:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
    yield


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
