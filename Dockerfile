FROM python:3.12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY native native
COPY vecstore vecstore
RUN python -m venv /opt/vecstore && /opt/vecstore/bin/pip install --no-cache-dir ".[all]"

FROM python:3.12-slim
RUN useradd --system --uid 10001 vecstore && install -d -o vecstore -g vecstore /data
COPY --from=build /opt/vecstore /opt/vecstore
ENV PATH=/opt/vecstore/bin:$PATH NUMBA_CACHE_DIR=/tmp/numba
USER vecstore
VOLUME /data
EXPOSE 7333 7334
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s \
  CMD VECSTORE_API_KEY="$VECSTORE_SERVER_API_KEY" vecstore info --target grpc://127.0.0.1:7334
ENTRYPOINT ["vecstore"]
CMD ["serve", "/data", "--host", "0.0.0.0"]
