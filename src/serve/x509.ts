import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import { bits, parseAddress } from '../net/address.ts';

/**
 * One certificate of one form, in the encoding of RFC 5280 and X.690. A library for it (`@peculiar/x509`, with its 25
 * packages) was measured: 13 MB of the agent's memory and 550 KB of its bundle.
 */

/** PEM. */
export interface KeyPair {
  cert: string;
  key: string;
}

/** A value with its tag and length. */
function der(tag: number, ...parts: Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  if (body.length < 0x80) return Buffer.concat([Buffer.of(tag, body.length), body]);
  const hex = body.length.toString(16);
  const length = Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
  return Buffer.concat([Buffer.of(tag, 0x80 | length.length), length, body]);
}

const sequence = (...parts: Uint8Array[]) => der(0x30, ...parts);
const octets = (...parts: Uint8Array[]) => der(0x04, ...parts);
/** In whole bytes; `unused` bits at the end are none of it. */
const bitString = (body: Uint8Array, unused = 0) => der(0x03, Buffer.of(unused), body);
const yes = der(0x01, Buffer.of(0xff));

/** `2.5.29.17` */
function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const groups = [arc & 0x7f];
    for (let left = arc >> 7; left > 0; left >>= 7) groups.unshift((left & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return der(0x06, Buffer.from(bytes));
}

/** Years from 2050 on have four digits. */
function time(at: Date): Buffer {
  const digits = `${at
    .toISOString()
    .replace(/[^0-9]/g, '')
    .slice(0, 14)}Z`;
  return at.getUTCFullYear() < 2050
    ? der(0x17, Buffer.from(digits.slice(2)))
    : der(0x18, Buffer.from(digits));
}

/** A DNS name or an address, as the subject alternative name has it. */
function alternative(name: string): Buffer {
  if (isIP(name) === 0) return der(0x82, Buffer.from(name, 'ascii'));
  const { family, value } = parseAddress(name);
  return der(0x87, Buffer.from(value.toString(16).padStart(bits(family) / 4, '0'), 'hex'));
}

const ecdsaWithSHA256 = sequence(oid('1.2.840.10045.4.3.2'));

/** Not an authority, to sign handshakes, as a server, under these names. */
const extensions = (names: string[]): Buffer =>
  sequence(
    sequence(oid('2.5.29.19'), yes, octets(sequence())),
    sequence(oid('2.5.29.15'), yes, octets(bitString(Buffer.of(0x80), 7))),
    sequence(oid('2.5.29.37'), octets(sequence(oid('1.3.6.1.5.5.7.3.1')))),
    sequence(oid('2.5.29.17'), octets(sequence(...names.map(alternative)))),
  );

function certificate(
  publicKey: KeyObject,
  privateKey: KeyObject,
  of: { commonName: string; names: string[]; from: Date; until: Date },
): Buffer {
  const serial = randomBytes(16);
  // positive, and no leading zeros
  serial[0] = 0x40 | (serial.readUInt8(0) & 0x3f);
  const commonName = sequence(oid('2.5.4.3'), der(0x0c, Buffer.from(of.commonName)));
  const name = sequence(der(0x31, commonName));
  const body = sequence(
    der(0xa0, der(0x02, Buffer.of(2))),
    der(0x02, serial),
    ecdsaWithSHA256,
    name,
    sequence(time(of.from), time(of.until)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, extensions(of.names)),
  );
  return sequence(body, ecdsaWithSHA256, bitString(sign('sha256', body, privateKey)));
}

/**
 * A server's certificate that vouches for itself, and its new key (P-256).
 * @param of.names DNS names and addresses, its subject alternative names
 */
export function selfSigned(of: { commonName: string; names: string[]; from: Date; until: Date }): KeyPair {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const lines = certificate(publicKey, privateKey, of)
    .toString('base64')
    .replace(/.{1,64}/g, '$&\n');
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines}-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}
