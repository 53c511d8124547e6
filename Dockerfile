# Riata in a container: small, without root, on a read-only root, its mail in a volume. docs/docker.md tells how to use it.
#
#   docker build -t riata .
#   docker run -d --name riata -p 127.0.0.1:587:587 -v riata-spool:/var/spool/riata --stop-timeout 30 \
#     -e RIATA_HOSTNAME=mail.example.com \
#     -e RIATA_SUBMISSION_TRUSTED_NETWORKS=127.0.0.0/8,172.16.0.0/12 \
#     riata
#
# The base can be any image with Node 20 or newer, npm, and the commands of a Debian (or another glibc system).
ARG NODE_IMAGE=node:20-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json ./
# A registry of one's own: docker build --secret id=npmrc,src=$HOME/.npmrc …
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc npm ci --no-audit --no-fund
COPY tsconfig*.json ./
COPY scripts scripts
COPY src src
RUN npm run -s build && npm prune --omit=dev --no-audit --no-fund \
# What only developers read, and what only other machines run.
  && find node_modules dist -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.cts' -o -name '*.d.mts' -o -name '*.md' \) -delete \
  && rm -rf node_modules/classic-level/deps node_modules/classic-level/binding.cc node_modules/classic-level/binding.gyp \
  && find node_modules/*/prebuilds -mindepth 1 -maxdepth 1 ! -name "linux-$(node -p process.arch)" -exec rm -r {} +

FROM ${NODE_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=
ARG CREATED=
LABEL org.opencontainers.image.title="Riata" \
  org.opencontainers.image.description="A self-contained mail transfer agent: hand it mail over SMTP, and forget about it." \
  org.opencontainers.image.licenses="MIT" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}" \
  org.opencontainers.image.created="${CREATED}"
# Numbers that a volume's owner and a runAsUser can be set to. The spool's folder is empty and ours, so a new volume is as well.
RUN groupadd --gid 10025 riata \
  && useradd --uid 10025 --gid riata --no-create-home --home-dir /var/spool/riata --shell /usr/sbin/nologin riata \
  && install -d -o riata -g riata -m 0700 /var/spool/riata \
  && install -d /etc/riata \
  && ln -s /opt/riata/dist/cli/main.js /usr/local/bin/riata
WORKDIR /opt/riata
COPY package.json LICENSE ./
COPY conf/riata.toml conf/REFERENCE.md conf/
COPY --from=build /build/node_modules node_modules
COPY --from=build /build/dist dist
# Memory: a young generation of 2 MiB and two arenas of malloc make 82 MB of 90 when idle, and cost nothing that was measured.
# 587 needs no privilege where the runtime leaves ports to everybody, as Docker does; else RIATA_SUBMISSION_LISTEN=0.0.0.0:2587.
ENV NODE_ENV=production \
  NODE_OPTIONS=--max-semi-space-size=2 \
  MALLOC_ARENA_MAX=2 \
  RIATA_SPOOL_PATH=/var/spool/riata \
  RIATA_SPOOL_EPHEMERAL=refuse \
  RIATA_SUBMISSION_LISTEN=0.0.0.0:587
USER 10025:10025
VOLUME /var/spool/riata
EXPOSE 587
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s CMD ["riata", "health"]
ENTRYPOINT ["riata"]
CMD ["serve"]
