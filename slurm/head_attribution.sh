#!/bin/bash
# Figure 3 of the paper: vision-critical heads of the two models of the main table, by ablation on MME; one model per task.
#
#   KAWHI_MME='/shared/MME/test-*.parquet' sbatch slurm/head_attribution.sh
#   sbatch --array=0 slurm/head_attribution.sh --threshold 50    # one model; words after the script are kawhi heads'
#   KAWHI_SCALE=cpu sbatch --gpus-per-node=0 slurm/head_attribution.sh   # the tiny world's model that answers yes or no
#
# The heads are shared among the node's GPUs.  A job that is queued again goes on where it stopped.
#SBATCH --job-name=head_attribution
#SBATCH --array=0-1
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --exclusive
#SBATCH --mem=0
#SBATCH --time=1-00:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=slurm/logs/%x-%A_%a.log
folder=$(dirname "$0") # of a job's script, which is a copy in Slurm's spool folder, Slurm knows the original
[ -f "$folder/common.sh" ] ||
  folder=$(scontrol show job "$SLURM_JOB_ID" | sed -n 's|^ *Command=\(.*\)/head_attribution\.sh.*|\1|p' | head -n 1)
# shellcheck source=common.sh
source "${folder:=$SLURM_SUBMIT_DIR/slurm}/common.sh" || { echo "error: there is no $folder/common.sh: submit the script of a checkout" >&2; exit 2; }
in_job
python_job -m kawhi.cluster.heads_task "$@"
