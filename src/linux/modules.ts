import { existsSync, readFileSync } from 'node:fs';
import { faultOf, type Log } from '../log.ts';
import { CommandError, type Run } from './run.ts';

/** Modules that the data path uses. Each may be built into the kernel instead. */
const needed = [
  'vxlan',
  'bridge',
  'veth',
  'br_netfilter',
  'nf_tables',
  'nft_compat',
  'nft_ct',
  'nft_limit',
  'nf_conntrack',
  'nf_conntrack_netlink',
  'ip_set',
  'ip_set_hash_net',
  'xt_set',
  'xt_CT',
  'xt_MASQUERADE',
  'xt_addrtype',
  'xt_connmark',
  'xt_conntrack',
  'xt_mark',
  'xt_owner',
  'xt_tcpudp',
  'ipt_rpfilter',
  'ip6t_rpfilter',
];

/** Where the kernel's own files are; tests use other places. */
export interface KernelFiles {
  /** `uname -r` */
  release: string;
  /** /lib/modules */
  modules: string;
  /** /sys */
  sys: string;
}

/**
 * Loads the modules. Returns in words what is missing: neither loaded, nor loadable, nor built in. If the kernel's
 * list of built-in modules cannot be read, nothing is reported as missing.
 */
export async function loadModules(log: Log, run: Run, files: KernelFiles): Promise<string[]> {
  const failed: string[] = [];
  const words = new Set<string>();
  for (const module of needed) {
    try {
      const { code, stderr } = await run('modprobe', [module]);
      if (code === 0) continue;
      failed.push(module);
      words.add(stderr.trim().replaceAll(module, 'MODULE'));
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      log.info(
        'modules cannot be loaded from here; they may be built in',
        faultOf(module, error, 'modprobe'),
      );
      return [];
    }
  }
  if (failed.length === 0) return [];
  const output = [...words].join('; ');
  const builtIn = builtInto(files);
  if (builtIn === undefined) {
    log.info('modules not loaded; they may be built in', {
      object: failed.join(','),
      command: 'modprobe',
      output,
    });
    return [];
  }
  const missing = failed.filter(
    (module) =>
      !builtIn.has(module) && !existsSync(`${files.sys}/module/${module}`) && concerns(module, files),
  );
  if (missing.length === 0) return [];
  return [
    `kernel ${files.release} has no ${missing.join(', ')}, neither to be loaded nor built in (${output}): install the ` +
      'package that has them (RHEL, Rocky, Alma: kernel-modules-extra; Ubuntu: linux-modules-extra-$(uname -r)) for ' +
      'the kernel that runs',
  ];
}

/** Names of the built-in modules; undefined if they are unknown. */
function builtInto({ modules, release }: KernelFiles): Set<string> | undefined {
  try {
    const text = readFileSync(`${modules}/${release}/modules.builtin`, 'utf8');
    return new Set(
      text.split('\n').map((line) =>
        line
          .replace(/^.*\//, '')
          .replace(/\.ko.*$/, '')
          .replaceAll('-', '_'),
      ),
    );
  } catch {
    return undefined;
  }
}

/** Whether the kernel needs a module. A kernel without IPv6 has no IPv6 matches and needs none. */
const concerns = (module: string, { sys }: KernelFiles): boolean =>
  !module.startsWith('ip6') || existsSync(`${sys}/module/ipv6`);
