/** Keys of a config.yaml that are about the overlay, at its top level. */
export const topKeys = [
  'dcos_overlay_enable',
  'dcos_overlay_config_attempts',
  'dcos_overlay_mtu',
  'dcos_overlay_network',
  'dcos_overlay_network_default_name',
  'dcos_overlay_network6_default_name',
  'enable_ipv6',
  'dcos_cni_data_dir',
] as const;

/** Keys of `dcos_overlay_network`, and of `network` in /etc/overlay/config/master.json. */
export const networkKeys = ['vtep_subnet', 'vtep_subnet6', 'vtep_mac_oui', 'vtep_mtu', 'overlays'] as const;

/** Keys of one of `overlays`. */
export const overlayKeys = ['name', 'subnet', 'prefix', 'subnet6', 'prefix6', 'enabled'] as const;

/** Keys of /etc/overlay/config/master.json, agent.json and agent-master.json. */
export const fileKeys = ['network', 'network_config'] as const;

/** Keys of `network_config`. */
export const agentKeys = [
  'allocate_subnet',
  'mesos_bridge',
  'docker_bridge',
  'overlay_mtu',
  'enable_ipv6',
] as const;

/** Returns the known key that was probably meant; undefined if none is similar. */
export function nearest(word: string, keys: readonly string[]): string | undefined {
  const plain = (text: string) => text.toLowerCase().replace(/[^a-z0-9]/g, '');
  const same = keys.find((key) => plain(key) === plain(word));
  if (same !== undefined) return same;
  const [best] = keys
    .map((key) => ({ key, far: distance(plain(key), plain(word)) }))
    .sort((a, b) => a.far - b.far);
  return best !== undefined && best.far <= 2 ? best.key : undefined;
}

/** The edit distance: letters to change, add or remove. */
function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2) return 3;
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(changed, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 3;
}
