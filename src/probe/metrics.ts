import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { verdicts, type Verdict } from '../rows/probe.ts';
import type { ProbeMetrics } from './prober.ts';

/** Registers the metrics of probes, and returns the functions that feed them. No label names a peer: there may be thousands. */
export function probeMetrics(
  registry: Registry,
  prefix: string,
): ProbeMetrics & { setVerdicts: (found: readonly Verdict[]) => void } {
  const registers = [registry];
  const results = new Counter({
    name: `${prefix}probes_total`,
    help: 'Paths to peers that were probed, by layer (underlay, overlay) and result (answered, refused, lost).',
    labelNames: ['layer', 'result'],
    registers,
  });
  const times = new Histogram({
    name: `${prefix}probe_rtt_seconds`,
    help: 'Time from a probe to its answer, by layer (underlay, overlay).',
    labelNames: ['layer'],
    buckets: [0.0005, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1],
    registers,
  });
  // a series exists with 0 from the start, so that rates see its first increase
  for (const layer of ['underlay', 'overlay']) {
    times.zero({ layer });
    for (const result of ['answered', 'refused', 'lost']) results.inc({ layer, result }, 0);
  }
  const judgements = new Gauge({
    name: `${prefix}probe_verdicts`,
    help: 'Peers whose last probe gave a verdict, by verdict.',
    labelNames: ['verdict'],
    registers,
  });
  const setVerdicts = (found: readonly Verdict[]) => {
    for (const verdict of verdicts)
      judgements.set({ verdict }, found.filter((one) => one === verdict).length);
  };
  setVerdicts([]);
  return {
    probed: (layer, result, seconds) => {
      results.inc({ layer, result });
      for (const one of seconds) times.observe({ layer }, one);
    },
    setVerdicts,
  };
}
