import { published } from '../../../src/operator/certificate.ts';
import { selfSigned } from '../../../src/serve/x509.ts';

const dayMs = 86_400_000;
const certificate = (fromDay: number, untilDay = fromDay + 366) => {
  const at = (day: number) => new Date(Date.UTC(2026, 0, 1) + day * dayMs);
  return selfSigned({ commonName: 'operator', names: [], from: at(fromDay), until: at(untilDay) }).cert;
};
const now = Date.UTC(2026, 5, 1);

test('an operator adds its certificate to those of the others, by fingerprint, and that changes nothing the second time', () => {
  const [first, second] = [certificate(0), certificate(1)];
  const one = published({}, first, now);
  expect(Object.keys(one)).toEqual([expect.stringMatching(/^[0-9a-f]{64}\.crt$/)]);
  const both = published(one, second, now);
  expect(Object.values(both).sort()).toEqual([first, second].sort());
  expect(published(both, first, now)).toEqual(both);
});

test('expired and invalid certificates are removed, and only those of the newest operators stay', () => {
  const own = certificate(100);
  expect(published({ 'old.crt': certificate(-400, 10), 'ca.crt': 'hello' }, own, now)).toEqual(
    published({}, own, now),
  );
  const many = Array.from({ length: 20 }, (_, day) => certificate(day)).reduce<Record<string, string>>(
    (data, pem) => published(data, pem, now),
    {},
  );
  const kept = Object.values(published(many, own, now));
  expect(kept.length).toBe(16);
  expect(kept).toContain(own);
});
