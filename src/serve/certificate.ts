import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { createSecureContext } from 'node:tls';
import type { Log } from '../log.ts';
import { selfSigned, type KeyPair } from './x509.ts';
import { messageOf } from '../error.ts';

/** The PEM files of `--tls-cert` and `--tls-key`, mounted by the user. */
export interface CertificateFiles {
  cert: string;
  key: string;
}

/** Says where a server's certificate comes from. */
export interface CertificateOptions {
  /** When absent, the server makes a self-signed certificate. */
  files?: CertificateFiles;
  /** Common name of the self-signed certificate, at most 64 characters. */
  commonName: string;
  /**
   * Alternative names of the self-signed certificate: DNS names and addresses, besides those of this host and of
   * loopback.
   */
  names: readonly string[];
  /** Interval between checks of the certificate, in ms; 10,000 by default. */
  lookMs?: number;
}

/** The certificate or the key cannot be read, or they do not belong together. */
class CertificateError extends Error {
  override name = 'CertificateError';
}

/**
 * Combines the two flags: both are given, or neither.
 * @throws CertificateError
 */
export function certificateFiles(cert?: string, key?: string): CertificateFiles | undefined {
  if (cert !== undefined && key !== undefined) return { cert, key };
  if (cert === undefined && key === undefined) return undefined;
  throw new CertificateError('--tls-cert and --tls-key belong together: give both, or none');
}

const dayMs = 86_400_000;
/** SHA-256 of a certificate, in hexadecimal without colons; undefined without a certificate. @param pem as PEM */
export const fingerprint = (pem: string | undefined): string | undefined =>
  pem === undefined ? undefined : plainHex(new X509Certificate(pem).fingerprint256);

/** As Node writes fingerprints (`AB:CD`) → as we do (`abcd`). */
export const plainHex = (text: string): string => text.replaceAll(':', '').toLowerCase();

/** Files are polled because no event reliably tells that a mounted Secret was replaced. */
const defaultLookMs = 10_000;

/** The certificate of a TLS server, replaced while the server runs. */
export class ServerCertificate {
  #pair: KeyPair;
  /** When the self-signed certificate expires, in ms since 1970; Infinity for files. */
  #until = Infinity;
  /** Text of the files that were refused last, so that each refusal is logged once. */
  #refused = '';
  readonly #options: CertificateOptions;
  readonly #log: Log;

  /** @throws CertificateError which names the flag and the file */
  constructor(options: CertificateOptions, log: Log) {
    this.#options = options;
    this.#log = log;
    const { files } = options;
    this.#pair = files === undefined ? this.#sign() : usable(read(files), files);
  }

  get pair(): KeyPair {
    return this.#pair;
  }

  /** Calls `onChange` with each new pair. The function that it returns ends this. */
  follow(onChange: (pair: KeyPair) => void): () => void {
    const timer = setInterval(() => {
      const next = this.#next();
      if (next === undefined) return;
      this.#pair = next;
      onChange(next);
    }, this.#options.lookMs ?? defaultLookMs);
    timer.unref();
    return () => {
      clearInterval(timer);
    };
  }

  /** The pair to show from now on; undefined if the current pair is still right or its replacement is unusable. */
  #next(): KeyPair | undefined {
    const { files } = this.#options;
    if (files === undefined) return this.#until - Date.now() < 30 * dayMs ? this.#sign() : undefined;
    let seen = '';
    try {
      const pair = read(files);
      seen = pair.cert + pair.key;
      if (seen === this.#pair.cert + this.#pair.key) return undefined;
      usable(pair, files);
      this.#refused = '';
      this.#log.info('certificate read again', { file: files.cert });
      return pair;
    } catch (error) {
      const refused = seen || String(error);
      if (refused !== this.#refused) {
        this.#log.error('the new certificate is not usable; the one before stays', {
          object: files.cert,
          command: `read ${files.cert}, ${files.key}`,
          output: error,
        });
      }
      this.#refused = refused;
      return undefined;
    }
  }

  #sign(): KeyPair {
    const { commonName, names } = this.#options;
    // backdated, so that clients with a slow clock accept it
    const from = new Date(Date.now() - dayMs);
    this.#until = from.getTime() + 366 * dayMs;
    const all = new Set([...names, hostname(), 'localhost', '127.0.0.1', '::1']);
    return selfSigned({ commonName, names: [...all], from, until: new Date(this.#until) });
  }
}

const read = (files: CertificateFiles): KeyPair => ({
  cert: text('--tls-cert', files.cert),
  key: text('--tls-key', files.key),
});

function text(flag: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new CertificateError(`${flag} ${file}: ${messageOf(cause)}`, { cause });
  }
}

function usable(pair: KeyPair, files: CertificateFiles): KeyPair {
  try {
    createSecureContext(pair);
    return pair;
  } catch (cause) {
    throw new CertificateError(
      `--tls-cert ${files.cert} and --tls-key ${files.key} are no pair of certificate and key in PEM: ${messageOf(cause)}`,
      { cause },
    );
  }
}
