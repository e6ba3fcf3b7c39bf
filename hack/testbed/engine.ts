import { command } from '../parts/command.ts';
import { UserError } from './lab.ts';

/** A Docker engine, and the network namespace that it uses. */
export interface Engine {
  /** The value of DOCKER_HOST. */
  host: string;
  /**
   * True for an engine of our own, in a network namespace without an uplink. False for the user's engine, which may run
   * other containers.
   */
  sealed: boolean;
  /** Start of a command line that runs the rest of it in the engine's network namespace. */
  inside: string[];
}

/** Returns the local engine that answers, at DOCKER_HOST or the default socket. */
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

/** Runs docker on the engine and returns its output. */
export const docker = (engine: Engine, args: string[], input?: string): Promise<string> =>
  command('docker', ['-H', engine.host, ...args], input === undefined ? {} : { input });

/** Returns whether the engine has the image. */
export const hasImage = (engine: Engine, tag: string) =>
  docker(engine, ['image', 'inspect', '-f', '{{.Id}}', tag]).then(
    () => true,
    () => false,
  );
