"""``pggan COMMAND ...``: dispatch commands, and print input errors as one line with exit status 2."""

from __future__ import annotations

import io
import os
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from keyword import iskeyword

from pggan_framework import __version__
from pggan_framework.errors import LocalError, UserError, nearest
from pggan_framework.loggers import terminal

COMMANDS = {
    "train": "train a network: 'pggan train DIR --minutes 10' for a folder, 'pggan train -h' for all flags",
    "grow": "continue training a model with other sizes, labels, widths or sample rate",
    "ema": "compute an EMA generator of another length from stored averages",
    "branch": "compare settings by short continuations of a run",
    "plan": "write the configuration of 'pggan train DIR' to an editable file",
    "components": "list all components, or the flags of one",
    "generate": "generate images, sounds, tunes, latent interpolations and sampler kits",
    "video": "animate the samples of a run over time, as a GIF, WebP or MP4",
    "report": "write one or several runs as a single HTML page",
    "info": "describe a checkpoint, an exported model or a data file",
    "export": "export a generator: safetensors, torch.export, ONNX, Hugging Face folder",
    "project": "find the latent of a given image or sound",
    "evaluate": "measure how close a model's sounds or images are to the data",
    "verify": "recompute part of a run and compare it bit for bit",
    "prepare": "pack images into one training file, or build a data set by recipe",
    "import": "convert weights of the original PGGAN, deepsound's trainer or the GAN zoo",
    "doctor": "check this machine: resources, their use by a run, advice",
    "inspect": "examine data before training: statistics, images, codec quality",
    "completion": "print a completion script for bash, zsh or fish",
}
"""The commands; each is a function ``run(argv) -> exit status`` in the module of its name, ``import_`` for import."""

NO_MEMORY = (
    *("can't allocate memory", "not enough memory", "std::bad_alloc", "could not create a primitive"),
    *("start new thread", "failed to map segment"),
)
"""Out-of-memory messages of torch, oneDNN, Python and the library loader."""
PATIENCE = 5
"""Seconds that other ranks wait for the rank that prints an error."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line (by default the program's own) and return the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        # A narrow code page (cp1252) cannot print all file names; a question mark is better than a failed command.
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")
    try:
        _check_names(words)
        return _run(words)
    except UserError as error:
        if _debug(words):
            traceback.print_exc()
        if _another_tells(error):
            # torchrun ends all processes when the first one ends, which should be the rank that prints the error.
            with suppress(KeyboardInterrupt):
                time.sleep(PATIENCE)
        else:
            terminal.error(str(error))
        return 2
    except SystemExit as stop:  # from -h of a command, after printing the help
        return int(stop.code or 0)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of the output has ended, e.g. `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + 13
    except (MemoryError, RecursionError, OSError, RuntimeError, ImportError) as error:
        line = explained(error)
        if line is None:
            raise
        if _debug(words):
            traceback.print_exc()
        terminal.error(line)
        return 2


def explained(error: BaseException) -> str | None:
    """Return a one-line message with advice if a resource is exhausted; None for other errors."""
    text = " ".join(str(error).split())[:300]
    lacking = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    if lacking or (isinstance(error, RuntimeError | ImportError) and any(words in text for words in NO_MEMORY)):
        return (
            f"there is not enough memory{f' ({text})' if text else ''}; a smaller --micro_batch, such as 4, trains the"
            " same batches with less, and so do a smaller --minibatch_size and smaller networks"
        )
    if isinstance(error, RecursionError):
        return "a file or a value is nested too deep to be read"
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or text or type(error).__name__}"
    return None


def _check_names(words: Sequence[str]) -> None:
    """Refuse names that configs, logs and reports, which are in UTF-8, cannot contain.

    Raises:
        UserError: if a word is not valid in the encoding of file names.
    """
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise UserError(
                f"{word}: this name is not in UTF-8; allowed: names in UTF-8; rename it, for example with: convmv -f"
                " latin1 -t utf-8 --notest NAME; in a locale that is not UTF-8, set PYTHONUTF8=1"
            ) from None


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        rows = "\n".join(f"  {name:<12} {text}" for name, text in COMMANDS.items())
        print(f"usage: pggan COMMAND ...\n\n{rows}\n\npggan --version prints the version")
        return 0
    if words[0] == "--version":
        print(__version__)
        return 0
    if words[0] not in COMMANDS:
        raise UserError(f"unknown command '{words[0]}'{nearest(words[0], COMMANDS)}; allowed: {', '.join(COMMANDS)}")
    module = words[0] + "_" * iskeyword(words[0])
    status: int = import_module(f"pggan_framework.cli.{module}").run(words[1:])
    return status


def _another_tells(error: UserError) -> bool:
    """True if several ranks found the same error and this rank leaves printing it to rank 0."""
    distributed = sys.modules.get("pggan_framework.training.distributed")
    number = os.environ.get("LOCAL_RANK" if isinstance(error, LocalError) else "RANK", "0")
    return number != "0" and not (distributed and distributed.World.joined)


def _debug(words: list[str]) -> bool:
    """True if ``--debug`` is set, read directly from the arguments, since the config itself may have failed."""
    for word, value in zip(words, [*words[1:], "--"], strict=True):
        if word == "--debug":
            return value.lower() not in ("false", "no", "off")
        if word.startswith("--debug="):
            return word.partition("=")[2].lower() not in ("false", "no", "off")
    return False
