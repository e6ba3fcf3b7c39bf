/** Networks that do not overlap, so that all may exist at once. Each has one of its variants at a time. */
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
/** Maximum number of nodes at once. */
export const most = 6;

/** Relative frequency of each event. */
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
/** Manual changes of the operator's objects. */
export const byHand = {
  deleteAllocation: 1,
  deletePage: 2,
  deleteAgent: 0.7,
  deleteSpaces: 0.3,
  emptyAllocation: 0.5,
};
/** What an import does, and those who correct it. */
export const importing = { reserve: 5, unreserve: 1, joinReserved: 2 };
/** Actions of other controllers. */
export const foreign = { addFinalizer: 1.5, dropFinalizers: 0.7 };

export type Happening =
  keyof typeof usual | keyof typeof byHand | keyof typeof importing | keyof typeof foreign;
