import type { Findings } from './finding.ts';
import type { Aspect, DcosConfig } from './model.ts';

/** Which values belong to each part of the configuration. */
const values: Record<Aspect, (keyof DcosConfig)[]> = {
  enable: ['enable'],
  networks: ['networks', 'vtepSubnet', 'vtepSubnet6', 'vtepMACOUI'],
  mtu: ['mtu'],
  defaultNetwork: ['defaultNetwork'],
  ipv6: ['ipv6'],
  bridges: ['bridges'],
};

/** Combines the parts from several files into one configuration. Two files that contradict each other are refused. */
export function combine(
  files: readonly { config: DcosConfig; findings: Findings }[],
): DcosConfig | undefined {
  let whole: DcosConfig | undefined;
  for (const { config, findings } of files) {
    if (whole === undefined) {
      whole = config;
      continue;
    }
    for (const aspect of config.sets) {
      if (!whole.sets.includes(aspect)) whole = taking(whole, config, aspect);
      else if (meaning(whole, aspect) !== meaning(config, aspect))
        findings.refuse(
          undefined,
          `the ${words[aspect]} differ from those of another file`,
          'give files of one cluster, and of one time',
        );
    }
  }
  return whole;
}

const words: Record<Aspect, string> = {
  enable: 'values of dcos_overlay_enable',
  networks: 'networks',
  mtu: 'MTUs',
  defaultNetwork: 'names of default networks',
  ipv6: 'values of enable_ipv6',
  bridges: 'bridges',
};

/** The values without line numbers, for comparing: the same network is on other lines in another file. */
const meaning = (config: DcosConfig, aspect: Aspect): string =>
  JSON.stringify(
    values[aspect].map((key) => config[key]),
    (key, value: unknown) => (key === 'line' ? undefined : value),
  );

function taking(whole: DcosConfig, other: DcosConfig, aspect: Aspect): DcosConfig {
  const next: DcosConfig = { ...whole, sets: [...whole.sets, aspect] };
  for (const key of values[aspect]) Object.assign(next, { [key]: other[key] });
  return next;
}
