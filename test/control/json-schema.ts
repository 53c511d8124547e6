/** As much of JSON Schema as our own schemas use. */
type Schema = Readonly<Record<string, unknown>>;

/** What is wrong with a value, by its path; nothing where it is as the schema says. `components`: what `$ref` names. */
export function faultsOf(value: unknown, schema: Schema, components: Readonly<Record<string, Schema>>, path = '$'): string[] {
  const { $ref: ref, anyOf, type } = schema;
  if (typeof ref === 'string') {
    const named = components[ref.replace('#/components/schemas/', '')];
    return named === undefined ? [`${path}: there is no ${ref}`] : faultsOf(value, named, components, path);
  }
  if (Array.isArray(anyOf)) {
    const all = anyOf.map((one: Schema) => faultsOf(value, one, components, path));
    return all.some((faults) => faults.length === 0) ? [] : [`${path}: fits none of ${anyOf.length}: ${all.flat().join(', ')}`];
  }
  if ('const' in schema && schema['const'] !== value) return [`${path}: not ${schema['const']}`];
  if (Array.isArray(schema['enum']) && !schema['enum'].includes(value))
    return [`${path}: ${JSON.stringify(value)} is none of ${schema['enum']}`];
  if (type !== undefined && !isOfType(value, String(type))) return [`${path}: ${JSON.stringify(value)} is no ${type}`];
  if (type === 'array')
    return (value as unknown[]).flatMap((one, i) => faultsOf(one, schema['items'] as Schema, components, `${path}[${i}]`));
  if (type !== 'object') return [];
  return objectFaults(value as Schema, schema, components, path);
}

function objectFaults(value: Schema, schema: Schema, components: Readonly<Record<string, Schema>>, path: string): string[] {
  const properties = (schema['properties'] ?? {}) as Readonly<Record<string, Schema>>;
  const rest = schema['additionalProperties'];
  const missing = ((schema['required'] ?? []) as string[]).filter((name) => !(name in value)).map((name) => `${path}.${name} is missing`);
  const wrong = Object.entries(value).flatMap(([name, one]) => {
    const own = properties[name];
    if (own !== undefined) return faultsOf(one, own, components, `${path}.${name}`);
    if (rest === false) return [`${path}.${name} is not described`];
    return typeof rest === 'object' ? faultsOf(one, rest as Schema, components, `${path}.${name}`) : [];
  });
  return [...missing, ...wrong];
}

function isOfType(value: unknown, type: string): boolean {
  switch (type) {
    case 'array':
      return Array.isArray(value);
    case 'integer':
      return Number.isInteger(value);
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value);
    default:
      return typeof value === type;
  }
}
