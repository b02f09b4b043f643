# shellcheck shell=bash
# What every script of this folder does first; it is sourced, and only within a job.
#
# Sets KAWHI_CHECKOUT (and goes there), KAWHI_PYTHON, KAWHI_RUNS and SRUN; defines fail and python_job.

trap '' USR2 # a notice before the program can heed it must not end the job: it would not be queued again

# One sentence on what is missing; a failed job.
fail() {
  echo "error: $*" >&2
  exit 1
}

here=${SLURMD_NODENAME:-$(hostname)}
KAWHI_CHECKOUT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export KAWHI_CHECKOUT
cd "$KAWHI_CHECKOUT" || fail "node $here does not see $KAWHI_CHECKOUT: keep the checkout on a disk that all nodes share"

# slurm/site.env fills in what the shell that typed sbatch had not set.
if [ -f slurm/site.env ]; then
  given=$(export -p | grep -E '^declare -x KAWHI_(SCALE|PYTHON|RUNS|RECORDS|DATA|MME|SETUP|SRUN_ARGS)=' || true)
  set -a
  # shellcheck disable=SC1091
  source slurm/site.env || fail "slurm/site.env does not run in bash: mend it, slurm/site.env.example shows how it looks"
  set +a
  eval "$given"
  case ",${SBATCH_PARTITION:-$SLURM_JOB_PARTITION}," in
    *",$SLURM_JOB_PARTITION,"*) ;;
    *) echo "warning: this job runs in the partition $SLURM_JOB_PARTITION and slurm/site.env names $SBATCH_PARTITION: source slurm/site.env before sbatch" >&2 ;;
  esac
fi
export KAWHI_SCALE=${KAWHI_SCALE:-h200x8} KAWHI_RUNS=${KAWHI_RUNS:-results/runs}
mkdir -p "$KAWHI_RUNS/.slurm" || fail "node $here cannot write $KAWHI_RUNS: set KAWHI_RUNS in slurm/site.env"
KAWHI_RUNS=$(cd "$KAWHI_RUNS" && pwd)

if [ -n "${KAWHI_SETUP:-}" ]; then
  eval "$KAWHI_SETUP" || fail "KAWHI_SETUP of slurm/site.env failed on node $here: $KAWHI_SETUP"
fi
export KAWHI_PYTHON=${KAWHI_PYTHON:-$KAWHI_CHECKOUT/.venv/bin/python}
if [ -z "${KAWHI_SRUN_ARGS:-}" ]; then # else it is the container's, which is not open yet
  [ -x "$KAWHI_PYTHON" ] ||
    fail "node $here has no $KAWHI_PYTHON: type make setup in $KAWHI_CHECKOUT, or set KAWHI_PYTHON in slurm/site.env"
fi
export PYTHONPATH=$KAWHI_CHECKOUT${PYTHONPATH:+:$PYTHONPATH} # the code of this checkout, wherever kawhi is installed
export PYTHONUNBUFFERED=1
export SRUN_CPUS_PER_TASK=${SLURM_CPUS_ON_NODE:-1} # srun does not hand these on by itself since Slurm 22.05
eval "SRUN=(srun --open-mode=append ${KAWHI_SRUN_ARGS:-})" # with the container of the site, if it has one

# Becomes a Python program, which so gets Slurm's signals and gives the job its exit code.
python_job() {
  if [ -n "${KAWHI_SRUN_ARGS:-}" ]; then
    exec "${SRUN[@]}" --ntasks=1 "$KAWHI_PYTHON" "$@" # which hands on the signals
  fi
  exec "$KAWHI_PYTHON" "$@"
}
