#!/bin/bash
# The judge's server as a job of its own, on all GPUs it is given: one replica on each.
#
#   sbatch slurm/judge.sh                      # conf/judge/qwen3_vl_30b_a3b.yaml
#   sbatch --gpus-per-node=2 slurm/judge.sh judge.serve.port=8000     # words after the script are Hydra overrides
#
# While it answers, <runs>/.slurm/judge.json says where.  Cells and kawhi rejudge use it with
#   judge=endpoint judge.base_url=http://NODE:PORT/v1      # of several replicas '[http://NODE:PORT/v1,...]', as the log says
# It answers whoever reaches the node.  It stays until it is cancelled or its time is over.
#SBATCH --job-name=judge
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
  folder=$(scontrol show job "$SLURM_JOB_ID" | sed -n 's|^ *Command=\(.*\)/judge\.sh.*|\1|p' | head -n 1)
# shellcheck source=common.sh
source "${folder:=$SLURM_SUBMIT_DIR/slurm}/common.sh" || { echo "error: there is no $folder/common.sh: submit the script of a checkout" >&2; exit 2; }
in_job
overrides "$@"
python_job -m kawhi.cluster.judge_job "${WORDS[@]}"
