import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { apiVersion, type KubeObject } from '../api/types.ts';
import { messageOf } from '../error.ts';
import { overlayConfigs, overlayNetworks, overlayReservations, type Resource } from '../kube/resources.ts';
import { CommandFailure } from './failure.ts';

/** An object of a manifest that `plan` judges. */
export interface Manifest {
  /** `OverlayNetwork dcos` */
  about: string;
  resource: Resource<KubeObject>;
  /** As it is written. */
  object: KubeObject & { spec?: unknown };
}

/** Objects of a manifest that are overlaynet's, and the names of the others: `Deployment web`. */
export interface Manifests {
  objects: Manifest[];
  passedOver: string[];
}

const kinds: Record<string, Resource<KubeObject>> = {
  OverlayConfig: overlayConfigs,
  OverlayNetwork: overlayNetworks,
  OverlayReservation: overlayReservations,
};
const written = 'OverlayConfig, OverlayNetwork and OverlayReservation are what users write';

/** @param files `-` is the standard input. @throws CommandFailure */
export async function readManifests(files: readonly string[]): Promise<Manifests> {
  const { parseAllDocuments } = await import('yaml');
  const found: Manifests = { objects: [], passedOver: [] };
  const seen = new Map<string, string>();
  for (const file of files) {
    const name = file === '-' ? 'standard input' : path.basename(file);
    const documents = parseAllDocuments(await textOf(file));
    const all = Array.isArray(documents) ? documents : [];
    for (const [at, document] of all.entries()) {
      const where = all.length > 1 ? `${name}, document ${at + 1}` : name;
      const [error] = document.errors;
      if (error !== undefined) {
        const line = error.linePos === undefined ? '' : `line ${error.linePos[0].line}: `;
        const [said = ''] = error.message.replace(/ at line \d+, column \d+:?/, '').split('\n');
        throw new CommandFailure(`${where}: ${line}${said}`, 'correct the YAML; kubectl would refuse it too');
      }
      take(valueOf(document, where), where, found, seen);
    }
  }
  if (found.objects.length === 0)
    throw new CommandFailure(
      `there is nothing to plan in ${files.join(', ')}${found.passedOver.length === 0 ? '' : ` but ${found.passedOver.join(', ')}`}`,
      `${written}; name a file that has one`,
    );
  return found;
}

function valueOf(
  document: { toJS: (options: { maxAliasCount: number }) => unknown },
  where: string,
): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw new CommandFailure(`${where}: ${messageOf(error)}`, 'write out what the aliases stand for', error);
  }
}

async function textOf(file: string): Promise<string> {
  if (file === '-') return text(process.stdin);
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new CommandFailure(
      `${file} cannot be read: ${messageOf(error)}`,
      'give -f a file with an OverlayConfig, OverlayNetworks or OverlayReservations, or - for the standard input',
      error,
    );
  }
}

function take(value: unknown, where: string, found: Manifests, seen: Map<string, string>): void {
  if (value === null || value === undefined) return; // a document of comments alone
  const object = value as Partial<KubeObject> & { items?: unknown };
  const { kind, metadata } = object;
  if (typeof value !== 'object' || Array.isArray(value) || typeof kind !== 'string')
    throw new CommandFailure(
      `${where}: there is no object of Kubernetes: kind is missing`,
      'a document begins with apiVersion and kind',
    );
  if (kind.endsWith('List') && Array.isArray(object.items)) {
    object.items.forEach((item, at) => {
      take(item, `${where}, item ${at + 1}`, found, seen);
    });
    return;
  }
  const name = (metadata as { name?: unknown } | null | undefined)?.name;
  const isNamed = typeof name === 'string' && name !== '';
  if (object.apiVersion?.split('/')[0] !== apiVersion.split('/')[0]) {
    found.passedOver.push(isNamed ? `${kind} ${name}` : kind);
    return;
  }
  if (object.apiVersion !== apiVersion)
    throw new CommandFailure(
      `${where}: apiVersion: ${object.apiVersion ?? ''} is not ${apiVersion}`,
      `write apiVersion: ${apiVersion}`,
    );
  const resource = Object.hasOwn(kinds, kind) ? kinds[kind] : undefined;
  if (resource === undefined)
    throw new CommandFailure(
      `${where}: kind: ${kind} is written by operator and agents alone`,
      `${written}; leave it out`,
    );
  if (!isNamed)
    throw new CommandFailure(
      `${where}: metadata.name: ${name === undefined ? 'nothing' : JSON.stringify(name)} is not a name`,
      'every object needs one',
    );
  const about = `${kind} ${name}`;
  const before = seen.get(about);
  if (before !== undefined)
    throw new CommandFailure(
      `${where}: ${about} is in ${before} already: kubectl would apply both, one after the other`,
      'leave one of them out',
    );
  seen.set(about, where);
  found.objects.push({ about, resource, object: object as Manifest['object'] });
}
