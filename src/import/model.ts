/** DC/OS's overlay configuration, whatever file said it. Subnets are canonical, without host bits. */
export interface DcosConfig {
  /** What the file says itself. */
  sets: Aspect[];
  enable: boolean;
  networks: DcosNetwork[];
  /** `44.128.0.0/20` */
  vtepSubnet?: string;
  vtepSubnet6?: string;
  /** As it was spelled: `70:B3:D5:00:00:00`. */
  vtepMACOUI: string;
  /** Bytes. */
  mtu: number;
  /** Names of networks, in order. */
  defaultNetwork: string[];
  /** `false`: networks of IPv6 alone are disabled. */
  ipv6: boolean;
  /** Whose bridges agents have. */
  bridges: { mesos: boolean; docker: boolean };
}

/** A part of the configuration, as files divide it: agent.json says the MTU, master.json the networks. */
export type Aspect = 'enable' | 'networks' | 'mtu' | 'defaultNetwork' | 'ipv6' | 'bridges';

export interface DcosNetwork {
  name: string;
  subnet?: string;
  prefix?: number;
  subnet6?: string;
  prefix6?: number;
  enabled: boolean;
  /** Where it stands. */
  line: number;
}

/** What DC/OS does where nobody says anything. */
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
