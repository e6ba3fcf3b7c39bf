# npm run build && docker build -f deploy/operator.Dockerfile -t overlaynet-operator:0.1.0 dist
FROM node:24-slim
# .mjs: the bundle is a module, and no package.json is there to say so
COPY operator.js /app/operator.mjs
USER 65532:65532
ENTRYPOINT ["node", "/app/operator.mjs"]
