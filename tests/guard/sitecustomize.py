"""Nothing that a test starts leaves this machine: connections and look-ups of names elsewhere raise, and are noted.

Python imports this at its start where this folder is on PYTHONPATH, so that it holds in the processes that tests start,
and in those that are forked from them; conftest.py loads it for pytest's own. It listens to Python's own audit events
(PEP 578), which no library goes around but in another language: `make offline` takes the network from those, too.

HFFT_ATTEMPTS: the file that each attempt is noted in, so that a library which swallows the refusal is found out. With
HFFT_NETWORK=down the network is only down, as for somebody on a train: what fails then is what a user would see.
"""

import _socket
import errno
import importlib.machinery
import os
import sys

LOOPBACK = ("127.", "::1", "localhost", "0.0.0.0")
OWN = _socket.gethostname()


class NetworkUsedError(RuntimeError):
    """A test reached for the network."""


def local(host: object) -> bool:
    """Whether a name or an address is this machine's; an int or None is no name of any."""
    text = host.decode(errors="replace") if isinstance(host, bytes) else host
    return not isinstance(text, str) or text in ("", OWN) or text.startswith(LOOPBACK)


def target(event: str, given: tuple) -> object:
    """What an event reaches for, None where it is on this machine. Sockets of files have no tuple for an address."""
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = given[1]
        return address if isinstance(address, tuple) and not local(address[0]) else None
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        return None if local(given[0]) else given[0]
    return None


def watch(event: str, given: tuple) -> None:
    if not event.startswith("socket.") or (reached := target(event, given)) is None:
        return
    if os.environ.get("HFFT_NETWORK") == "down":
        if event == "socket.getaddrinfo":
            raise _socket.gaierror(_socket.EAI_AGAIN, "Temporary failure in name resolution")
        raise OSError(errno.ENETUNREACH, "Network is unreachable")
    if notes := os.environ.get("HFFT_ATTEMPTS"):
        with open(notes, "a", encoding="utf-8") as file:
            file.write(f"{reached}\n")
    raise NetworkUsedError(f"tests run offline, but {reached} was asked for")


sys.addaudithook(watch)

# Another sitecustomize that this one stands before, such as a distribution's.
here = os.path.dirname(os.path.abspath(__file__))
rest = [place for place in sys.path if os.path.abspath(place) != here]
if __name__ == "sitecustomize" and (spec := importlib.machinery.PathFinder.find_spec("sitecustomize", rest)):
    from importlib.util import module_from_spec

    spec.loader.exec_module(module_from_spec(spec))
