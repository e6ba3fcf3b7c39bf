# npm run build && docker build -f deploy/operator.Dockerfile -t overlaynet-operator:0.1.0 dist
FROM node:24-slim
# .mjs: the bundle is a module, and no package.json is there to say so
COPY operator.js /app/operator.mjs
# lists and plans leave much garbage; by default it is let grow to several times of what stays
ENV NODE_OPTIONS=--max-semi-space-size=4 MALLOC_ARENA_MAX=1 MALLOC_TRIM_THRESHOLD_=131072 MALLOC_MMAP_THRESHOLD_=131072
USER 65532:65532
ENTRYPOINT ["node", "/app/operator.mjs"]
