# npm run build && docker build -f deploy/operator.Dockerfile -t overlaynet-operator:0.1.0 dist
# The base by digest: what is built is the same on every day. docs/install.md tells how to move on.
FROM node:24.18.0-bookworm-slim@sha256:6f7b03f7c2c8e2e784dcf9295400527b9b1270fd37b7e9a7285cf83b6951452d
# .mjs: the bundle is a module, and no package.json is there to say so
COPY operator.js /app/operator.mjs
# lists and plans leave much garbage; by default it is let grow to several times of what stays
ENV NODE_OPTIONS=--max-semi-space-size=4 MALLOC_ARENA_MAX=1 MALLOC_TRIM_THRESHOLD_=131072 MALLOC_MMAP_THRESHOLD_=131072
USER 65532:65532
ENTRYPOINT ["node", "/app/operator.mjs"]
