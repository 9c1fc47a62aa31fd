# Training, merging and evaluation, on CPUs or on NVIDIA GPUs. From the root of a checkout:
#     docker build --file deploy/model.Dockerfile --tag cybersecqwen-cpu .
#     docker build --file deploy/model.Dockerfile --build-arg DEVICE=cuda --tag cybersecqwen-cuda .
# What is trained is served by vLLM's own image: vLLM pins an older transformers than training needs.
ARG DEVICE=cpu

FROM python:3.13-slim-bookworm AS source
WORKDIR /source
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY src src
COPY recipes recipes
COPY models models
ARG EXTRAS=train,smollm2,export,parquet

FROM source AS cpu
RUN pip install --no-cache-dir --constraint constraints.txt \
    --extra-index-url https://download.pytorch.org/whl/cpu ".[${EXTRAS}]"

FROM source AS cuda
# The driver comes in with the NVIDIA container toolkit.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
RUN pip install --no-cache-dir --constraint constraints.txt ".[${EXTRAS}]"

# hadolint ignore=DL3006
FROM ${DEVICE}
# The bill of materials is of what was installed, made by a tool that is gone again.
RUN python -m venv /sbom \
    && /sbom/bin/pip install --no-cache-dir cyclonedx-bom==7.5.0 \
    && /sbom/bin/cyclonedx-py environment --output-file /usr/share/cybersecqwen.cdx.json \
        /usr/local/bin/python \
    && rm -rf /sbom \
    && useradd --uid 10001 --create-home --home-dir /data cybersecqwen
ENV XDG_DATA_HOME=/data XDG_CACHE_HOME=/data/cache HF_HOME=/data/huggingface PYTHONDONTWRITEBYTECODE=1
USER 10001
WORKDIR /data
VOLUME /data
HEALTHCHECK --interval=5m --timeout=30s CMD ["cybersecqwen", "doctor"]
ENTRYPOINT ["cybersecqwen"]
CMD ["doctor"]
