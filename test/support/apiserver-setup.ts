import { sharedBy, startControlPlane } from './controlplane.ts';

/**
 * Jest's globalSetup of the API server's suite: a control plane for each worker, which its files share one after the other.
 * They end with this process.
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
