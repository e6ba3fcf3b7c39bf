import { run as runProgram, type Run } from './run.ts';

interface LinkJSON {
  ifname: string;
  mtu: number;
  addr_info?: { local?: string }[];
}

/**
 * Bytes that the links carry which have these addresses: the smallest MTU of them.
 * @throws Error naming an address that no link of this machine has; CommandError where `ip` cannot be run.
 */
export async function uplinkMTU(addresses: readonly string[], run: Run = runProgram): Promise<number> {
  const { stdout, stderr, code } = await run('ip', ['-j', 'address', 'show']);
  if (code !== 0) throw new Error(`ip -j address show: ${stderr.trim()}`);
  const links = JSON.parse(stdout) as LinkJSON[];
  const mtus = addresses.map((address) => {
    const link = links.find(({ addr_info }) => addr_info?.some(({ local }) => local === address));
    if (link === undefined) throw new Error(`no link of this node has the address ${address}`);
    return link.mtu;
  });
  return Math.min(...mtus);
}
