#!/bin/bash
# Ray over the nodes of a job, and a driver on the first of them, whose exit code is the job's.
#
#   sbatch --nodes=2 slurm/ray.sh python my_driver.py ...
#
# The driver finds Ray by RAY_ADDRESS, which is set.  It runs where sbatch was typed, with the checkout's python first.
# A cell over two nodes, which must be told to use this Ray instead of one of its own, and whose workers get their
# environment from this job:
#
#   VERL_ENGINE_VENDOR=kawhi sbatch --nodes=2 slurm/ray.sh python experiments/run.py scale=h200x8 model=qwen2_5_vl_7b \
#     data=geo3k benchmarks=math verl.trainer.nnodes=2 verl_added.ray_kwargs.ray_init.address=auto
#
# Ray has a token, ports and a folder of this job alone; what it prints is in <runs>/.slurm/ray-<job>-<node>.log.
#SBATCH --job-name=ray
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --exclusive
#SBATCH --mem=0
#SBATCH --time=1-00:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=slurm/logs/%x-%j.log
folder=$(dirname "$0") # of a job's script, which is a copy in Slurm's spool folder, Slurm knows the original
[ -f "$folder/common.sh" ] ||
  folder=$(scontrol show job "$SLURM_JOB_ID" | sed -n 's|^ *Command=\(.*\)/ray\.sh.*|\1|p' | head -n 1)
# shellcheck source=common.sh
source "${folder:=$SLURM_SUBMIT_DIR/slurm}/common.sh" || { echo "error: there is no $folder/common.sh: submit the script of a checkout" >&2; exit 2; }
in_job
[ $# -gt 0 ] || fail "say what to run: sbatch --nodes=2 slurm/ray.sh python my_driver.py"

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
addresses=()
for node in "${nodes[@]}"; do
  name=$(scontrol show node "$node" | sed -n 's/.*NodeAddr=\([^ ]*\).*/\1/p')
  address=$(getent ahostsv4 "${name:-$node}" | awk 'NR == 1 {print $1}')
  addresses+=("${address:?error: node $node has no address: see NodeAddr in scontrol show node $node}")
done
if [ "$(printf '%s\n' "${addresses[@]}" | sort -u | wc -l)" -lt "${#nodes[@]}" ]; then
  for i in "${!nodes[@]}"; do addresses[i]=127.0.0.$((11 + i)); done # made-up nodes on one host
fi

RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN
run=ray-$SLURM_JOB_ID-${RAY_AUTH_TOKEN:0:6} # a job that is queued again has its number, but nothing of its old Ray
export KAWHI_RAY_ADDRESSES="${addresses[*]}"
port=$((20000 + SLURM_JOB_ID % 1500 * 8)) # eight of the job's own, below those that systems give away
while (exec 3<>"/dev/tcp/${addresses[0]}/$port") 2>/dev/null; do port=$((port + 8)); done # somebody else's
export KAWHI_RAY_PORT=$port
export KAWHI_RAY_FOLDER=/tmp/$run # short: the path of a socket may have 107 letters
export KAWHI_RAY_EXIT=$KAWHI_RUNS/.slurm/$run.exit
export KAWHI_RAY_DRIVER_FOLDER=$SLURM_SUBMIT_DIR
PATH=$(dirname "$KAWHI_PYTHON"):$PATH
export PATH
unset RAY_ADDRESS
trap 'rm -rf "$KAWHI_RAY_FOLDER" "$KAWHI_RAY_EXIT"' EXIT

trap - USR2 # srun takes it from here
"${SRUN[@]}" --nodes="${#nodes[@]}" --ntasks="${#nodes[@]}" --ntasks-per-node=1 --kill-on-bad-exit=0 --wait=60 \
  "${PYTHON[@]}" -m kawhi.cluster.ray_node "$@" &
step=$!
trap 'kill -TERM "$step" 2>/dev/null' TERM INT
trap 'kill -USR2 "$step" 2>/dev/null' USR2
while kill -0 "$step" 2>/dev/null; do wait "$step"; done

# Not srun's exit code: that is the largest of all nodes', and 143 where it had to end one.
code=$(cat "$KAWHI_RAY_EXIT" 2>/dev/null) || fail "the driver's exit code is missing: its node was lost, or Slurm ended the job"
exit "$code"
