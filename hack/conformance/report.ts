/** A spec as it went. */
export interface Result {
  text: string;
  /** `skipped` by the spec itself, which says why; what was not chosen is not among the results. */
  state: 'passed' | 'failed' | 'skipped';
  seconds: number;
  /** What a failed or skipped one says. Empty otherwise. */
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
 * The results in a report of ginkgo's (`--json-report`), in its order. Of what goes before and after the specs only what failed is a
 * result. Whatever state ginkgo gives that is neither passed nor skipped (panicked, timedout, interrupted, aborted) is a failure.
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

/** How many of a group passed, and the text of each that failed or left itself out. */
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
