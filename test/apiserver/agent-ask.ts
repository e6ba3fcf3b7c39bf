import { request } from 'node:http';
import type { TestNode } from '../support/agent-harness.ts';

/**
 * Returns the plugin's answer from the agent: `eth0=dcos`, or the error's code and message; undefined if no agent
 * listens.
 */
export function askAgent(node: TestNode, fields: object): Promise<string | undefined> {
  const socketPath = node.at.path('run', 'agent.sock');
  return new Promise((resolve) => {
    const asking = request({ socketPath, path: '/v1/networks', method: 'POST', agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('end', () => {
        const said = JSON.parse(text) as {
          networks?: { interface: string; name: string }[];
          code?: number;
          msg?: string;
        };
        const networks = said.networks?.map((one) => `${one.interface}=${one.name}`).join(' ');
        resolve(networks ?? `${String(said.code)} ${said.msg ?? ''}`);
      });
    });
    asking.on('error', () => {
      resolve(undefined);
    });
    asking.end(
      JSON.stringify({ containerID: 'cafe', ifname: 'eth0', pod: 'web-0', annotated: true, ...fields }),
    );
  });
}
