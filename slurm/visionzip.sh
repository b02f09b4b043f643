#!/bin/bash
# Section 4.4 of the paper: VisionZip in place of SGUF.
#
#   sbatch slurm/visionzip.sh                      # or, on a login node, bash slurm/visionzip.sh
#   sbatch slurm/visionzip.sh steps=100            # words after the script are Hydra overrides
#   KAWHI_SCALE=cpu sbatch slurm/visionzip.sh      # in the tiny world
#
# A short job: it submits what is missing as jobs of their own, says how to follow them, and ends (docs/cluster.md).
#SBATCH --job-name=visionzip
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --mem=2G
#SBATCH --time=0:30:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=results/runs/.slurm/%x-%j.log
folder=$(dirname "$0") # of a job's script, which is a copy in Slurm's spool folder, Slurm knows the original
[ -f "$folder/common.sh" ] ||
  folder=$(scontrol show job "$SLURM_JOB_ID" | sed -n 's|^ *Command=\(.*\)/visionzip\.sh.*|\1|p' | head -n 1)
# shellcheck source=common.sh
source "${folder:=$SLURM_SUBMIT_DIR/slurm}/common.sh" || { echo "error: there is no $folder/common.sh: submit the script of a checkout" >&2; exit 2; }
launch visionzip "$@"
