"""The files and command lines of the daemons of a Slurm for tests."""

from __future__ import annotations

import os
import secrets
import socket
import stat
from collections.abc import Sequence
from pathlib import Path

GPUS = 8  # per node, made up
CPUS = 16  # per node, whatever the machine has
MEMORY = 12000  # MB per node: one cell of the tiny world (9000) and small jobs beside it, never two cells
GRACE = 5  # seconds between the notice of a preemption and its end

_SLURM = """\
ClusterName=lab
SlurmctldHost={host}({address})
SlurmctldPort={controller_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
# A requeued job waits until its old credential has expired: two minutes, if nothing is said here; 5 is the least.
AuthInfo=socket={folder}/munge.sock,cred_expire=5
StateSaveLocation={folder}/controller
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
MailProg=/bin/true
# No cgroups, no pinning, no MPI: a container has none of them.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=5
SwitchType=switch/none
MpiDefault=none
# The nodes have what is written here, not what the machine has.
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=1
GresTypes=gpu
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
ReturnToService=2
SlurmctldParameters=preempt_send_user_signal
SlurmctldTimeout=60
SlurmdTimeout=10
MessageTimeout=20
InactiveLimit=0
MinJobAge=600
KillWait=5
OverTimeLimit=0
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
MaxArraySize=10001
PropagateResourceLimits=NONE
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost={address}
AccountingStoragePort={accounting_port}
AccountingStoragePass={folder}/munge.sock
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment
NodeName=DEFAULT CPUs={cpus} CoresPerSocket={cpus} RealMemory={memory} Gres=gpu:{gpus}
{nodes}
PartitionName=DEFAULT Nodes=ALL MaxTime=INFINITE State=UP DefMemPerCPU=200
PartitionName=main Default=YES PriorityTier=10 PreemptMode=off
PartitionName=scavenge PriorityTier=1 PreemptMode=REQUEUE GraceTime={grace}
PartitionName=urgent PriorityTier=100 PreemptMode=off
"""

_ACCOUNTING = """\
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock,cred_expire=5
DbdAddr={address}
DbdHost={host}
DbdPort={accounting_port}
SlurmUser=root
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm
"""

# The first version's plug-in and a mount point that does not exist: Slurm then never looks at the machine's cgroups.
_CGROUPS = "CgroupPlugin=cgroup/v1\nCgroupAutomount=no\nCgroupMountpoint={folder}/no-cgroups\n"


def write(folder: Path, address: str, ports: Sequence[int], nodes: Sequence[str]) -> None:
    """Every file that the daemons read.

    Args:
        address: what this host's name stands for.
        ports: of the controller, the accounting, and one per node.
    """
    host = socket.gethostname().split(".")[0]
    values = {
        "folder": folder,
        "host": host,
        "address": address,
        "controller_port": ports[0],
        "accounting_port": ports[1],
        "cpus": CPUS,
        "memory": MEMORY,
        "gpus": GPUS,
        "grace": GRACE,
        "nodes": "\n".join(
            f"NodeName={node} NodeHostname={host} NodeAddr={address} Port={port}"
            for node, port in zip(nodes, ports[2:], strict=True)
        ),
    }
    (folder / "slurm.conf").write_text(_SLURM.format(**values))
    (folder / "cgroup.conf").write_text(_CGROUPS.format(**values))
    accounting = folder / "slurmdbd.conf"
    accounting.touch(mode=0o600)
    accounting.write_text(_ACCOUNTING.format(**values))
    (folder / "gres.conf").write_text(f"NodeName={','.join(nodes)} Name=gpu File={folder}/gpu[0-{GPUS - 1}]\n")
    for number in range(GPUS):
        # This version wants a device of its own per GPU: each is another /dev/null.
        os.mknod(folder / f"gpu{number}", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(128))
    for name in ("controller", "db", "db-tmp", "log", *(f"spool-{node}" for node in nodes)):
        (folder / name).mkdir()


def munged(folder: Path) -> list[str]:
    files = ("key-file", "munge.key"), ("socket", "munge.sock"), ("pid-file", "munged.pid"), ("seed-file", "munge.seed")
    return ["munged", "--foreground", "--force", *(f"--{option}={folder / name}" for option, name in files)]


# Nothing of this database outlives the tests: no waiting for the disk, small files.  A folder of its own for temporary
# tables, for a MariaDB that starts removes all that it finds there, those of others too.
_THROW_AWAY = (
    "--user=root",
    "--innodb-flush-method=nosync",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=0",
    "--innodb-log-file-size=8M",
    "--innodb-buffer-pool-size=32M",
    "--innodb-lock-wait-timeout=900",
    "--performance-schema=off",
    "--debug-no-sync",
)


_SYSTEM_TABLES = Path("/usr/share/mysql/mysql_system_tables.sql")


def database_install(folder: Path) -> list[str]:
    """Makes the database's own tables from what it reads; a third of mariadb-install-db, which makes many more."""
    return [*database(folder), "--bootstrap"]


def database_tables() -> str:
    """What :func:`database_install` reads."""
    return f"create database mysql;\nuse mysql;\n{_SYSTEM_TABLES.read_text()}"


def database(folder: Path) -> list[str]:
    places = f"--datadir={folder}/db", f"--tmpdir={folder}/db-tmp", f"--socket={folder}/db.sock"
    # Who may open the socket is the folder's mode, 0700: no users, no passwords.
    arguments = f"--pid-file={folder}/db.pid", "--skip-networking", "--skip-grant-tables"
    return ["mariadbd", "--no-defaults", *places, *arguments, *_THROW_AWAY]


def database_client(folder: Path) -> list[str]:
    return ["mariadb", "--no-defaults", "--user=root", f"--socket={folder}/db.sock"]
