# npm run build && docker build -f deploy/agent.Dockerfile -t overlaynet-agent:0.1.0 dist
# The base by digest, packages by version: what is built is the same on every day. docs/install.md tells how to move on.
FROM node:24.18.0-bookworm-slim@sha256:6f7b03f7c2c8e2e784dcf9295400527b9b1270fd37b7e9a7285cf83b6951452d
# what the agent runs; kmod is for `agent install`, which loads modules
RUN apt-get update \
    && { apt-get install -y --no-install-recommends iproute2=6.1.0-3 iptables=1.8.9-2 ipset=7.17-1 nftables=1.0.6-2+deb12u2 conntrack=1:1.4.7-1+b2 kmod=30+20221128-1 \
    || { echo 'the mirror has another version of a package: see "Newer base images" in docs/install.md' >&2; exit 1; }; } \
    && rm -rf /var/lib/apt/lists/*
# .mjs: the bundle is a module, and no package.json is there to say so
COPY agent.js /app/agent.mjs
# what it installs on its node
COPY plugins/ /opt/cni/bin/
# a pass over 5,000 peers leaves garbage of twice what stays; by default that memory is kept for the next one
ENV NODE_OPTIONS=--max-semi-space-size=2 MALLOC_ARENA_MAX=1 MALLOC_TRIM_THRESHOLD_=131072 MALLOC_MMAP_THRESHOLD_=131072
ENTRYPOINT ["node", "/app/agent.mjs"]
