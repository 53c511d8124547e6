/**
 * JSON Schemas of our own types, which the compiler holds to them: every field of the type must be described, none besides, and what may be
 * absent must be said to. Pure.
 */

export type JsonSchema = Readonly<Record<string, unknown>>;

export interface Required {
  readonly schema: JsonSchema;
  readonly absent?: false;
}

export interface Optional {
  readonly schema: JsonSchema;
  readonly absent: true;
}

/** Of a type's fields, each with what it is. */
export type Shape<T> = { readonly [K in keyof T]-?: Record<never, never> extends Pick<T, K> ? Optional : Required };

const of = (schema: JsonSchema): Required => ({ schema });

export const string: Required = of({ type: 'string' });
export const number: Required = of({ type: 'number' });
export const integer: Required = of({ type: 'integer' });
export const boolean: Required = of({ type: 'boolean' });
/** Epoch milliseconds. */
export const moment: Required = of({ type: 'number', description: 'epoch milliseconds' });
/** Epoch milliseconds, or 0 for none. */
export const momentOrNone: Required = of({ type: 'number', description: 'epoch milliseconds; 0: none' });
export const octets: Required = of({ type: 'integer', description: 'octets' });
export const milliseconds: Required = of({ type: 'number', description: 'milliseconds' });

/** Names what is the same everywhere; `what` stands under `components`. */
export const named = (name: string): Required => of({ $ref: `#/components/schemas/${name}` });
export const list = ({ schema }: Required): Required => of({ type: 'array', items: schema });
export const word = (...words: readonly string[]): Required => of({ type: 'string', enum: words });
export const numbersBy = (...names: readonly string[]): Required =>
  of({
    type: 'object',
    properties: Object.fromEntries(names.map((name) => [name, number.schema])),
    required: names,
    additionalProperties: false,
  });
export const byName = ({ schema }: Required): Required => of({ type: 'object', additionalProperties: schema });
export const truth: Required = of({ const: true });
export const anyOf = (...schemas: readonly Required[]): Required => of({ anyOf: schemas.map(({ schema }) => schema) });

export const maybe = ({ schema }: Required): Optional => ({ schema, absent: true });
export const noted = ({ schema }: Required, description: string): Required => of({ ...schema, description });

export function object<T>(shape: Shape<T>, description?: string): Required {
  const fields = Object.entries(shape as Readonly<Record<string, Required | Optional>>);
  return of({
    type: 'object',
    ...(description === undefined ? {} : { description }),
    properties: Object.fromEntries(fields.map(([name, { schema }]) => [name, schema])),
    required: fields.filter(([, { absent }]) => absent !== true).map(([name]) => name),
    additionalProperties: false,
  });
}

export function page<T>(item: Required): Required {
  return object<{ readonly items: readonly T[]; readonly next?: string }>({
    items: list(item),
    next: maybe(noted(string, 'pass as `after` to go on; absent at the end')),
  });
}
