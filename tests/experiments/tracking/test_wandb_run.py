"""A run's W&B log: offline, in the run's folder, one run however often it is continued, and never in training's way."""

import base64
import http.server
import socket
import threading
import time

import lightning
import pytest
import torch
import wandb

from codeclab.experiments.tracking.describe_run import describe_run
from codeclab.experiments.tracking.wandb_run import RunWandb, start_run
from codeclab.experiments.tracking.wandb_server import server_problem, wandb_mode
from codeclab.experiments.train.step_output import StepOutput
from codeclab.quantizers.usage import codebook_statistics


@pytest.fixture
def logged_in(monkeypatch, tmp_path):
    """``logged_in(url)``: a user with a key, whose server is at ``url``."""

    def use(url):
        monkeypatch.delenv("WANDB_MODE", raising=False)
        monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
        monkeypatch.setenv("WANDB_BASE_URL", url)

    return use


@pytest.fixture
def answering():
    """``answering(status)``: the address of a local server that answers everything with it, and what it was asked."""
    servers = []

    def serve(status):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.server.requests.append((self.path, self.headers.get("Authorization")))
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(status)
                self.end_headers()

            def log_message(self, *args):
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        server.requests = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}", server.requests

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def closed_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def test_disabled_means_no_log(build, tmp_path):
    cli = build("encodec_24khz", 1)
    cli.execute()
    assert not any(isinstance(logger, RunWandb) for logger in cli.trainer.loggers)
    assert not (tmp_path / "run" / "wandb").exists()


def test_a_server_that_cannot_be_used_is_found_out_at_once(logged_in, answering):
    logged_in(f"http://127.0.0.1:{closed_port()}")
    began = time.monotonic()
    assert "cannot be reached" in server_problem()
    for status, said in ((500, "answers 500"), (503, "answers 503"), (401, "refuses the login (401)")):
        url, requests = answering(status)
        logged_in(url)
        assert server_problem() == f"{url} {said}"
        ((path, login),) = requests
        assert path == "/graphql"
        assert base64.b64decode(login.removeprefix("Basic ")) == b"api:" + b"a" * 40
    assert time.monotonic() - began < 5
    url, _ = answering(200)
    logged_in(url)
    assert server_problem() is None


def test_a_server_that_does_not_answer_is_not_waited_for(logged_in):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        logged_in(f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert "cannot be reached" in server_problem(patience=0.2)


def test_a_server_that_answers_but_refuses_the_run_leaves_its_id_to_the_offline_log(
    logged_in, answering, tmp_path, capsys
):
    url, requests = answering(404)
    logged_in(url)
    assert server_problem() is None
    (tmp_path / "run" / "wandb" / "offline-run-20260101_000000-known123").mkdir(parents=True)
    wandb.teardown()  # what it knew of other servers
    try:
        run = start_run(tmp_path / "run", {})
        run.finish()
    finally:
        wandb.teardown()
    assert len(requests) > 1, "W&B itself asked, too"
    assert (run.id, run.offline) == ("known123", True)
    said = capsys.readouterr().err
    assert "returned error 404" in said
    assert "logging offline" in said


def test_what_goes_wrong_in_the_log_ends_the_log_alone(monkeypatch, tmp_path, capsys):
    began = []

    def fail(*args):
        began.append(args)
        raise RuntimeError("wandb-core is gone\nlong story")

    monkeypatch.setattr("codeclab.experiments.tracking.wandb_run.start_run", fail)
    logger = RunWandb(tmp_path, {}, tmp_path / "codec", tmp_path / "best.ckpt")
    for step in (1, 2):
        logger.log_metrics({"a": 1.0}, step)
    logger.finalize("success")
    assert len(began) == 1
    assert capsys.readouterr().err == "note: W&B: RuntimeError: wandb-core is gone; nothing more is logged there\n"


def test_the_users_own_group_and_tags_are_obeyed(monkeypatch):
    monkeypatch.setenv("WANDB_RUN_GROUP", "mine")
    monkeypatch.setenv("WANDB_TAGS", "a,b")
    assert describe_run({}, "dac_44khz", None).keys() == {"job_type", "config"}


def test_the_codebooks_figures_are_those_of_the_statistics(build):
    """Of the last batch, in one transfer."""
    cli = build("encodec_24khz", 1)
    outputs = []

    class Record(lightning.Callback):
        def on_train_batch_end(self, trainer, pl_module, output, batch, batch_idx):
            outputs.append(StepOutput.of(output))

    cli.trainer.callbacks.append(Record())
    cli.execute()
    logged = (cli.folder.metrics).read_text().splitlines()
    row = dict(zip(logged[0].split(","), logged[1].split(","), strict=True))
    expected = codebook_statistics(outputs[0].codes, outputs[0].sizes)
    for name, values in expected.items():
        result = torch.tensor([float(row[f"codebooks/{name}_{k:02d}"]) for k in range(len(values))])
        assert torch.allclose(result, values.float(), atol=1e-6)


def test_wandb_is_offline_unless_the_user_is_logged_in(monkeypatch, tmp_path):
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    assert wandb_mode() == "offline"
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password secret\n")
    (tmp_path / "netrc").chmod(0o600)
    assert wandb_mode() == "online"
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert wandb_mode() == "disabled"
