# syntax=docker/dockerfile:1
FROM python:3.12-slim AS build
WORKDIR /src
COPY requirements.lock pyproject.toml README.md LICENSE ./
COPY bot bot
COPY seeds seeds
RUN python -m venv /opt/sourceline \
    && /opt/sourceline/bin/pip install --no-cache-dir --constraint requirements.lock '.[postgres]' \
    && /opt/sourceline/bin/pip uninstall --yes pip

FROM python:3.12-slim
LABEL org.opencontainers.image.title="Sourceline" \
      org.opencontainers.image.licenses="MIT AND Apache-2.0"
RUN useradd --system --uid 10001 --create-home sourceline
COPY --from=build /opt/sourceline /opt/sourceline
ENV PATH=/opt/sourceline/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    SOURCELINE_CACHE=/home/sourceline/.cache/sourceline
USER 10001
CMD ["sourceline", "run"]
