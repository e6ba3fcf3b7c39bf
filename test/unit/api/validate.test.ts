import type { OverlayConfigSpec, OverlayNetwork } from '../../../src/api/types.ts';
import { validateConfig, validateNetwork, validateReservation } from '../../../src/api/validate.ts';
import type { Manifest } from '../../support/dryrun.ts';
import { refusedByBoth, takenByBoth } from '../../support/validation.ts';

/** What the API server fills in. */
const defaults: Record<string, object> = {
  OverlayNetwork: { enabled: true, containerizers: ['CNI', 'Docker'] },
  OverlayConfig: {
    vtepSubnets: ['44.128.0.0/20', 'fd01:a::/64'],
    vtepMACOUI: '70:B3:D5:00:00:00',
    defaultNetwork: 'dcos',
  },
};

const validate = ({ kind, metadata, spec }: Manifest) => {
  const whole = { ...defaults[kind], ...(spec as object) };
  if (kind === 'OverlayReservation') return validateReservation({ spec: whole });
  return kind === 'OverlayConfig'
    ? validateConfig(whole as OverlayConfigSpec)
    : validateNetwork({ metadata, spec: whole } as OverlayNetwork);
};

// test/apiserver/crds-both.test.ts has the same cases for the API server
test.each(refusedByBoth)('$what is refused', ({ object, operator }) => {
  expect(validate(object)).toEqual({ reason: 'Invalid', message: operator });
});

test.each(takenByBoth)('$what: taken', ({ object }) => {
  expect(validate(object)).toBeUndefined();
});
