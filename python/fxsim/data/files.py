"""Finding the files of a set, and saying which are expected where they are not found."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path


def locate(
    name: str, data_dir: str | Path | None, folder: str, files: Sequence[str], *, gz: bool = False
) -> list[Path]:
    """Paths of `files`, looked for in `data_dir/folder` and then in `data_dir` itself.

    With `gz`, `FILE.gz` will do where FILE is not there.

    Raises:
        ValueError: no data_dir is given.
        FileNotFoundError: a file is in neither place; the text names every file that is expected.
    """
    layout = f"{folder}/ with {', '.join(files)}" + (" (each plain or with .gz)" if gz else "")
    if data_dir is None or not str(data_dir):
        raise ValueError(f"data: {name} is read from files; give data_dir, a folder that holds {layout}")
    root = Path(data_dir)
    missing: list[str] = []
    for place in (root / folder, root):
        found = {file: _existing(place / file, gz) for file in files}
        paths = [path for path in found.values() if path is not None]
        if len(paths) == len(files):
            return paths
        if not missing or paths:
            missing = [file for file, path in found.items() if path is None]
    raise FileNotFoundError(
        f"data: {name}: {root} has no {', '.join(missing)}; give data_dir, a folder that holds {layout}"
    )


def read_bytes(path: Path) -> bytes:
    """The content of a file, unpacked if its name ends in .gz."""
    if path.suffix != ".gz":
        return path.read_bytes()
    try:
        with gzip.open(path) as stream:
            return stream.read()
    except (EOFError, gzip.BadGzipFile) as error:
        raise ValueError(f"data: {path} is not a complete gzip file ({error}); get the file again") from error


def _existing(path: Path, gz: bool) -> Path | None:
    packed = path.with_name(path.name + ".gz")
    if path.is_file():
        return path
    return packed if gz and packed.is_file() else None
