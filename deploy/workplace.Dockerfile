# The workplace on CPUs. From the root of a checkout:
#     docker build --file deploy/workplace.Dockerfile --tag cybersecqwen-workplace .
FROM python:3.13-slim-bookworm AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY recipes recipes
COPY models models
RUN pip wheel --no-cache-dir --wheel-dir /wheels '.[service,postgres,parquet,mcp]'

FROM python:3.13-slim-bookworm
# The wheels of the first stage are all that it finds, so no version needs to stand here.
# hadolint ignore=DL3013
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels 'cybersecqwen[service,postgres,parquet,mcp]' \
    && useradd --uid 10001 --create-home --home-dir /data cybersecqwen
# The bill of materials is of what was installed, made by a tool that is gone again.
RUN python -m venv /sbom \
    && /sbom/bin/pip install --no-cache-dir cyclonedx-bom==7.5.0 \
    && /sbom/bin/cyclonedx-py environment --output-file /usr/share/cybersecqwen.cdx.json \
        /usr/local/bin/python \
    && rm -rf /sbom
USER 10001
# The SQLite file, where no other database is named, and what `fetch` brings.
ENV XDG_DATA_HOME=/data XDG_CACHE_HOME=/data/cache PYTHONDONTWRITEBYTECODE=1
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD \
    ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/ready', timeout=4)"]
ENTRYPOINT ["cybersecqwen"]
CMD ["serve", "--host", "0.0.0.0", "--no-browser", "--access-log"]
