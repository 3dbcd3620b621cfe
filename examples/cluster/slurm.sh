#!/usr/bin/env bash
# sbatch examples/cluster/slurm.sh [--epochs 3]: a process a node, with all of its GPUs. JAX reads
# the rest from SLURM's environment. When a process dies the others end within a minute, and SLURM
# starts the job again, which goes on from its last backup.
#SBATCH --job-name=keraslike
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --requeue
#SBATCH --open-mode=append

set -euo pipefail
folder=${BACKUP:-$SLURM_SUBMIT_DIR/backup-$SLURM_JOB_ID}  # on a file system that all nodes see
srun --kill-on-bad-exit=0 python "$SLURM_SUBMIT_DIR/examples/cluster/train.py" "$folder" "$@" ||
  scontrol requeue "$SLURM_JOB_ID"
