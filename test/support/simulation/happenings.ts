/** Networks that may be there at once: they do not overlap. Each is one of its variants at a time. */
export const variants: Record<string, { cidr: string; prefix: number }[][]> = {
  a: [
    [{ cidr: '9.0.0.0/24', prefix: 28 }],
    [{ cidr: '9.0.0.0/24', prefix: 27 }],
    [{ cidr: '9.0.0.0/25', prefix: 28 }],
  ],
  b: [
    [{ cidr: '9.1.0.0/24', prefix: 28 }],
    [
      { cidr: '9.1.0.0/24', prefix: 28 },
      { cidr: '9.2.0.0/24', prefix: 27 },
    ],
  ],
  c: [[{ cidr: '9.3.0.0/25', prefix: 28 }]],
};
/** How many nodes there may be at once. */
export const most = 6;

/** How often each thing happens. */
export const usual = {
  join: 4,
  leave: 3,
  flap: 1,
  label: 2,
  addNetwork: 1.5,
  deleteNetwork: 1,
  replaceNetwork: 1,
  editSelector: 1,
  toggleNetwork: 1,
  drain: 0.3,
  editCooldown: 0.2,
  containersExit: 1,
  touchStatus: 0.7,
};
/** What people do to the objects of the operator. */
export const byHand = {
  deleteAllocation: 1,
  deletePage: 2,
  deleteAgent: 0.7,
  deleteSpaces: 0.3,
  emptyAllocation: 0.5,
};
/** What other controllers do. */
export const foreign = { addFinalizer: 1.5, dropFinalizers: 0.7 };

export type Happening = keyof typeof usual | keyof typeof byHand | keyof typeof foreign;
