import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { readCrds, schemaOf, walk, type Schema } from '../../support/crds.ts';

const typesFile = fileURLToPath(new URL('../../../src/api/types.ts', import.meta.url));
const program = ts.createProgram([typesFile], {
  strict: true,
  exactOptionalPropertyTypes: true,
  lib: ['lib.es2024.d.ts'],
  types: [],
});
const checker = program.getTypeChecker();

/** The exported interface of that name. */
function interfaceOf(name: string): ts.Type {
  const module = checker.getSymbolAtLocation(program.getSourceFile(typesFile)!);
  const symbol = checker.getExportsOfModule(module!).find((exported) => exported.name === name);
  if (symbol === undefined) throw new Error(`src/api/types.ts exports no ${name}`);
  return checker.getDeclaredTypeOfSymbol(symbol);
}

/** Where the type and the schema disagree, one line each. */
function differences(type: ts.Type, schema: Schema, path: string): string[] {
  const is = (flag: ts.TypeFlags) => (type.flags & flag) !== 0;
  const wanted = (name: Schema['type']) =>
    schema.type === name ? [] : [`${path}: ${schema.type}, in types.ts ${name}`];
  if (type.isUnion() && type.types.every((member) => member.isStringLiteral())) {
    const literals = type.types.map((member) => member.value).sort();
    const values = [...(schema.enum ?? [])].sort();
    return [
      ...wanted('string'),
      ...(literals.join() === values.join()
        ? []
        : [`${path}: enum ${values.join()}, in types.ts ${literals.join()}`]),
    ];
  }
  if (is(ts.TypeFlags.String)) return wanted('string');
  if (is(ts.TypeFlags.Number)) return wanted('integer');
  if (is(ts.TypeFlags.BooleanLike)) return wanted('boolean');
  if (checker.isArrayType(type)) {
    const [element] = checker.getTypeArguments(type as ts.TypeReference);
    return schema.items === undefined ? wanted('array') : differences(element!, schema.items, `${path}[]`);
  }
  const values = checker.getIndexInfoOfType(type, ts.IndexKind.String)?.type;
  if (values !== undefined) {
    if (schema.additionalProperties === undefined)
      return [`${path}: no additionalProperties, in types.ts a Record`];
    return differences(values, schema.additionalProperties, `${path}{}`);
  }
  return [...wanted('object'), ...differentProperties(type, schema, path)];
}

function differentProperties(type: ts.Type, schema: Schema, path: string): string[] {
  const properties = schema.properties ?? {};
  const members = checker
    .getPropertiesOfType(type)
    .filter(({ name }) => path.includes('.') || !standard.has(name));
  const names = new Set(members.map(({ name }) => name));
  const found = Object.keys(properties)
    .filter((name) => !names.has(name))
    .map((name) => `${path}.${name}: not in types.ts`);
  for (const member of members) {
    const at = `${path}.${member.name}`;
    const property = properties[member.name];
    if (property === undefined) {
      found.push(`${at}: not in the CRD`);
      continue;
    }
    const always = (schema.required ?? []).includes(member.name) || property.default !== undefined;
    const optional = (member.flags & ts.SymbolFlags.Optional) !== 0;
    if (always === optional)
      found.push(`${at}: ${always ? 'always there' : 'optional'}, in types.ts the opposite`);
    found.push(...differences(checker.getNonNullableType(checker.getTypeOfSymbol(member)), property, at));
  }
  return found;
}

/** What the API server itself defines for every kind. */
const standard = new Set(['apiVersion', 'kind', 'metadata']);

const crds = readCrds();
const kinds = [
  'OverlayConfig',
  'OverlayNetwork',
  'OverlayAgent',
  'OverlayReservation',
  'AgentAllocation',
  'AllocationLedger',
];

test('there is a CRD for each of the six kinds and no other', () => {
  expect([...crds.keys()].sort()).toEqual([...kinds].sort());
});

describe.each(kinds)('%s', (kind) => {
  const crd = crds.get(kind)!;
  const schema = schemaOf(crd);

  test('has the fields of src/api/types.ts, with the same types, required and optional', () => {
    expect(differences(interfaceOf(kind), schema, kind)).toEqual([]);
  });

  test('says of every field what it is', () => {
    const silent = [...walk(schema)].filter(([, { description }]) => (description ?? '').length < 3);
    expect(silent.map(([path]) => path)).toEqual([]);
  });

  test('keeps no unknown field and bounds every list and string', () => {
    for (const [path, field] of walk(schema)) {
      const bounded = {
        preserves: field['x-kubernetes-preserve-unknown-fields'] ?? false,
        items: field.type !== 'array' || field.maxItems !== undefined,
        length: field.type !== 'string' || (field.maxLength ?? field.enum ?? field.format) !== undefined,
      };
      expect({ path, ...bounded }).toEqual({ path, preserves: false, items: true, length: true });
    }
  });

  test('lets no shell text into spec', () => {
    for (const [path, field] of walk(schema.properties!['spec']!, 'spec')) {
      if (field.type !== 'string' || field.enum !== undefined || field.format !== undefined) continue;
      const shapes = field.pattern === undefined ? celMatches(field) : [field.pattern];
      const taken = ['$(id)', '`id`', 'a;b', 'a|b', 'a&b', "'", '"', '\\', '>', '<', '\n', '*', ' '].filter(
        (text) => shapes.every((shape) => new RegExp(shape).test(text)),
      );
      expect({ path, shapes: shapes.length, taken }).toEqual({ path, shapes: 1, taken: [] });
    }
  });

  test('is cluster-scoped, of overlaynet.dev/v1alpha1', () => {
    expect(crd.metadata.name).toBe(`${crd.spec.names.plural}.overlaynet.dev`);
    expect(crd.spec).toMatchObject({
      group: 'overlaynet.dev',
      scope: 'Cluster',
      versions: [{ name: 'v1alpha1' }],
    });
    expect(crd.spec.versions[0]!.subresources?.status !== undefined).toBe(
      schema.properties!['status'] !== undefined,
    );
  });
});

test('short names are distinct', () => {
  const short = [...crds.values()].flatMap((crd) => crd.spec.names.shortNames);
  expect(new Set(short).size).toBe(short.length);
  expect(short).toEqual(expect.arrayContaining(['onet', 'oa', 'aa', 'al', 'ocfg']));
});

test('the comparison sees a field that is missing, spare, of another type, optional, or of other values', () => {
  const schema = structuredClone(schemaOf(crds.get('OverlayNetwork')!));
  const spec = schema.properties!['spec']!;
  const entry = spec.properties!['subnets']!.items!;
  delete spec.properties!['isolation'];
  spec.properties!['spare'] = { type: 'string' };
  entry.properties!['cidr']!.type = 'integer';
  entry.properties!['state']!.enum = ['Active'];
  entry.required = ['cidr'];
  expect(differences(interfaceOf('OverlayNetwork'), schema, 'OverlayNetwork').sort()).toEqual([
    'OverlayNetwork.spec.isolation: not in the CRD',
    'OverlayNetwork.spec.spare: not in types.ts',
    'OverlayNetwork.spec.subnets[].cidr: integer, in types.ts string',
    'OverlayNetwork.spec.subnets[].prefix: optional, in types.ts the opposite',
    'OverlayNetwork.spec.subnets[].state: enum Active, in types.ts Active,Draining',
  ]);
});

/** vtepMACOUI has its shape as a CEL rule, whose message is plainer than a pattern's. */
function celMatches(field: Schema): string[] {
  const rules = field['x-kubernetes-validations'] ?? [];
  return rules.flatMap(({ rule }) => /^self\.matches\('(.*)'\)$/.exec(rule)?.[1] ?? []);
}
