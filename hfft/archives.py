"""What a packed file becomes when it is unpacked, found out before anybody unpacks it.

In: a file that may be packed (zip, tar, gz, bz2, xz, zst), told by its first bytes as `datasets` tells it. Out: one
sentence on why it is not unpacked, or none: it is too large for its size, or a name in it leads out of it. It must not
know what the files in it hold. Nothing is written.
"""

from __future__ import annotations

import bz2
import functools
import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from hfft.errors import InputError, on_one_line

RATIO, FLOOR = 200, 1 << 30  # bytes out of one packed byte; what is let pass whatever the ratio
MOST = 100 << 30  # bytes out of one file
MEMBERS = 1_000_000  # files in one archive
BLOCK = 1 << 20
STEEPEST = {"gz": 1033}  # bytes that one packed byte can become at most, where that is known
MAGIC = {
    b"\x1f\x8b": "gz",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"PK\x07\x08": "zip",
    b"BZh": "bz2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zst",
    b"Rar!\x1a\x07": "rar",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"\x04\x22\x4d\x18": "lz4",
}
TAR, TAR_AT = b"ustar", 257
HEAD = 512  # bytes that tell what a file is: a tar begins with so many
ZIP_END, ZIP_TAIL = b"PK\x05\x06", 22 + 65_535  # a zip may begin with anything, and is found from its end
UNSEEN = ("rar", "7z", "lz4")  # what would have to be unpacked by libraries that are not here to be looked into
PARQUET = b"PAR1"
TABLES = (PARQUET, b"ARROW1", b"\xff\xff\xff\xff")  # formats whose columns are packed; the last is an Arrow stream
ENDINGS = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".rar", ".7z", ".lz4")
PLAIN = (".csv", ".tsv", ".txt", ".json", ".jsonl")  # read as they are, in an archive, whatever their first bytes
DAMAGED = (OSError, EOFError, ValueError, NotImplementedError, RuntimeError)
DAMAGED += (zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError)  # type: ignore[assignment]


def kind(path: Path) -> str | None:
    """What a file is packed as, by its first bytes, and a zip by its last; None for one that is not packed."""
    with path.open("rb") as file:
        head = file.read(HEAD)
        if found := _by_head(head):
            return found
        tail = head
        if len(head) == HEAD:
            file.seek(max(0, path.stat().st_size - ZIP_TAIL))
            tail = file.read()
    if ZIP_END in tail and _has_directory(path):
        return "zip"
    return "xz" if _could_be_old_xz(head) and tarfile.is_tarfile(path) else None


def _by_head(head: bytes) -> str | None:
    if found := next((name for magic, name in MAGIC.items() if head.startswith(magic)), None):
        return found
    if head[TAR_AT : TAR_AT + len(TAR)] == TAR:
        return "tar"
    try:  # the first tars had no sign but a sum
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError):
        return None
    return "tar"


def _could_be_old_xz(head: bytes) -> bool:
    """LZMA from before it had a sign, which `tarfile` opens: its length is 1 or 3 times a power of 2, or all ones."""
    length = int.from_bytes(head[1:5], "little")
    odd = length // max(1, length & -length)
    fits = odd in (0, 1, 3) or length == 0xFFFFFFFF
    return len(head) > 13 and head[0] < 225 and fits and any(head[:13])


def _has_directory(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path):
            return True
    except DAMAGED:
        return False


def check(path: Path, shown: str) -> str | None:
    """The kind of a packed file that may be unpacked, None for a plain file. Raises InputError for a bomb and a trap.

    shown: what the user calls it. Reads packed streams once through, and holds no more of them than a block.
    """
    found = kind(path)
    if found is None:
        return None
    if found in UNSEEN:
        raise InputError(f"{shown}: hfft does not open {found} files; unpack it, and name what was in it")
    try:
        if found == "zip":
            _check_zip(path, shown)
        elif found == "tar":
            _check_tar(path, shown)
        else:
            _check_stream(path, found, shown)
    except DAMAGED as error:
        raise InputError(f"{shown}: the {found} file is damaged ({' '.join(str(error).split())[:120]})") from error
    return found


def allowed(size: int) -> int:
    """Bytes that `size` packed bytes may become."""
    return min(MOST, max(FLOOR, RATIO * size))


def refuse_bomb(shown: str, size: int, becomes: int, more: bool = False) -> None:
    """Raise InputError where that is more than is allowed. more: it was not read to its end."""
    if becomes > allowed(size):
        raise InputError(
            f"{shown}: {size:,} bytes that become {'more than ' * more}{becomes:,} ({becomes / max(size, 1):,.0f} "
            f"times as many); {RATIO} times, or 1 GiB, are let pass. If it is meant so, unpack it yourself"
        )


def _check_zip(path: Path, shown: str) -> None:
    with zipfile.ZipFile(path) as opened:  # Python reads no more of a member than the directory says
        held = opened.infolist()
        _check_count(len(held), shown)
        for member in held:
            _check_name(member.filename, shown)
        refuse_bomb(shown, path.stat().st_size, sum(member.file_size for member in held))
        for member in held:
            if not member.is_dir():
                _refuse_packed(member.filename, functools.partial(_head_in_zip, opened, member), shown)


def _check_tar(path: Path, shown: str) -> None:
    count = total = 0
    with tarfile.open(path) as opened:
        for member in opened:
            count, total = count + 1, total + max(member.size, 0)
            _check_count(count, shown)
            _check_name(member.name, shown)
            if member.issym() or member.islnk():
                where = PurePosixPath(member.name).parent if member.issym() else PurePosixPath()
                _check_name(str(where / member.linkname), shown, " is a link that")
            elif not (member.isfile() or member.isdir()):
                raise InputError(f"{shown}: {on_one_line(member.name)!r} in it is a device or a pipe, and no file")
            if member.sparse is not None:
                refuse_bomb(shown, path.stat().st_size, total)
            if member.isreg():
                _refuse_packed(member.name, functools.partial(_head_in_tar, opened, member), shown)
    refuse_bomb(shown, path.stat().st_size, total)


def _check_count(count: int, shown: str) -> None:
    if count > MEMBERS:
        raise InputError(f"{shown}: more than {MEMBERS:,} files in one archive; unpack it yourself")


def _refuse_packed(name: str, head: Callable[[], bytes], shown: str) -> None:
    """Raise InputError for a file in an archive that would be unpacked once more, which nobody has counted.

    head: its first bytes, asked for where the ending does not say what it is.
    """
    ending = PurePosixPath(name).suffix
    if ending in PLAIN or not (ending.lower() in (*ENDINGS, ".parquet", ".arrow", ".feather") or _is_packed(head())):
        return
    raise InputError(
        f"{shown}: {on_one_line(name)!r} in it is packed itself, and is not looked into; unpack it, and name what was "
        "in it"
    )


def _is_packed(head: bytes) -> bool:
    return head.startswith(TABLES) or _by_head(head) is not None


def _head_in_zip(opened: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return PARQUET  # Python unpacks the others by the block, however large that becomes
    with opened.open(member) as file:
        return file.read(HEAD)


def _head_in_tar(opened: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = opened.extractfile(member)
    return file.read(HEAD) if file else b""


def _check_name(name: str, shown: str, how: str = "") -> None:
    """Raise InputError for a name that would be written beside the archive's own folder, and for none at all."""
    if not name:
        raise InputError(f"{shown}: a file in it has no name; nothing was unpacked")
    path, depth = PurePosixPath(name.replace("\\", "/")), 0
    for part in path.parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            break
    if depth < 0 or path.is_absolute() or "\0" in name or name[1:3] in (":\\", ":/"):
        raise InputError(f"{shown}: {on_one_line(name)!r} in it{how} leads out of the archive; nothing was unpacked")


def _check_stream(path: Path, found: str, shown: str) -> None:
    size, total = path.stat().st_size, 0
    opened = _opener(found)
    if opened is None:
        raise InputError(f"{shown}: zst files need the package zstandard; type: pip install zstandard, or unpack it")
    with opened(path) as file:
        head = file.read(HEAD)
        if size * STEEPEST.get(found, MOST) > FLOOR:
            total = len(head)
            while block := file.read(BLOCK):
                total += len(block)
                refuse_bomb(shown, size, total, more=True)
    if tarfile.is_tarfile(path):  # a tar.gz: `datasets` unpacks both
        _check_tar(path, shown)
    elif _is_packed(head):
        raise InputError(f"{shown}: what is packed in it is packed itself; unpack it once, and name what was in it")


def _opener(found: str) -> Callable[[Path], Any] | None:
    if found != "zst":
        made: dict[str, Any] = {"gz": gzip.open, "bz2": bz2.open, "xz": lzma.open}
        return made[found]  # type: ignore[no-any-return]
    try:
        import zstandard
    except ImportError:
        return None
    return lambda path: zstandard.open(path, "rb")  # type: ignore[no-any-return]
