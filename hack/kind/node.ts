import { messageOf } from '../../src/error.ts';
import { assembledNodeImage } from '../offline/node.ts';
import { command } from '../parts/command.ts';
import { downloadsAllowed } from '../parts/download.ts';
import { say, timed } from '../parts/progress.ts';
import { hasImage, type Engine } from '../testbed/engine.ts';
import type { Lab } from '../testbed/lab.ts';

/** The default node image of kind 0.30, with its digest. */
const official =
  'kindest/node:v1.34.0@sha256:7416a61b42b1662ca6ca89f02028ac133a309a2a30ba309614e8ec94d976dc5a';

/**
 * Makes sure that the engine has a node image, and returns its name. kind's own image is used if it can be pulled; an
 * engine of our own has no uplink and cannot. Otherwise the image is assembled from Debian packages and the parts, and
 * kept in the cache.
 */
export async function nodeImage(lab: Lab, engine: Engine): Promise<string> {
  if (!engine.sealed) {
    if (await hasImage(engine, official)) return official;
    if (downloadsAllowed()) {
      try {
        await timed(`${official}: pulling`, () =>
          command('timeout', ['600', 'docker', '-H', engine.host, 'pull', '--quiet', official]),
        );
        return official;
      } catch (error) {
        say(`  ${messageOf(error)}`);
      }
    }
  }
  return assembledNodeImage(lab, engine);
}
