import { closeSync, existsSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { messageOf } from '../error.ts';
import { namespaceMetadata, pods as podResource } from '../kube/resources.ts';
import type { ContainerRow } from '../rows/row.ts';
import { version, type Access } from './access.ts';
import { Pseudonyms } from './anonymise.ts';
import { collect, type Collected } from './collect.ts';
import { CommandFailure } from './failure.ts';
import type { Output } from './output.ts';
import { withoutFields, withoutSecrets } from './secrets.ts';
import { tarEnd, tarFile } from './tar.ts';

interface BundleOptions {
  output?: string;
  anonymise?: boolean;
  agents?: string;
}

/** `bundle`. @returns 0; 1 if something could not be read, and is missing in the bundle */
export async function bundle(access: Access, options: BundleOptions, out: Output): Promise<number> {
  const now = new Date();
  const name = `overlaynet-bundle-${now.toISOString().replace(/[-:]|\.\d+/g, '')}`;
  const file = options.output ?? `${name}.tar.gz`;
  if (existsSync(file))
    throw new CommandFailure(`-o ${file}: there is such a file`, 'name another one, or remove it');
  const mostAgents = numberIn(options.agents ?? '20');
  // the file is opened first, so that an unwritable directory fails at once
  const half = new HalfFile(file);
  try {
    const names = options.anonymise === true ? await namesOf(access) : undefined;
    const collected = await collect(access, mostAgents, out);
    const texts = textsOf(collected, access.secrets());
    texts.set('README.txt', readme(collected, now, names !== undefined));
    if (names !== undefined) anonymise(texts, collected, names);
    const modified = Math.floor(now.getTime() / 1_000);
    const parts = [...texts].flatMap(([path, text]) =>
      tarFile(`${name}/${path}`, Buffer.from(text), modified),
    );
    half.finish(gzipSync(Buffer.concat([...parts, tarEnd()])));
    for (const one of collected.missing) out.warn(`not in it: ${one}`);
    out.line(file);
    out.note('read it before you hand it on: addresses and names of nodes are in it');
    return collected.missing.length > 0 ? 1 : 0;
  } finally {
    half.remove();
  }
}

function numberIn(text: string): number {
  if (/^\d{1,5}$/.test(text)) return Number(text);
  throw new CommandFailure(`--agents "${text}" is not a number from 0 to 99999`, 'give one such as 20');
}

/** A file that gets its name only when it is complete, however the command ends. */
class HalfFile {
  readonly #file: string;
  readonly #half: string;
  readonly remove = (): void => {
    rmSync(this.#half, { force: true });
    process.off('exit', this.remove);
  };

  constructor(file: string) {
    this.#file = file;
    this.#half = `${file}.${process.pid}.part`;
    try {
      closeSync(openSync(this.#half, 'wx', 0o600));
    } catch (error) {
      throw new CommandFailure(
        `-o ${file} cannot be written: ${messageOf(error)}`,
        'name a file in a directory of yours',
        error,
      );
    }
    // Ctrl-C ends the process at once
    process.once('exit', this.remove);
  }

  finish(content: Buffer): void {
    const handle = openSync(this.#half, 'r+');
    try {
      for (let at = 0; at < content.length;) at += writeSync(handle, content, at);
    } finally {
      closeSync(handle);
    }
    renameSync(this.#half, this.#file);
  }
}

/** Renders everything as text, without secrets. */
function textsOf({ files }: Collected, known: readonly string[]): Map<string, string> {
  return new Map(
    [...files].map(([path, content]) => {
      const text =
        'text' in content
          ? withoutSecrets(content.text, known)
          : JSON.stringify(withoutFields(content.value, known), undefined, 1);
      return [path, text];
    }),
  );
}

/** Reads all names that exist in the cluster now. @throws CommandFailure if some cannot be read: they would stay in clear */
async function namesOf(access: Access): Promise<Pseudonyms> {
  const [namespaces, pods] = await access.api(async (client) => [
    (await client.list(namespaceMetadata)).items,
    (await client.list({ ...podResource(), metadataOnly: true })).items,
  ]);
  const own = pods.filter(({ metadata }) => metadata.namespace === access.namespace);
  const names = new Pseudonyms([access.namespace, ...own.map(({ metadata }) => metadata.name)]);
  for (const { metadata } of namespaces) names.add('ns', metadata.name);
  for (const { metadata } of pods) names.add('pod', metadata.name);
  return names;
}

function anonymise(texts: Map<string, string>, { files }: Collected, names: Pseudonyms): void {
  const rows = files.get('operator/containers.json');
  const listed = (rows !== undefined && 'value' in rows ? rows.value : {}) as { items?: ContainerRow[] };
  for (const { namespace, pod, name } of listed.items ?? []) {
    names.add('ns', namespace);
    names.add('pod', pod);
    names.add('container', name);
  }
  for (const text of texts.values()) names.learn(text);
  for (const [path, text] of texts) {
    const isJSON = path.endsWith('.json');
    texts.set(path, isJSON ? JSON.stringify(names.value(JSON.parse(text)), undefined, 1) : names.text(text));
  }
}

const readme = ({ missing }: Collected, now: Date, anonymised: boolean): string =>
  [
    `Made by kubectl overlay bundle ${version} at ${now.toISOString()}.`,
    '',
    'objects/    objects of the API server; without managedFields, values of others’ annotations and of environments',
    'events/     Events of these objects and of the namespace of overlaynet',
    'operator/   what an operator answers; containers.json and kernel.json are what agents say',
    'logs/       of operators and agents',
    'status.txt, check.txt, versions.json',
    '',
    'Secrets are not read. What looks like a token, a password or a private key is replaced by (left out).',
    anonymised
      ? 'Names of pods, namespaces and containers are hashes, the same for the same name within this bundle. Names of nodes and networks, and addresses, are as they are.'
      : 'Names of pods, namespaces, nodes and networks, and addresses, are as they are.',
    '',
    ...(missing.length === 0
      ? ['Nothing is missing.']
      : ['Missing:', ...missing.map((one) => `- ${withoutSecrets(one)}`)]),
    '',
  ].join('\n');
