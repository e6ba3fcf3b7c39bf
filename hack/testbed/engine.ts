import { command } from '../parts/command.ts';
import { UserError } from './lab.ts';

/** A Docker engine, and where its networks are. */
export interface Engine {
  /** For DOCKER_HOST. */
  host: string;
  /** Ours alone, in a network namespace without an uplink; else the user's, beside everything that runs there. */
  sealed: boolean;
  /** Start of a command line that runs the rest of it in the engine's network namespace. */
  inside: string[];
}

/** A local engine that answers: of DOCKER_HOST, or at the default socket. */
export async function runningEngine(): Promise<Engine | undefined> {
  const host = process.env.DOCKER_HOST ?? 'unix:///var/run/docker.sock';
  const answer = await command('timeout', [
    '5',
    'docker',
    '-H',
    host,
    'version',
    '-f',
    '{{.Server.Version}}',
  ]).catch(() => undefined);
  if (answer === undefined) return undefined;
  if (!host.startsWith('unix://')) {
    throw new UserError(
      `DOCKER_HOST=${host}: the engine must be this machine's, since rules that seal the cluster go here`,
    );
  }
  return { host, sealed: false, inside: [] };
}

/** Runs docker against the engine and returns what it printed. */
export const docker = (engine: Engine, args: string[], input?: string): Promise<string> =>
  command('docker', ['-H', engine.host, ...args], input === undefined ? {} : { input });

/** Whether the engine has the image. */
export const hasImage = (engine: Engine, tag: string) =>
  docker(engine, ['image', 'inspect', '-f', '{{.Id}}', tag]).then(
    () => true,
    () => false,
  );
