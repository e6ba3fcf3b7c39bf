// What the configuration part of @kubernetes/client-node uses of its generated modules, without the 600 models.
export { createConfiguration } from '@kubernetes/client-node/dist/gen/configuration.js';
export { ServerConfiguration } from '@kubernetes/client-node/dist/gen/servers.js';
