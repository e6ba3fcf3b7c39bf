import { X509Certificate } from 'node:crypto';
import { ApiError, type Client } from '../kube/client.ts';
import { configMaps, operatorConfigMap } from '../kube/resources.ts';
import type { Log } from '../log.ts';
import { messageOf } from '../error.ts';

/** How often is looked whether it is still there, in ms. */
const lookMs = 60_000;
/** Of operators that were, of which nobody says that they have gone. */
const mostKept = 16;

/** A fingerprint as a key of a ConfigMap, which takes no colons. */
const keyOf = ({ fingerprint256 }: X509Certificate): string =>
  `${fingerprint256.replaceAll(':', '').toLowerCase()}.crt`;

/**
 * The certificates to be published: ours with those of other operators that are not over, of many the newest.
 * @param data of the ConfigMap as it is
 */
export function published(data: Record<string, string>, pem: string, now: number): Record<string, string> {
  const own = new X509Certificate(pem);
  const others = Object.entries(data)
    .map(([key, text]) => ({ key, text, from: startOf(text, now) }))
    .filter(({ key, from }) => key !== keyOf(own) && from !== undefined)
    .sort((a, b) => (b.from ?? 0) - (a.from ?? 0))
    .slice(0, mostKept - 1);
  return { [keyOf(own)]: pem, ...Object.fromEntries(others.map(({ key, text }) => [key, text])) };
}

/** When it begins to count; undefined of one that is over, or is none. */
function startOf(pem: string, now: number): number | undefined {
  try {
    const { validFrom, validTo } = new X509Certificate(pem);
    return Date.parse(validTo) > now ? Date.parse(validFrom) : undefined;
  } catch {
    return undefined;
  }
}

/** Keeps the certificate that this operator shows in a ConfigMap, until `stop`: how `kubectl overlay` tells an operator. */
export function publishCertificate(options: {
  client: Client;
  namespace: string;
  /** What is shown now, PEM. */
  certificate: () => string | undefined;
  log: Log;
}): { stop: () => void } {
  const { client, namespace, certificate, log } = options;
  let problem = '';
  const look = async () => {
    const pem = certificate();
    if (pem === undefined) return;
    try {
      await put(client, namespace, pem);
      problem = '';
    } catch (error) {
      // another operator was faster: the next look is soon enough
      if (error instanceof ApiError && error.status === 409)
        return void setTimeout(() => void look(), 1_000).unref();
      const said = messageOf(error);
      if (said !== problem) log.warn('the certificate could not be published', { error: said });
      problem = said;
    }
  };
  const timer = setInterval(() => void look(), lookMs);
  timer.unref();
  void look();
  return {
    stop: () => {
      clearInterval(timer);
    },
  };
}

async function put(client: Client, namespace: string, pem: string): Promise<void> {
  const resource = configMaps(namespace);
  const found = await client.get(resource, operatorConfigMap);
  const data = published(found?.data ?? {}, pem, Date.now());
  if (found === undefined) {
    const metadata = { name: operatorConfigMap, labels: { 'app.kubernetes.io/part-of': 'overlaynet' } };
    await client.create(resource, { apiVersion: 'v1', kind: 'ConfigMap', metadata, data });
  } else if (Object.keys(data).some((key) => found.data?.[key] !== data[key])) {
    await client.update(resource, { ...found, data });
  }
}
