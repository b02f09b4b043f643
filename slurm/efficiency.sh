#!/bin/bash
# Section 4.5 and figure 5 of the paper: what a step takes with and without KAWHI; nothing is evaluated.
#
#   sbatch slurm/efficiency.sh steps=20       # words after the script are Hydra overrides
#   bash slurm/efficiency.sh                # the same on a login node; KAWHI_SCALE=cpu is the tiny world
#
# A short job: it submits what is missing as jobs of their own, says how to follow them, and ends (docs/cluster.md).
#SBATCH --job-name=efficiency --output=slurm/logs/%x-%j.log --open-mode=append
#SBATCH --nodes=1 --cpus-per-task=1 --mem=2G --time=0:30:00 --requeue
folder=$(dirname "$0") # of a job's script, which is a copy in Slurm's spool folder, Slurm knows the original
[ -f "$folder/common.sh" ] ||
  folder=$(scontrol show job "$SLURM_JOB_ID" | sed -n 's|^ *Command=\(.*\)/efficiency\.sh.*|\1|p' | head -n 1)
# shellcheck source=common.sh
source "${folder:=$SLURM_SUBMIT_DIR/slurm}/common.sh" || { echo "error: there is no $folder/common.sh: submit the script of a checkout" >&2; exit 2; }
launch experiment=efficiency "$@"
