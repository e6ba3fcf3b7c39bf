import { CommandLine } from '../../support/commandline.ts';

/** What users should wait for at most, and what a busy machine is given, in ms. */
const wantedMs = 150;
const allowedMs = 10 * wantedMs;

test('the bundled command starts quickly, and prints its help without a server', async () => {
  const command = await CommandLine.build();
  try {
    const times: number[] = [];
    for (let at = 0; at < 10; at++) {
      const startedAt = performance.now();
      const { code, stdout } = await command.run(['--help'], { KUBECONFIG: '/nonexistent' });
      times.push(performance.now() - startedAt);
      expect([code, stdout]).toEqual([0, expect.stringContaining('Usage: kubectl-overlay')]);
    }
    const [fastest = Infinity] = times.sort((a, b) => a - b);
    const median = times[5] ?? Infinity;
    console.log(
      `start-up: fastest ${Math.round(fastest)} ms, median ${Math.round(median)} ms, wanted ${wantedMs} ms`,
    );
    expect(fastest).toBeLessThan(allowedMs);
  } finally {
    await command.remove();
  }
});
