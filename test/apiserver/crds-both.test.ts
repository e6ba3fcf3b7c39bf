import { refusal } from '../support/dryrun.ts';
import { apiServerWithCRDs, refuses, type Case } from '../support/refuses.ts';
import { refusedByBoth, takenByBoth } from '../support/validation.ts';

const plane = apiServerWithCRDs();

// test/unit/api/validate.test.ts has the same cases for the operator
describe('the API server refuses', () => {
  refuses(
    plane,
    refusedByBoth.map(({ what, object, crd }): Case => [what, object, crd]),
  );
});

describe('the API server takes', () => {
  test.each(takenByBoth)('$what', async ({ object }) => {
    expect(await refusal(plane().client, object)).toBeUndefined();
  });
});
