import { createSocket } from 'node:dgram';
import { formatAddress, parseAddress } from '../../src/net/address.ts';

/**
 * A program for a network namespace: it sends datagrams to consecutive addresses. Arguments: the first address, their
 * number, and datagrams a second. It prints "ready", begins, and ends when all are sent.
 */
const [first = '', count = '0', rate = '10000'] = process.argv.slice(2);
const { family, value } = parseAddress(first);
const socket = createSocket(family === 4 ? 'udp4' : 'udp6');
// the addresses do not exist, and some of the kernel's errors about that arrive here
socket.on('error', () => undefined);
const payload = Buffer.from('scan');
const start = performance.now();
let sent = 0;

function send(): void {
  const due = Math.min(Number(count), Math.ceil(((performance.now() - start) / 1_000) * Number(rate)));
  for (; sent < due; sent++)
    socket.send(payload, 9, formatAddress({ family, value: value + BigInt(sent) }), () => undefined);
  if (sent < Number(count)) setTimeout(send, 5);
  else setTimeout(() => socket.close(), 200);
}

process.stdout.write('ready\n');
send();
