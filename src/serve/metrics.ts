import { X509Certificate } from 'node:crypto';
import { Gauge, type Registry } from 'prom-client';

/**
 * Shows when the certificate of a server expires; nothing while it serves in the clear.
 * @param prefix of the name: `overlaynet_operator_`
 * @param certificate PEM, as it is at that moment
 */
export function certificateMetric(
  registry: Registry,
  prefix: string,
  certificate: () => string | undefined,
): void {
  new Gauge({
    name: `${prefix}certificate_expiry_timestamp_seconds`,
    help: 'When the certificate that this server shows expires; absent while it serves in the clear.',
    registers: [registry],
    collect() {
      const pem = certificate();
      if (pem !== undefined) this.set(Date.parse(new X509Certificate(pem).validTo) / 1_000);
      else this.remove({});
    },
  });
}
