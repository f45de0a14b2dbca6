# syntax=docker/dockerfile:1

# 1. The browser SDK.
FROM node:22-slim AS sdk
WORKDIR /build
COPY sdk_js/package.json sdk_js/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY sdk_js/ ./
RUN npm run build

# 2. The wheel, and a virtual environment of it and the locked requirements.
FROM python:3.13-slim AS wheel
ENV UV_PYTHON_DOWNLOADS=never UV_COMPILE_BYTECODE=1 UV_NO_CACHE=1
WORKDIR /build
COPY requirements-build.txt requirements.txt ./
RUN pip install --no-cache-dir --require-hashes -r requirements-build.txt \
 && uv venv --python /usr/local/bin/python /opt/regulars \
 && uv pip install --python /opt/regulars/bin/python --require-hashes -r requirements.txt
COPY LICENSE README.md pyproject.toml ./
COPY scripts/hatch_build.py scripts/
COPY collector/ collector/
COPY --from=sdk /build/dist/ sdk_js/dist/
RUN pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
 && uv pip install --python /opt/regulars/bin/python --no-deps --offline dist/regulars-*.whl

# 3. What runs: Python, that environment, and nothing that builds.
FROM python:3.13-slim
COPY --from=wheel /opt/regulars /opt/regulars
RUN groupadd --gid 10001 regulars \
 && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin regulars \
 && install -d -o regulars -g regulars /data
ENV PATH=/opt/regulars/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    REGULARS_HOST=0.0.0.0 \
    REGULARS_PORT=8080 \
    SQLITE_TMPDIR=/data \
    REGULARS_DATABASE_URL=sqlite:////data/regulars.db
# Everything that is written goes to /data, so the root file system can be read-only (docker run --read-only).
VOLUME /data
WORKDIR /data
# A number, so that an orchestrator can see that it is not root.
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as r; e = os.environ; r.urlopen('http://127.0.0.1:' + e['REGULARS_PORT'] + e.get('REGULARS_PREFIX', '').rstrip('/') + '/healthz', timeout=4)"]
CMD ["regulars", "serve"]
