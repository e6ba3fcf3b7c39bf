import { X509Certificate } from 'node:crypto';
import { ApiError, type Client } from '../kube/client.ts';
import { configMaps, operatorConfigMap } from '../kube/resources.ts';
import { faultOf, type Log } from '../log.ts';
import { messageOf } from '../error.ts';
import { plainHex } from '../serve/certificate.ts';

/** How often to check that the published certificate is still there, in milliseconds. */
const lookMs = 60_000;
/** The most certificates of former operators that are kept. There is no sign that an operator is gone for good. */
const mostKept = 16;

/** A fingerprint as a key of a ConfigMap, which takes no colons. */
const keyOf = ({ fingerprint256 }: X509Certificate): string => `${plainHex(fingerprint256)}.crt`;

/**
 * Returns the certificates to publish: ours and those of other operators that have not expired; if there are many, the
 * newest.
 * @param data the ConfigMap's present data
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

/** When the certificate becomes valid. Undefined if it has expired, or if the text is no certificate. */
function startOf(pem: string, now: number): number | undefined {
  try {
    const { validFrom, validTo } = new X509Certificate(pem);
    return Date.parse(validTo) > now ? Date.parse(validFrom) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Publishes the certificate that this operator serves in a ConfigMap, and keeps it there until `stop`. `kubectl
 * overlay` recognises an operator by it.
 */
export function publishCertificate(options: {
  client: Client;
  namespace: string;
  /** The certificate that is served now, as PEM. */
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
      // another operator wrote first: the next check is soon enough
      if (error instanceof ApiError && error.status === 409)
        return void setTimeout(() => void look(), 1_000).unref();
      const message = messageOf(error);
      if (message !== problem) {
        const fault = faultOf(`configmaps/${operatorConfigMap}`, error, 'update');
        log.warn('the certificate could not be published', fault);
      }
      problem = message;
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
