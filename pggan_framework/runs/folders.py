"""Run folders, ``results/NNN-exp_name``; a new run gets the highest number plus one."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from pggan_framework.config.text import load_file
from pggan_framework.errors import DamagedError, UserError, nearest
from pggan_framework.runs.best_checkpoint import use_best
from pggan_framework.storage.atomic import atomic_path
from pggan_framework.storage.limits import check_regular, parse_json
from pggan_framework.storage.names import write_text
from pggan_framework.storage.numbers import NUMBER, kimg_of
from pggan_framework.storage.zips import verify_once

_SNAPSHOT = re.compile(rf"network-snapshot-({NUMBER})\.pt")
_NAME = re.compile(r"(\d{3,})-(.+)")
LONGEST_NAME = 200
"""Longest run name in bytes; file systems limit the whole folder name to 255."""
STATE = "run.json"
"""Name of the file with status, data, parameters and length of a run."""
EXPORTED = "model.safetensors"
"""Name of the weights file in the folder of an exported model."""


def runs(result_dir: Path, exp_name: str | None = None) -> list[Path]:
    """Return the run folders in `result_dir` by ascending number; only those of `exp_name` if it is given."""
    if not result_dir.is_dir():
        return []
    found = []
    for path in result_dir.iterdir():
        match = _NAME.fullmatch(path.name)
        if match and path.is_dir() and exp_name in (None, match[2]):
            found.append((int(match[1]), path))
    return [path for _, path in sorted(found)]


def check_name(exp_name: str) -> None:
    """Reject a run's name that is not a valid folder name.

    Raises:
        UserError: if the name is not valid.
    """
    plain = exp_name.isprintable() and "\\" not in exp_name and len(os.fsencode(exp_name)) <= LONGEST_NAME
    if not exp_name or not plain or exp_name in (".", "..") or Path(exp_name).name != exp_name:
        raise UserError(
            f"exp_name: {exp_name[:100]!r} is given; allowed: a name without slashes, line breaks and other control"
            f" characters, of up to {LONGEST_NAME} bytes"
        )


def make_run_folder(result_dir: Path, exp_name: str) -> Path:
    """Create and return the next run folder; safe if two runs start at once.

    Raises:
        UserError: if `exp_name` is not a folder name, or the folder cannot be created.
    """
    check_name(exp_name)
    try:
        result_dir.mkdir(parents=True, exist_ok=True)
        number = _highest(result_dir) + 1
        while True:
            # One lock folder serves all names, so only one of two runs that start at once gets the number.
            claim = result_dir / f".claim-{number:03d}"
            try:
                claim.mkdir()
            except FileExistsError:
                number += 1
                continue
            made = None
            try:
                if _highest(result_dir) < number:
                    made = claim.rename(result_dir / f"{number:03d}-{exp_name}")
                    return made
                number = _highest(result_dir) + 1
            finally:
                # After the renaming, a claim of this name belongs to another run, which removes it.
                if made is None:
                    claim.rmdir()
    except OSError as error:
        raise UserError(f"result_dir: cannot make a run folder in {result_dir}: {error.strerror}") from error


def _highest(result_dir: Path) -> int:
    return max((int(path.name.split("-")[0]) for path in runs(result_dir)), default=-1)


def find_run(resume: str, result_dir: Path, exp_name: str | None) -> tuple[Path, Path]:
    """Return the run's folder and checkpoint for ``--resume``.

    Args:
        resume: ``latest``, a run's folder or a checkpoint in it.
        result_dir: folder that ``latest`` searches.
        exp_name: name of the runs that ``latest`` considers; None for all names.

    Raises:
        UserError: if the run does not exist or has no checkpoint.
    """
    if resume != "latest":
        path = Path(resume)
        if path.is_file():
            folder = next((p for p in (path.parent, path.parent.parent) if (p / "config.yaml").is_file()), None)
            if folder is None:
                raise UserError(
                    f"resume: {path} is not in a run's folder (no config.yaml next to it); use resume_network"
                )
            return folder, path
        if not path.is_dir():
            names = [str(run) for run in runs(path.parent)]
            raise UserError(
                f"resume: {path} does not exist{nearest(str(path), names)};"
                " allowed: latest, a run's folder, a checkpoint in it"
            )
        check_regular(path)
        return path, _last_snapshot(path)
    of_name = f"'{exp_name}' " if exp_name else ""
    for folder in reversed(runs(result_dir, exp_name)):
        if (folder / "config.yaml").is_file() and _snapshots_of(folder):
            check_regular(folder)
            return folder, _last_snapshot(folder)
    raise UserError(f"resume: there is no run {of_name}with a checkpoint in {result_dir}")


def find_folder(run: str, result_dir: Path) -> Path:
    """Return the folder of a run, which may have no checkpoint.

    Args:
        run: folder of the run, or ``latest``.
        result_dir: folder that ``latest`` searches.

    Raises:
        UserError: if the run does not exist.
    """
    if run == "latest":
        found = [folder for folder in runs(result_dir) if (folder / "config.yaml").is_file()]
        if not found:
            raise UserError(f"there is no run in {result_dir}")
        check_regular(found[-1])
        return found[-1]
    path = Path(run)
    if not path.is_dir():
        names = [str(folder) for folder in runs(path.parent)]
        what = "is a file" if path.is_file() else f"does not exist{nearest(run, names)}"
        raise UserError(f"{path} {what}; allowed: a run's folder, or latest")
    check_regular(path)
    return path


def read_json(path: Path) -> dict[str, Any]:
    """Read the object in a JSON file; {} if it is missing or unreadable."""
    try:
        found = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write an object as a JSON file, atomically."""
    with atomic_path(path) as temporary:
        write_text(temporary, json.dumps(dict(content), indent=2, ensure_ascii=False) + "\n")


def find_launched(result_dir: Path, launcher: str) -> Path | None:
    """Return the newest run of this torchrun session with a checkpoint; None if there is none."""
    for folder in reversed(runs(result_dir)):
        facts = read_json(folder / "environment.json")
        if launcher and facts.get("launcher") == launcher and _snapshots_of(folder):
            return folder
    return None


def find_checkpoint(model: str, result_dir: Path) -> tuple[Path, Path]:
    """Return the folder of a trained model and its checkpoint.

    If the best checkpoint of a run is not the last one, the best is used, and a message on standard error reports this.

    Args:
        model: a run's folder (its best checkpoint), a checkpoint or exported weights anywhere, the folder of an
            exported model, or ``latest``.
        result_dir: folder that ``latest`` searches.

    Raises:
        UserError: if the run or file does not exist, or the run has no checkpoint.
    """
    path = Path(model)
    if path.is_file():
        return path.parent, path
    if (path / EXPORTED).is_file():
        return path, path / EXPORTED
    try:
        folder, snapshot = find_run(model, result_dir, None)
    except UserError as error:
        raise UserError(str(error).removeprefix("resume: ")) from error
    checkpoint, why = use_best(folder, snapshot.parent, snapshot)
    checkpoint = newest_intact([snapshot, checkpoint] if checkpoint != snapshot else [snapshot])
    if why and checkpoint != snapshot:
        print(why, file=sys.stderr)
    return folder, checkpoint


def check_links(folder: Path) -> None:
    """Check that an untrusted run folder contains no links out of it, before writing into it.

    Links to checkpoints are allowed, since checkpoints are replaced and not written through links.

    Raises:
        UserError: if a link leads out of the folder.
    """
    home = folder.resolve()
    for base, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(base, name)
            if path.is_symlink() and path.suffix != ".pt" and home not in path.resolve().parents:
                raise UserError(
                    f"resume: {path} is a link out of the run's folder, and a run writes only into its own; replace the"
                    " link by its target, or use checkpoints_dir for checkpoints elsewhere"
                )


def inside(flag: str, given: str) -> str:
    """Check that a path relative to a run's folder is inside the folder, and return it.

    Args:
        flag: flag that sets the path, for messages, e.g. ``ImageSaver.samples_path``.
        given: path to check.

    Raises:
        UserError: if the path is outside the folder.
    """
    path, windows = PurePosixPath(given.replace("\\", "/")), PureWindowsPath(given)
    if path.is_absolute() or windows.drive or ".." in path.parts or not given or not given.isprintable():
        raise UserError(f"{flag} {given[:200]!r} is given; allowed: a path inside the run's folder, without '..'")
    return given


def checkpoint_folder(folder: Path, checkpoints_dir: str) -> Path:
    """Return the checkpoint folder of a run: the run's folder, or a folder of the same name in checkpoints_dir."""
    return Path(checkpoints_dir) / folder.name if checkpoints_dir else folder


def snapshot_name(number: str) -> str:
    """Return the file name for a number: ``network-snapshot-000120.pt`` for ``000120``."""
    return f"network-snapshot-{number}.pt"


def number_of(snapshot: Path) -> float:
    """Return the number of thousand images in a checkpoint's name."""
    match = _SNAPSHOT.fullmatch(snapshot.name)
    return kimg_of(match[1]) if match else -1


def snapshots(folder: Path) -> list[Path]:
    """Return the checkpoints in `folder`, oldest first."""
    found = [(kimg_of(match[1]), path) for path in folder.glob("*.pt") if (match := _SNAPSHOT.fullmatch(path.name))]
    return [path for _, path in sorted(found)]


def _snapshots_of(run: Path) -> list[Path]:
    elsewhere = checkpoint_folder(run, stored_config(run).get("checkpoints_dir") or "")
    return snapshots(elsewhere) or snapshots(run)  # an earlier session may have used another checkpoints_dir


def _last_snapshot(run: Path) -> Path:
    found = _snapshots_of(run)
    if not found:
        raise UserError(f"resume: {run} holds no checkpoint (network-snapshot-*.pt)")
    return newest_intact(found)


def newest_intact(found: Sequence[Path]) -> Path:
    """Return the last checkpoint with valid checksums; prints a line to standard error about damaged checkpoints.

    Raises:
        DamagedError: if all checkpoints are damaged.
    """
    damaged: list[str] = []
    for path in reversed(found):
        try:
            verify_once(path)
        except DamagedError as error:
            damaged.append(f"{path} is damaged ({error})")
            continue
        for text in damaged:
            _warn_once(f"warning: {text}; {path.name} is used instead")
        return path
    raise DamagedError(f"{damaged[0]}, and there is no intact checkpoint next to it")


@lru_cache(maxsize=256)
def _warn_once(text: str) -> None:
    if os.environ.get("RANK", "0") == "0":
        with suppress(OSError, ValueError):  # a closed terminal
            print(text, file=sys.stderr, flush=True)


def stored_config(folder: Path) -> dict[str, Any]:
    """Return the resolved configuration of a run.

    Raises:
        UserError: if the folder has no configuration.
    """
    path = folder / "config.yaml"
    try:
        return load_file(path)
    except UserError as error:
        raise UserError(f"resume: {path} cannot be read: {folder} is not a run's folder ({error})") from error


def environment(device: str) -> dict[str, str]:
    """Return versions, machine and device for environment.json and the log, without personal data or paths."""
    packages = ("pggan_framework", "torch", "torchvision", "numpy", "h5py", "librosa", "soundfile")
    # Use the versions of the modules, since a copy that is not installed has no metadata.
    versions = {name: str(sys.modules[name].__version__) for name in packages if name in sys.modules}
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": str(os.cpu_count()),
        "device": device,
        **versions,
    }


def write_run_files(folder: Path, config_text: str, facts: Mapping[str, str]) -> None:
    """Write config.yaml and environment.json; if a resumed run fails earlier, the old files remain."""
    for name, text in (("config.yaml", config_text), ("environment.json", json.dumps(dict(facts), indent=2) + "\n")):
        with atomic_path(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
