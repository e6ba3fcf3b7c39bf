# npm run build && docker build -f deploy/agent.Dockerfile -t overlaynet-agent:0.1.0 dist
# The digest of the base and the versions of the packages make every build the same. docs/install.md explains how to update them.
FROM node:24.18.0-bookworm-slim@sha256:6f7b03f7c2c8e2e784dcf9295400527b9b1270fd37b7e9a7285cf83b6951452d
# programs that the agent runs; `agent install` loads modules with kmod
RUN apt-get update \
    && { apt-get install -y --no-install-recommends iproute2=6.1.0-3 iptables=1.8.9-2 ipset=7.17-1 nftables=1.0.6-2+deb12u2 conntrack=1:1.4.7-1+b2 kmod=30+20221128-1 \
    || { echo 'the mirror has another version of a package: see "Newer base images" in docs/install.md' >&2; exit 1; }; } \
    && rm -rf /var/lib/apt/lists/*
# .mjs: without a package.json only the name tells Node that the bundle is a module
COPY agent.js /app/agent.mjs
# plugins that `agent install` copies to the node
COPY plugins/ /opt/cni/bin/
# A pass over 5,000 peers leaves twice as much garbage as live data; by default Node and malloc keep that memory.
ENV NODE_OPTIONS=--max-semi-space-size=2 MALLOC_ARENA_MAX=1 MALLOC_TRIM_THRESHOLD_=131072 MALLOC_MMAP_THRESHOLD_=131072
ENTRYPOINT ["node", "/app/agent.mjs"]
