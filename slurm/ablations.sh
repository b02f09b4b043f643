#!/bin/bash
# Table 3 of the paper: five ablations of KAWHI on GRPO; one cell per task.
#
#   sbatch slurm/ablations.sh                                 # 8 GPUs of one node per cell; slurm/site.env.example says how
#   sbatch --array=0,3 slurm/ablations.sh steps=100           # some cells; words after the script are Hydra overrides
#   KAWHI_SCALE=cpu sbatch --gpus-per-node=0 slurm/ablations.sh   # in the tiny world
#
# A cell that has a record is not run again; the table in results/tables is made anew whenever a cell is done.
#SBATCH --job-name=ablations
#SBATCH --array=0-9%4
#SBATCH --signal=B:USR2@1800  # half an hour to finish a step and save, then the job is queued again
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --exclusive
#SBATCH --mem=0
#SBATCH --time=1-00:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=results/runs/.slurm/%x-%A_%a.log
[ -n "${SLURM_JOB_ID:-}" ] || { echo "error: this is a job for Slurm: type sbatch slurm/ablations.sh" >&2; exit 2; }
# A job's script is a copy in Slurm's spool folder: the checkout is where sbatch found the original.
folder=$(scontrol show job "$SLURM_JOB_ID" 2>/dev/null | sed -n 's|^ *Command=||p' | head -n 1)
folder=${folder%%/ablations.sh*} # without its name and its arguments
[ -f "$folder/common.sh" ] || folder=$SLURM_SUBMIT_DIR/slurm
# shellcheck source=common.sh
source "$folder/common.sh" || { echo "error: there is no $folder/common.sh: submit the script of a checkout" >&2; exit 2; }
python_job -m kawhi.cluster.array_task ablation_table "$@"
