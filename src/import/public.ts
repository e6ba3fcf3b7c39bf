import { contains, parseCidr, type Cidr } from '../net/cidr.ts';

/** RFC 1918, RFC 6598, RFC 2544 and the unique local addresses of RFC 4193. */
const notPublic = [
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  '198.18.0.0/15',
  'fc00::/7',
].map(parseCidr);

/** Whether a range has public addresses, which may belong to others on the Internet. */
export const isPublic = (cidr: Cidr): boolean => !notPublic.some((range) => contains(range, cidr));
