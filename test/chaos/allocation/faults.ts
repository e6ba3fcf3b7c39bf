import type { Dice } from './dice.ts';
import type { Operator, Operators, Strike } from './operators.ts';
import { calm, type Ambush, type Weather } from './proxy.ts';

/** Every kind of write that an operator makes. */
const writes = [
  'create agentallocations',
  'update agentallocations',
  'update agentallocations',
  'update agentallocations',
  'delete agentallocations',
  'update agentallocations/status',
  'create ledger page',
  'update ledger page',
  'update ledger page',
  'delete ledger page',
  'create spaces',
  'update spaces',
  'delete overlayagents',
  'update overlaynetworks/status',
  'update overlayconfigs/status',
  'update leases',
];

const moments: Ambush['moment'][] = ['held', 'sent', 'answered'];

const watched = [
  'nodes',
  'overlaynetworks',
  'overlayagents',
  'agentallocations',
  'allocationledgers',
  'overlayconfigs',
];

const weathers: Weather[] = [
  calm,
  { refused: 0.01, delayed: 0.05, cut: 0.01 },
  { refused: 0.04, delayed: 0.2, cut: 0.04 },
  { refused: 0, delayed: 0, cut: 0.15 },
  { refused: 0.1, delayed: 0, cut: 0 },
];

const strike = (dice: Dice, longest: number): Strike => ({
  write: dice.pick(writes) ?? '',
  moment: dice.pick(moments) ?? 'sent',
  skip: dice.chance(0.5) ? 0 : dice.whole(1, 40),
  ms: dice.whole(50, longest),
});

/** May inject a fault into the operators in this round. */
export function befall(operators: Operators, dice: Dice): void {
  const target = choose(operators, dice);
  const [fault, weather] = [dice.real(), dice.real()];
  const plan = strike(dice, 1_500);
  const resources = dice.chance(0.5) ? watched : dice.some(watched, dice.whole(1, 3));
  const end = dice.pick(['cut', 'resume'] as const) ?? 'cut';
  const ms = dice.whole(300, 3_000);
  if (weather < 0.2 && target !== undefined) operators.weather(target, dice.pick(weathers) ?? calm);
  if (target === undefined || target.busy !== undefined) return;
  if (fault < 0.22) operators.pause(target, plan);
  else if (fault < 0.3) operators.kill(target, plan);
  else if (fault < 0.4) operators.halfOpen(target, { resources, ms, end });
}

/** Chooses an operator, mostly the leader. */
function choose(operators: Operators, dice: Dice): Operator | undefined {
  const any = dice.pick(operators.all);
  return dice.chance(0.7) ? operators.leader : any;
}
