import { createSocket } from 'node:dgram';
import { once } from 'node:events';

/** A UDP port that nobody listens on at 127.0.0.1. */
export async function freeUDPPort(): Promise<number> {
  const socket = createSocket('udp4');
  socket.bind({ address: '127.0.0.1', port: 0 });
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  return port;
}
