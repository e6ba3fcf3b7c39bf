import { createSocket } from 'node:dgram';
import { formatAddress, parseAddress } from '../../src/net/address.ts';

/**
 * A program for a network namespace: sends datagrams to as many addresses, from the one of its first argument on; its second says how many,
 * and its third how many a second. It says "ready", begins, and ends when all are sent.
 */
const [first = '', count = '0', rate = '10000'] = process.argv.slice(2);
const { family, value } = parseAddress(first);
const socket = createSocket(family === 4 ? 'udp4' : 'udp6');
// nobody is there to answer, and some of what the kernel says of that comes back here
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
