# A node of the Ray cluster in the chart: the image for CPUs with Ray, of the version in values.yaml.
#     docker build --file deploy/ray.Dockerfile --tag cybersecqwen-ray .
# hadolint ignore=DL3006
FROM cybersecqwen-cpu
USER 0
# wget is what KubeRay asks a node's health with. Debian keeps one version of it.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends wget \
    && rm -rf /var/lib/apt/lists/* \
    && pip install --no-cache-dir "ray[client,default]==2.60.0"
# The bill of materials anew, with Ray in it, made by a tool that is gone again.
RUN python -m venv /sbom \
    && /sbom/bin/pip install --no-cache-dir cyclonedx-bom==7.5.0 \
    && /sbom/bin/cyclonedx-py environment --output-file /usr/share/cybersecqwen.cdx.json \
        /usr/local/bin/python \
    && rm -rf /sbom
USER 10001
HEALTHCHECK --interval=1m --timeout=10s CMD ["ray", "health-check"]
