# syntax=docker/dockerfile:1
# Give a digest to hold the base for good: --build-arg PYTHON_IMAGE=python:3.11.13-slim-bookworm@sha256:…
ARG PYTHON_IMAGE=python:3.11.13-slim-bookworm
# Two stages: the first builds the wheel and installs it with hash-locked dependencies, the second only carries the result.
FROM ${PYTHON_IMAGE} AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src

# Dependencies first: they change less often than the code, and this layer is then reused.
COPY requirements.lock ./
RUN python -m venv /venv && /venv/bin/pip install --require-hashes -r requirements.lock

COPY . .
# Without isolation: the build's own tools are in the lock too, and nothing unpinned is fetched.
RUN /venv/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /venv/bin/pip install --no-deps --no-index /wheels/*.whl

FROM ${PYTHON_IMAGE}

ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# The folders are made here so that a volume mounted on them belongs to the user below.
RUN useradd --system --uid 10001 --no-create-home floorwatch \
    && install -d -o 10001 -g 10001 /var/spool/floorwatch /var/lib/floorwatch
COPY --from=build /venv /venv
USER 10001
WORKDIR /tmp
EXPOSE 8090 9464
ENTRYPOINT ["floorwatch"]
CMD ["worker"]
