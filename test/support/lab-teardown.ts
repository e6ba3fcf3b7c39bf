import { labNamed } from '../../hack/testbed/lab.ts';
import { takeDown } from '../../hack/testbed/owner.ts';
import { labName } from './lab-setup.ts';

/** Jest's globalTeardown of the lab suite: takes the lab down. */
export default async (): Promise<void> => {
  await takeDown(labNamed(labName));
};
