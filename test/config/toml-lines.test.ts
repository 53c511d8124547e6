import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'smol-toml';
import { exampleFile } from '../../src/config/documents.js';
import { tomlLines } from '../../src/config/toml-lines.js';

test('keys are found through comments, strings of every sort, arrays, inline tables and arrays of tables', () => {
  const text = `# one = 1
top = "a # no comment, no [table]"
'quoted key' = 'x = "y'
a.b . "c" = 1

[ table ] # [other]
multi = """
fake = 1
\\""" still """""
raw = '''
[fake]
''''
list = [
  "x", # y = 1
  { in = 1, deep = { er = [ 1, 2 ] } },
  [ { x = 1 } ],
]
after = 2026-11-22T10:00:00Z
[[route]]
host = "a" # z
[route.sub]
key = 1
[[route]]
host="b"
port=5
`;
  parse(text);
  const lines = Object.fromEntries(tomlLines(text));
  assert.deepEqual(lines, {
    top: 2,
    'quoted key': 3,
    'a.b.c': 4,
    table: 6,
    'table.multi': 7,
    'table.raw': 10,
    'table.list': 13,
    'table.list[1].in': 15,
    'table.list[1].deep': 15,
    'table.list[1].deep.er': 15,
    'table.list[2][0].x': 16,
    'table.after': 18,
    'route[0]': 19,
    'route[0].host': 20,
    'route[0].sub': 21,
    'route[0].sub.key': 22,
    'route[1]': 23,
    'route[1].host': 24,
    'route[1].port': 25,
  });
});

test('it comes to an end on whatever it is given', () => {
  const text = exampleFile().replace(/^#(?=\S)/gm, '');
  for (let cut = 0; cut < text.length; cut += 7) tomlLines(text.slice(cut, cut + 400));
  for (const broken of ['a = [}', 'a = {]', '[[', '"', 'a = """', "'''", '= =', '[a\nb', '{,}', 'a = [{', '\\']) tomlLines(broken);
});
