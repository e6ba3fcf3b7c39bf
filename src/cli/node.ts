const numbers = (text: string): [number, number] => {
  const [major = 0, minor = 0] = text
    .replace(/^[^0-9]*/, '')
    .split('.')
    .map(Number);
  return [major, minor];
};

/**
 * What is wrong with this Node; undefined: nothing.
 * @param version `v20.20.2`
 * @param needed package.json's `engines.node`, `>=22.19`
 */
export function tooOld(version: string, needed: string): string | undefined {
  const [major, minor] = numbers(version);
  const [leastMajor, leastMinor] = numbers(needed);
  if (major > leastMajor || (major === leastMajor && minor >= leastMinor)) return undefined;
  return `this command needs Node ${leastMajor}.${leastMinor} or later; \`node\` here is ${version}`;
}
