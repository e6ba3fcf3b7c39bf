import { client, get, kubectl, nodes } from '../support/e2e.ts';
import { nodeAddresses } from '../support/e2e-objects.ts';

const create = async (account: string): Promise<string> =>
  (await kubectl(`create token -n overlaynet-system ${account}`)).trim();

/** Returns `https://address:port` of every operator and of every node's agent. */
async function urls(): Promise<{ operators: string[]; agents: string[] }> {
  const { items } = await get<{ items: { status: { hostIP: string } }[] }>(
    '-n overlaynet-system pods -l app.kubernetes.io/name=overlaynet-operator',
  );
  const addresses = await Promise.all(nodes.map(async (node) => (await nodeAddresses(node))[0]!));
  return {
    operators: items.map(({ status }) => `https://${status.hostIP}:9180`),
    agents: addresses.map((address) => `https://${address}:9181`),
  };
}

test('a token of overlaynet-viewer reads the state documents and metrics, over HTTPS', async () => {
  const [token, { operators, agents }] = await Promise.all([create('overlaynet-viewer'), urls()]);
  expect(operators).toHaveLength(2);
  for (const url of operators) {
    const state = JSON.parse(await client(`fetch ${url}/overlay-master/state ${token}`)) as {
      agents: { ip: string }[];
      network: { overlays: { name: string }[] };
    };
    expect(state.agents).toHaveLength(nodes.length);
    expect(state.network.overlays.map(({ name }) => name)).toEqual(['dcos', 'dcos6']);
    expect(await client(`fetch ${url}/metrics ${token}`)).toContain('overlaynet_');
  }
  for (const url of agents) {
    expect(JSON.parse(await client(`fetch ${url}/overlay-agent/overlay ${token}`))).toHaveProperty('ip');
    expect(await client(`fetch ${url}/metrics ${token}`)).toContain('overlaynet_');
  }
});

test('requests without a token, with a wrong one, or with one that has no right are refused', async () => {
  const [token, { operators, agents }] = await Promise.all([create('default'), urls()]);
  const paths = [`${operators[0]!}/overlay-master/state`, `${agents[0]!}/overlay-agent/overlay`];
  for (const url of paths) {
    await expect(client(`fetch ${url}`)).rejects.toThrow('HTTP 401');
    await expect(client(`fetch ${url} abc.def.ghi`)).rejects.toThrow('HTTP 401');
    await expect(client(`fetch ${url} ${token}`)).rejects.toThrow('HTTP 403');
  }
});

test('health endpoints need no token', async () => {
  const { operators, agents } = await urls();
  for (const url of [...operators, ...agents]) {
    expect(await client(`fetch ${url}/healthz`)).toBe('ok');
    expect(await client(`fetch ${url}/readyz`)).toBe('ok');
  }
});
