import { DataPath, type DataPathOutcome } from '../../src/linux/datapath.ts';
import { silent } from '../../src/log.ts';
import { nodeAddresses } from './cluster.ts';
import { Netns } from './netns.ts';

/** Makes a node's namespace. Its uplink `eth0` has the first node's addresses, and nothing answers at its other end. */
export async function withUplink(): Promise<Netns> {
  const netns = await Netns.create();
  await netns.sh('ip link add eth0 type veth peer name wire');
  const [ip, ip6] = nodeAddresses(0);
  await netns.sh(`ip addr add ${ip!}/16 dev eth0`);
  await netns.sh(`ip addr add ${ip6!}/64 dev eth0 nodad`);
  await netns.sh('ip link set eth0 up');
  await netns.sh('ip link set wire up');
  return netns;
}

/** The outcome of a pass that had nothing to change. */
export const settled = { changes: 0, failures: [] };

/** Returns the messages of the failures, one a line. */
export const messagesOf = ({ failures }: DataPathOutcome): string =>
  failures.map(({ message }) => message).join('\n');

/**
 * Gives each test of a file a node with an uplink, and its data path.
 * @param use receives them
 */
export function withDataPath(use: (netns: Netns, path: DataPath) => void): void {
  let netns: Netns;
  beforeEach(async () => {
    netns = await withUplink();
    use(netns, new DataPath({ log: silent, run: netns.run }));
  });
  afterEach(() => netns.delete());
}
