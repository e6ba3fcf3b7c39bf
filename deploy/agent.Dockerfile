# npm run build && docker build -f deploy/agent.Dockerfile -t overlaynet-agent:0.1.0 dist
FROM node:24-slim
# what the agent runs; kmod is for `agent install`, which loads modules
RUN apt-get update \
    && apt-get install -y --no-install-recommends iproute2 iptables ipset nftables conntrack kmod \
    && rm -rf /var/lib/apt/lists/*
# .mjs: the bundle is a module, and no package.json is there to say so
COPY agent.js /app/agent.mjs
# what it installs on its node
COPY plugins/ /opt/cni/bin/
# a pass over 5,000 peers leaves garbage of twice what stays; by default that memory is kept for the next one
ENV NODE_OPTIONS=--max-semi-space-size=2 MALLOC_ARENA_MAX=1 MALLOC_TRIM_THRESHOLD_=131072 MALLOC_MMAP_THRESHOLD_=131072
ENTRYPOINT ["node", "/app/agent.mjs"]
