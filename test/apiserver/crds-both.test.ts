import { controlPlane, type ControlPlane } from '../support/controlplane.ts';
import { refusal } from '../support/dryrun.ts';
import { install, refuses, type Case } from '../support/refuses.ts';
import { refusedByBoth, takenByBoth } from '../support/validation.ts';

let plane: ControlPlane;

beforeAll(async () => {
  plane = await controlPlane();
  await install(plane, 'crds');
}, 90_000);

afterAll(() => plane.stop());

// test/unit/api/validate.test.ts has the same cases for the operator
describe('the API server refuses', () => {
  refuses(
    () => plane,
    refusedByBoth.map(({ what, object, crd }): Case => [what, object, crd]),
  );
});

describe('the API server takes', () => {
  test.each(takenByBoth)('$what', async ({ object }) => {
    expect(await refusal(plane.client, object)).toBeUndefined();
  });
});
