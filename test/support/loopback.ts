import { createSocket } from 'node:dgram';
import { once } from 'node:events';

/** How many addresses one process has. */
const each = 8;

/**
 * An address of 127.0.0.0/8 that only this process uses: other runs of the same test listen on the same ports.
 * @param index from 0 to 6
 */
export function ownLoopback(index: number): string {
  const below = 0x80_00_00 + (process.pid % 2 ** 20) * each + index;
  return [127, below >> 16, (below >> 8) & 255, below & 255].join('.');
}

/** A UDP port of that address without a listener. */
export async function freeUDPPort(address: string): Promise<number> {
  const socket = createSocket('udp4');
  socket.bind({ address, port: 0 });
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  return port;
}
