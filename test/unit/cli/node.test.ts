import pkg from '../../../package.json' with { type: 'json' };
import { tooOld } from '../../../src/cli/node.ts';

test.each(['v22.19.0', 'v22.20.1', 'v24.0.0', 'v100.1.0'])('%s is new enough', (version) => {
  expect(tooOld(version, pkg.engines.node)).toBeUndefined();
});

test.each(['v22.18.9', 'v20.20.2', 'v9.99.0'])(
  '%s is too old, and the message says what is needed',
  (version) => {
    expect(tooOld(version, '>=22.19')).toBe(
      `this command needs Node 22.19 or later; \`node\` here is ${version}`,
    );
  },
);
