#!/usr/bin/env bash
# One machine with several GPUs (or processors): a process a GPU, one run folder, resumable.
#
#   MODEL=meta-llama/Llama-3.1-8B CORPUS=flores200 RUN=flores-8b experiments/scale/several_gpus.sh
#
# Killed or interrupted, the same line takes it up, with as many processes or with others.
set -euo pipefail

MODEL=${MODEL:?a name, a folder, or embedded}
CORPUS=${CORPUS:?a folder with a file per language, or embedded}
RUN=${RUN:?a folder for the run}
RANKS=${RANKS:-$(nvidia-smi --list-gpus 2>/dev/null | wc -l)}  # processes, by default one a GPU
[ "$RANKS" -gt 0 ] || RANKS=1
DEV=${DEV:-dev} TEST=${TEST:-devtest}                           # splits of the corpus
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(($(nproc) / RANKS > 0 ? $(nproc) / RANKS : 1))}

ranks() { "${PYTHON:-python}" -m torch.distributed.run --standalone --nproc-per-node "$RANKS" -m mechsteer "$@"; }

# SCORE and STUDY hold further options, of both steps and of the study alone
# shellcheck disable=SC2086
ranks score "$MODEL" --corpus "$CORPUS" --split "$DEV" ${SCORE:-} -o "$RUN"
# shellcheck disable=SC2086
ranks study "$RUN" --test "$CORPUS" --split "$TEST" ${STUDY:-}
"${PYTHON:-python}" -m mechsteer report "$RUN"
