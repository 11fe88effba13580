"""A finished run goes to the Hugging Face Hub, and is fetched back to see that it arrived.

In: a run folder and OWNER/NAME. Out: one commit with what is allowed to leave this machine, a tag, and facts about what
was fetched back: the same files, the same answers. Nothing that somebody else wrote is replaced unasked. The test split
stays closed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hfft import (
    card_front,
    card_marks,
    claiming,
    contenders,
    hub_access,
    hub_repo,
    judging,
    public_files,
    pushed_cards,
    scratch,
    shipping_facts,
    space_folder,
)
from hfft.errors import InputError, counted, listed
from hfft.hub_repo import Repo
from hfft.public_files import CARD, MANIFEST
from hfft.pushed_cards import Seen, Wanted
from hfft.recipe import read_yaml
from hfft.references import sha256
from hfft.run_folder import RunFolder

Say = Callable[[str], None]


def publish(
    run: str,
    to: str,
    private: bool = False,
    dry_run: bool = False,
    space: bool = False,
    say: Say = print,
    tag: str | None = None,
    licence: str | None = None,
    language: str | None = None,
    overwrite: bool = False,
    option: str = "--to",
) -> dict[str, Any]:
    """Push the model of a finished run to `to`, and check what comes back.

    private: a new repository is; one that is there has to be. dry_run: say what would happen; ask, but send nothing.
    space: the page to try it, too, under the same name. tag: default <run>-<first signs of the weights' digest>.
    overwrite: also what hfft did not write. Returns {"repo", "url", "commit", "tag", "sent", "removed", "files",
    "bytes", "checked", …}. Raises InputError with one sentence for whatever is in the way.
    """
    hub_access.named(to, option)
    folder = RunFolder.existing(run)
    told = read_yaml(folder.root / "recipe.yaml")
    wanted = Wanted(to, private, tag, licence, language, overwrite, option, _base_licence(told["model"]))
    if shipping_facts.parity(folder).get("passed") is False:
        raise InputError(
            f"{folder.root / shipping_facts.PARITY} says that plain transformers does not answer as this run does; "
            "such a model is not pushed: see its `why`, mend it, and type hfft eval again"
        )
    if dry_run:
        say("card and figures are told as they lie in the run; a push writes them anew first")
    else:
        say(hub_access.check(to, option))
        for sentence in judging.publish(folder):
            say(f"note: {sentence}")
    if "test" not in folder.read_scores():
        say("the test split has not been opened, so the card has validation numbers; hfft eval, then push again")
    with scratch.folder("push", claiming.scratch(folder)) as room:
        facts = _model(folder, told, wanted, room, dry_run, say)
        if space:
            licence = card_front.read((room / "model" / CARD).read_text(encoding="utf-8")).get("license")
            facts |= {"space": _space(folder, wanted, room / "space", licence, dry_run, say)}
    return {"run": str(folder.root), "dry_run": dry_run} | facts


def _model(
    folder: RunFolder, told: dict[str, Any], wanted: Wanted, room: Path, dry_run: bool, say: Say
) -> dict[str, Any]:
    card, clean = pushed_cards.local_card(folder, wanted), room / "model"
    clean.mkdir()
    public_files.collect(folder, told, clean, card)
    if dry_run:  # the files first: they can be told without a token
        _say_files(clean, say)
        say(hub_access.check(wanted.to, wanted.option))
    repo = hub_repo.state(wanted.to)
    _check_visibility(repo, wanted)
    there = pushed_cards.seen(repo)
    card = pushed_cards.merged(card, there, wanted, folder)
    card = pushed_cards.known_to_the_hub(card, wanted)
    written = card_marks.untouched((folder.model / CARD).read_text(encoding="utf-8"))
    (clean / CARD).write_text(card_marks.sealed(card) if written else card, encoding="utf-8")
    digests = _sealed(folder, clean)
    tag = wanted.tag or _tag(folder, digests)
    if wanted.tag and wanted.tag in repo.tags and repo.changed(clean, list(digests)):
        raise InputError(f"--tag {wanted.tag}: {wanted.to} has a tag of this name for another commit; type another")
    facts = _sent(repo, there, wanted, clean, digests, tag, f"{folder.root.resolve().name}, by hfft", dry_run, say)
    if facts["commit"] and facts["changed"]:
        facts["checked"] = _checked(folder, wanted, facts["commit"], digests, room / "cache", say)
    return facts


def _space(
    folder: RunFolder, wanted: Wanted, clean: Path, licence: str | None, dry_run: bool, say: Say
) -> dict[str, Any]:
    """The page to try the model, as a Space of the same name."""
    space_folder.write(folder, clean, wanted.to, licence=licence)
    if not dry_run:
        say(hub_access.check(wanted.to, wanted.option, "space"))
    repo = hub_repo.state(wanted.to, "space")
    _check_visibility(repo, wanted)
    there = pushed_cards.seen(repo)
    if there.held and not there.known and not wanted.overwrite:
        raise InputError(f"the Space {wanted.to} holds what hfft did not write; type --overwrite to replace it")
    digests = _sealed(folder, clean)
    return _sent(repo, there, wanted, clean, digests, None, "the page to try it, by hfft", dry_run, say)


def _sent(
    repo: Repo,
    there: Seen,
    wanted: Wanted,
    clean: Path,
    digests: dict[str, str],
    tag: str | None,
    message: str,
    dry_run: bool,
    say: Say,
) -> dict[str, Any]:
    """One commit with what differs, and the tag. Says what it does, or that there is nothing to do."""
    changed, gone = repo.changed(clean, list(digests)), _stale(there, wanted, digests)
    size = sum((clean / path).stat().st_size for path in changed)
    what = "Space " if repo.kind == "space" else ""
    facts: dict[str, Any] = {"repo": wanted.to, "url": _url(repo), "tag": tag, "files": sorted(digests)}
    facts |= {
        "sent": changed,
        "removed": gone,
        "bytes": size,
        "private": repo.private if repo.exists else wanted.private,
    }
    facts |= {"changed": bool(changed or gone), "commit": repo.head}
    tagged = tag is None or repo.tags.get(tag) == repo.head
    if dry_run:
        say(
            f"would send {counted(len(changed), 'file')} ({size / 1e6:.1f} MB) to {what}{wanted.to}"
            f"{', which would be made' * (not repo.exists)}"
            f"{f', and remove {listed(gone)}' if gone else ''}; nothing was sent"
        )
        return facts | {"commit": None}
    if not facts["changed"] and tagged:
        say(f"{what}{wanted.to} holds exactly this already{f', as {tag}' if tag else ''}: nothing to do")
        return facts
    if not repo.exists:
        hub_repo.make(repo.name, repo.kind, wanted.private)
        repo = hub_repo.state(repo.name, repo.kind)
    if facts["changed"]:
        say(f"sending {counted(len(changed), 'file')} ({size / 1e6:.1f} MB) to {what}{wanted.to}")
        facts["commit"] = hub_repo.commit(repo, clean, changed, gone, message, say)
    if tag and repo.tags.get(tag) != facts["commit"]:
        hub_repo.tag(repo, tag, facts["commit"], message)
    return facts


def _check_visibility(repo: Repo, wanted: Wanted) -> None:
    if repo.exists and wanted.private and not repo.private:
        raise InputError(
            f"{wanted.to} is there and public, and --private makes only new ones private; make it private at "
            f"{_url(repo)}/settings, or type another name"
        )


def _stale(there: Seen, wanted: Wanted, digests: dict[str, str]) -> list[str]:
    """Files of an earlier push that this one has no more; of a repository to be overwritten, all others."""
    held = there.held - set(digests)
    return sorted(held if wanted.overwrite and not there.known else held & set(there.known.get("files") or {}))


def _sealed(folder: RunFolder, clean: Path) -> dict[str, str]:
    """path → sha256 of what goes out, hfft.json with it. Raises InputError for what would give something away."""
    from huggingface_hub import get_token

    files = [path for path in public_files.listing(clean) if path != MANIFEST]
    digests = public_files.check(clean, files, folder, get_token())
    public_files.manifest(folder, clean, files, digests)
    return digests | {MANIFEST: sha256(clean / MANIFEST)}


def _checked(
    folder: RunFolder, wanted: Wanted, commit: str, digests: dict[str, str], cache: Path, say: Say
) -> dict[str, Any]:
    """What was fetched back into an empty cache: the same files, the same answers. Raises InputError otherwise."""
    from hfft import rereading

    got = hub_repo.pull(wanted.to, "model", commit, cache)
    other = [
        path for path, digest in digests.items()
        if not (got / path).is_file() or sha256(got / path) != digest
    ]  # fmt: skip
    if other:
        raise InputError(f"{wanted.to} did not come back as it was sent: {listed(other)}; push again")
    facts = {"files": len(digests)} | rereading.compared(folder, got)
    say(f"fetched back: {counted(len(digests), 'file')}, the same bytes; {rereading.sentence(facts)}")
    if facts.get("different"):
        raise InputError(f"the model that came back from {wanted.to} answers otherwise than {folder.model}")
    return facts


def _base_licence(model: dict[str, Any]) -> str:
    """Of the weights that were fine-tuned; "" where they were random, or where nothing is known."""
    return contenders.licence(str(model["name"])) if model.get("pretrained", True) else ""


def _say_files(clean: Path, say: Say) -> None:
    for path in public_files.listing(clean):
        say(f"  {(clean / path).stat().st_size:>12,}  {path}")


def _tag(folder: RunFolder, digests: dict[str, str]) -> str:
    """Which run, and which of its trainings: stable, and a name that git takes."""
    name = "".join(
        sign if sign.isascii() and (sign.isalnum() or sign in "-_") else "-" for sign in folder.root.resolve().name
    )
    weights = next((digest for path, digest in digests.items() if path.endswith(".safetensors")), "")
    return f"{name.strip('-') or 'run'}-{weights[:8]}"


def _url(repo: Repo) -> str:
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/{'spaces/' * (repo.kind == 'space')}{repo.name}"
