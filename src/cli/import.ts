import { open } from 'node:fs/promises';
import path from 'node:path';
import { messageOf } from '../error.ts';
import type { Finding } from '../import/finding.ts';
import type { DcosConfig } from '../import/model.ts';
import type { Objects } from '../import/objects.ts';
import type { Access } from './access.ts';
import { CommandFailure } from './failure.ts';
import { bridgesLabel } from '../api/labels.ts';
import { readOldState, type OldState } from './oldstate.ts';
import type { Output } from './output.ts';
import { harmless, harmlessJSON } from './text.ts';
import { yamlPrinter } from './yaml.ts';

export interface ImportOptions {
  config: string[];
  output: 'yaml' | 'json';
  state?: string;
  map?: string;
  apply?: boolean;
  reserveFor?: string;
}

/** Maximum size of a configuration file, in bytes. Those of DC/OS are far smaller. */
const mostConfigBytes = 4_194_304;
/** Maximum size of a state document, in bytes. With 5,000 agents and ten networks it has 40 MB. */
const mostStateBytes = 134_217_728;

/**
 * `import`: prints the objects, or applies them.
 * @returns 0; 1 if something of the input is not kept; 2 if the input is refused, and nothing is printed or written
 */
export async function importConfig(
  { config: files, output, state, map, apply = false, reserveFor }: ImportOptions,
  access: Access,
  out: Output,
): Promise<number> {
  if (state === undefined && (map ?? reserveFor) !== undefined)
    throw new CommandFailure('--map and --reserve-for are about the agents of a state', 'give --state too');
  const { Findings, findingText } = await import('../import/finding.ts');
  const { decode } = await import('../import/mend.ts');
  const { objects, all } = await readFiles(files);
  let old: OldState | undefined;
  if (state !== undefined && objects !== undefined && !all.some(({ weight }) => weight === 'refusal')) {
    const into = {
      state: new Findings(path.basename(state)),
      map: new Findings(path.basename(map ?? '')),
      all,
    };
    const stateText = decode(await bytesOf(state, mostStateBytes), into.state);
    const mapText = map === undefined ? undefined : decode(await bytesOf(map), into.map);
    const texts = { stateText, mapText, reserveFor };
    old = await readOldState(texts, objects, into, apply ? access : undefined);
  }
  for (const finding of all) out.note(findingText(finding));
  const refused = all.filter(({ weight }) => weight === 'refusal').length;
  if (refused > 0 || objects === undefined) {
    out.note(`nothing is imported: ${refused} ${refused === 1 ? 'thing is' : 'things are'} refused`);
    return 2;
  }
  const isKept = !all.some(({ weight }) => weight === 'lost');
  if (apply) {
    const { applyImport } = await import('./applyimport.ts');
    const { reservations, bare = [] } = old ?? {};
    const wanted = { objects, bare, ...(reservations === undefined ? {} : { reservations }) };
    return Math.max(await applyImport(wanted, access, out), isKept ? 0 : 1);
  }
  const list = [objects.config, ...(old?.reservations ?? []), ...objects.networks];
  for (const node of old?.bare ?? [])
    out.note(`${node} had no bridges in the old cluster: kubectl label node ${node} ${bridgesLabel}=false`);
  if (output === 'json') out.line(harmlessJSON({ apiVersion: 'v1', kind: 'List', items: list }));
  else {
    const print = await yamlPrinter();
    out.line(list.map(print).join('\n---\n'));
  }
  return isKept ? 0 : 1;
}

async function readFiles(files: readonly string[]): Promise<{ objects?: Objects; all: Finding[] }> {
  const { Findings } = await import('../import/finding.ts');
  const { decode } = await import('../import/mend.ts');
  const { readConfig } = await import('../import/config.ts');
  const { combine } = await import('../import/combine.ts');
  const { toObjects } = await import('../import/objects.ts');
  const read: { config: DcosConfig; findings: InstanceType<typeof Findings> }[] = [];
  const all: Finding[] = [];
  for (const file of files) {
    const findings = new Findings(path.basename(file));
    const text = decode(await bytesOf(file), findings);
    const config = text === undefined ? undefined : readConfig(text, findings);
    if (config !== undefined) read.push({ config, findings });
    all.push(...findings.all);
    findings.all.length = 0;
  }
  const [first] = read;
  const whole = read.length === files.length ? combine(read) : undefined;
  const objects = whole === undefined || first === undefined ? undefined : toObjects(whole, first.findings);
  for (const { findings } of read) all.push(...findings.all);
  return objects === undefined ? { all } : { objects, all };
}

async function bytesOf(file: string, mostBytes = mostConfigBytes): Promise<Uint8Array> {
  try {
    const handle = await open(file);
    try {
      const { size } = await handle.stat();
      if (size > mostBytes) throw new Error(`it has more than ${mostBytes} bytes`);
      // a pipe has no size
      const parts: Uint8Array[] = [];
      let length = 0;
      for (;;) {
        const { bytesRead, buffer } = await handle.read(new Uint8Array(65_536));
        length += bytesRead;
        if (length > mostBytes) throw new Error(`it has more than ${mostBytes} bytes`);
        if (bytesRead === 0) break;
        parts.push(buffer.subarray(0, bytesRead));
      }
      return Buffer.concat(parts);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw new CommandFailure(
      `${harmless(file)} cannot be read: ${messageOf(error)}`,
      'give --config the config.yaml that DC/OS was installed with, --state what its /overlay-master/state answered',
      error,
    );
  }
}
