# Builds Scrim and puts it, alone, into an image without a shell.
FROM rust:1.95-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends cmake && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --profile dist --locked --bin scrim
# An empty folder that the unprivileged user owns, for the audit log's volume.
RUN mkdir /audit

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/dist/scrim /usr/local/bin/scrim
COPY --from=build /src/config /etc/scrim/config
COPY --from=build /src/policies /etc/scrim/policies
COPY --from=build --chown=65532:65532 /audit /var/log/scrim
# Nothing else is written: the root may be read-only.
VOLUME ["/var/log/scrim"]
EXPOSE 8443
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["/usr/local/bin/scrim", "health"]
ENTRYPOINT ["/usr/local/bin/scrim"]
CMD ["serve", "--config", "/etc/scrim/config/gateway.yaml"]
