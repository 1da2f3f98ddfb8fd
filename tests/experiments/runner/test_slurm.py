"""Rows on a real Slurm of one node, started here (skipped where it is not installed), and on a stand-in."""

import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from codeclab.experiments.cli import main
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.runner.slurm import SlurmLauncher, read_settings

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "srun")

CONFIG = """
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={socket}
SlurmctldPort={port}
SlurmdPort={second}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SlurmdParameters=config_overrides
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0)), second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A Slurm of one node, with its own key, socket, ports and state."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"needs a Slurm to start as root (apt-get install slurm-wlm); missing: {missing or 'root'}")
    folder = tmp_path_factory.mktemp("slurm")
    for name in ("state", "spool", "munge"):
        (folder / name).mkdir(mode=0o700)
    folder.chmod(0o755)
    (folder / "munge" / "key").write_bytes(os.urandom(128))
    (folder / "munge" / "key").chmod(0o400)
    port, second = free_ports()
    socket_path = folder / "munge.sock"
    config = folder / "slurm.conf"
    config.write_text(
        CONFIG.format(
            host=socket.gethostname().split(".")[0], socket=socket_path, folder=folder, port=port, second=second
        )
    )
    monkeypatch.setenv("SLURM_CONF", str(config))
    munge = [f"--{name}-file={folder}/munge/{name}" for name in ("key", "pid", "log", "seed")]
    subprocess.run(["munged", "--force", f"--socket={socket_path}", *munge], check=True, capture_output=True)
    subprocess.run(["slurmctld", "-c"], check=True, capture_output=True)
    subprocess.run(["slurmd"], check=True, capture_output=True)
    try:
        yield folder
    finally:
        for name in ("slurmd.pid", "slurmctld.pid", "munge/pid"):
            if (folder / name).is_file():
                os.kill(int((folder / name).read_text()), signal.SIGTERM)


def test_rows_are_made_by_slurm(
    cluster: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tiny_row: str,
    write_table: Callable[..., Path],
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    ends = tmp_path / "ends_part.py"
    ends.write_text(
        "import os\n"
        "from codeclab.experiments.train.losses.base import ReconstructionLoss\n"
        "class Ends(ReconstructionLoss):\n"
        "    def forward(self, fake, real):\n"
        "        os._exit(5)\n"
    )
    rows = [
        {"name": "Good", "flags": tiny_row},
        {"name": "Ends", "flags": f"{tiny_row} --import {ends} --model.waveform_loss Ends"},
    ]
    table = write_table("Pair", rows)
    runs = tmp_path / "runs"
    options = ["--launcher", "slurm", "--slurm", "timeout_min=30", "partition=main", "cpus_per_task=1"]
    with pytest.raises(SystemExit) as stopped:
        main(["table", str(table), "--runs", str(runs), "--workers", "0", *options])
    said = capsys.readouterr().err
    assert stopped.value.code == 1, said
    assert "not timed here: rows run on the cluster" in said
    numbers = re.findall(r"(\w+): submitted as job (\d+)", said)
    assert [name for name, _ in numbers] == ["Good", "Ends"]
    figures = pd.read_csv(runs / "pair-paper" / "table.csv")
    assert figures.query("row == 'Good'")["mean"].notna().any()
    assert set(figures.query("row == 'Ends'")["error"]) == {SlurmLauncher.lost}
    # Slurm itself says where the job ran, and its log that the row was made there.
    record = subprocess.run(["scontrol", "show", "job", numbers[0][1]], capture_output=True, text=True, check=True)
    assert f" NodeList={socket.gethostname().split('.')[0]}\n" in record.stdout
    assert "JobName=good-" in record.stdout
    assert "Good: done" in "".join(path.read_text() for path in (runs / ".slurm" / numbers[0][1]).glob("*_log.out"))
    assert "Good: done" in said
    assert not list((runs / ".slurm").glob("*.json"))


STAND_IN = {
    "sbatch": """#!/bin/sh
cp "$1" {folder}/script
echo 7 > {folder}/queue
(
  sleep 1
  SLURM_JOB_ID=7 SLURM_NTASKS=1 SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_NODEID=0 SLURM_JOB_NUM_NODES=1 sh {folder}/script
  : > {folder}/queue
) > {folder}/job 2>&1 < /dev/null &
echo Submitted batch job 7
""",
    "srun": """#!/bin/sh
while true; do case "$1" in --output) shift 2;; --*) shift;; *) break;; esac; done
exec "$@" > {runs}/.slurm/7/7_0_log.out 2>&1
""",
    "squeue": "#!/bin/sh\ncat {folder}/queue\n",
}


@pytest.mark.slow
@pytest.mark.parametrize("ends", [False, True])
def test_a_row_is_made_by_programs_in_slurms_place(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ends: bool,
    tiny_row: str,
    write_table: Callable[..., Path],
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    runs = tmp_path / "runs"
    for name, text in STAND_IN.items():
        program = tmp_path / name
        program.write_text(text.format(folder=tmp_path, runs=runs))
        program.chmod(0o755)
    part = tmp_path / "part.py"
    part.write_text(
        "import os, signal\n"
        "from codeclab.experiments.train.losses.base import ReconstructionLoss\n"
        "class Warned(ReconstructionLoss):\n"
        "    def forward(self, fake, real):\n"
        "        if os.getpid() != int(os.environ['PLANNER']):\n"
        "            os.kill(os.getpid(), signal.SIGUSR2)  # as submitit has Slurm do before the time is up\n"
        "        return fake.abs().mean()\n"
    )
    monkeypatch.setenv("PLANNER", str(os.getpid()))
    flags = f"{tiny_row} --import {part} --model.waveform_loss Warned --model.weights.waveform 1" if ends else tiny_row
    rows = [{"name": "One", "flags": flags}]
    table = write_table("One", rows)
    with pytest.raises(SystemExit) as stopped:
        main(["table", str(table), "--runs", str(runs), "--workers", "0", "--launcher", "slurm"])
    said = capsys.readouterr().err
    assert stopped.value.code == int(ends), said
    assert "One: submitted as job 7" in said
    assert ("stopped after batch 1;" if ends else "One: done") in said
    assert not list((runs / ".slurm").glob("*.json"))
    figures = pd.read_csv(runs / "one-paper" / "table.csv")
    assert set(figures["error"].dropna()) == ({SlurmLauncher.lost} if ends else set())
    assert len(list(runs.glob("*/checkpoints/last.ckpt"))) == 1


def test_what_slurm_is_asked_for() -> None:
    assert read_settings(["partition=gpu", "timeout_min=720", "gpus_per_node=2"]) == {
        "slurm_partition": "gpu",
        "timeout_min": 720,
        "gpus_per_node": 2,
    }
    with pytest.raises(RecipeError, match="--slurm gpu: give KEY=VALUE"):
        read_settings(["gpu"])


def test_a_parameter_that_submitit_does_not_know_is_refused(cluster: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="nonsense"):
        SlurmLauncher(tmp_path, ["nonsense=1"])


def test_an_error_without_a_message_is_named_by_its_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: SlurmLauncher, defaults: dict[str, object]) -> None:
        raise AssertionError

    monkeypatch.setattr(SlurmLauncher, "_executor", fail)
    with pytest.raises(RecipeError, match="--launcher slurm: AssertionError"):
        SlurmLauncher(tmp_path, [])
