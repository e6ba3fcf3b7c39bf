# npm run build && docker build -f deploy/operator.Dockerfile -t overlaynet-operator:0.1.0 .
FROM node:24-slim
COPY dist/operator.js /app/operator.js
USER 65532:65532
ENTRYPOINT ["node", "/app/operator.js"]
