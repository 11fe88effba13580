"""May this machine's token write to a repository of the Hugging Face Hub? Asked before hours of work, not after.

In: OWNER/NAME. Out: a sentence, or InputError with one. It only asks: nothing is created, nothing is sent, and no
token is ever part of a sentence. huggingface_hub is imported when asked: it reads its environment once.
"""

from __future__ import annotations

from typing import Any

from hfft import reaching
from hfft.errors import InputError, listed

LOGIN = "type `hf auth login` with a token that may write (https://huggingface.co/settings/tokens), or set HF_TOKEN"
MAY_WRITE = ("admin", "write")
WRITE = "repo.write"


def check(repo: str, option: str = "--hub", kind: str = "model") -> str:
    """Who would push where, as a sentence. Raises InputError when a push to `repo` would be refused.

    option: how the user named it. kind: "model" or "space".
    """
    from huggingface_hub import HfApi, constants, get_token
    from huggingface_hub.errors import HfHubHTTPError, HTTPError

    named(repo, option)
    if (why := reaching.why()) == reaching.SET:
        raise InputError(f"{why}, so nothing can be pushed; unset it, or push later")
    if get_token() is None:
        raise InputError(f"there is no token for the Hub here; {LOGIN}")
    if why:
        raise InputError(f"{why}, so nothing can be pushed; check the network and HF_ENDPOINT, or push later")
    api = HfApi()
    try:
        me = api.whoami()
        exists = api.repo_exists(repo, repo_type=kind)
    except HfHubHTTPError as error:
        raise InputError(refusal(repo, error.response.status_code)) from error
    except (HTTPError, OSError) as error:  # of the HTTP library that huggingface_hub chose
        raise InputError(
            f"{constants.ENDPOINT} cannot be reached ({type(error).__name__}); check the network and HF_ENDPOINT"
        ) from error
    _check_owner(repo, me, option)
    told = _check_token(repo, me, option)
    fate = "it exists, and a push adds a commit" if exists else "it does not exist and would be made"
    what = f"the Space {repo}" if kind == "space" else repo
    return f"Hub: {me.get('name')} may write to {what}: {fate}{told}"


def named(repo: str, option: str) -> None:
    """Raise InputError for what is no OWNER/NAME; asks nobody."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise InputError(f"{option} {repo!r}: expected OWNER/NAME, such as maria/tickets ({error})") from error
    if "/" not in repo:
        raise InputError(f"{option} {repo!r}: expected OWNER/NAME, such as maria/{repo}")


def refusal(repo: str, status: int) -> str:
    if status == 401:
        return f"the Hub does not know the token it was given (expired or revoked); {LOGIN}"
    if status == 429:
        return "the Hub answers: too many requests; wait some minutes and type the same again"
    return f"the Hub answers {status} when asked about {repo}; try again later, or see https://status.huggingface.co"


def _check_owner(repo: str, me: dict[str, Any], option: str) -> None:
    """The owner is the user, or an organisation in which they may write."""
    owner, _, name = repo.partition("/")
    user = str(me.get("name"))
    roles = {str(group.get("name")): group.get("roleInOrg") for group in me.get("orgs") or []}
    if owner == user:
        return
    if owner not in roles:
        raise InputError(
            f"{option} {repo}: the token is {user}'s, who is not a member of {owner!r}; type {option} {user}/{name}, "
            f"or one of: {listed([f'{group}/{name}' for group in roles]) or 'no organisation'}"
        )
    # A contributor may make repositories and write to their own, which only a push can tell.
    if roles[owner] not in (None, *MAY_WRITE, "contributor"):
        raise InputError(
            f"{option} {repo}: {user} is in {owner} with the role {roles[owner]!r}, which may not write; ask an admin "
            f"of {owner} for the role write, or type {option} {user}/{name}"
        )


def _check_token(repo: str, me: dict[str, Any], option: str) -> str:
    """Nothing, or what cannot be told about the token. Raises InputError when it may only read."""
    token = (me.get("auth") or {}).get("accessToken") or {}
    role = token.get("role")
    if role in MAY_WRITE:
        return ""
    if role == "read":
        raise InputError(f"{option} {repo}: the token may only read; {LOGIN}")
    if role != "fineGrained":
        return "; what this kind of token may do is not told by the Hub"
    owner = repo.partition("/")[0]
    scopes = (token.get("fineGrained") or {}).get("scoped") or []
    granted = {(part.get("entity") or {}).get("name") for part in scopes if WRITE in (part.get("permissions") or [])}
    if not granted & {owner, repo}:
        where = listed(sorted(str(name) for name in granted)) or "nothing"
        raise InputError(
            f"{option} {repo}: the token is fine-grained and may write to {where}; give it {WRITE} for {owner}"
        )
    return ""
