import { jest } from '@jest/globals';
import type { Client } from '../../src/kube/client.ts';
import { CommandBed } from './commandbed.ts';

/** Starts a bed before the tests of a file and stops it after them; they may take longer than other tests. */
export function usesCommandBed(): {
  bed: () => CommandBed;
  client: () => Client;
  /** Runs the command, with the administrator's kubeconfig unless told. */
  run: CommandBed['run'];
} {
  jest.setTimeout(90_000);
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
    run: (args, kubeconfig) => bed().run(args, kubeconfig),
  };
}
