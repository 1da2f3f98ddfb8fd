# syntax=docker/dockerfile:1
# docker build -t codeclab .                              for CPUs
# docker build -t codeclab --build-arg DEVICE=cuda .      for NVIDIA GPUs (run with --gpus all)
# docker run --rm -v "$PWD:/work" codeclab table demo --seeds 1
ARG PYTHON=3.12
FROM python:${PYTHON}-slim
ARG DEVICE=cpu
RUN apt-get update \
    && apt-get install -y --no-install-recommends ffmpeg libsndfile1 \
    && rm -rf /var/lib/apt/lists/*
RUN pip install --no-cache-dir uv
WORKDIR /opt/codeclab
COPY requirements.lock ./
# The tested versions; an image for CPUs leaves NVIDIA's libraries out.
RUN if [ "$DEVICE" = cpu ]; then \
      grep -v -E '^(nvidia-|cuda-|triton)' requirements.lock > tested.txt && export UV_TORCH_BACKEND=cpu; \
    else cp requirements.lock tested.txt; fi \
    && uv pip install --system --no-cache --no-deps -r tested.txt
COPY . .
RUN uv pip install --system --no-cache --no-deps .
WORKDIR /work
ENTRYPOINT ["codeclab"]
CMD ["--help"]
