"""CometLogger: archives without a network, a loopback server for the online path, and no key anywhere."""

import gzip
import json
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from pggan_framework.errors import UserError
from pggan_framework.loggers.base import RunInfo
from pggan_framework.loggers.comet import CometLogger

SECRET = "Zq3SECRETKEYofTheTest9"


@pytest.fixture(autouse=True)
def environment(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COMET_INTERNAL_REPORTING", "false")
    monkeypatch.setenv("COMET_URL_OVERRIDE", "http://127.0.0.1:9/clientlib/")
    monkeypatch.delenv("COMET_API_KEY", raising=False)


def run_info(directory: Path, resumed_nimg: int | None = None) -> RunInfo:
    config = {"general": {"total_kimg": 30, "comet_key": SECRET}, "DepthManager": {"minibatch_overrides": {6: 14}}}
    return RunInfo(directory, "007-tones", config, "", {"images": "1000"}, {}, 30, resumed_nimg)


def go(logger: CometLogger, run: RunInfo, nimg: int = 2000) -> list[str]:
    """A small run; returns what the logger reported."""
    reports: list[str] = []
    logger.report = reports.append
    picture, sound = run.directory / "fakes_000002.png", run.directory / "fakes_sound_000002_00.wav"
    Image.new("L", (8, 8)).save(picture)
    soundfile.write(sound, np.zeros(100), 16000)
    logger.start(run)
    logger.log({"tick": 2, "D_loss": 0.5, "G_loss": float("nan")}, nimg)
    logger.image("fakes", picture, nimg)
    logger.audio("fakes_00", sound, nimg)
    logger.finish("finished")
    return reports


def messages(archive: Path) -> list[dict]:
    with zipfile.ZipFile(archive) as file:
        return [json.loads(line) for line in file.read("messages.json").decode().splitlines()]


def assert_no_secret(directory: Path, reports: list[str]) -> None:
    for path in directory.rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path
            if path.suffix == ".zip":
                with zipfile.ZipFile(path) as file:
                    assert all(SECRET.encode() not in file.read(name) for name in file.namelist())
    assert SECRET not in " ".join(reports)


def test_offline_archive_holds_figures_parameters_pictures_and_sounds(tmp_path):
    reports = go(CometLogger(comet_project_name="tones"), run_info(tmp_path))
    (archive,) = (tmp_path / "comet").glob("*.zip")
    found = messages(archive)
    metrics = {m["payload"]["metric"]["metricName"]: m["payload"]["metric"] for m in found if m["type"] == "metric_msg"}
    assert (metrics["D_loss"]["metricValue"], metrics["D_loss"]["step"], metrics["D_loss"]["epoch"]) == (0.5, 2000, 2)
    parameters = [m["payload"].get("param") or m["payload"]["params"] for m in found if m["type"] == "parameter_msg"]
    values = {p["paramName"]: p["paramValue"] for p in parameters}
    assert values["general.total_kimg"] == 30 and values["DepthManager.minibatch_overrides.6"] == 14
    uploads = {m["payload"]["upload_type"]: m["payload"] for m in found if "upload_type" in m["payload"]}
    with zipfile.ZipFile(archive) as file:
        contents = {kind: file.read(upload["file_path"])[:4] for kind, upload in uploads.items()}
    assert contents == {"visualization": b"\x89PNG", "audio": b"RIFF"}
    assert uploads["visualization"]["additional_params"]["figName"] == "fakes"
    others = {m["payload"]["key"]: m["payload"]["value"] for m in found if m["type"] == "log_other"}
    assert others["Name"] == "007-tones" and others["status"] == "finished" and others["data/images"] == "1000"
    # Nothing was captured that was not requested.
    kinds = {m["type"] for m in found}
    assert kinds <= {"metric_msg", "parameter_msg", "log_other", "file_upload"}
    assert "no key" in reports[0] and str(archive) in reports[1]
    assert_no_secret(tmp_path, reports)


def test_resuming_offline_adds_an_archive_of_the_same_experiment(tmp_path):
    go(CometLogger(), run_info(tmp_path))
    reports = go(CometLogger(), run_info(tmp_path, resumed_nimg=2000), nimg=3000)
    key = json.loads((tmp_path / "comet.json").read_text())["experiment_key"]
    archives = sorted((tmp_path / "comet").glob("*.zip"), key=lambda path: path.stat().st_mtime_ns)
    assert len(archives) == 2 and all(path.name.startswith(key) for path in archives)
    assert str(archives[1]) in reports[-1] and str(archives[0]) not in reports[-1]
    steps = [m["payload"]["metric"]["step"] for m in messages(archives[1]) if m["type"] == "metric_msg"]
    assert set(steps) == {3000}


def test_unreachable_service_goes_offline_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("COMET_API_KEY", SECRET)
    begin = time.monotonic()
    reports = go(CometLogger(timeout=0.5, offline_directory=str(tmp_path / "elsewhere")), run_info(tmp_path))
    assert time.monotonic() - begin < 10
    assert "logging offline" in reports[0]
    assert len(list((tmp_path / "elsewhere").glob("*.zip"))) == 1
    assert_no_secret(tmp_path, reports)


class Service(BaseHTTPRequestHandler):
    """As much of Comet's backend as a client needs: it answers everything alike, or refuses the key."""

    refuse = False
    seen: list[tuple[str, bytes]]

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.seen.append((self.path, gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body))
        status = 400 if self.refuse and self.path.endswith("/add/run") else 200
        reply: dict = {"runId": "run", "project_id": "project", "focusUrl": "http://127.0.0.1/", "backend": "3.99.99"}
        if status == 400:
            reply = {"msg": f"{SECRET} is not known", "sdk_error_code": 90212, "code": 400}
        data = json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = answer  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def service(monkeypatch):
    monkeypatch.setattr(Service, "seen", [], raising=False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("COMET_URL_OVERRIDE", f"http://127.0.0.1:{server.server_port}/clientlib/")
    yield Service
    server.shutdown()
    server.server_close()
    thread.join()


def test_online_sends_everything_and_resumes_the_same_experiment(tmp_path, service):
    reports = go(CometLogger(comet_key=SECRET, comet_project_name="tones"), run_info(tmp_path))
    sent = {path.split("?")[0].removeprefix("/clientlib/"): (path, body) for path, body in service.seen}
    assert json.loads(sent["logger/add/run"][1])["projectName"] == "tones"
    bodies = [body for path, body in service.seen if "batch/logger" in path]
    assert any(b"D_loss" in body for body in bodies) and any(b"general.total_kimg" in body for body in bodies)
    assert b"\x89PNG" in sent["visualizations/upload"][1] and "step=2000" in sent["visualizations/upload"][0]
    address, body = sent["asset/upload"]
    wave, rate = soundfile.read(BytesIO(body[body.index(b"RIFF") :]))
    assert "step=2000" in address and rate == 16000 and len(wave) == 100
    assert not (tmp_path / "comet").exists()
    assert any(report.startswith("Comet: http") for report in reports)
    assert_no_secret(tmp_path, reports)

    key = json.loads((tmp_path / "comet.json").read_text())["experiment_key"]
    service.seen.clear()
    go(CometLogger(comet_key=SECRET), run_info(tmp_path, resumed_nimg=2000), nimg=3000)
    assert {json.loads(body)["experimentKey"] for path, body in service.seen if path.endswith("add/run")} == {key}


def test_a_refused_key_goes_offline_and_is_not_shown(tmp_path, service, monkeypatch, capsys):
    monkeypatch.setattr(Service, "refuse", True)
    reports = go(CometLogger(comet_key=SECRET), run_info(tmp_path))
    assert any("logging offline" in report for report in reports)
    assert len(list((tmp_path / "comet").glob("*.zip"))) == 1
    assert_no_secret(tmp_path, reports)
    assert SECRET not in "".join(capsys.readouterr())


def test_timeout_must_be_above_zero():
    with pytest.raises(UserError, match=r"CometLogger.timeout 0 .*above 0"):
        CometLogger(timeout=0)
