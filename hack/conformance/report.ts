/** The result of one spec. */
export interface Result {
  text: string;
  /** `skipped`: the spec skipped itself and says why. Specs that were not chosen are not among the results. */
  state: 'passed' | 'failed' | 'skipped';
  seconds: number;
  /** The message of a failed or skipped spec; else empty. */
  message: string;
}

/** The fields of ginkgo's JSON report that are read here. */
interface SpecReport {
  ContainerHierarchyTexts: string[] | null;
  LeafNodeType: string;
  LeafNodeText: string;
  State: string;
  RunTime: number;
  Failure?: { Message?: string; Location?: { FileName?: string; LineNumber?: number } };
}

const textOf = ({ ContainerHierarchyTexts, LeafNodeText, LeafNodeType }: SpecReport) =>
  LeafNodeType === 'It' ? [...(ContainerHierarchyTexts ?? []), LeafNodeText].join(' ') : `[${LeafNodeType}]`;

function specsOf(report: string): SpecReport[] {
  const suites = JSON.parse(report) as { SpecReports: SpecReport[] | null }[];
  return suites.flatMap(({ SpecReports }) => SpecReports ?? []);
}

/** The texts of the specs that a dry run found. */
export const listed = (report: string): string[] =>
  specsOf(report)
    .filter((spec) => spec.LeafNodeType === 'It' && spec.State === 'passed')
    .map(textOf)
    .sort();

function messageOf({ Failure }: SpecReport): string {
  const { Message = '', Location: { FileName = '', LineNumber = 0 } = {} } = Failure ?? {};
  const where = FileName === '' ? '' : `\n${FileName.replace(/^.*kubernetes@[^/]*\//, '')}:${LineNumber}`;
  return `${Message.trim()}${where}`;
}

/**
 * Reads the results from a ginkgo report (`--json-report`), in its order. Setup and teardown steps are results only if
 * they failed. Every state other than passed and skipped (panicked, timedout, interrupted, aborted) is a failure.
 */
export function resultsOf(report: string): Result[] {
  return specsOf(report).flatMap((spec) => {
    const of = (state: Result['state']): Result[] => {
      const message = state === 'passed' ? '' : messageOf(spec);
      return [{ text: textOf(spec), state, seconds: spec.RunTime / 1e9, message }];
    };
    const it = spec.LeafNodeType === 'It';
    if (spec.State === 'passed') return it ? of('passed') : [];
    if (spec.State === 'pending' || spec.State === 'skipped')
      return it && spec.Failure !== undefined ? of('skipped') : [];
    return of('failed').map((result) => ({ ...result, message: result.message || spec.State }));
  });
}

const indented = (text: string) => text.replaceAll(/^/gm, '    ');

/** Says how many specs of a group passed, and names those that failed or skipped themselves. */
export function summary(name: string, expected: number, results: Result[]): string {
  const of = (state: Result['state']) => results.filter((result) => result.state === state);
  const [passed, failed, skipped] = [of('passed'), of('failed'), of('skipped')];
  const missing = expected - results.length;
  const counts = [
    `${passed.length} of ${expected} passed`,
    ...(failed.length > 0 ? [`${failed.length} failed`] : []),
    ...(skipped.length > 0 ? [`${skipped.length} left themselves out`] : []),
    ...(missing > 0 ? [`${missing} did not run`] : []),
  ];
  return [
    `${name}: ${counts.join(', ')}`,
    ...skipped.map(({ text, message }) => `  left itself out: ${text}\n${indented(message)}`),
    ...failed.map(({ text, message }) => `  FAILED: ${text}\n${indented(message)}`),
  ].join('\n');
}
