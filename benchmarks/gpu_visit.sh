#!/usr/bin/env bash
# One visit to a machine with a GPU, in less than nine minutes: the steps of both recipes, CUDA graphs beside the eager
# step, the CUDA tests, a training.
#
#     benchmarks/gpu_visit.sh [--cpu-rehearsal] [--seconds S] [--audio FOLDER] [--peers FOLDER]
#
# Results go to $OUT (build/gpu_visit without it): visit.md, visit.json, tests.txt, log.txt and codec.tar.*.
# Recorded audio is read from .gpu/audio. The released DAC stands beside ours where .gpu/peers is, which holds a checkout
# of descript-audio-codec and, in site/, the packages that it needs and the machine lacks:
#
#     mkdir -p .gpu/peers && cp -r PATH/descript-audio-codec .gpu/peers/ && python3 -m pip install -q --no-deps \
#       --target .gpu/peers/site descript-audiotools argbind ffmpy flatten-dict importlib-resources julius randomname
set -euo pipefail
cd "$(dirname "$0")/.."
exec "${PYTHON:-python3}" -m codeclab.experiments.runs.speed.gpu_visit --to "${OUT:-build/gpu_visit}" "$@"
