# Riata in a container: small, without root, its mail in a volume.
#
#   docker build -t riata .
#   docker run -d --name riata -p 127.0.0.1:587:587 -v riata-spool:/var/spool/riata --stop-timeout 30 \
#     -e RIATA_HOSTNAME=mail.example.com \
#     -e RIATA_SUBMISSION_TRUSTED_NETWORKS=127.0.0.0/8,172.17.0.0/16 \
#     riata
#   docker exec riata riata queue list
#
# It listens on every address of the container, but takes mail only from networks that are trusted, and by default that
# is the container itself: name the network that your applications come from, and no more (conf/REFERENCE.md). All
# settings can be given as RIATA_… variables, or in a file named by RIATA_CONFIG; a relay for all mail as
# RIATA_RELAY_HOST, _PORT, _USERNAME, _PASSWORD_FILE.
#
# Where the runtime keeps ports below 1024 from ordinary users: --sysctl net.ipv4.ip_unprivileged_port_start=0, or
# RIATA_SUBMISSION_LISTEN=0.0.0.0:2587. Stopping waits up to 25 s for answers to messages just sent (RIATA_SHUTDOWN_TIMEOUT);
# --stop-timeout must be longer, or such a message may be sent twice.
ARG NODE_IMAGE=node:20-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/build.ts scripts/build.ts
COPY src src
RUN npm run -s build && npm prune --omit=dev --no-audit --no-fund

FROM ${NODE_IMAGE}
RUN groupadd --gid 10025 riata \
  && useradd --uid 10025 --gid riata --no-create-home --home-dir /var/spool/riata --shell /usr/sbin/nologin riata \
  && install -d -o riata -g riata -m 0700 /var/spool/riata \
  && ln -s /opt/riata/dist/cli/main.js /usr/local/bin/riata
WORKDIR /opt/riata
COPY package.json LICENSE ./
COPY conf conf
COPY --from=build /build/node_modules node_modules
COPY --from=build /build/dist dist
ENV NODE_ENV=production \
  RIATA_SPOOL_PATH=/var/spool/riata \
  RIATA_SUBMISSION_LISTEN=0.0.0.0:587
USER 10025:10025
VOLUME /var/spool/riata
EXPOSE 587
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s CMD ["riata", "queue", "stats"]
ENTRYPOINT ["riata"]
CMD ["serve"]
