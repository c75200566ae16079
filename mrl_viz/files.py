"""Files written whole or not at all, and what a disk refuses in words."""

from __future__ import annotations

import io
import json
import os
import secrets
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mrl_viz.errors import StoreError

ADVICE = "free some space or choose another folder"


def cache_folder() -> Path:
    """Where embeddings and compiled code are kept: the environment's MRL_VIZ_CACHE, else the user's cache folder."""
    from platformdirs import user_cache_dir

    return Path(os.environ.get("MRL_VIZ_CACHE") or user_cache_dir("mrl_viz"))


@contextmanager
def disk_errors(
    path: str | Path, advice: str = ADVICE, *, doing: str = "written", also: tuple[type[Exception], ...] = ()
) -> Iterator[None]:
    """Turn what a disk refuses, and errors of `also`, into a StoreError that names `path` and ends in `advice`."""
    try:
        yield
    except (OSError, *also) as error:  # type: ignore[misc] # mypy cannot read an unpacked tuple here
        reason = getattr(error, "strerror", None) or error
        raise StoreError(f"`{path}` cannot be {doing} ({reason}); {advice}.") from error


@contextmanager
def replaced_file(path: Path, *, is_shared: bool = False) -> Iterator[Path]:
    """A path beside `path` to write to; it takes its place at the end, and after an error what was there stays.

    `is_shared` : others may write the same file at the same moment. Without it the next write clears what a kill left.
    """
    aside = path.with_name(f".{path.name}{secrets.token_hex(4) if is_shared else ''}.partial")
    try:
        yield aside
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def replaced_folder(folder: Path, marker: str) -> Iterator[Path]:
    """An empty folder beside `folder` to write to; it takes its place at the end, after an error what was there stays.

    `marker` : a file that every such folder has; a folder of other files is not replaced.

    Raises
    ------
    StoreError : `folder` holds other files. OSError : the disk refuses, see `disk_errors`.
    """
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir()) and not (folder / marker).is_file()):
        raise StoreError(f"`{folder}` holds other files; choose a new folder.")
    home = Path(os.path.abspath(folder))  # "." has no name to derive others from
    fresh, old = (home.with_name(f".{home.name}-{secrets.token_hex(4)}{end}") for end in ("", "-old"))
    try:
        fresh.mkdir(parents=True)
        yield fresh
        if home.exists():
            os.replace(home, old)
        try:
            os.replace(fresh, home)
        except OSError:
            if old.exists():
                os.replace(old, home)
            raise
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def write_json(path: Path, content: Any) -> None:
    """Replace a JSON file as a whole.

    Raises
    ------
    OSError : the disk refuses, see `disk_errors`. ValueError : NaN or an infinity, which JSON does not know.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with replaced_file(path) as aside:
        # What UTF-8 cannot hold, half a surrogate pair, becomes the escape that JSON has for it.
        aside.write_bytes(text.encode("utf-8", "backslashreplace"))


def zipped(folder: str | Path) -> bytes:
    """The files of a folder as one zip archive, for a download."""
    root, buffer = Path(folder), io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in sorted(root.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(root))
    return buffer.getvalue()
