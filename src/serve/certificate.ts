import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { createSecureContext } from 'node:tls';
import type { Log } from '../log.ts';
import { selfSigned, type KeyPair } from './x509.ts';

/** `--tls-cert` and `--tls-key`: files in PEM, mounted by the user. */
export interface CertificateFiles {
  cert: string;
  key: string;
}

/** Where a server's certificate comes from. */
export interface CertificateOptions {
  /** Absent: one that is signed by itself. */
  files?: CertificateFiles;
  /** Of a self-signed one: who this is, at most 64 characters. */
  commonName: string;
  /** The same: names and addresses by which he is called, beside this host's own and the loopback's. */
  names: readonly string[];
  /** How often is looked whether it is still right, in ms; 10,000 unless told. */
  lookMs?: number;
}

/** Certificate and key that cannot be read, or are no pair. */
class CertificateError extends Error {
  override name = 'CertificateError';
}

/** From the two flags, both or none. @throws CertificateError */
export function certificateFiles(cert?: string, key?: string): CertificateFiles | undefined {
  if (cert !== undefined && key !== undefined) return { cert, key };
  if (cert === undefined && key === undefined) return undefined;
  throw new CertificateError('--tls-cert and --tls-key belong together: give both, or none');
}

const dayMs = 86_400_000;
/** A mounted Secret is replaced without an event that could be relied on. */
const defaultLookMs = 10_000;

/** What a TLS server shows of itself, replaced while it runs. */
export class ServerCertificate {
  #pair: KeyPair;
  /** Of a self-signed one, in ms. */
  #until = Infinity;
  /** Text of the files that were refused last, so that it is told once. */
  #refused = '';
  readonly #options: CertificateOptions;
  readonly #log: Log;

  /** @throws CertificateError naming the flag and the file */
  constructor(options: CertificateOptions, log: Log) {
    this.#options = options;
    this.#log = log;
    const { files } = options;
    this.#pair = files === undefined ? this.#sign() : usable(read(files), files);
  }

  get pair(): KeyPair {
    return this.#pair;
  }

  /** Calls back with each new pair until the function that it returns is called. */
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

  /** undefined where what is shown is still right, or what replaces it is not usable. */
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
        this.#log.error('the new certificate is not usable; the one before stays', { error });
      }
      this.#refused = refused;
      return undefined;
    }
  }

  #sign(): KeyPair {
    const { commonName, names } = this.#options;
    // a clock that is behind ours shall not refuse it
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
    throw new CertificateError(`${flag} ${file}: ${(cause as Error).message}`, { cause });
  }
}

function usable(pair: KeyPair, files: CertificateFiles): KeyPair {
  try {
    createSecureContext(pair);
    return pair;
  } catch (cause) {
    throw new CertificateError(
      `--tls-cert ${files.cert} and --tls-key ${files.key} are no pair of certificate and key in PEM: ${(cause as Error).message}`,
      { cause },
    );
  }
}
