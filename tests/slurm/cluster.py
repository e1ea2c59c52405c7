"""A one-node SLURM of the tests' own: Debian's munge and slurm, everything in one folder, stopped at the end."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol")
CONFIGURATION = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=batch_sched_delay=0,bf_interval=2
EnforcePartLimits=ALL
JobRequeue=0
ReturnToService=2
MinJobAge=3600
KillWait=5
GresTypes=gpu
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=16000 Gres=gpu:2
PartitionName=normal Nodes={host} Default=YES
PartitionName=gpu Nodes={host}
"""


class Cluster:
    """A running cluster: partitions ``normal`` and ``gpu``, two CPUs, 16 GB and two GPUs that are none.

    Args:
        folder: where its configuration, state, sockets and logs go; its path must be short, for the sockets.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PATH": f"{folder}/bin:/usr/sbin:{os.environ['PATH']}",
        }

    def start(self) -> None:
        """Starts the daemons and waits until the node is idle.

        Raises:
            RuntimeError: it is not within 20 seconds.
        """
        self._write_files()
        names = {"socket": "socket", "pid-file": "pid", "log-file": "log", "key-file": "key", "seed-file": "seed"}
        self.run("munged", *(f"--{option}={self.folder}/munge.{name}" for option, name in names.items()))
        self.run("slurmctld")
        self.run("slurmd")
        end = time.monotonic() + 20
        while "idle" not in self.run("sinfo", "-h", "-p", "normal", "-o", "%t", check=False):
            if time.monotonic() > end:
                raise RuntimeError((self.folder / "slurmctld.log").read_text()[-2000:])
            time.sleep(0.2)

    def stop(self) -> None:
        """Cancels what runs and ends the daemons."""
        self.run("scancel", "--user", "root", check=False)
        for name in ("slurmd", "slurmctld", "munge"):
            path = self.folder / f"{name}.pid"
            if path.exists():
                os.kill(int(path.read_text()), signal.SIGTERM)

    def run(self, *command: str, check: bool = True) -> str:
        """Runs a command with the cluster's settings and gives what it prints."""
        return subprocess.run(command, env=self.environment, check=check, capture_output=True, text=True).stdout

    def jobs(self, columns: str) -> list[list[str]]:
        """All jobs, finished ones too, oldest first: of each these columns (letters of squeue's format)."""
        text = "|".join(f"%{letter}" for letter in columns)
        lines = self.run("squeue", "--all", "--states=all", "--noheader", "--sort=i", "--format", text).splitlines()
        return [line.split("|") for line in lines]

    def _write_files(self) -> None:
        self.folder.chmod(0o755)  # munge's socket has to be within everybody's reach
        for name in ("state", "spool", "bin"):
            (self.folder / name).mkdir()
        numbers = dict(zip(("controller", "daemon"), _free_ports(2), strict=True))
        host = socket.gethostname().split(".")[0]
        (self.folder / "slurm.conf").write_text(CONFIGURATION.format(host=host, folder=self.folder, **numbers))
        for index in range(2):  # SLURM sets CUDA_VISIBLE_DEVICES for device files alone; these are like /dev/null
            os.mknod(self.folder / f"gpu{index}", 0o20666, os.makedev(1, 3))
        (self.folder / "gres.conf").write_text(f"Name=gpu File={self.folder}/gpu[0-1]\n")
        key = self.folder / "munge.key"
        key.touch(0o600)
        key.write_bytes(os.urandom(128))
        # Within a job the plugin clears SLURM_CONF, which real clusters do without.
        srun = self.folder / "bin" / "srun"
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {shutil.which("srun")} "$@"\n')
        srun.chmod(0o755)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
