import { describe, expect, test } from '@jest/globals';
import type { KubeObject } from '../../../src/api/types.ts';
import { Store } from '../../../src/kube/store.ts';

const object = (name: string, version: number, uid = `uid-${name}`): KubeObject => ({
  metadata: { name, uid, resourceVersion: String(version) },
});
const list = (version: number, ...items: KubeObject[]) => ({ items, resourceVersion: String(version) });

/** A store that was listed, with what it told since: `+name@version`, `~…`, `-name`. */
const storeOf = (version: number, ...items: KubeObject[]) => {
  const told: string[] = [];
  const store = new Store((name, now, old) => {
    const sign = now === undefined ? '-' : old === undefined ? '+' : '~';
    told.push(`${sign}${name}${now === undefined ? '' : `@${now.metadata.resourceVersion}`}`);
  });
  store.replace(list(version, ...items), store.mark());
  told.length = 0;
  /** What refresh() does, when nothing happens between question and answer. */
  const confirm = (name: string, found: KubeObject | undefined) =>
    store.confirm(name, found, { object: store.get(name), seen: store.resourceVersion });
  return { store, told, confirm };
};

describe('Store', () => {
  test('a list wins over what was known when it began', () => {
    const { store, told } = storeOf(10, object('a', 5), object('b', 6));
    const mark = store.mark();
    const answer = list(20, object('a', 15), object('c', 16));
    expect(store.contradicts(answer, mark)).toBe(false);
    store.replace(answer, mark);
    expect([told, store.resourceVersion]).toEqual([['~a@15', '+c@16', '-b'], '20']);
  });

  test('an event during the list stays if it is newer', () => {
    const { store, told, confirm } = storeOf(10, object('a', 5), object('b', 6));
    const mark = store.mark();
    store.learn(object('a', 21));
    store.learn(object('c', 22));
    confirm('b', undefined);
    store.replace(list(20, object('a', 15), object('b', 6)), mark);
    expect(told).toEqual(['~a@21', '+c@22', '-b']);
  });

  test('a list of a version that had been passed comes from data that went back, and wins whole', () => {
    const { store, told } = storeOf(100, object('a', 90), object('b', 40), object('c', 95));
    const answer = list(60, object('a', 50), object('b', 40));
    expect(store.contradicts(answer, store.mark())).toBe(true);
    store.distrusted = true;
    store.replace(answer, store.mark());
    expect([told, store.resourceVersion, store.distrusted]).toEqual([['~a@50', '-c'], '60', false]);
    store.learn(object('c', 61));
    expect(told.at(-1)).toBe('+c@61');
  });

  test('so does a list that shows an object older than it was, however high its own version is by now', () => {
    const { store, told } = storeOf(100, object('a', 90));
    const answer = list(130, object('a', 50));
    expect(store.contradicts(answer, store.mark())).toBe(true);
    store.distrusted = true;
    store.replace(answer, store.mark());
    expect(told).toEqual(['~a@50']);
    // or one that was seen to be deleted
    expect(store.contradicts(list(140, object('a', 50), object('b', 60)), store.mark())).toBe(true);
    expect(store.contradicts(list(140, object('a', 50), object('b', 131)), store.mark())).toBe(false);
  });

  test('data that went back may have another object under the same version', () => {
    const { store, told } = storeOf(100, object('a', 90, 'one'), object('b', 91));
    store.distrusted = true;
    store.replace(list(95, object('a', 90, 'other'), object('b', 91)), store.mark());
    expect(told).toEqual(['~a@90']);
  });

  test('an answer wins over a watch that showed the same version without fields that its CRD did not have', () => {
    const { store, told } = storeOf(10, object('a', 5));
    const whole = { ...object('a', 12), spec: { since: '1.2' } };
    store.take({ type: 'MODIFIED', object: { ...object('a', 12), spec: {} } as KubeObject });
    store.learn(whole);
    expect([told, store.get('a')]).toEqual([['~a@12', '~a@12'], whole]);
    store.learn({ ...whole, metadata: { ...whole.metadata, generation: undefined } } as object as KubeObject);
    expect(told).toHaveLength(2);
  });

  test('an object that a read does not find is gone, and older events do not bring it back', () => {
    const { store, told, confirm } = storeOf(10, object('a', 5));
    expect(confirm('a', undefined)).toBe(true);
    store.take({ type: 'MODIFIED', object: object('a', 12) });
    store.learn(object('a', 13));
    store.take({ type: 'DELETED', object: object('a', 14) });
    store.take({ type: 'ADDED', object: object('a', 15, 'successor') });
    expect([told, store.get('a')?.metadata.uid]).toEqual([['-a', '+a@15'], 'successor']);
  });

  test('a read that began before a namesake was created says nothing about that one', () => {
    const { store, told } = storeOf(10, object('a', 5));
    const before = { object: store.get('a'), seen: store.resourceVersion };
    store.take({ type: 'DELETED', object: object('a', 11) });
    store.take({ type: 'ADDED', object: object('a', 12, 'successor') });
    expect(store.confirm('a', undefined, before)).toBe(true);
    expect(store.confirm('a', object('a', 5), before)).toBe(true);
    expect(told).toEqual(['-a', '+a@12']);
  });

  test('a read that finds less than was known, or what was deleted, comes from data that went back', () => {
    const { store, told, confirm } = storeOf(10, object('a', 9));
    expect(confirm('a', object('a', 5))).toBe(false);
    expect(confirm('b', object('b', 8))).toBe(false);
    expect(told).toEqual(['~a@5', '+b@8']);
    expect(confirm('a', object('a', 11))).toBe(true);
    expect(confirm('c', object('c', 12))).toBe(true);
    expect(store.get('c')).toBeDefined();
  });

  test('nothing is believed from a single read or write before the first list', () => {
    const told: string[] = [];
    const store = new Store<KubeObject>((name) => told.push(name));
    store.learn(object('a', 5));
    expect(store.confirm('a', object('a', 5), { object: undefined, seen: '0' })).toBe(true);
    expect([told, store.get('a')]).toEqual([[], undefined]);
  });
});
