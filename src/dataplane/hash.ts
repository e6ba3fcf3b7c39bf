/** FNV-1a: distinguishes texts, and is no protection against forged ones. */
const fnv1a = (text: string, bits: 32 | 64, offset: bigint, prime: bigint): bigint =>
  new TextEncoder()
    .encode(text)
    .reduce((value, byte) => BigInt.asUintN(bits, (value ^ BigInt(byte)) * prime), offset);

export const hash = (text: string): bigint => fnv1a(text, 64, 0xcbf29ce484222325n, 0x100000001b3n);

/** Of 32 bits. */
export const hash32 = (text: string): number => Number(fnv1a(text, 32, 0x811c9dc5n, 0x01000193n));
