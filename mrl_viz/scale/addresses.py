"""Files of an object store by their address, such as s3://bucket/vectors.zarr, named and opened as paths of a disk are.

Whatever fsspec has a file system for will do. Who may read or write is the environment's to say, as the store's own
client reads it: an address is printed, kept in records and sent to workers, so it holds no credentials.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from mrl_viz.errors import DataFormatError, InvalidInputError, MrlVizError, OptionalDependencyError, StoreError
from mrl_viz.files import ADVICE, disk_errors

ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)
# Of these, what stands before an @ is a container and no user.
CONTAINERS = ("abfs", "abfss", "az", "wasb", "wasbs")
MOST_REASON = 200


def is_address(source: str | Path) -> bool:
    """Whether it is an address of a store; file:// is one of this machine's disk, and none."""
    found = ADDRESS.match(str(source)) if isinstance(source, str) else None
    return found is not None and found[1].lower() != "file"


def place_of(source: str | Path) -> Path | Address:
    """The path or the address that a reader typed.

    Raises
    ------
    InvalidInputError : an address with credentials. DataFormatError : no store of that kind is known.
    OptionalDependencyError : the client of such a store is not installed.
    """
    return Address(str(source)) if is_address(source) else local_path(source)


def local_path(source: str | Path) -> Path:
    """The path of what is no address of a store: as it was typed, or as file:// says it."""
    if isinstance(source, str) and source.lower().startswith("file://"):
        return Path(unquote(source[len("file://") :]))
    return Path(source)


class Address:
    """A file or a folder of an object store, with what a `Path` has.

    `fs`, `path` : fsspec's file system and the name in it.

    Raises
    ------
    As `place_of`.
    """

    def __init__(self, url: str) -> None:
        found = ADDRESS.match(url)
        assert found is not None
        scheme, rest = found[1].lower(), found[2]
        is_user = "@" in rest.partition("/")[0] and scheme not in CONTAINERS
        if is_user or "?" in rest or re.search(":.*@", rest):
            raise InvalidInputError(
                f"this `{scheme}://` address has credentials or a question mark in it, and addresses are printed; "
                "leave out what stands before @ and after ?, and give credentials by the environment."
            )
        self.url = url.rstrip("/")
        self.fs, self.path = _opened(self.url, scheme)
        # Why there is nothing, where the store says it.
        self.why = ""

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, name: str) -> Address:
        return Address(f"{self.url}/{name}")

    @property
    def name(self) -> str:
        """What stands after the last slash."""
        return self.url.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """As a path's."""
        return Path(self.name).suffix

    def _info(self) -> dict[str, Any]:
        with refusals(self):
            # Others write there too.
            self.fs.invalidate_cache()
            try:
                return dict(self.fs.info(self.path))
            except FileNotFoundError as error:
                self.why = f" ({error})" if "bucket" in str(error) and self.path not in str(error) else ""
                return {}

    def exists(self) -> bool:
        """Whether there is a file or a folder."""
        return bool(self._info())

    def is_dir(self) -> bool:
        """Whether it is a folder: names begin with it."""
        return self._info().get("type") == "directory"

    def is_file(self) -> bool:
        """Whether it is a file."""
        return self._info().get("type") == "file"

    def size(self) -> int | None:
        """Bytes of the file, where the store says it."""
        return self._info().get("size")

    def iterdir(self) -> Iterator[Address]:
        """What lies in the folder."""
        with refusals(self):
            self.fs.invalidate_cache()
            names = [str(path).rstrip("/").rpartition("/")[2] for path in self.fs.ls(self.path, detail=False)]
        # Some clients mark a folder by an empty file of its own name.
        return (self / name for name in sorted(set(names)) if name and name != self.name)

    def open(self, mode: str = "rb") -> Any:
        """The file; what is read of it is fetched, and nothing beside."""
        with refusals(self):
            return self.fs.open(self.path, mode, cache_type="none")

    def read(self, start: int, stop: int) -> bytes:
        """Bytes start to stop, or to the end where that is before."""
        with refusals(self):
            return bytes(self.fs.cat_file(self.path, start=start, end=stop))

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the file."""
        with refusals(self):
            try:
                self.fs.rm_file(self.path)
            except FileNotFoundError:
                if not missing_ok:
                    raise


def _opened(url: str, scheme: str) -> tuple[Any, str]:
    """fsspec's file system for an address, and the name in it."""
    install = "pip install 'mrl_viz[object-store]'"
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise OptionalDependencyError(f"`{scheme}://` addresses need fsspec; {install}.") from error
    try:
        fs, path = url_to_fs(url)
    except ImportError as error:
        how = f"needs s3fs; {install}" if scheme == "s3" else f"needs another package ({error}); install it"
        raise OptionalDependencyError(f"`{scheme}://` {how}.") from error
    except ValueError as error:
        raise DataFormatError(f"`{scheme}://` is no kind of store that fsspec knows ({error}); use another.") from error
    return fs, str(path)


@contextmanager
def refusals(address: Address | str, kind: type[Exception] = Exception) -> Iterator[None]:
    """What a store refuses, as a StoreError; around more than one request of it, only errors of `kind` OSError."""
    try:
        yield
    except MrlVizError:
        raise
    except kind as error:  # every store's client has errors of its own, and few are OSErrors
        raise _refused(address, error) from error


def _refused(address: Address | str, error: Exception) -> StoreError:
    lines = str(error).strip().splitlines()
    reason = (lines[0] if lines else type(error).__name__)[:MOST_REASON].rstrip(".")
    return StoreError(
        f"`{address}`: the store refuses ({reason}); check address, endpoint and the credentials in the environment, "
        "then start again: what is finished is kept."
    )


@contextmanager
def writing(place: Path | Address) -> Iterator[None]:
    """What a disk or a store refuses to write, as a StoreError."""
    with refusals(place, OSError) if isinstance(place, Address) else disk_errors(place, ADVICE):
        yield


def zarr_store(place: Path | Address, *, read_only: bool) -> Any:
    """What zarr opens an array at."""
    if not isinstance(place, Address):
        return str(place)
    with refusals(place):
        return _store_class().from_url(place.url, read_only=read_only)


@cache
def _store_class() -> Any:
    """zarr's store of an fsspec address, whose refusals are told from damaged chunks."""
    from zarr.storage import FsspecStore

    class Store(FsspecStore):
        async def get(self, *args: Any, **options: Any) -> Any:
            with refusals(self._address):
                return await super().get(*args, **options)

        async def set(self, *args: Any, **options: Any) -> None:
            with refusals(self._address):
                await super().set(*args, **options)

        @property
        def _address(self) -> str:
            protocol = self.fs.protocol
            return f"{protocol if isinstance(protocol, str) else protocol[0]}://{self.path.lstrip('/')}"

    return Store
