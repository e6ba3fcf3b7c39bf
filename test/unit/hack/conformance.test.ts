import { namesOf } from '../../../hack/conformance/names.ts';
import { listed, resultsOf, summary } from '../../../hack/conformance/report.ts';
import { choose, exactly, table } from '../../../hack/conformance/specs.ts';

const services = '[sig-network] Services should';
const required = `${services} serve a basic endpoint from pods [Conformance]`;
const dual = '[sig-network] [Feature:IPv6DualStack] should create service with ipv6 cluster ip';
const other = `${services} prevent NodePort collisions`;
const policy = '[sig-network] Netpol should support allow-all policy [Feature:NetworkPolicy]';
const cloud = '[sig-network] LoadBalancers [Feature:LoadBalancer] should work';

describe('the choice of specs', () => {
  const named = (texts: string[], words?: string[]) =>
    Object.fromEntries(choose(texts, words).groups.map(({ name, specs }) => [name, specs]));

  test('conformance specs come first, then those of the two families, then the others', () => {
    expect(choose([other, dual, policy, required]).groups).toEqual([
      { name: '[Conformance]', specs: [required] },
      { name: '[Feature:IPv6DualStack]', specs: [dual] },
      { name: 'the other specs', specs: [other] },
    ]);
  });

  test('what cannot run here is left out, each with its reason', () => {
    const { groups, leftOut } = choose([policy, cloud, cloud.replace('work', 'last')]);
    expect(groups).toEqual([]);
    expect([...leftOut].map(([why, specs]) => [why, specs.length])).toEqual([
      ['NetworkPolicy, which overlaynet does not enforce', 1],
      ["a cloud's load balancer", 2],
    ]);
    expect(table(leftOut)).toBe(
      "   1  NetworkPolicy, which overlaynet does not enforce\n   2  a cloud's load balancer",
    );
  });

  test.each([
    ['[sig-network] Networking should provide Internet connection for containers [Feature:Networking-IPv4]'],
    ['[sig-network] Services should work after restarting kube-proxy [Disruptive]'],
    ['[sig-network] DNS should provide DNS for the cluster [Provider:GCE]'],
    ['[sig-network] DNS configMap nameserver Forward PTR lookup should forward PTR records [Slow] [Serial]'],
    ['[sig-network] Networking IPerf2 [Feature:Networking-Performance] should run iperf2'],
    [`${dual} sctp [Feature:SCTPConnectivity]`],
    ['[sig-network] DNS x [FeatureGate:RelaxedServiceNameValidation] [Alpha] [Feature:OffByDefault]'],
  ])('%s is left out', (text) => {
    expect(choose([text]).groups).toEqual([]);
    expect([...choose([text]).leftOut.values()]).toEqual([[text]]);
  });

  test('a conformance spec always runs', () => {
    const text = `${policy} [Disruptive] [Conformance]`;
    expect(named([text])).toEqual({ '[Conformance]': [text] });
    expect(choose([text]).leftOut.size).toBe(0);
  });

  test('words restrict the specs, including the left-out ones', () => {
    expect(named([required, dual, other], ['collisions', 'ipv6'])).toEqual({
      '[Feature:IPv6DualStack]': [dual],
      'the other specs': [other],
    });
    expect(choose([policy, cloud], ['LoadBalancers']).leftOut.size).toBe(1);
  });

  test('ginkgo is given an expression that fits the chosen texts and no longer ones', () => {
    const text = `${services} function: udp (1+1) $x?`;
    const expression = new RegExp(exactly([text, other]));
    expect(expression.test(`Kubernetes e2e suite ${text}`)).toBe(true);
    expect(expression.test(other)).toBe(true);
    expect(expression.test(`${other} [Slow]`)).toBe(false);
    expect(expression.test(required)).toBe(false);
  });
});

/** A spec of ginkgo's JSON report. */
const spec = (text: string, State: string, more: object = {}) => ({
  ContainerHierarchyTexts: ['[sig-network] Services'],
  LeafNodeType: 'It',
  LeafNodeText: text,
  State,
  RunTime: 1_500_000_000,
  ...more,
});
const report = (...SpecReports: object[]) => JSON.stringify([{ SuitePath: '/tmp', SpecReports }]);
const failure = (Message: string) => ({
  Failure: {
    Message,
    Location: { FileName: 'k8s.io/kubernetes@v1.34.4/test/e2e/network/service.go', LineNumber: 42 },
  },
});

describe("ginkgo's report", () => {
  test('of a dry run the specs that would run are listed', () => {
    const text = report(spec('b', 'passed'), spec('a', 'passed'), spec('filtered', 'skipped'), {
      ...spec('', 'passed'),
      LeafNodeType: 'SynchronizedBeforeSuite',
    });
    expect(listed(text)).toEqual(['[sig-network] Services a', '[sig-network] Services b']);
  });

  test('a spec that skipped itself says why; a spec that was not chosen is no result', () => {
    const results = resultsOf(report(spec('a', 'skipped', failure('needs 3 zones')), spec('b', 'skipped')));
    expect(results).toEqual([
      {
        text: '[sig-network] Services a',
        state: 'skipped',
        seconds: 1.5,
        message: 'needs 3 zones\ntest/e2e/network/service.go:42',
      },
    ]);
  });

  test.each(['failed', 'panicked', 'timedout', 'interrupted', 'aborted', 'of a later ginkgo'])(
    'what is %s counts as failed',
    (state) => {
      expect(resultsOf(report(spec('a', state)))).toMatchObject([{ state: 'failed', message: state }]);
    },
  );

  test('a failure before the first spec counts as one', () => {
    const before = { ...spec('', 'failed', failure('no nodes')), LeafNodeType: 'SynchronizedBeforeSuite' };
    expect(resultsOf(report({ ...before, ContainerHierarchyTexts: null }))).toMatchObject([
      { text: '[SynchronizedBeforeSuite]', state: 'failed' },
    ]);
  });

  test('a report without specs has no results', () => {
    expect(resultsOf('[]')).toEqual([]);
    expect(resultsOf('[{"SpecReports":null}]')).toEqual([]);
  });
});

describe('the summary', () => {
  test('one line where all passed', () => {
    expect(summary('[Conformance]', 1, resultsOf(report(spec('a', 'passed'))))).toBe(
      '[Conformance]: 1 of 1 passed',
    );
  });

  test('failures and specs that left themselves out come with their text, missing ones are counted', () => {
    const results = resultsOf(
      report(
        spec('a', 'passed'),
        spec('b', 'failed', failure('no\nanswer')),
        spec('c', 'skipped', failure('x')),
      ),
    );
    expect(summary('others', 5, results))
      .toBe(`others: 1 of 5 passed, 1 failed, 1 left themselves out, 2 did not run
  left itself out: [sig-network] Services c
    x
    test/e2e/network/service.go:42
  FAILED: [sig-network] Services b
    no
    answer
    test/e2e/network/service.go:42`);
  });
});

describe("the suite's images", () => {
  const images = `registry.k8s.io/e2e-test-images/agnhost:2.56
gcr.io/k8s-authenticated-test/agnhost:2.6
registry.k8s.io/e2e-test-images/busybox:1.36.1-1
registry.k8s.io/e2e-test-images/busybox:1.37.0-1
registry.k8s.io/build-image/distroless-iptables:v0.7.14
registry.k8s.io/e2e-test-images/jessie-dnsutils:1.7
registry.k8s.io/e2e-test-images/nginx:1.14-4
registry.k8s.io/e2e-test-images/perl:5.26
registry.k8s.io/e2e-test-images/regression-issue-74839:1.2
`;

  test('are named as it lists them, in each of their versions', () => {
    const { shells, servers } = namesOf(images);
    expect(servers).toEqual(['registry.k8s.io/e2e-test-images/regression-issue-74839:1.2']);
    expect(shells).toHaveLength(6);
    expect(shells).toContain('registry.k8s.io/e2e-test-images/busybox:1.36.1-1');
    expect(shells).not.toContain('gcr.io/k8s-authenticated-test/agnhost:2.6');
  });

  test('one that a later suite no longer lists is named', () => {
    expect(() => namesOf(images.replace(/.*nginx.*\n/, ''))).toThrow('e2e.test lists no image nginx');
  });
});
