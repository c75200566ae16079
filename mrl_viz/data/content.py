"""Bytes of files and archives, within limits, as text and JSON lines; and how a user wants them read. Never pickle."""

from __future__ import annotations

import io
import json
import lzma
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tokenize import TokenError
from typing import Any

from mrl_viz.errors import DataFormatError, EmptyInputError

MEGABYTE = 1 << 20
# The same as the app's upload limit (.streamlit/config.toml).
MOST_BYTES = 200 * MEGABYTE
# Vectors on disk are larger than texts.
MOST_VECTOR_BYTES = 2048 * MEGABYTE
MOST_UNZIPPED_BYTES = 1024 * MEGABYTE
# Text compresses by 3 to 10; a bomb by a thousand.
MOST_ZIP_RATIO = 200
# What zipfile and numpy raise for a damaged or encrypted archive, member or header.
DAMAGE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, TokenError, RuntimeError, EOFError, OSError, ValueError,
    OverflowError, MemoryError, SystemError,
)  # fmt: skip

# From the name of a member to its bytes, None where it is not there.
Members = Callable[[str], bytes | None]


@dataclass(frozen=True)
class Options:
    """How to read: see `read_corpus`. `unnamed` : what a vector without a text is called."""

    text_column: str | None = None
    label_column: str | None = None
    limit: int | None = None
    keep_duplicates: bool = False
    unnamed: str = "vector"


def check_size(filename: str, size: int, most: int) -> None:
    """Refuse an empty file, and one of more bytes than `most`."""
    if size == 0:
        raise EmptyInputError(f"`{filename}` is empty; give a file with at least two texts.")
    if size > most:
        megabytes = f"{size / MEGABYTE:,.0f} MB; the limit is {most // MEGABYTE:,} MB"
        raise DataFormatError(f"`{filename}` has {megabytes}, so split it.")


def decode(filename: str, content: bytes) -> str:
    """The text of a file in UTF-8, or in UTF-16 with a byte order mark."""
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataFormatError(f"`{filename}` is not UTF-8 (byte {error.start}); save it as UTF-8.") from error
    if "\0" in text:
        raise DataFormatError(f"`{filename}` holds binary data, not text; give a text file saved as UTF-8.")
    return text


def json_lines(filename: str, content: bytes) -> list[dict[str, Any]]:
    """The objects of a file with one a line."""
    rows = []
    for number, line in enumerate(decode(filename, content).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataFormatError(f"`{filename}` line {number} is not JSON; give one JSON object a line.") from error
        if not isinstance(row, dict):
            raise DataFormatError(f"`{filename}` line {number} is no JSON object; give one JSON object a line.")
        rows.append(row)
    if not rows:
        raise EmptyInputError(f"`{filename}` has no rows; give at least two texts.")
    return rows


def cell(value: Any) -> str:
    """A cell as text; a missing one is empty."""
    try:
        return "" if value is None or (isinstance(value, float) and value != value) else str(value)
    except RecursionError as error:  # JSON may be read deeper than it can be written, which differs between Pythons
        raise DataFormatError("`jsonl` cells hold lists nested too deeply; give plain texts.") from error


def not_used(what: str, names: list[str]) -> list[str]:
    """A note that names what a file holds beside what is read; none where there is nothing."""
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return [f"{what} not used: {', '.join(names[:8])}{more}."] if names else []


def zip_members(filename: str, content: bytes) -> dict[str, Callable[[], bytes]]:
    """What unpacks each member of a zip, by its name, after its promised size was compared with the limits."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except DAMAGE as error:
        raise DataFormatError(f"`{filename}` is no zip archive; zip the folder again.") from error
    members = archive.infolist()
    total = sum(member.file_size for member in members)
    if total > MOST_UNZIPPED_BYTES or total > MOST_ZIP_RATIO * len(content):
        raise DataFormatError(
            f"`{filename}` would unpack to {total / MEGABYTE:,.0f} MB from {len(content) / MEGABYTE:,.1f} MB; "
            f"the limits are {MOST_UNZIPPED_BYTES // MEGABYTE} MB and {MOST_ZIP_RATIO} times its size, so split it."
        )
    return {member.filename: partial(_unpack, archive, member, filename) for member in members}


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, filename: str) -> bytes:
    """The member's bytes, never more than its promised size."""
    try:
        with archive.open(member) as file:
            return file.read(member.file_size)
    except DAMAGE as error:
        raise DataFormatError(f"`{filename}` cannot be unpacked ({member.filename}); zip it unencrypted.") from error


def folder_members(folder: Path) -> Members:
    """The files of a folder."""

    def read(member: str) -> bytes | None:
        path = folder / member
        if not path.is_file():
            return None
        if path.stat().st_size > MOST_UNZIPPED_BYTES:
            limit = MOST_UNZIPPED_BYTES // MEGABYTE
            raise DataFormatError(f"`{member}` is larger than {limit} MB; split the collection.")
        return path.read_bytes()

    return read
