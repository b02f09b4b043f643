#!/bin/bash
# Figure 1a of the paper: why a run's wrong answers are wrong, by the judge, whose replicas are served on the job's own GPUs.
#
#   sbatch slurm/error_attribution.sh results/runs/main_table/NAME --benchmark kawhi_mathverse
#   sbatch slurm/error_attribution.sh RUN --benchmark TASK --base-url http://NODE:PORT/v1    # a judge that runs already
#
# Words after the script are kawhi errors'.  What the judge has said is kept: a job that is queued again goes on.
#SBATCH --job-name=error_attribution
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
  folder=$(scontrol show job "$SLURM_JOB_ID" | sed -n 's|^ *Command=\(.*\)/error_attribution\.sh.*|\1|p' | head -n 1)
# shellcheck source=common.sh
source "${folder:=$SLURM_SUBMIT_DIR/slurm}/common.sh" || { echo "error: there is no $folder/common.sh: submit the script of a checkout" >&2; exit 2; }
in_job
python_job -m kawhi errors --judge qwen3_vl_30b_a3b "$@"
