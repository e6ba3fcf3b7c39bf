import { startControlPlane } from './controlplane.ts';

/**
 * Jest's globalSetup of the API server's suite: one control plane for all its files, by OVT_KUBECONFIG.
 * It goes when this process does.
 */
export default async (): Promise<void> => {
  if (process.env.OVT_KUBECONFIG !== undefined) return;
  const own = await startControlPlane();
  await own.client.close();
  process.env.OVT_KUBECONFIG = own.kubeconfig;
};
