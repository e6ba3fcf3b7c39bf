import type { Client } from '../../src/kube/client.ts';
import { CommandBed } from './commandbed.ts';

/** Starts a bed before the tests of a file and stops it after them; these tests may take longer than others. */
export function usesCommandBed(): {
  bed: () => CommandBed;
  client: () => Client;
  /** Runs the command, with the administrator's kubeconfig by default. */
  run: CommandBed['run'];
} {
  let started: CommandBed | undefined;
  beforeAll(async () => {
    started = await CommandBed.start();
  }, 120_000);
  afterAll(() => started?.stop());
  const bed = () => {
    if (started === undefined) throw new Error('the command bed is not started');
    return started;
  };
  return {
    bed,
    client: () => bed().plane.client,
    run: (args, kubeconfig, input) => bed().run(args, kubeconfig, input),
  };
}
