import { sharedBy, startControlPlane } from './controlplane.ts';

/**
 * Jest's globalSetup of the apiserver suite: starts a control plane for each worker, whose test files use it one after
 * the other. The control planes end with this process.
 */
export default async ({ maxWorkers }: { maxWorkers: number }): Promise<void> => {
  await Promise.all(
    Array.from({ length: maxWorkers }, async (_, at) => {
      const own = await startControlPlane();
      await own.client.close();
      process.env[sharedBy(at + 1)] = own.kubeconfig;
    }),
  );
};
