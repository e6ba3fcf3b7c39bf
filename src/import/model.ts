/** DC/OS's overlay configuration, read from any of its files. Subnets are canonical, without host bits. */
export interface DcosConfig {
  /** The parts that the file sets. */
  sets: Aspect[];
  enable: boolean;
  networks: DcosNetwork[];
  /** `44.128.0.0/20` */
  vtepSubnet?: string;
  vtepSubnet6?: string;
  /** As the file writes it: `70:B3:D5:00:00:00`. */
  vtepMACOUI: string;
  /** In bytes. */
  mtu: number;
  /** Names of networks, in order. */
  defaultNetwork: string[];
  /** `false`: networks with only IPv6 are disabled. */
  ipv6: boolean;
  /** Which containerizers have bridges on agents. */
  bridges: { mesos: boolean; docker: boolean };
}

/** A part of the configuration. Files contain different parts: agent.json the MTU, master.json the networks. */
export type Aspect = 'enable' | 'networks' | 'mtu' | 'defaultNetwork' | 'ipv6' | 'bridges';

export interface DcosNetwork {
  name: string;
  subnet?: string;
  prefix?: number;
  subnet6?: string;
  prefix6?: number;
  enabled: boolean;
  /** Its line in the file. */
  line: number;
}

/** DC/OS's defaults. */
export const dcosDefaults = {
  mtu: 1420,
  defaultName: 'dcos',
  vtepMACOUI: '70:B3:D5:00:00:00',
  vtepSubnet: '44.128.0.0/20',
  vtepSubnet6: 'fd01:a::/64',
  networks: [
    { name: 'dcos', subnet: '9.0.0.0/8', prefix: 24 },
    { name: 'dcos6', subnet6: 'fd01:b::/64', prefix6: 80 },
  ],
} as const;
