# Training, merging and evaluation on AMD GPUs, with the PyTorch of vLLM's official image for ROCm:
#     docker build --file deploy/rocm.Dockerfile --tag cybersecqwen-rocm .
#     docker run --rm --device=/dev/kfd --device=/dev/dri --group-add "$(stat --format %g /dev/kfd)" \
#         --volume cybersecqwen:/data cybersecqwen-rocm
# Training needs a newer transformers than vLLM pins, so it has an environment of its own, which takes
# PyTorch from the image. What vLLM has stays as it was: the same image serves, unchanged.
FROM vllm/vllm-openai-rocm:v0.33.0
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY recipes recipes
COPY models models
ARG EXTRAS=train,smollm2,export,parquet
RUN python3 -m venv --system-site-packages /opt/cybersecqwen \
    && python3 -c 'import torch; print(f"torch=={torch.__version__}")' >/opt/cybersecqwen/constraints.txt \
    && /opt/cybersecqwen/bin/pip install --no-cache-dir \
        --constraint /opt/cybersecqwen/constraints.txt ".[${EXTRAS}]"
RUN python3 -m venv /sbom && /sbom/bin/pip install --no-cache-dir cyclonedx-bom==7.5.0 \
    && /sbom/bin/cyclonedx-py environment --output-file /usr/share/cybersecqwen.cdx.json \
        /opt/cybersecqwen/bin/python \
    && rm -rf /sbom
RUN useradd --uid 10001 --create-home --home-dir /data --groups video cybersecqwen
ENV PATH=/opt/cybersecqwen/bin:$PATH XDG_DATA_HOME=/data XDG_CACHE_HOME=/data/cache \
    HF_HOME=/data/huggingface PYTHONDONTWRITEBYTECODE=1 TORCH_BLAS_PREFER_HIPBLASLT=1
USER 10001
WORKDIR /data
VOLUME /data
HEALTHCHECK --interval=5m --timeout=30s CMD ["cybersecqwen", "doctor"]
ENTRYPOINT ["cybersecqwen"]
CMD ["doctor"]
