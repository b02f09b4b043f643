# shellcheck shell=bash
# What every script of this folder does first; it is sourced, and only defines functions.

# One sentence on what is missing; a failed script.
fail() {
  echo "error: $*" >&2
  exit 1
}

# Goes to the checkout; sets KAWHI_SCALE, KAWHI_RUNS, KAWHI_PYTHON and SRUN from the shell and slurm/site.env.
prepare() {
  trap '' USR2 # a notice before the program can heed it must not end the job: it would not be queued again
  node=${SLURMD_NODENAME:-$(hostname)}
  checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
  cd "$checkout" || fail "node $node does not see $checkout: keep the checkout on a disk that all nodes share"

  # slurm/site.env fills in what the shell had not set.
  if [ -f slurm/site.env ]; then
    given=$(export -p | grep -E '^declare -x (KAWHI|SBATCH)_[A-Z_]+=' || true)
    set -a
    # shellcheck disable=SC1091
    source slurm/site.env || fail "slurm/site.env does not run in bash: mend it, slurm/site.env.example shows how it looks"
    set +a
    eval "$given"
  fi
  [ -n "${KAWHI_RECORDS:-}" ] || unset KAWHI_RECORDS
  [ -n "${KAWHI_DATA:-}" ] || unset KAWHI_DATA
  export KAWHI_SCALE=${KAWHI_SCALE:-h200x8} KAWHI_RUNS=${KAWHI_RUNS:-results/runs}
  mkdir -p "$KAWHI_RUNS/.slurm" || fail "node $node cannot write $KAWHI_RUNS: set KAWHI_RUNS in slurm/site.env"
  KAWHI_RUNS=$(cd "$KAWHI_RUNS" && pwd)

  if [ -n "${KAWHI_SETUP:-}" ]; then
    eval "$KAWHI_SETUP" || fail "KAWHI_SETUP of slurm/site.env failed on node $node: $KAWHI_SETUP"
  fi
  export KAWHI_PYTHON=${KAWHI_PYTHON:-$checkout/.venv/bin/python}
  export PYTHONPATH=$checkout${PYTHONPATH:+:$PYTHONPATH} # the code of this checkout, wherever kawhi is installed
  export PYTHONUNBUFFERED=1
}

need_python() {
  local kind=gpu
  [ "$KAWHI_SCALE" != cpu ] || kind=cpu
  [ -x "$KAWHI_PYTHON" ] ||
    fail "node $node has no $KAWHI_PYTHON: type make setup-$kind in $checkout, or set KAWHI_PYTHON in slurm/site.env"
}

# Sets WORDS: the words, and in front of them the site's scale if they name none.
overrides() {
  WORDS=("$@")
  [[ " $*" == *" scale="* ]] || WORDS=("scale=$KAWHI_SCALE" "$@")
}

# Submits the missing cells of some tables; the first launch that fails gives the exit code.
launch() {
  prepare
  need_python # not the container's: Slurm's commands are outside of it
  [ -z "${SLURM_ARRAY_TASK_ID:-}" ] || fail "--array chooses no cells: say which by overrides, as in credit=kawhi"
  local table failed=0 code
  overrides "${@:2}"
  for table in $1; do
    code=0
    "$KAWHI_PYTHON" experiments/run.py -m "$table" hydra/launcher=slurm "${WORDS[@]}" || code=$?
    [ "$code" -ne 130 ] || exit 130 # Ctrl-C is meant for all of them
    [ "$failed" -ne 0 ] || failed=$code
  done
  exit "$failed"
}

# What a script that works within its own job does first.
in_job() {
  [ -n "${SLURM_JOB_ID:-}" ] || { echo "error: this is a job for Slurm: type sbatch slurm/$(basename "$0")" >&2; exit 2; }
  prepare
  case ",${SBATCH_PARTITION:-$SLURM_JOB_PARTITION}," in
    *",$SLURM_JOB_PARTITION,"*) ;;
    *) echo "warning: this job runs in the partition $SLURM_JOB_PARTITION and slurm/site.env names $SBATCH_PARTITION: source slurm/site.env before sbatch" >&2 ;;
  esac
  [ -n "${KAWHI_SRUN_ARGS:-}${KAWHI_JOB_PYTHON:-}" ] || need_python # else it is the container's, which is not open yet
  export SRUN_CPUS_PER_TASK=${SLURM_CPUS_ON_NODE:-1} # srun does not hand these on by itself since Slurm 22.05
  eval "SRUN=(srun --open-mode=append ${KAWHI_SRUN_ARGS:-})" # with the container of the site, if it has one
  eval "PYTHON=(${KAWHI_JOB_PYTHON:-\"\$KAWHI_PYTHON\"})"                # and its Python
}

# Becomes a Python program, which so gets Slurm's signals and gives the job its exit code.
python_job() {
  [ -z "${KAWHI_SRUN_ARGS:-}" ] || exec "${SRUN[@]}" --ntasks=1 "${PYTHON[@]}" "$@" # which hands on the signals
  exec "${PYTHON[@]}" "$@"
}
