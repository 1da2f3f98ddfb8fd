"""The W&B server: where it is, who the user is there, and whether it can be used now."""

import base64
import netrc
import os
import urllib.error
import urllib.request
from urllib.parse import urlsplit

DEFAULT_SERVER = "https://api.wandb.ai"

PATIENCE = 5.0
"""Time that a server has to answer, seconds."""


def server_url() -> str:
    """The W&B server in use: WANDB_BASE_URL, or the public one."""
    return (os.environ.get("WANDB_BASE_URL") or DEFAULT_SERVER).rstrip("/")


def api_key() -> str | None:
    """The user's key: WANDB_API_KEY, or that in ``~/.netrc``, where ``wandb login`` puts it; None without a login."""
    if key := os.environ.get("WANDB_API_KEY"):
        return key
    try:
        known = netrc.netrc(os.environ.get("NETRC")).authenticators(urlsplit(server_url()).hostname or "")
    except (OSError, netrc.NetrcParseError):
        return None
    return known[2] if known else None


def wandb_mode() -> str:
    """``online`` where the user is logged in, otherwise ``offline``; WANDB_MODE, if set, is obeyed.

    Only files and the environment are read: nothing is asked and no network is touched.
    """
    if mode := os.environ.get("WANDB_MODE"):
        return {"dryrun": "offline"}.get(mode, mode)  # as W&B once called it
    return "online" if api_key() else "offline"


def server_problem(patience: float = PATIENCE) -> str | None:
    """Why the server cannot be used, in a few words; None where it answers and knows the user.

    ``wandb.init`` would try again until its ``init_timeout``, which a slow server needs, and hold the run's id after.

    Args:
        patience: time that the server has to answer, seconds.
    """
    url = server_url()
    login = base64.b64encode(f"api:{api_key()}".encode()).decode()
    headers = {"Content-Type": "application/json", "User-Agent": "codeclab", "Authorization": f"Basic {login}"}
    request = urllib.request.Request(f"{url}/graphql", b'{"query": "{ viewer { id } }"}', headers)
    try:
        urllib.request.urlopen(request, timeout=patience).close()
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in (401, 403):
            return f"{url} refuses the login ({error.code})"
        return f"{url} answers {error.code}" if error.code >= 500 or error.code == 429 else None
    except (OSError, ValueError) as error:
        return f"{url} cannot be reached ({getattr(error, 'reason', error)})"
    return None
