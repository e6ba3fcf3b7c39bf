# npm run build && docker build -f deploy/operator.Dockerfile -t overlaynet-operator:0.1.0 dist
# The digest of the base makes every build the same. docs/install.md explains how to update it.
FROM node:24.18.0-bookworm-slim@sha256:6f7b03f7c2c8e2e784dcf9295400527b9b1270fd37b7e9a7285cf83b6951452d
# .mjs: without a package.json only the name tells Node that the bundle is a module
COPY operator.js /app/operator.mjs
COPY ui /app/ui
# Lists and plans leave much garbage; by default Node lets it grow to several times the live data.
ENV NODE_OPTIONS=--max-semi-space-size=4 MALLOC_ARENA_MAX=1 MALLOC_TRIM_THRESHOLD_=131072 MALLOC_MMAP_THRESHOLD_=131072
USER 65532:65532
ENTRYPOINT ["node", "/app/operator.mjs"]
