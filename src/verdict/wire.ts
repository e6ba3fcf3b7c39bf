import type { Family } from '../net/address.ts';
import { headerBytes, isCode, type Code, type Path } from './paths.ts';

/**
 * A request. A probe is one UDP datagram: JSON, then zeros up to its size. The answer has exactly the size of the request,
 * so that a forged sender address cannot be used for amplification.
 */
export interface Request {
  /** 16 random hexadecimal digits for each check of a peer: only a receiver of the request can answer it. */
  check: string;
  path: Code;
  /** Number of the packet within the check, from 0. */
  attempt: number;
  /** Asks for the answer through the tunnel, to this port of the sender's VTEP: a test of that direction alone. */
  cross?: { family: Family; port: number };
}

/** Faults that a node finds in its own kernel, on the way to the sender. */
export const faultKinds = ['RouteMissing', 'MACMismatch', 'NotAMember', 'TunnelDown'] as const;
export type FaultKind = (typeof faultKinds)[number];

/** The peer's report in an answer: how the peer sees the sender. */
export interface View {
  /** Paths on which requests of this check have arrived at the peer. */
  arrived: Code[];
  /** The peer's count of UDP datagrams with a wrong checksum, since its kernel started. */
  checksums: number;
  /** Faults in the peer's kernel; undefined if not read yet. */
  faults?: FaultKind[];
  /** Whether the peer's kernel has no IPv6. */
  without6: boolean;
}

export interface Answer extends Request {
  view: View;
}

/** Bytes of a datagram that are read at most. */
export const mostText = 400;

const textOf = (data: Uint8Array): string => {
  const end = data.subarray(0, mostText).indexOf(0);
  return new TextDecoder().decode(data.subarray(0, end < 0 ? mostText : end));
};

const datagram = (text: string, bytes: number): Uint8Array => {
  const data = new Uint8Array(bytes);
  new TextEncoder().encodeInto(text, data);
  return data;
};

const requestText = ({ path, attempt, cross }: Request) => ({
  v: 1,
  p: path,
  n: attempt,
  ...(cross === undefined ? {} : { x: [cross.family, cross.port] }),
});

/** Renders a request that fills the path's packet after its headers. */
export const renderRequest = (
  request: Request,
  { family, bytes }: Pick<Path, 'family' | 'bytes'>,
): Uint8Array =>
  datagram(JSON.stringify({ ...requestText(request), q: request.check }), bytes - headerBytes(family));

/** Renders an answer of the request's size. */
export function renderAnswer(request: Request, view: View, bytes: number): Uint8Array {
  const { arrived, checksums, faults, without6 } = view;
  const fields = {
    s: arrived,
    c: checksums,
    ...(faults === undefined ? {} : { f: faults }),
    ...(without6 ? { no6: 1 } : {}),
  };
  return datagram(JSON.stringify({ ...requestText(request), a: request.check, ...fields }), bytes);
}

type Raw = Record<string, unknown>;

function parse(data: Uint8Array): Raw | undefined {
  try {
    const value = JSON.parse(textOf(data)) as unknown;
    return typeof value === 'object' && value !== null && (value as Raw).v === 1 ? (value as Raw) : undefined;
  } catch {
    return undefined;
  }
}

function common(raw: Raw, check: unknown): Request | undefined {
  const { p: path, n: attempt, x } = raw;
  if (typeof check !== 'string' || !/^[0-9a-f]{16}$/.test(check) || !isCode(path)) return undefined;
  if (typeof attempt !== 'number' || !Number.isSafeInteger(attempt) || attempt < 0) return undefined;
  if (x === undefined) return { check, path, attempt };
  const [family, port] = Array.isArray(x) ? (x as unknown[]) : [];
  if (family !== 4 && family !== 6) return undefined;
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 1_024 || port > 65_535) return undefined;
  return { check, path, attempt, cross: { family, port } };
}

/** Reads a request; undefined if the datagram is not one. */
export function readRequest(data: Uint8Array): Request | undefined {
  const raw = parse(data);
  return raw && common(raw, raw.q);
}

/** Reads an answer; undefined if the datagram is not one. */
export function readAnswer(data: Uint8Array): Answer | undefined {
  const raw = parse(data);
  if (raw === undefined) return undefined;
  const request = common(raw, raw.a);
  if (request === undefined) return undefined;
  const { s: arrived, c: checksums, f: faults, no6 } = raw;
  if (!Array.isArray(arrived) || typeof checksums !== 'number' || !Number.isFinite(checksums))
    return undefined;
  const known = Array.isArray(faults) ? faultKinds.filter((kind) => faults.includes(kind)) : undefined;
  return {
    ...request,
    view: {
      arrived: (arrived as unknown[]).filter(isCode),
      checksums,
      ...(known === undefined ? {} : { faults: known }),
      without6: no6 === 1,
    },
  };
}
