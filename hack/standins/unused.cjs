/* global module */
// The names that libraries import from modules of features that this project does not use: `unused` in hack/build.ts.
module.exports = {
  // undici
  Agent: undefined,
  ProxyAgent: undefined,
  fetch: undefined,
  // socks and socks-proxy-agent
  SocksClient: undefined,
  SocksProxyAgent: undefined,
  // hpagent
  HttpProxyAgent: undefined,
  HttpsProxyAgent: undefined,
  // @opentelemetry/api
  context: undefined,
  trace: undefined,
};
