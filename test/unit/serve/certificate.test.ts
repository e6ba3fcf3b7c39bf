import { jest } from '@jest/globals';
import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { certificateFiles, ServerCertificate } from '../../../src/serve/certificate.ts';
import { silent } from '../../../src/log.ts';
import { selfSigned, type KeyPair } from '../../../src/serve/x509.ts';
import { recordingLog, scratch } from '../../support/fixture.ts';

const day = 86_400_000;
const from = new Date('2026-01-02T03:04:05Z');
const made = (names: string[], until = new Date(from.getTime() + 365 * day)) =>
  selfSigned({ commonName: 'overlaynet-agent', names, from, until });

test('a self-signed certificate is what it says to OpenSSL: names, addresses of both families, times, a server’s use', () => {
  const { cert } = made(['node-1.example', '172.17.0.2', 'fd00:17::2', '::ffff:1.2.3.4']);
  const seen = new X509Certificate(cert);
  expect(seen.subject).toBe('CN=overlaynet-agent');
  expect(seen.issuer).toBe('CN=overlaynet-agent');
  expect(seen.ca).toBe(false);
  expect(seen.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
  expect(seen.verify(seen.publicKey)).toBe(true);
  expect([seen.validFrom, seen.validTo]).toEqual(['Jan  2 03:04:05 2026 GMT', 'Jan  2 03:04:05 2027 GMT']);
  expect(seen.checkHost('node-1.example')).toBe('node-1.example');
  for (const ip of ['172.17.0.2', 'fd00:17::2']) expect(seen.checkIP(ip)).toBe(ip);
  expect(seen.checkIP('172.17.0.3')).toBeUndefined();
  expect(seen.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' });
});

test('so many names that their length takes two bytes more, and a year after 2049', () => {
  const names = Array.from({ length: 300 }, (_, index) => `node${index}.example`);
  const seen = new X509Certificate(made(names, new Date('2051-01-01T00:00:00Z')).cert);
  expect(seen.checkHost('node299.example')).toBe('node299.example');
  expect(seen.validTo).toBe('Jan  1 00:00:00 2051 GMT');
});

test('all certificates have different keys and serial numbers', () => {
  const [a, b] = [made(['x']), made(['x'])];
  expect(a.key).not.toBe(b.key);
  const serials = [a, b].map(({ cert }) => new X509Certificate(cert).serialNumber);
  expect(serials[0]).not.toBe(serials[1]);
});

describe('a server’s certificate', () => {
  let at: ReturnType<typeof scratch>;
  beforeEach(() => {
    at = scratch();
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
    at.drop();
  });
  const put = ({ cert, key }: KeyPair) => {
    writeFileSync(at.path('tls.crt'), cert);
    writeFileSync(at.path('tls.key'), key);
    return { cert: at.path('tls.crt'), key: at.path('tls.key') };
  };
  const of = (files?: { cert: string; key: string }) => ({
    ...(files && { files }),
    commonName: 'overlaynet-agent',
    names: ['node2', '172.17.0.4'],
  });

  test('without files has the node’s names, this host’s and the loopback’s, and is replaced before its year is over', () => {
    const certificate = new ServerCertificate({ ...of(), lookMs: day }, silent);
    const first = new X509Certificate(certificate.pair.cert);
    for (const ip of ['172.17.0.4', '127.0.0.1', '::1']) expect(first.checkIP(ip)).toBe(ip);
    for (const name of ['node2', 'localhost']) expect(first.checkHost(name)).toBe(name);
    const seen: KeyPair[] = [];
    certificate.follow((pair) => seen.push(pair));
    jest.advanceTimersByTime(300 * day);
    expect(seen).toEqual([]);
    jest.advanceTimersByTime(40 * day);
    expect(seen).toHaveLength(1);
    expect(certificate.pair).toBe(seen[0]);
    expect(new X509Certificate(certificate.pair.cert).validToDate.getTime()).toBeGreaterThan(
      Date.now() + 300 * day,
    );
  });

  test('from files is read again when they change; files that are no pair are reported once, and the old pair stays', () => {
    const [first, second] = [made(['a']), made(['b'])];
    const files = put(first);
    const log = recordingLog();
    const certificate = new ServerCertificate(of(files), log);
    expect(certificate.pair).toEqual(first);
    const seen: KeyPair[] = [];
    const stop = certificate.follow((pair) => seen.push(pair));
    put({ cert: second.cert, key: first.key });
    jest.advanceTimersByTime(30_000);
    expect([seen, certificate.pair]).toEqual([[], first]);
    expect(log.lines).toHaveLength(1);
    expect(log.lines[0]).toContain(`--tls-cert ${files.cert} and --tls-key ${files.key} are no pair`);
    put(second);
    jest.advanceTimersByTime(10_000);
    expect([seen, certificate.pair]).toEqual([[second], second]);
    stop();
    put(first);
    jest.advanceTimersByTime(50_000);
    expect(seen).toHaveLength(1);
  });

  test.each([
    [
      'absent',
      () => of({ cert: at.path('no.crt'), key: at.path('no.key') }),
      /^--tls-cert .*no\.crt: ENOENT/,
    ],
    [
      'garbage',
      () => of(put({ cert: 'garbage', key: 'garbage' })),
      /are no pair of certificate and key in PEM/,
    ],
    ['of two pairs', () => of(put({ cert: made(['a']).cert, key: made(['a']).key })), /are no pair/],
  ])('files that are %s are one clear line at the start', (_, options, words) => {
    expect(() => new ServerCertificate(options(), silent)).toThrow(words);
  });

  test('one of the two flags alone is refused', () => {
    expect(certificateFiles()).toBeUndefined();
    expect(certificateFiles('a', 'b')).toEqual({ cert: 'a', key: 'b' });
    for (const flags of [['a'], [undefined, 'b']]) {
      expect(() => certificateFiles(...flags)).toThrow('--tls-cert and --tls-key belong together');
    }
  });
});
