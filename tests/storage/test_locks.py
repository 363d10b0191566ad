"""A folder has one owner, and the kernel knows when it has none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pggan_framework.errors import UserError
from pggan_framework.storage.locks import NAME, owned

HOLD = """
import sys, time
from pathlib import Path
from pggan_framework.storage.locks import owned
with owned(Path(sys.argv[1]), "it"):
    if len(sys.argv) > 2:
        import os
        if os.fork() == 0:
            time.sleep(60)  # a worker that outlives its killed parent
            os._exit(0)
    print("held", flush=True)
    time.sleep(60)
"""


def _holder(folder: Path, *more: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), *more], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.parametrize("worker", [(), ("worker",)])
def test_a_second_process_is_refused_until_the_first_is_killed(tmp_path: Path, worker: tuple[str, ...]) -> None:
    process = _holder(tmp_path, *worker)
    try:
        with pytest.raises(UserError, match=f"the run x is in use by process {process.pid} on "):
            owned(tmp_path, "the run x", patience=0).__enter__()
        process.kill()
        process.wait()
        with owned(tmp_path, "the run x"):
            assert (tmp_path / NAME).exists()
        assert not (tmp_path / NAME).exists()
    finally:
        os.killpg(process.pid, signal.SIGKILL) if worker else process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_a_second_owner_in_one_process_is_refused_and_leaves_the_first_its_lock(tmp_path: Path) -> None:
    with owned(tmp_path, "it"):
        for _ in range(2):
            with pytest.raises(UserError, match="in use by this process"):
                owned(tmp_path, "it").__enter__()
        code = subprocess.run([sys.executable, "-c", HOLD, str(tmp_path)], capture_output=True, text=True, check=False)
        assert "in use by process" in code.stderr
    with owned(tmp_path, "it"):
        pass
